"""What to do about a Diagnosis: Steps in the order of the ladder, least disruptive first. Pure.

A plan names exactly whom it means. What would help but must not be done is withheld, with its reason.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Optional, Sequence, Set, Tuple

from ansible.module_utils.ib_gateway.model import (
    FORGOTTEN_AFTER,
    RESTART,
    RUNGS,
    START,
    STOP_CLIENT,
    STOP_GATEWAY,
    UNHEALTHY,
    WAIT,
    ApiConnection,
    Client,
    Diagnosis,
    Entry,
    Plan,
    Process,
    Step,
)

_HANDSHAKE_FAULTS = ("handshake_refused", "handshake_silent", "handshake_dropped", "handshake_stalled")
#: Faults that only a new gateway process ends, in the order in which the restart names its reason.
_RESTART_FAULTS = ("not_listening", "wrong_port", "accept_queue_full", *_HANDSHAKE_FAULTS, "stale_connections")
#: Of these, the ones during which clients may still work: they are not cut off for the sake of others.
_SPARES_LIVE_CLIENTS = ("accept_queue_full", *_HANDSHAKE_FAULTS, "stale_connections")


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
        return _in_order(*_client_steps(entry, codes - {"not_listening"}), [], [taken])
    if _unproven_stale(diagnosis):
        codes -= {"stale_connections"}
    clients, withheld = _client_steps(entry, codes)
    steps, refused = _gateway_steps(entry, codes, clients)
    if refused:
        # To free a gateway that is then not restarted would cost scripts their sessions for nothing.
        clients = [step for step in clients if step.finding != "not_listening"]
    return _in_order(clients, withheld, steps, refused)


def _in_order(clients: List[Step], kept: List[str], gateways: List[Step], refused: List[str]) -> Plan:
    steps = sorted(clients + gateways, key=lambda step: RUNGS.index(step.action))
    return Plan(steps=tuple(steps), withheld=tuple(kept + refused))


def _unproven_stale(diagnosis: Diagnosis) -> bool:
    """Whether connections are stale without anything to show that they block the slot."""
    return any(each.code == "stale_connections" and each.severity != UNHEALTHY for each in diagnosis.findings)


# --- clients ---------------------------------------------------------------------------------------------------------


def _client_steps(entry: Entry, codes: FrozenSet[str]) -> Tuple[List[Step], List[str]]:
    """Whom to stop so that the API slot is free, each process once."""
    chosen: List[Tuple[Client, str, str]] = []
    withheld: List[str] = []
    if "competing_clients" in codes:
        surplus, reasons = _surplus(entry)
        withheld.extend(reasons)
        for client in surplus:
            why = "client_patterns name it" if client.matches_pattern else "more connections are open than may be"
            chosen.append((client, "competing_clients", why))
    if "not_listening" in codes:
        for client in entry.clients:
            if client.connection is not None and client.stoppable:
                chosen.append((client, "not_listening", "it holds a session of a gateway that no longer listens"))
    for code in _HANDSHAKE_FAULTS:
        if code in codes:
            chosen.extend((client, code, "nobody owns it, and it holds the API") for client in _abandoned(entry))
    steps: Dict[int, Step] = {}
    for client, code, why in chosen:
        if client.process is not None and client.process.pid not in steps:
            target = _ended_by_unit(entry, client.process, "client")
            steps[client.process.pid] = Step(STOP_CLIENT, entry.spec.name, target, why, code)
    return list(steps.values()), withheld


def _abandoned(entry: Entry) -> List[Client]:
    return [client for client in entry.clients if client.open and client.orphaned and client.stoppable]


def _surplus(entry: Entry) -> Tuple[List[Client], List[str]]:
    """(the clients to stop: all that patterns name, then, while too many connections stay, the oldest stuck; reasons).

    A connection ends with the last process that holds it, so its holders go together or not at all.
    """
    stop = [client for client in entry.clients if client.matches_pattern and client.stoppable]
    staying = set(entry.open_connections())
    candidates = sorted((each for each in entry.clients if each.open and each.stoppable), key=_stuck, reverse=True)
    for client in [*stop, *candidates]:
        holders = [each for each in entry.clients if each.connection == client.connection]
        if client not in stop:
            if len(staying) <= entry.spec.max_api_clients or client.connection not in staying:
                continue
            if not all(each.stoppable for each in holders):
                continue
            stop.extend(holders)
        staying -= _freed(entry, stop)
    reasons = []
    if len(staying) > entry.spec.max_api_clients:
        kept = [_untouchable(each) for each in entry.clients if each.connection in staying and not each.stoppable]
        reasons.append("too many API connections stay open; not ours to close: %s" % "; ".join(kept))
    return stop, reasons


def _freed(entry: Entry, stop: Sequence[Client]) -> Set[ApiConnection]:
    """The connections that end when these clients' processes do."""
    pids = {client.process.pid for client in stop if client.process}
    held: Dict[ApiConnection, bool] = {}
    for client in entry.clients:
        if client.connection is not None:
            leaves = client.process is not None and client.process.pid in pids
            held[client.connection] = held.get(client.connection, True) and leaves
    return {connection for connection, free in held.items() if free}


