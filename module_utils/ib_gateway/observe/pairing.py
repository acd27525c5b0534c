"""Pairs both ends of every API connection of a host. Pure."""

from __future__ import annotations

from typing import FrozenSet, List, Optional, Tuple

from ..base.host import SYN_SENT, ApiConnection, Connection, Reading


def pair(reading: Reading) -> Tuple[ApiConnection, ...]:
    """Every API connection of this host, once, with both ends where both are here. Pure.

    The gateway's end is the one whose local port is an API port; a gateway's own connection to port 4000 or 4001 at
    the broker has its API port on the far side and is no client. A client's row without the gateway's counts only
    when it leads to this very host: the gateway's end has gone, the client has not noticed.
    """
    rows = {(row.local, row.local_port, row.remote, row.remote_port): row for row in reading.connections}
    gateways = {pid for pid, process in reading.processes.items() if process.gateway}
    accepting = {listener.port: listener.pids for listener in reading.listeners}
    found: List[ApiConnection] = []
    for (local, local_port, remote, remote_port), row in rows.items():
        mirror = rows.get((remote, remote_port, local, local_port))
        if local_port in reading.ports and row.state != SYN_SENT:
            if not (mirror and remote_port in reading.ports and mirror.pids & gateways):
                found.append(_with_server(row, mirror, accepting.get(local_port, frozenset())))
        elif remote_port in reading.ports and not mirror and _is_loopback(remote) and not row.pids & gateways:
            found.append(_client_alone(row))
    return tuple(sorted(found, key=lambda each: (each.port, each.client, each.client_port)))


def away(reading: Reading) -> FrozenSet[int]:
    """The processes that hold a connection to an API port of another host. Pure.

    A gateway's own, to the broker's port of the same number, is none.
    """
    gateways = {pid for pid, process in reading.processes.items() if process.gateway}
    mine = {(row.local, row.local_port) for row in reading.connections}
    return frozenset(
        pid
        for row in reading.connections
        if row.remote_port in reading.ports and row.local_port not in reading.ports
        if not _is_loopback(row.remote) and (row.remote, row.remote_port) not in mine
        for pid in row.pids - gateways
    )


def _with_server(row: Connection, mirror: Optional[Connection], accepting: FrozenSet[int]) -> ApiConnection:
    return ApiConnection(
        port=row.local_port,
        client=row.remote,
        client_port=row.remote_port,
        server=row.local,
        state=row.state,
        # The kernel gives a socket its inode when the server accepts it.
        accepted=row.inode != 0,
        gateway_pids=row.pids or accepting,
        client_pids=mirror.pids if mirror else frozenset(),
        remote_host=None if mirror or _is_loopback(row.remote) else row.remote,
        idle=row.idle,
        sent=row.sent,
        cookie=row.cookie,
        received=row.received,
        lost_for=row.lost_for,
        client_user=mirror.user if mirror else None,
        unread=mirror.unread if mirror else None,
    )


def _client_alone(row: Connection) -> ApiConnection:
    return ApiConnection(
        port=row.remote_port,
        client=row.local,
        client_port=row.local_port,
        server=row.remote,
        state=row.state,
        accepted=False,
        gateway_pids=frozenset(),
        client_pids=row.pids,
        idle=row.idle,
        client_user=row.user,
        unread=row.unread,
    )


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"
