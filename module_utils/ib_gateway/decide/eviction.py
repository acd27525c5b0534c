"""Which clients of a gateway have to give way, by which means, and which never do. Pure; a part of planning.

Nobody's working session ends unless the inventory says so by a number or a name, or the gateway no longer listens, or
its API is proven stalled and the session has been silent long enough. What is left over and is not ours to close makes
closing anything useless, so nothing is closed then. A script that works on another gateway too is never ended for the
sake of this one: its connection here is cut, or ends with the gateway.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..base import findings
from ..base.actions import DROP_CONNECTION, STOP_CLIENT
from ..base.host import FORGOTTEN_AFTER, ApiConnection, Client, Process
from ..base.plan import Entry, Step
from . import targets
from .evidence import gone, hangs, lost

#: Faults of the API itself, seen by a handshake.
HANDSHAKE_FAULTS = (
    findings.HANDSHAKE_REFUSED.code,
    findings.HANDSHAKE_SILENT.code,
    findings.HANDSHAKE_DROPPED.code,
    findings.HANDSHAKE_STALLED.code,
    findings.SESSION_INCOMPLETE.code,
    findings.SESSION_SILENT.code,
)


#: What a person has to know of a process that waits in the kernel.
GOES_ON_BY_ITSELF = (
    "it goes on by itself once that answers, as when the backup that froze the file system is done, or the server of "
    "the mount is back; a signal would wait until then, and end it"
)


class Chosen(NamedTuple):
    """A client that has to give way: the finding because of which, why it is this one, whether its script may stay."""

    client: Client
    code: str
    why: str
    only_cut: bool = False


def client_steps(entry: Entry, codes: FrozenSet[str]) -> Tuple[List[Step], List[str]]:
    """(the steps that free the API, what of it is withheld).

    A connection is cut where that may be enough; its script is then stopped only if the fault persists. One that holds
    a session of a gateway which no longer listens is stopped only if its port stays closed.
    """
    chosen, withheld = _chosen(entry, codes)
    if chosen and entry.way is not None and entry.way.pid and not _on_the_host(entry):
        # Their connections are the proxy's or the relay's; what would be cut is not the session that is meant.
        return [], [*withheld, "clients of a gateway in %s are neither cut off nor stopped" % entry.way.label]
    ending: Dict[Tuple[int, Optional[ApiConnection]], Chosen] = {}
    for each in chosen:
        if each.client.process is not None:
            ending.setdefault((each.client.process.pid, each.client.connection), each)
    steps: List[Step] = [step for step in (_drop_lost(entry, each) for each in chosen) if step is not None]
    cut: Set[int] = set()
    # A gateway that no longer listens does not begin to because one session less is open on it.
    for connection in () if findings.NOT_LISTENING.code in codes else _connections(entry):
        step = _drop(entry, connection, ending)
        if step is not None:
            steps.append(step)
            cut |= connection.client_pids
    stopped: Set[int] = set()
    for (pid, _), each in ending.items():
        process = each.client.process
        if (
            process is None
            or pid in stopped
            or _stays(entry, each)
            or (each.only_cut and not _holds_nothing_else(entry, pid, ending))
        ):
            continue
        stopped.add(pid)
        if process.held_in_kernel:
            held = "pid %d is not ended: it %s: %s" % (pid, process.kept_stopped, GOES_ON_BY_ITSELF)
            withheld = [*withheld, held]
            continue
        target = targets.to_end(entry, process, "client")
        persists = pid in cut or each.code == findings.NOT_LISTENING.code
        steps.append(Step(STOP_CLIENT, entry.spec.name, target, each.why, each.code, only_if_persists=persists))
    kept = (each for (pid, _), each in ending.items() if each.client.works_elsewhere and pid not in cut)
    return steps, [*withheld, *dict.fromkeys("%s is not ended" % untouchable(each.client) for each in kept)]


def _stays(entry: Entry, chosen: Chosen) -> bool:
    """Whether its process is not stopped, because it works elsewhere or holds a connection that another account opened;
    or because one that works elsewhere holds its connection as well, which then stays open whatever ends."""
    client = chosen.client
    if any(each.parked and each.process == client.process for each in entry.clients):
        return True
    others = _holders(entry, client.connection) if client.connection and not client.matches_pattern else ()
    return client.works_elsewhere or any(each.works_elsewhere for each in others)


def _on_the_host(entry: Entry) -> bool:
    """Whether the gateway has the host's own network, though it lives in a container."""
    return bool(entry.processes) and not any(process.other_netns for process in entry.processes)


