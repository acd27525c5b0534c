"""What to do about a Diagnosis: Steps in the order of the ladder, least disruptive first. Pure.

A plan names exactly whom it means. What would help but must not be done is withheld, with its reason.
"""

from __future__ import annotations

from typing import FrozenSet, List, Optional, Sequence, Tuple

from ..base.actions import RESTART, START, STOP_GATEWAY, WAIT
from ..base.host import Process
from ..base.plan import UNHEALTHY, Diagnosis, Entry, Plan, Step
from ..base.steps import in_order
from . import targets
from .eviction import HANDSHAKE_FAULTS, client_steps, untouchable

#: Faults that only a new gateway process ends, in the order in which the restart names its reason.
_RESTART_FAULTS = ("not_listening", "wrong_port", "accept_queue_full", *HANDSHAKE_FAULTS, "stale_connections")
#: Of these, the ones during which clients may still work: they are not cut off for the sake of others.
_SPARES_LIVE_CLIENTS = ("accept_queue_full", *HANDSHAKE_FAULTS, "stale_connections")


def plan(diagnosis: Diagnosis) -> Plan:
    """The steps that would bring this entry's gateway to health, and what is withheld."""
    entry, codes = diagnosis.entry, diagnosis.codes
    if "partial_visibility" in codes:
        return Plan(withheld=("nothing is touched while something is not seen",))
    if "upstream_down" in codes:
        reason = "the broker's link comes back by itself; a restart would only cost a login"
        return Plan(steps=(_wait(entry, "upstream", reason, "upstream_down"),))
    if "wrong_trading_mode" in codes:
        return Plan(withheld=("nothing is done on a gateway that is logged in to accounts of the other trading mode",))
    if "port_taken" in codes:
        taken = "port %d is taken: no gateway is started or restarted while it is" % entry.spec.port
        return _in_order(*client_steps(entry, codes - {"not_listening"}), [], [taken])
    if _unproven_stale(diagnosis):
        codes -= {"stale_connections"}
    clients, withheld = client_steps(entry, codes)
    steps, refused = _gateway_steps(entry, codes, clients)
    if refused:
        # To free a gateway that is then not restarted would cost scripts their sessions for nothing.
        clients = [step for step in clients if step.finding != "not_listening"]
    return _in_order(clients, withheld, steps, refused)


def _in_order(clients: List[Step], kept: List[str], gateways: List[Step], refused: List[str]) -> Plan:
    return Plan(steps=tuple(in_order(clients + gateways)), withheld=tuple(kept + refused))


def _unproven_stale(diagnosis: Diagnosis) -> bool:
    """Whether connections are stale without anything to show that they block the slot."""
    return any(each.code == "stale_connections" and each.severity != UNHEALTHY for each in diagnosis.findings)


# --- gateways --------------------------------------------------------------------------------------------------------


def _gateway_steps(entry: Entry, codes: FrozenSet[str], before: Sequence[Step]) -> Tuple[List[Step], List[str]]:
    """(what is done to the gateways themselves, what of it is withheld). before: the steps on clients."""
    waits = []
    if "gateway_starting" in codes:
        waits.append(_wait(entry, "listener", "it may still be logging in", "gateway_starting"))
    later = bool(waits)
    keep = _keep(entry)
    surplus, spared = _surplus_gateways(entry, keep, later)
    fault = next((code for code in _RESTART_FAULTS if code in codes), None)
    blockers = _blockers(entry, fault, before)
    refused: Optional[str] = None
    cure: List[Step] = []
    if "gateway_not_running" in codes:
        refused = _refusal(entry, (), "started")
        cure = [_bring_up(entry, later)]
    elif keep is None and len(entry.processes) > 1:
        refused = _refusal(entry, [*blockers, *spared], "stopped and started anew")
        cure = [*surplus, _start(entry, "none of its gateways serves", "duplicate_gateways", later)]
    elif fault is not None and keep is not None:
        refused = _refusal(entry, blockers, "restarted")
        cure = [_restart(entry, keep, fault, persists=bool(waits or surplus or before))]
    steps = waits + (surplus if keep is not None else [])
    withheld = ["surplus gateways are left: ending them would cut off " + each for each in spared if keep is not None]
    return (steps, [*withheld, refused]) if refused else (steps + cure, withheld)