def _stuck(client: Client) -> Tuple[bool, bool, float, float]:
    """What makes a client the first to go, in this order.

    Nobody owns it or it fell silent long ago; it waits for a session rather than having one; it has been silent
    longest; it is oldest.
    """
    idle = (client.connection.idle if client.connection else None) or 0.0
    forgotten = client.orphaned or (client.working and idle >= FORGOTTEN_AFTER)
    return (forgotten, not client.working, idle, client.process.age if client.process else 0.0)


def _untouchable(client: Client) -> str:
    process = client.process
    if process is None:
        host = client.connection.remote_host if client.connection else None
        return "a client on %s" % host if host else "a client that cannot be seen"
    kind = "protected" if client.protected else "the relay %s" % process.relay if process.relay else "this run"
    return "pid %d (%s)" % (process.pid, kind)


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
    """The clients for whose sake the gateway is left alone: protected ones always, others while they may work."""
    leaving = {step.target.get("pid") for step in before}
    found = []
    for client in entry.clients:
        pid = client.process.pid if client.process else None
        if not client.open or pid in leaving:
            continue
        if client.protected or (client.working and fault in _SPARES_LIVE_CLIENTS):
            found.append("pid %d" % pid if pid else _untouchable(client))
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


def _identity(process: Process, role: str) -> Dict[str, Any]:
    return {
        "pid": process.pid,
        "started_ticks": process.started_ticks,
        "boot_id": process.boot_id,
        "role": role,
        "argv_digest": process.argv_digest,
        "user": process.user,
        "command": list(process.command),
        "unit": None,
    }


def _ended_by_unit(entry: Entry, process: Process, role: str) -> Dict[str, Any]:
    """A target that is ended through its unit where it has one of its own, because that would start it again.

    Not where the unit carries anybody else of this entry: stopping it would end them as well.
    """
    target = _identity(process, role)
    known = [*entry.processes, *(client.process for client in entry.clients if client.process)]
    alone = all(other.pid == process.pid or other.unit != process.unit for other in known)
    if process.unit_is_own and alone:
        target["unit"] = process.unit
    return target


def _surplus_step(entry: Entry, process: Process, persists: bool) -> Step:
    target = _ended_by_unit(entry, process, "gateway")
    reason = "one gateway is wanted for %s" % entry.spec.name
    return Step(STOP_GATEWAY, entry.spec.name, target, reason, "duplicate_gateways", persists)


def _wait(entry: Entry, what: str, reason: str, code: str) -> Step:
    youngest = min((process.age for process in entry.processes), default=entry.unit_age or 0.0)
    seconds = max(1, int(entry.spec.start_timeout - youngest) + 1)
    target = {"for": what, "port": entry.spec.port}
    if what == "listener":
        target["timeout"] = seconds
    return Step(WAIT, entry.spec.name, target, reason, code)


def _means(entry: Entry) -> Dict[str, Any]:
    spec = entry.spec
    means: Dict[str, Any] = {"port": spec.port, "timeout": spec.start_timeout}
    if spec.service:
        means["service"] = spec.service
    return means


def _start(entry: Entry, reason: str, code: str, persists: bool) -> Step:
    return Step(START, entry.spec.name, _means(entry), reason, code, persists)


def _bring_up(entry: Entry, persists: bool) -> Step:
    """Starts what is not running; a unit that is up without a gateway would not notice a start."""
    code = "gateway_not_running"
    if entry.unit_age is not None:
        reason = "its unit is up and has no gateway"
        return Step(RESTART, entry.spec.name, _means(entry), reason, code, persists)
    return _start(entry, "no gateway is running", code, persists)


def _restart(entry: Entry, process: Process, code: str, persists: bool) -> Step:
    """A unit's own process is restarted by its unit; any other is stopped by its identity, then started."""
    target = _means(entry)
    if entry.spec.unit is None or process.unit != entry.spec.unit:
        target["process"] = _ended_by_unit(entry, process, "gateway")
    reason = "only a new gateway process ends %s" % code
    return Step(RESTART, entry.spec.name, target, reason, code, persists)