def _holds_nothing_else(entry: Entry, pid: int, ending: Dict[Tuple[int, Optional[ApiConnection]], Chosen]) -> bool:
    """Whether all of a process's API connections are to end: else stopping it would end one that may stay."""
    held = {each.connection for each in entry.clients if each.process and each.process.pid == pid and each.open}
    return all((pid, connection) in ending for connection in held)


def _chosen(entry: Entry, codes: FrozenSet[str]) -> Tuple[List[Chosen], List[str]]:
    chosen: List[Chosen] = []
    withheld: List[str] = []
    if findings.COMPETING_CLIENTS.code in codes:
        surplus, reasons = _surplus(entry)
        chosen.extend(surplus)
        withheld.extend(reasons)
        bound = (each for each in entry.clients if each.matches_pattern and each.ends_others)
        withheld.extend(dict.fromkeys("%s is not ended" % untouchable(each) for each in bound))
    if findings.NOT_LISTENING.code in codes:
        for client in entry.clients:
            if client.connection is not None and _all_may_end(entry, client.connection):
                why = "it holds a session of a gateway that no longer listens"
                chosen.append(Chosen(client, findings.NOT_LISTENING.code, why))
    for code in HANDSHAKE_FAULTS:
        if code in codes:
            chosen.extend(Chosen(client, code, why) for client, why in _in_the_way(entry))
    if findings.STALE_REMOTE_SESSION.code in codes:
        why, stalled = "its other end has stopped answering", not codes.isdisjoint(HANDSHAKE_FAULTS)
        chosen.extend(
            Chosen(each, findings.STALE_REMOTE_SESSION.code, why)
            for each in entry.clients
            if gone(entry, each, needed=stalled)
            and each.connection is not None
            and each.connection.port == entry.spec.port
        )
    return chosen, withheld


def _connections(entry: Entry) -> List[ApiConnection]:
    """The connections of an entry's clients, each once, in the order of the clients."""
    return list(dict.fromkeys(client.connection for client in entry.clients if client.connection))


def _drop(
    entry: Entry, connection: ApiConnection, ending: Dict[Tuple[int, Optional[ApiConnection]], Chosen]
) -> Optional[Step]:
    """The step that cuts a connection; None where it does not help or would meet anybody who is to stay.

    Who is named by client_patterns is stopped at once instead: asked to end, it can close its session cleanly. One that
    a signal has stopped cannot, and one that works elsewhere is not to, so its connection is cut.
    """
    holders = _holders(entry, connection)
    found = (ending.get((each.process.pid, connection)) for each in holders if each.process)
    leaving = [each for each in found if each is not None]
    if len(leaving) < len(holders) or not _cuttable(entry, connection):
        return None
    if any(_closes_cleanly(client) or not client.stoppable for client in holders):
        return None
    return _cut(entry, connection, holders, leaving[0].code, leaving[0].why)


def _closes_cleanly(client: Client) -> bool:
    """Whether it is named, and may and can end when told to: a process that a signal has stopped takes no other."""
    named = client.matches_pattern and not client.works_elsewhere
    return named and client.process is not None and not client.process.frozen


