"""Decides which gateway process belongs to which inventory entry, and who its clients are. Pure.

`user`, `config_dir`, then the trading mode in argv and the port scope an entry. What fits no entry, or cannot be told
apart between two, belongs to none: it is reported and left alone.
"""

from __future__ import annotations

import posixpath
import re
from typing import Dict, List, Mapping, Optional, Pattern, Sequence, Set, Tuple

from ..base.classify import matches_any, matches_client
from ..base.host import ApiConnection, Client, Process, Snapshot
from ..base.plan import Entry
from ..base.spec import API_PORTS, COMMAND_SERVER_PORT, GatewaySpec


def entries_of(specs: Sequence[GatewaySpec], snapshot: Snapshot) -> Tuple[Tuple[Entry, ...], Tuple[Process, ...]]:
    """(an Entry for each spec, in their order; the gateways that fit none of them)."""
    owned, ambiguous, undeclared = _assign(specs, snapshot)
    gateways = [process for process in snapshot.processes.values() if process.gateway]
    found = []
    for spec in specs:
        processes = tuple(owned[spec.name])
        pids = {process.pid for process in processes}
        found.append(
            Entry(
                spec=spec,
                processes=processes,
                listeners=tuple(each for each in snapshot.listeners if each.port == spec.port or each.pids & pids),
                clients=clients_of(spec, processes, snapshot),
                ambiguous=tuple(ambiguous[spec.name]),
                unplaced=tuple(each for each in gateways if _unplaced(spec, each)),
                unit_age=snapshot.units.get(spec.unit_key or ""),
            )
        )
    return tuple(found), tuple(undeclared)


Owned = Dict[str, List[Process]]


def _assign(specs: Sequence[GatewaySpec], snapshot: Snapshot) -> Tuple[Owned, Owned, List[Process]]:
    """(processes by entry, processes that several entries could mean under each of them, those that fit none)."""
    gateways = sorted((p for p in snapshot.processes.values() if p.gateway), key=lambda p: p.pid)
    listening = _listening(snapshot)
    owned: Owned = {spec.name: [] for spec in specs}
    ambiguous: Owned = {spec.name: [] for spec in specs}
    undeclared: List[Process] = []
    for process in gateways:
        fitting = [spec for spec in specs if _fits(spec, process)]
        if len(fitting) > 1:
            fitting = [spec for spec in fitting if spec.port in listening[process.pid]] or fitting
        if not fitting:
            undeclared.append(process)
        elif len(fitting) == 1:
            owned[fitting[0].name].append(process)
        else:
            for spec in fitting:
                ambiguous[spec.name].append(process)
    for spec in specs:
        strangers = _strangers(spec, owned[spec.name], listening)
        owned[spec.name] = [process for process in owned[spec.name] if process not in strangers]
        undeclared.extend(strangers)
    return owned, ambiguous, undeclared


def _listening(snapshot: Snapshot) -> Dict[int, Set[int]]:
    ports: Dict[int, Set[int]] = {pid: set() for pid in snapshot.processes}
    for listener in snapshot.listeners:
        for pid in listener.pids:
            if listener.port != COMMAND_SERVER_PORT:
                ports.setdefault(pid, set()).add(listener.port)
    return ports


def _fits(spec: GatewaySpec, process: Process) -> bool:
    if spec.user is not None and spec.user != process.user:
        return False
    if spec.config_dir is not None:
        return posixpath.normpath(spec.config_dir) in _folders(process)
    mode = process.gateway.trading_mode if process.gateway else None
    return mode is None or mode == spec.trading_mode


def _folders(process: Process) -> List[str]:
    """Where a gateway keeps its settings: by -DjtsConfigDir= where that is given, else by its working directory."""
    folder = (process.gateway.config_dir if process.gateway else None) or process.cwd
    return [posixpath.normpath(folder)] if folder else []


def _unplaced(spec: GatewaySpec, process: Process) -> bool:
    """Whether only a working directory that may not be read could tell that this gateway is the entry's."""
    own_user = spec.user is None or spec.user == process.user
    return spec.config_dir is not None and own_user and not _folders(process)


def _strangers(spec: GatewaySpec, found: Sequence[Process], listening: Mapping[int, Set[int]]) -> List[Process]:
    """Gateways that an entry without config_dir would claim although they serve another API port in peace.

    Nothing tells them from an undeclared gateway of the other mode, so, where the entry has another candidate, they
    are not its surplus.
    """
    if spec.config_dir is not None or len(found) < 2:
        return []
    elsewhere = [
        process
        for process in found
        if spec.port not in listening[process.pid]
        and listening[process.pid] & set(API_PORTS)
        and process.gateway is not None
        and process.gateway.trading_mode is None
    ]
    return elsewhere if len(elsewhere) < len(found) else []


def clients_of(spec: GatewaySpec, processes: Sequence[Process], snapshot: Snapshot) -> Tuple[Client, ...]:
    """Everybody who uses, or by its argv would use, the entry's API: one Client for each process and connection."""
    pids = {process.pid for process in processes}
    # A connection to the entry's port that somebody else serves is that one's business.
    used = [
        each
        for each in snapshot.connections
        if each.gateway_pids & pids or (each.port == spec.port and not each.gateway_pids)
    ]
    return _clients(used, snapshot, spec.client_patterns, spec.protected_clients)


def all_clients(snapshot: Snapshot, patterns: Sequence[str]) -> Tuple[Client, ...]:
    """The clients of every API port of the snapshot, and the processes that the patterns name."""
    return _clients(snapshot.connections, snapshot, patterns, ())


def _clients(
    connections: Sequence[ApiConnection], snapshot: Snapshot, patterns: Sequence[str], protected: Sequence[str]
) -> Tuple[Client, ...]:
    named = [re.compile(pattern) for pattern in patterns]
    guarded = [re.compile(pattern) for pattern in protected]
    found: List[Client] = []
    for connection in connections:
        if not connection.client_pids:
            found.append(Client(process=None, connection=connection))
        for pid in sorted(connection.client_pids):
            process = snapshot.processes.get(pid)
            matches = process is not None and matches_any(named, process.argv)
            found.append(_client(process, connection, matches, guarded))
    connected = {client.process.pid for client in found if client.process}
    for process in sorted(snapshot.processes.values(), key=lambda each: each.pid):
        if process.gateway or process.own_run or process.pid in connected:
            continue
        if any(matches_client(pattern, process.argv) for pattern in named):
            found.append(_client(process, None, True, guarded))
    return tuple(found)


def _client(
    process: Optional[Process],
    connection: Optional[ApiConnection],
    matches: bool,
    guarded: Sequence[Pattern[str]],
) -> Client:
    return Client(
        process=process,
        connection=connection,
        orphaned=process is not None and process.ppid == 1 and process.unit is None,
        matches_pattern=matches,
        protected=process is not None and (process.pid == 1 or matches_any(guarded, process.argv)),
    )
