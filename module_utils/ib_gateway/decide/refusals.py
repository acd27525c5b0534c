"""Why a step is not taken, in words that a plan tells as withheld. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Optional, Sequence, Tuple

from ..base import findings
from ..base.actions import RESTART, RESUME, STOP_CLIENT, STOP_GATEWAY, WAIT
from ..base.host import Client, Process
from ..base.plan import Diagnosis, Entry, Relay, Step
from . import targets
from .eviction import HANDSHAKE_FAULTS, untouchable

if TYPE_CHECKING:  # most looks know of no unit
    from ..base.unit import UnitMember

#: Findings with which nothing is done, and why.
_NOTHING_HELPS: Dict[str, str] = {
    findings.PARTIAL_VISIBILITY.code: "nothing is touched while something is not seen",
    findings.CLAIMED_BY_ANOTHER_ACCOUNT.code: "nothing is touched while two accounts claim this gateway",
    findings.CANNOT_JUDGE.code: "nothing is touched that cannot be judged",
    findings.WRONG_TRADING_MODE.code: (
        "nothing is done on a gateway that is logged in to accounts of the other trading mode"
    ),
    findings.PORT_TAKEN.code: "no gateway is started, restarted or stopped while another program has its port",
    findings.WRONG_PORT.code: "a restart does not change the port of a gateway",
    findings.LOGIN_TAKEN_OVER.code: "to restart would take the session back from the person who has it now",
    findings.LOGIN_REFUSED.code: "one more login could get the account locked out; a person has to see why",
    findings.GATEWAY_STOPPED.code: "somebody has stopped this gateway by a command, and may want it so",
    findings.DISCLAIMER_PENDING.code: "a restart brings the disclaimer back; a person has to accept it at the screen",
    findings.DISK_FULL.code: "no gateway starts on a full disk",
    findings.CRASH_LOOP.code: "one more start ends as the last ones did",
}
_BEFORE_IT = (
    "a restart does not help: the gateway listens and has room for connections, so that something before it refuses "
    "them, as a packet filter of this host does: `nft list ruleset` or `iptables -S` shows its rules"
)
_BEHIND = "%s, behind which a script may be that protected_clients names"
#: How a connection to an address of this host fails where a packet filter has a say. A listener that has room is never
#: the one that refuses.
_FILTERED = ("ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "EPERM", "ECONNREFUSED")
UNNAMED = "its entry does not say which container that is; give it container, with engine and name"
#: Faults during which clients may still work: they are not cut off for the sake of others.
_SPARES_LIVE_CLIENTS = (
    findings.ACCEPT_QUEUE_FULL.code,
    *HANDSHAKE_FAULTS,
    findings.STALE_CONNECTIONS.code,
    findings.UPSTREAM_DOWN.code,
    findings.CONTAINER_LINK_DOWN.code,
)
#: Those that meet a new connection before anything is asked on it. They say nothing of a session that is open and has
#: not been used yet; where a session stalls, one like it most likely hangs.
_AT_THE_DOOR = (findings.ACCEPT_QUEUE_FULL.code, findings.HANDSHAKE_REFUSED.code, findings.HANDSHAKE_DROPPED.code)


def hopeless(diagnosis: Diagnosis) -> Optional[str]:
    """Why no step helps, or none may be taken; None where one may, and where nothing calls for any."""
    codes, relay = diagnosis.codes, diagnosis.entry.relay
    told = next((reason for code, reason in _NOTHING_HELPS.items() if code in codes), None)
    told = told or (_BEFORE_IT if _kept_from(diagnosis) else None)
    return told or (_behind_relay(diagnosis.entry, relay) if relay and codes else None)


def _kept_from(diagnosis: Diagnosis) -> bool:
    """Whether connections fail although the kernel has room for them on the port: something before it refuses them."""
    entry, probe = diagnosis.entry, diagnosis.probe
    message = str((probe.error or {}).get("message")) if probe is not None else ""
    rooms = [each.accept_queue == 0 for each in entry.listeners if each.port == entry.spec.port]
    refused = findings.HANDSHAKE_REFUSED.code in diagnosis.codes and any(each in message for each in _FILTERED)
    return refused and bool(rooms) and all(rooms)


def _behind_relay(entry: Entry, relay: Relay) -> str:
    """Whether the gateway or what stands before it is at fault cannot be told on the relay's port."""
    return (
        "nothing is done through %s (pid %d) on port %d: an entry with port %d, on which pid %d itself listens, can be "
        "repaired"
    ) % (relay.name, relay.process.pid, entry.spec.port, relay.port, relay.gateway.pid)


