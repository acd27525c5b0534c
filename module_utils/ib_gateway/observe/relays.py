"""Relays before an API port, told by what they hold: a connection that somebody else has made to this host. Linux only.

A relay need not listen itself: sshd's and systemd's children, and what inetd starts, are handed the connection. It may
have sessions of its own as well. Read only where something is wrong with a gateway that has clients: most hosts never
need it.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, NamedTuple, Set

from ..base.host import ESTABLISHED, Process, Snapshot
from . import processes, sockets

#: Of a socket that accepts connections, in the column Flags.
_ACCEPTS = 0x10000
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


class UnixSockets(NamedTuple):
    """heard: the paths on which somebody listens; taken: by inode, the path of every other socket that has one,
    as one has on which a connection was accepted."""

    heard: FrozenSet[str]
    taken: Dict[int, str]


def with_relays(snapshot: Snapshot) -> Snapshot:
    """The snapshot; clients that hold a connection made to a listener, of TCP or of UNIX sockets, pair.

    One is enough: of several API connections some may be left over whose other end has gone already, and some may be
    its own. A script that others are connected to, for its web page, looks the same, and is not ended either.
    """
    used = {pid for each in snapshot.connections if each.state == ESTABLISHED for pid in each.client_pids}
    asked = [process for process in map(snapshot.processes.get, used) if process is not None]
    asked = [process for process in asked if not process.pairs and not process.gateway]
    held = {process.pid: processes.socket_inodes(process.pid) or frozenset() for process in asked}
    accepted = _accepted_over_tcp(frozenset().union(*held.values())) if held else frozenset()
    found: Dict[int, Process] = {
        process.pid: process._replace(pairs=True)
        for process in asked
        if held[process.pid] & accepted or _accepts(process.pid)
    }
    return snapshot._replace(processes={**snapshot.processes, **found}) if found else snapshot


def _accepted_over_tcp(inodes: FrozenSet[int]) -> FrozenSet[int]:
    """Of these sockets, the ones that some listener of this network namespace has accepted."""
    heard = {(row.local_port, row.local) for row in sockets.listeners()}
    return frozenset(
        row.inode
        for row in sockets.every_connection()
        if row.inode in inodes and any((row.local_port, each) in heard for each in (row.local, *_EVERY_ADDRESS))
    )


def _accepts(pid: int) -> bool:
    """Whether a process has accepted a connection to a UNIX listener and holds it; not where that may not be read.

    The kernel may leave lines out of a table that changes while it is read, so a no is asked for twice.
    """
    return _accepted(pid) or _accepted(pid)


def _accepted(pid: int) -> bool:
    inodes = processes.socket_inodes(pid)
    try:
        known = parse(processes.unix_table(pid))
    except OSError:
        return False
    return any(known.taken.get(inode) in known.heard for inode in inodes or ())


def parse(text: str) -> UnixSockets:
    """What /proc/net/unix says; lines that are none are left out."""
    heard: Set[str] = set()
    taken: Dict[int, str] = {}
    for line in text.splitlines()[1:]:
        fields = line.split(None, 7)
        if len(fields) < 8:
            continue
        try:
            flags, inode = int(fields[3], 16), int(fields[6])
        except ValueError:
            continue
        if flags & _ACCEPTS:
            heard.add(fields[7])
        else:
            taken[inode] = fields[7]
    return UnixSockets(frozenset(heard), taken)