def _cuttable(entry: Entry, connection: ApiConnection) -> bool:
    """Whether a connection of this host can be named exactly, so that nothing else is cut."""
    exact = connection.cookie is not None and _server(entry, connection) is not None
    return exact and all(each.open for each in _holders(entry, connection))


def _drop_lost(entry: Entry, chosen: Chosen) -> Optional[Step]:
    """The step that cuts a connection whose other end, on another host, has stopped answering."""
    connection = chosen.client.connection
    if connection is None or connection.cookie is None or not lost(chosen.client):
        return None
    return _cut(entry, connection, [], chosen.code, chosen.why)


def _cut(entry: Entry, connection: ApiConnection, holders: Sequence[Client], code: str, why: str) -> Optional[Step]:
    server = _server(entry, connection)
    if server is None:
        return None
    target = targets.of_connection(entry, connection, server, holders)
    return Step(DROP_CONNECTION, entry.spec.name, target, why, code)


def _server(entry: Entry, connection: ApiConnection) -> Optional[Process]:
    """The entry's gateway at the other end, if it alone holds it and its sockets are this host's."""
    if len(connection.gateway_pids) != 1:
        return None
    found = [each for each in entry.processes if each.pid in connection.gateway_pids and not each.other_netns]
    return found[0] if found else None