def barred(entry: Entry, steps: Sequence[Step]) -> Optional[str]:
    """Why this run cannot take all of the steps, and so takes none; None where it can."""
    if not entry.holds and any(_takes_a_signal(entry, step) for step in steps):
        return _unheld(entry)
    named = [step.target.get("process") or step.target for step in steps if step.action != WAIT]
    others = [each for each in named if entry.confined_to and each.get("user") not in (None, entry.confined_to)]
    if not others:
        return None
    whom = ", ".join("pid %d of %s" % (each["pid"], each["user"]) for each in others)
    return "nothing is done on %s: it takes %s to end, and this run is as %s: run with become" % (
        entry.spec.name,
        whom,
        entry.confined_to,
    )


def _takes_a_signal(entry: Entry, step: Step) -> bool:
    """Whether a step sends a signal, to a process that has to be held for it. What a cut makes needless may stay."""
    if step.action == STOP_CLIENT:
        return not step.only_if_persists or step.finding == findings.NOT_LISTENING.code
    if step.action != RESTART:
        return step.action in (STOP_GATEWAY, RESUME)
    process = step.target.get("process")
    if process is None or step.target["by"] == targets.BY_CONTAINER:
        return False
    state = entry.unit_state
    killed = state is not None and state.kills_after is not None
    left = state is not None and state.leaves_behind
    return step.target["by"] != targets.BY_UNIT or left or (killed and not process.get("allow_kill"))


def _unheld(entry: Entry) -> str:
    cure = "give the host an ansible_python_interpreter of Python 3.9 or newer, on Linux 5.3 or newer"
    if any(entry.in_unit(process) for process in entry.processes):
        cure += ", or the entry allow_kill: true, with which systemd alone ends it"
    return "nothing is done on %s: this host cannot hold a process by pidfd, so that nothing is signalled: %s" % (
        entry.spec.name,
        cure,
    )


def refusal(entry: Entry, blocking: Sequence[str], what: str) -> Optional[str]:
    """Why a gateway is not started or restarted; None where it may be. blocking: as blockers() has it; what: the word
    for it, as "restarted"."""
    name = entry.spec.name
    if not entry.spec.startable:
        return "%s is not %s: %s" % (name, what, entry.spec.why_not_startable)
    if not entry.seen_whole:
        return (
            "%s is not %s: what came of it could not be seen without root, because its entry names no user; give key "
            "user, or run with become" % (name, what)
        )
    if any(process.pid == 1 or process.own_run for process in entry.processes):
        return (
            "%s is not %s: the container of this run may end with it. Restart that from its host, by its engine or by "
            "a run there with an entry that has key container" % (name, what)
        )
    contained = [each for each in entry.processes if each.pid in entry.contained and not entry.carried(each)]
    if contained:
        return "%s is not %s: pid %d lives in a container, and to end it could end that; %s" % (
            name,
            what,
            contained[0].pid,
            UNNAMED,
        )
    # What is proven is ended and started anew, whoever else there is; where nothing is, a start may be a second one.
    unclear = [*entry.ambiguous, *(() if entry.processes else entry.unplaced)]
    if unclear:
        pids = ", ".join("pid %d" % each.pid for each in unclear)
        return "%s is not %s: %s may be its gateway as well, and nothing tells" % (name, what, pids)
    if entry.start_blocker:
        return "%s is not %s: %s" % (name, what, entry.start_blocker)
    others = entry.others_in_unit() if _through_unit(entry) else entry.others_at_start()
    if others:
        return "%s is not %s: %s, and all of them would end" % (name, what, also_carried(entry, others))
    if blocking:
        return "%s is not %s: that would cut off %s" % (name, what, ", ".join(blocking))
    return None


