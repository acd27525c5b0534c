"""Decides who the clients of an entry's gateway are. Pure.

Whoever holds a connection to one of its API ports is one. A script that only a pattern names is one as well, if it is
of the gateway's account and could reach it. A worker of a script counts as that script, and what brings a gateway is
nobody's client without a connection; so is the start_command of an entry, whoever runs it.
"""

from __future__ import annotations

import re
from typing import FrozenSet, List, Optional, Pattern, Sequence, Tuple

from ..base.classify import matches_any, matches_client
from ..base.host import WORKER_OF_UNKNOWN, ApiConnection, Client, Process, Snapshot
from ..base.record import Record
from ..base.spec import HELPER_PORTS, GatewaySpec

#: Clients that use another gateway, here or on another host, or may do so.
Elsewhere = FrozenSet[int]


class Names(Record):
    """Whom patterns name. competing: of the entry; protected: of every entry of the host, since what one protects
    nobody else may stop. accounts: whose processes may be named without a connection; None for any. starting: the
    start_commands of the host's entries, which bring gateways and are no clients."""

    competing: Tuple[Pattern[str], ...]
    protected: Tuple[Pattern[str], ...] = ()
    accounts: Optional[FrozenSet[str]] = None
    starting: Tuple[Sequence[str], ...] = ()


def clients_of(
    spec: GatewaySpec, specs: Sequence[GatewaySpec], processes: Sequence[Process], snapshot: Snapshot
) -> Tuple[Client, ...]:
    """Everybody who uses, or by its argv would use, the entry's API: one Client for each process and connection.

    processes: the gateways that are the entry's. specs: all entries of the host.
    """
    pids = frozenset(process.pid for process in processes)
    # A connection to the entry's port that somebody else serves is that one's business, and the peers of IBC's command
    # server are nobody's.
    used = [
        each
        for each in snapshot.connections
        if (each.gateway_pids & pids and (each.port == spec.port or each.port not in HELPER_PORTS))
        or (each.port == spec.port and not each.gateway_pids)
    ]
    accounts = {spec.user} if spec.user else {process.user for process in processes}
    folder = snapshot.folders.get(spec.config_dir) if spec.config_dir else None
    if not accounts and folder is not None and folder.owner is not None:
        accounts = {folder.owner}
    names = Names(
        tuple(re.compile(pattern) for pattern in spec.client_patterns),
        tuple(re.compile(pattern) for each in specs for pattern in each.protected_clients),
        frozenset(each for each in accounts if each),
        tuple(each.start_command for each in specs if each.start_command),
    )
    busy = frozenset(pid for each in snapshot.connections if each not in used for pid in each.client_pids)
    working = _with_scripts(snapshot.working_beside(pids), snapshot)
    found = _clients(used, snapshot, names, _with_scripts(busy | snapshot.away | snapshot.busy, snapshot))
    staying = working.union(each.process.pid for each in found if each.process and _may_stay(each))
    staying |= {each.pid for each in snapshot.processes.values() if _protected(each, names)}
    return tuple(
        each._replace(
            works_elsewhere=each.process.pid in working, ends_others=_ends_others(each.process, staying, snapshot)
        )
        if each.process
        else each
        for each in found
    )


def _may_stay(client: Client) -> bool:
    """Whether it has a session and nobody has named it, so that another script's end must not be its own."""
    return client.open and client.connection is not None and client.connection.served and not client.matches_pattern


def _ends_others(process: Process, staying: Elsewhere, snapshot: Snapshot) -> bool:
    """Whether another process may end with it that is to stay.

    systemd ends what is left of a service when the main process has ended, or what that waits for.
    """
    service = _service(process)
    if service is None or (process.unit is not None and not process.unit_is_own):
        return False
    return any(
        each.pid in staying and each.pid != process.pid and each.worker_of != process.pid and _service(each) == service
        for each in snapshot.processes.values()
    )


def _service(process: Process) -> Optional[Tuple[Optional[int], str]]:
    """The service that a process lives in, and whose systemd has it; None for what a login or a timer has left."""
    unit, uid = process.any_unit
    return (uid, unit) if unit is not None and unit.endswith(".service") else None


def all_clients(snapshot: Snapshot, patterns: Sequence[str]) -> Tuple[Client, ...]:
    """The clients of every API port of the snapshot, and the processes that the patterns name."""
    return _clients(snapshot.connections, snapshot, Names(tuple(map(re.compile, patterns))), frozenset())


def _clients(
    connections: Sequence[ApiConnection], snapshot: Snapshot, names: Names, elsewhere: Elsewhere
) -> Tuple[Client, ...]:
    found: List[Client] = []
    keepers = frozenset(each.pid for each in snapshot.keepers)
    for connection in connections:
        if not connection.client_pids:
            found.append(_client(None, connection, False, names))
        for pid in sorted(connection.client_pids):
            process = snapshot.processes.get(pid)
            client = _client(process, connection, process is not None and _named(process, names), names)
            found.append(client._replace(keeps=pid in keepers or (client.matches_pattern and _starts(process, names))))
    connected = {client.process.pid for client in found if client.process}
    for process in sorted(snapshot.processes.values(), key=lambda each: each.pid):
        if process.pid in connected or process.pid in keepers or not _could_connect(process, names):
            continue
        if {process.pid, process.worker_of} & elsewhere:
            continue
        if _named(process, names) and not _starts(process, names):
            found.append(_client(process, None, True, names))
    return tuple(found)


def _with_scripts(elsewhere: Elsewhere, snapshot: Snapshot) -> Elsewhere:
    """Those, and the scripts whose workers they are."""
    working = (snapshot.processes.get(pid) for pid in elsewhere)
    return elsewhere | {each.worker_of for each in working if each is not None and each.worker_of}


def _named(process: Process, names: Names) -> bool:
    """Whether a pattern names a process, or the script for which it works."""
    return any(
        matches_client(each, process.argv) or matches_client(each, process.script_argv) for each in names.competing
    )


def _starts(process: Optional[Process], names: Names) -> bool:
    """Whether a process is the start_command of an entry: it has yet to bring what it starts, or keeps it."""
    if process is None or not names.starting:
        return False
    from ..base.same_command import runs_command

    return any(runs_command(process.argv, each, str.__eq__) for each in names.starting)


def _protected(process: Process, names: Names) -> bool:
    """Whether a process, or the script for which it works, is the first one of its system or is named as protected."""
    script = process.script_argv
    by_script = bool(script) and matches_any(names.protected, script)
    return 1 in (process.pid, process.worker_of) or by_script or matches_any(names.protected, process.argv)


def _could_connect(process: Process, names: Names) -> bool:
    """Whether a process that holds no connection could be a client: no gateway, not this run, in this network."""
    if process.gateway or process.own_run or process.other_netns:
        return False
    return names.accounts is None or process.user in names.accounts


def _client(process: Optional[Process], connection: Optional[ApiConnection], named: bool, names: Names) -> Client:
    found = Client(
        process=process,
        connection=connection,
        orphaned=process is not None and process.ppid == 1 and process.unit is None,
        matches_pattern=named,
        protected=process is not None and _protected(process, names),
        service=(
            process is not None
            and process.unit is not None
            and names.accounts is not None
            and process.user not in names.accounts
        ),
    )
    lost = process is not None and process.worker_of == WORKER_OF_UNKNOWN
    may_hide_one = found.relay or found.unseen or lost
    return found._replace(shields=True) if names.protected and may_hide_one and not found.protected else found