def _in_the_way(entry: Entry) -> List[Tuple[Client, str]]:
    """Who may hold a stalled API: sessions that have been silent both ways for long. Whose child it is says nothing."""
    return [
        (client, "nothing has passed on its session for %d minutes, and the API is stalled" % (_idle(client) // 60))
        for client in entry.clients
        if client.open
        and client.connection
        and _all_may_go(entry, client.connection)
        and _idle(client) >= FORGOTTEN_AFTER
    ]


def _all_may_go(entry: Entry, connection: ApiConnection) -> bool:
    """Whether all holders of a connection may be stopped, or where one works elsewhere, it can be cut: while one holds
    it, it stays open and the others would end for nothing."""
    holders = _holders(entry, connection)
    leave = not any(each.works_elsewhere for each in holders) or _cuttable(entry, connection)
    return leave and all(each.stoppable for each in holders)


def _all_may_end(entry: Entry, connection: ApiConnection) -> bool:
    """Whether all holders of a connection that is not cut may be stopped."""
    return all(each.stoppable and not each.works_elsewhere for each in _holders(entry, connection))


def _idle(client: Client) -> float:
    return (client.connection.idle if client.connection else None) or 0.0


# --- one too many ----------------------------------------------------------------------------------------------------


def _surplus(entry: Entry) -> Tuple[List[Chosen], List[str]]:
    """(the clients to end: all that patterns name, then one for each connection too many; why not more).

    Without a limit none are too many.
    A connection ends with the last process that holds it, so its holders go together or not at all.
    """
    named = [each for each in entry.clients if each.matches_pattern and each.stoppable]
    # A script before its workers, so that it starts none in their place.
    named.sort(key=_is_worker)
    chosen = [Chosen(each, findings.COMPETING_CLIENTS.code, "client_patterns name it") for each in named]
    limit = entry.spec.max_api_clients
    staying = entry.open_connections() - _freed(entry, named)
    if limit is None or len(staying) <= limit:
        return chosen, []
    queue = _by_need(entry, staying)
    over = len(staying) - limit
    if len(queue) < over:
        kept = [
            untouchable(each)
            for each in entry.clients
            if each.connection in staying and not (each.stoppable and _all_may_go(entry, each.connection))
        ]
        who = "; ".join(dict.fromkeys(kept)) or "connections of one script, none of which can be told to be the surplus"
        return chosen, ["%d API connections are open, %d may be; not ours to close: %s" % (len(staying), limit, who)]
    why = "%d API connections are open, %d may be" % (len(staying), limit)
    for connection in queue[:over]:
        chosen.extend(
            Chosen(each, findings.COMPETING_CLIENTS.code, why, only_cut=True) for each in _holders(entry, connection)
        )
    return chosen, []


def _is_worker(client: Client) -> bool:
    return client.process is not None and client.process.worker_of is not None


def _by_need(entry: Entry, staying: FrozenSet[ApiConnection]) -> List[ApiConnection]:
    """The connections that may end for one too many, those first whose end costs least.

    First what waits for a session rather than having one, then what a hung script keeps, then what has been silent for
    long, the longest first, then the newest, as far as that can be told.
    """
    waiting, hung, forgotten, working = [], [], [], []
    for connection in sorted(staying, key=lambda each: (-(each.idle or 0.0), each.client_port)):
        if not _all_may_go(entry, connection):
            continue
        if not connection.served:
            waiting.append(connection)
        elif all(hangs(each) for each in _holders(entry, connection)):
            hung.append(connection)
        elif (connection.idle or 0.0) >= FORGOTTEN_AFTER:
            forgotten.append(connection)
        else:
            working.append(connection)
    return waiting + hung + forgotten + _newest(entry, working, staying)


def _newest(entry: Entry, working: Sequence[ApiConnection], staying: FrozenSet[ApiConnection]) -> List[ApiConnection]:
    """Working sessions from the newest on, up to where nothing tells which one that is.

    Nothing tells it of several sessions of one script, nor where others, such as a relay's, are not ours to compare.
    """
    for connection in staying:
        if any(not each.stoppable and not each.protected for each in _holders(entry, connection)):
            return []
    found = []
    for connection in sorted(working, key=lambda each: _age(entry, each)):
        if _has_several(entry, connection, staying):
            break
        found.append(connection)
    return found


def _age(entry: Entry, connection: ApiConnection) -> float:
    return min(each.process.age for each in _holders(entry, connection) if each.process)


def _holders(entry: Entry, connection: ApiConnection) -> List[Client]:
    return [each for each in entry.clients if each.connection == connection]


def _has_several(entry: Entry, connection: ApiConnection, staying: FrozenSet[ApiConnection]) -> bool:
    pids = {each.process.pid for each in _holders(entry, connection) if each.process}
    held = {
        each.connection
        for each in entry.clients
        if each.process and each.process.pid in pids and each.working and each.connection in staying
    }
    return len(held) > 1


def _freed(entry: Entry, stop: Sequence[Client]) -> Set[ApiConnection]:
    """The connections that end when these clients' processes do, or are cut off."""
    ending = (
        each for each in stop if not each.works_elsewhere or (each.connection and _cuttable(entry, each.connection))
    )
    pids = {client.process.pid for client in ending if client.process}
    held: Dict[ApiConnection, bool] = {}
    for client in entry.clients:
        if client.connection is not None:
            leaves = client.process is not None and client.process.pid in pids
            held[client.connection] = held.get(client.connection, True) and leaves
    return {connection for connection, free in held.items() if free}


def untouchable(client: Client) -> str:
    """Who a client is that may not be ended, in words."""
    process = client.process
    if process is None:
        host = client.connection.remote_host if client.connection else None
        return "a client on %s" % host if host else "a client that cannot be seen"
    return "pid %d (%s)" % (process.pid, _kind(client, process))


def _kind(client: Client, process: Process) -> str:
    if client.protected:
        return "protected"
    if client.relay:
        return "the relay %s" % process.relay if process.relay else "others are connected to it, as to a relay"
    if client.unclaimed:
        return "a worker whose script has ended, which protected_clients may name"
    if client.keeps:
        return "it brings a gateway of this host"
    if process.carries:
        return "a gateway runs below it, which may end with it"
    if client.ends_others:
        return "what may end with it, as its service does, is to stay"
    if client.parked:
        return "it did not open the connection it holds"
    if client.service:
        return "a system service of %s" % process.user
    return "it works on another gateway as well" if client.works_elsewhere and client.stoppable else "this run"
