"""Applies the rules: what was seen of an entry becomes its Diagnosis. Pure: no I/O, no clock.

A rule is a function from a Case to the findings it makes. RULES lists them in the order in which they weigh: the first
finding of the worst severity is the verdict. What was not seen comes before all of them.
"""

from __future__ import annotations

from typing import Callable, Iterator, Optional, Tuple

from ..base.host import Snapshot, Visibility
from ..base.plan import DEGRADED, HEALTHY, INFO, UNHEALTHY, UNKNOWN, Diagnosis, Entry, Finding
from ..base.probe import Probe
from . import rules_api, rules_host
from .context import Case

_SEVERITIES = (HEALTHY, INFO, DEGRADED, UNKNOWN, UNHEALTHY)

Rule = Callable[[Case], Iterator[Finding]]

#: In the order in which they weigh.
RULES: Tuple[Rule, ...] = (
    rules_host.port_taken,
    rules_host.gateway_not_running,
    rules_api.wrong_trading_mode,
    rules_api.upstream_down,
    rules_host.duplicate_gateways,
    rules_host.wrong_port,
    rules_host.not_listening,
    rules_host.accept_queue_full,
    rules_api.handshake,
    rules_host.stale_connections,
    rules_host.competing_clients,
    rules_api.client_id_in_use,
    rules_host.gateway_starting,
)


def diagnose(entry: Entry, snapshot: Snapshot, probe: Optional[Probe] = None, reset_window: str = "") -> Diagnosis:
    """Applies every rule to one entry.

    probe: what an API handshake came to, where one was made. reset_window: the broker's reset window that this moment
    lies in, in words; empty outside of any.
    """
    case = Case(entry=entry, snapshot=snapshot, probe=probe, reset_window=reset_window)
    findings = tuple(_partial_visibility(case)) or tuple(finding for rule in RULES for finding in rule(case))
    worst = max((finding.severity for finding in findings), key=_SEVERITIES.index, default=HEALTHY)
    if worst in (HEALTHY, INFO):
        return Diagnosis(entry, HEALTHY, HEALTHY, findings, probe)
    verdict = next(finding.code for finding in findings if finding.severity == worst)
    return Diagnosis(entry, worst, verdict, findings, probe)


def may_probe(diagnosis: Diagnosis, policy: str) -> bool:
    """Whether an API handshake is called for. policy: auto, always or never.

    Never on a port that no gateway of the entry owns. auto: only when the passive evidence shows the API slot free and
    the gateway taking connections, because a handshake that competes for the slot would make the fault it looks for.
    A connection on which the gateway has said no more than its version holds no slot: it is a script that hangs.
    Without max_api_clients one session that works may be all that the gateway has room for; two show that it has more.
    """
    entry = diagnosis.entry
    if policy == "never" or not entry.owners():
        return False
    if policy == "always":
        return True
    if diagnosis.codes & {"partial_visibility", "accept_queue_full"}:
        return False
    working = {client.connection for client in entry.clients if client.working}
    limit = entry.spec.max_api_clients
    return len(working) != 1 if limit is None else len(working) < limit


def _partial_visibility(case: Case) -> Iterator[Finding]:
    missing = list(_missing(case.entry, case.snapshot.visibility))
    if missing:
        yield Finding(
            "partial_visibility",
            UNKNOWN,
            "cannot judge %s: not seen was %s" % (case.spec.name, "; ".join(missing)),
            {"missing": missing, "looked_as": case.snapshot.visibility.user},
        )


def _missing(entry: Entry, sight: Visibility) -> Iterator[str]:
    """Each thing without which the rules could err about this entry, in words."""
    spec = entry.spec
    own_entry = spec.user is not None and spec.user == sight.user
    if sight.processes or not own_entry:
        yield from sight.missing
    for process in entry.processes:
        if process.other_netns:
            yield "pid %d lives in a network namespace of its own: its ports are not this host's" % process.pid
        elif not process.sockets_visible:
            yield "the sockets of pid %d belong to %s, and %s may not read them" % (
                process.pid,
                process.user,
                sight.user,
            )
    if not entry.processes and not sight.privileged and not own_entry:
        yield "other users' sockets: %s may read only its own" % sight.user
    for listener in entry.listeners:
        if listener.port == spec.port and not listener.pids:
            yield "who listens on port %d: its owner (%s) cannot be seen" % (spec.port, listener.user or "unknown")
    for process in entry.ambiguous:
        yield (
            "whose gateway pid %d is: it fits several entries, and neither user, config_dir nor port tells"
            % process.pid
        )
    for process in entry.unplaced:
        yield "the working directory of gateway pid %d of %s" % (process.pid, process.user)
