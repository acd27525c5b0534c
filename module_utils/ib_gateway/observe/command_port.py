"""Who listens on the port of a command server: read anew at each call, since a command follows at once."""

from __future__ import annotations

from typing import Optional

from ..base.command_server import ServerAddress
from . import processes, sockets

#: A listener's address, and the loopback address at which it is met.
_MET_AT = {"127.0.0.1": "127.0.0.1", "::1": "::1", "0.0.0.0": "127.0.0.1"}  # noqa: S104 - compared with, not bound to


def server_of(pid: int, port: int) -> Optional[ServerAddress]:
    """Where on loopback a process listens on a port; None where it does not, or where anybody else does as well.

    A second listener on a narrower address would get the commands in its place. Raises OSError when the socket table
    cannot be read.
    """
    rows = [row for row in sockets.listeners() if row.local_port == port]
    own = processes.socket_inodes(pid) or frozenset()
    if not rows or any(row.inode not in own for row in rows):
        return None
    for row in rows:
        any_address = row.family == "ipv6" and row.local == "::"
        met_at = ("::1" if row.v6only else "127.0.0.1") if any_address else _MET_AT.get(row.local)
        if met_at is not None:
            return ServerAddress(port, met_at, row.inode)
    return None


def unanswered(pid: int) -> int:
    """How many connections a process tries to make that nobody has answered yet. Raises OSError as above."""
    own = processes.socket_inodes(pid) or frozenset()
    return sum(row.inode in own for row in sockets.unanswered())
