"""Look and decide for one host: a snapshot, a handshake where it is safe, the rules, the plan."""

from __future__ import annotations

import sys
import time
from typing import Callable, Collection, FrozenSet, List, NamedTuple, Sequence, Tuple

from ..base.classify import CONTAINER_PROXIES
from ..base.findings import ACCEPT_QUEUE_FULL, HANDSHAKE_DROPPED, HANDSHAKE_REFUSED, HEALTHY
from ..base.host import Keeper, Process, Snapshot
from ..base.plan import Diagnosis, Entry
from ..base.probe import Prober
from ..base.record import Record
from ..base.spec import API_PORTS, GatewaySpec
from ..decide.assign import entries_of
from ..decide.diagnosis import diagnose, may_probe
from ..observe import localhost, settings
from ..observe.snapshot import look


class Hints(Record):
    """What a look cannot see and the rules have to know.

    known_served: (pid, started_ticks) of gateways that an earlier look of the same run has seen serve. reset_window:
    the broker's reset window that this moment lies in, in words; empty outside of any. login_reset: when the broker has
    last ended all logins, or is about to, in seconds since the epoch; 0 where nobody knows. stopped: names of entries
    whose gateway the module has ended.
    """

    known_served: Collection[Tuple[int, int]] = ()
    reset_window: str = ""
    login_reset: float = 0.0
    stopped: Collection[str] = ()


class Probing(NamedTuple):
    """How handshakes are made. policy: auto, always or never, whether to make any; timeout: seconds for each; depth:
    probe.QUICK or FULL; patience: seconds that all of them together may take beyond that. at_once: whether the prober
    may be called by several threads.
    """

    prober: Prober
    policy: str
    timeout: float
    depth: str
    patience: float = 0.0
    at_once: bool = False


_NO_HINTS = Hints()
#: What a pause of the JVM or a reconnect to the broker looks like for some seconds: told in a moment, and a fault only
#: where it lasts as long as an answer would be waited for.
_MOMENTARY = frozenset((ACCEPT_QUEUE_FULL.code, HANDSHAKE_REFUSED.code, HANDSHAKE_DROPPED.code))
#: Seconds until the next look at it.
_AGAIN = 2.0


def look_for(specs: Sequence[GatewaySpec]) -> Snapshot:
    """A snapshot that holds everything the rules need to judge these entries."""
    ports = set(API_PORTS) | {spec.port for spec in specs}
    patterns = [pattern for spec in specs for pattern in spec.client_patterns]
    found = look(ports, patterns, [spec.unit_key for spec in specs if spec.unit_key])
    if _leads_into_containers(specs, found):
        from .contained import looked_into

        found = looked_into(found, specs)
    # What a container's entry names is a folder of the container's.
    folders = settings.folders(spec.config_dir for spec in specs if spec.config_dir and not spec.container)
    served = {each.port for each in found.listeners}
    owned = {path for path, folder in folders.items() if folder.owner}
    tied = all(spec.user or spec.config_dir in owned for spec in specs) or not sys.platform.startswith("linux")
    # Asked only where a port is not served; of one that is served, only when something is wrong with it.
    brought: Tuple[Keeper, ...] = ()
    if not all(spec.port in served for spec in specs):
        from .closer import keepers_of

        brought = keepers_of(found, specs)
    return found._replace(
        folders=folders,
        localhost=_localhost(specs, found),
        keepers=brought,
        logins=frozenset() if tied else _logins(),
    )


def _logins() -> FrozenSet[str]:
    from ..observe.logins import logins  # an entry that is tied to an account needs nobody else's name

    return logins()


def _leads_into_containers(specs: Sequence[GatewaySpec], found: Snapshot) -> bool:
    """Whether the look has to go on into containers: an entry names one, or the program of a container engine has an
    entry's port."""
    if not sys.platform.startswith("linux"):
        return False
    if any(spec.container for spec in specs):
        return True
    ports = {spec.port for spec in specs}
    holding = {pid for each in found.listeners if each.port in ports for pid in each.pids} & found.processes.keys()
    return any(found.processes[pid].relay in CONTAINER_PROXIES for pid in holding)