def also_carried(entry: Entry, others: Sequence[UnitMember]) -> str:
    """What keeps an entry's unit from being stopped or started, in words: who lives in it, or in a unit that goes down
    with it or by a start of it."""
    told = []
    here = [each for each in others if not each.unit]
    if here:
        told.append("its %s also carries %s" % (entry.spec.carrier, _names(here)))
    for unit in dict.fromkeys(each.unit for each in others if each.unit):
        bound = [each for each in others if each.unit == unit]
        tie = "is stopped by a start of" if bound[0].by_start else "goes down with"
        text = "%s %s its %s and carries %s"
        told.append(text % (unit, tie, entry.spec.carrier, _names(bound)))
    return ", and ".join(told)


def _names(members: Sequence[UnitMember]) -> str:
    kinds = [("protected %s" if each.protected and each.unit else "%s") % each.told_kind for each in members]
    return ", ".join("pid %d (%s of %s)" % (each.pid, kind, each.user) for each, kind in zip(members, kinds))


def cannot_start(entry: Entry) -> bool:
    """Whether the gateway could not be started again once it has ended."""
    return entry.start_blocker is not None or not entry.spec.startable


def _through_unit(entry: Entry) -> bool:
    """Whether a start or restart ends whatever lives in the entry's unit: one up without a process is restarted."""
    carried = any(entry.carried(process) for process in entry.processes)
    held = entry.unit_state is not None and entry.unit_state.holds_without_process
    return carried or held or (not entry.processes and entry.unit_age is not None)


def blockers(entry: Entry, fault: Optional[str], before: Sequence[Step]) -> Tuple[str, ...]:
    """The clients for whose sake the gateway is left alone: protected ones always, others while they may work.

    A relay with a session counts as protected where somebody is, and so does who cannot be seen: nothing tells who that
    is. Others do not count where the entry allows a restart with clients.
    """
    leaving = {step.target.get("pid") for step in before} - {None}
    cut = {(step.target.get("client"), step.target.get("client_port")) for step in before}
    found = []
    for client in entry.clients:
        pid = client.process.pid if client.process else None
        only_cut = pid is None or client.works_elsewhere
        if not client.open or pid in leaving or (only_cut and _ends(client) in cut):
            continue
        unused = client.connection is not None and client.connection.served and fault in _AT_THE_DOOR
        may_work = (client.working or unused) and fault in _SPARES_LIVE_CLIENTS
        if client.shields and client.working:
            told = "%s, which protected_clients may name" if client.unseen else _BEHIND
            found.append(untouchable(client) if client.unclaimed else told % untouchable(client))
        elif client.protected or (may_work and not entry.spec.allow_restart_with_clients):
            found.append("pid %d" % pid if pid else untouchable(client))
    return tuple(dict.fromkeys(found))


def _ends(client: Client) -> Optional[Tuple[str, int]]:
    """Where its connection comes from, as the target of a cut has it."""
    return (client.connection.client, client.connection.client_port) if client.connection else None


def mistyped(entry: Entry) -> Optional[str]:
    """Why nothing is started beside a gateway that one key of the entry may have wrong: it would log in twice."""
    near = next((each for each in entry.differing if each.may_be_meant), None)
    if near is None:
        return None
    ((key, has, says),) = near.keys
    if near.owner:
        return (
            "%s is not started: gateway pid %d has all that the entry says but its port, and is that of entry %s, on "
            "port %s: a second one would take its login. Remove one of the two entries, or give it a folder of its own"
        ) % (entry.spec.name, near.process.pid, near.owner, has)
    return (
        "%s is not started: gateway pid %d runs and only its %s differs: it has %s, the entry says %s. Correct the "
        "entry, or end that gateway if it is another one"
    ) % (entry.spec.name, near.process.pid, key, has, says)


def beside_others(entry: Entry, keep: Process, ending: Sequence[Step]) -> Optional[str]:
    """Why the gateway that serves is not restarted while others are left: the new one would log in beside them."""
    ended = [step.target["pid"] for step in ending]
    left = [each.pid for each in entry.processes if each is not keep and each.pid not in ended]
    if not left:
        return None
    return "%s is not restarted: a new gateway would log in beside pid %s, which may be its gateway as well" % (
        entry.spec.name,
        " and ".join(map(str, left)),
    )