def _surplus_gateways(entry: Entry, keep: Optional[Process], later: bool) -> Tuple[List[Step], List[str]]:
    """(a step for each gateway that is one too many, the clients for whose sake one is left)."""
    steps: List[Step] = []
    spared: List[str] = []
    for process in entry.processes:
        if process is keep:
            continue
        protected = [
            "pid %d" % client.process.pid
            for client in entry.clients
            if client.process
            and client.protected
            and client.connection
            and process.pid in client.connection.gateway_pids
        ]
        spared.extend(protected)
        if not protected:
            steps.append(_surplus_step(entry, process, later))
    return steps, spared


def _keep(entry: Entry) -> Optional[Process]:
    """The process that stays: the one that owns the port, else the unit's, else the only one, else none."""
    owners = entry.owners()
    if owners:
        return owners[0]
    unit = entry.spec.unit
    of_unit = [process for process in entry.processes if unit and process.unit == unit]
    if of_unit:
        return of_unit[0]
    return entry.processes[0] if len(entry.processes) == 1 else None


def _blockers(entry: Entry, fault: Optional[str], before: Sequence[Step]) -> Tuple[str, ...]:
    """The clients for whose sake the gateway is left alone: protected ones always, others while they may work.

    Others do not count where the entry allows a restart with clients.
    """
    leaving = {step.target.get("pid") for step in before}
    found = []
    for client in entry.clients:
        pid = client.process.pid if client.process else None
        if not client.open or pid in leaving:
            continue
        may_work = client.working and fault in _SPARES_LIVE_CLIENTS
        if client.protected or (may_work and not entry.spec.allow_restart_with_clients):
            found.append("pid %d" % pid if pid else untouchable(client))
    return tuple(found)


def _refusal(entry: Entry, blockers: Sequence[str], what: str) -> Optional[str]:
    if not entry.spec.startable:
        return "%s is not %s: its entry has neither service nor start_command to start it with" % (
            entry.spec.name,
            what,
        )
    if any(process.pid == 1 for process in entry.processes):
        return "%s is not %s: it is the system's first process, so its container has to be" % (entry.spec.name, what)
    if blockers:
        return "%s is not %s: that would cut off %s" % (entry.spec.name, what, ", ".join(blockers))
    return None


# --- steps -----------------------------------------------------------------------------------------------------------


def _surplus_step(entry: Entry, process: Process, persists: bool) -> Step:
    target = targets.to_end(entry, process, "gateway")
    reason = "one gateway is wanted for %s" % entry.spec.name
    return Step(STOP_GATEWAY, entry.spec.name, target, reason, "duplicate_gateways", persists)


def _wait(entry: Entry, what: str, reason: str, code: str) -> Step:
    return Step(WAIT, entry.spec.name, targets.to_wait_for(entry, what), reason, code)


def _start(entry: Entry, reason: str, code: str, persists: bool) -> Step:
    return Step(START, entry.spec.name, targets.to_start(entry), reason, code, persists)


def _bring_up(entry: Entry, persists: bool) -> Step:
    """Starts what is not running; a unit that is up without a gateway would not notice a start."""
    code = "gateway_not_running"
    if entry.unit_age is not None:
        reason = "its unit is up and has no gateway"
        return Step(RESTART, entry.spec.name, targets.to_restart(entry, None), reason, code, persists)
    return _start(entry, "no gateway is running", code, persists)


def _restart(entry: Entry, process: Process, code: str, persists: bool) -> Step:
    reason = "only a new gateway process ends %s" % code
    return Step(RESTART, entry.spec.name, targets.to_restart(entry, process), reason, code, persists)