def _with_logins(entries: Sequence[Entry], snapshot: Snapshot, stopped: Collection[str]) -> Sequence[Entry]:
    """The entries with the state of their login; asked only of those that do not serve.

    stopped: whose gateway the module has ended. That IBC's log tells of a STOP there says nothing about a person.
    """
    if all(entry.owners() for entry in entries) or not sys.platform.startswith("linux"):
        return entries
    from ..base.login import STOPPED
    from .logins import with_login

    told = [entry if entry.owners() else with_login(entry, snapshot) for entry in entries]
    return [
        each._replace(login=None)
        if each.spec.name in stopped and each.login is not None and each.login.state == STOPPED
        else each
        for each in told
    ]


def _localhost(specs: Sequence[GatewaySpec], found: Snapshot) -> Tuple[str, ...]:
    """What `localhost` is on this host; asked only where a port is not heard on every address."""
    ports = {spec.port for spec in specs}
    narrow = [each for each in found.listeners if each.port in ports and each.families != ("ipv4", "ipv6")]
    return localhost.addresses() if narrow else ()


def examine(
    specs: Sequence[GatewaySpec], how: Probing, hints: Hints = _NO_HINTS
) -> Tuple[Snapshot, List[Diagnosis], Tuple[Process, ...]]:
    """(the snapshot, a Diagnosis for each entry, the gateways that fit no entry).

    how: whether and how to shake hands. Raises OSError when the host's tables cannot be read at all.
    """
    patience = how.patience
    until = time.monotonic() + patience
    while True:
        snapshot, found, undeclared = _judged(specs, how._replace(patience=patience), hints)
        patience = until - time.monotonic()
        if patience <= 0 or not any(each.codes & _MOMENTARY for each in found):
            break
        time.sleep(min(_AGAIN, patience))
    if any(each.codes for each in found):
        from . import closer  # most looks find nothing, and do not load it

        snapshot, found = closer.told_apart(specs, snapshot, found, hints.reset_window)
        found = closer.with_starts(found, snapshot, hints.reset_window, hints.login_reset)
        found = closer.with_waits(found, snapshot, hints.reset_window)
    return snapshot, found, undeclared


def _judged(
    specs: Sequence[GatewaySpec], how: Probing, hints: Hints
) -> Tuple[Snapshot, List[Diagnosis], Tuple[Process, ...]]:
    """What the tables say, and a handshake with each gateway that nobody is seen to work on."""
    snapshot = _remember(look_for(specs), hints.known_served)
    placed, undeclared = entries_of(specs, snapshot)
    entries = _with_logins(placed, snapshot, hints.stopped)
    found = [diagnose(entry, snapshot, reset_window=hints.reset_window) for entry in entries]
    asked = [place for place, passive in enumerate(found) if may_probe(passive, how.policy)]
    if asked:
        from .probing import probe_entries  # most looks of a sweep open no session

        wanted = [entries[each] for each in asked]
        told = probe_entries(wanted, snapshot, how.prober, how.depth, how.timeout, how.patience, how.at_once)
        for place, (entry, probe) in zip(asked, told):
            found[place] = diagnose(entry, snapshot, probe, hints.reset_window)
    return snapshot, found, undeclared


def watch(
    look_once: Callable[[], Tuple[Snapshot, List[Diagnosis], Tuple[Process, ...]]], looks: int, over: float
) -> List[Tuple[Snapshot, List[Diagnosis], Tuple[Process, ...]]]:
    """Looks that are spread evenly over some seconds; ends with the first one in which none is healthy."""
    taken = [look_once()]
    while len(taken) < looks and any(each.status == HEALTHY for each in taken[-1][1]):
        time.sleep(over / (looks - 1))
        taken.append(look_once())
    return taken


def _remember(snapshot: Snapshot, known_served: Collection[Tuple[int, int]]) -> Snapshot:
    processes = {
        pid: process._replace(served_before=(pid, process.started_ticks) in known_served)
        for pid, process in snapshot.processes.items()
    }
    return snapshot._replace(processes=processes)
