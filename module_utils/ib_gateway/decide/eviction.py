"""Which clients of a gateway have to give way, by which means, and which never do. Pure; a part of planning."""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Optional, Sequence, Set, Tuple

from ..base.actions import DROP_CONNECTION, STOP_CLIENT
from ..base.host import FORGOTTEN_AFTER, ApiConnection, Client, Process
from ..base.plan import Entry, Step
from . import targets

HANDSHAKE_FAULTS = ("handshake_refused", "handshake_silent", "handshake_dropped", "handshake_stalled")

#: A client that has to give way, the finding because of which, and why it is this one.
Chosen = Tuple[Client, str, str]


def client_steps(entry: Entry, codes: FrozenSet[str]) -> Tuple[List[Step], List[str]]:
    """(the steps that free the API slot, what of it is withheld).

    A connection is cut where that may be enough; its script is then stopped only if the fault persists.
    """
    chosen, withheld = _chosen(entry, codes)
    ending: Dict[int, Chosen] = {}
    for each in chosen:
        if each[0].process is not None:
            ending.setdefault(each[0].process.pid, each)
    steps: List[Step] = []
    spared: Set[int] = set()
    # A gateway that no longer listens does not begin to because one session less is open on it.
    for connection in () if "not_listening" in codes else _connections(entry):
        step = _drop(entry, connection, ending)
        if step is not None:
            steps.append(step)
            spared |= connection.client_pids
    for pid, (client, code, why) in ending.items():
        if client.process is not None:
            target = targets.to_end(entry, client.process, "client")
            steps.append(Step(STOP_CLIENT, entry.spec.name, target, why, code, only_if_persists=pid in spared))
    return steps, withheld


def _chosen(entry: Entry, codes: FrozenSet[str]) -> Tuple[List[Chosen], List[str]]:
    chosen: List[Chosen] = []
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
    for code in HANDSHAKE_FAULTS:
        if code in codes:
            chosen.extend((client, code, "nobody owns it, and it holds the API") for client in _abandoned(entry))
    return chosen, withheld


def _connections(entry: Entry) -> List[ApiConnection]:
    """The connections of an entry's clients, each once, in the order of the clients."""
    return list(dict.fromkeys(client.connection for client in entry.clients if client.connection))


def _drop(entry: Entry, connection: ApiConnection, ending: Dict[int, Chosen]) -> Optional[Step]:
    """The step that cuts a connection; None where it does not help or would meet anybody who is to stay.

    Who is named by client_patterns is stopped at once instead: asked to end, it can close its session cleanly.
    """
    holders = [client for client in entry.clients if client.connection == connection]
    leaving = [ending[each.process.pid] for each in holders if each.process and each.process.pid in ending]
    if connection.cookie is None or len(leaving) < len(holders) or not all(each.open for each in holders):
        return None
    if any(client.matches_pattern or not client.stoppable for client in holders):
        return None
    server = _server(entry, connection)
    if server is None:
        return None
    target = targets.of_connection(entry, connection, server, holders)
    _client, code, why = leaving[0]
    return Step(DROP_CONNECTION, entry.spec.name, target, why, code)


def _server(entry: Entry, connection: ApiConnection) -> Optional[Process]:
    """The entry's gateway at the other end, if it alone holds it and its sockets are this host's."""
    if len(connection.gateway_pids) != 1:
        return None
    found = [each for each in entry.processes if each.pid in connection.gateway_pids and not each.other_netns]
    return found[0] if found else None


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
        kept = [untouchable(each) for each in entry.clients if each.connection in staying and not each.stoppable]
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


def untouchable(client: Client) -> str:
    """Who a client is that may not be ended, in words."""
    process = client.process
    if process is None:
        host = client.connection.remote_host if client.connection else None
        return "a client on %s" % host if host else "a client that cannot be seen"
    kind = "protected" if client.protected else "the relay %s" % process.relay if process.relay else "this run"
    return "pid %d (%s)" % (process.pid, kind)
