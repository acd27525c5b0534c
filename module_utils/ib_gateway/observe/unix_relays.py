"""Relays between a UNIX socket and an API port, told by what they hold. Linux only.

Read only where something is wrong with a gateway that has clients: most hosts never need it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, FrozenSet, NamedTuple, Set

from ..base.host import ESTABLISHED, Process, Snapshot
from . import processes

#: Of a socket that accepts connections, in the column Flags.
_ACCEPTS = 0x10000


class UnixSockets(NamedTuple):
    """heard: the paths on which somebody listens; taken: by inode, the path of every other socket that has one,
    as one has on which a connection was accepted."""

    heard: FrozenSet[str]
    taken: Dict[int, str]


def with_unix_relays(snapshot: Snapshot) -> Snapshot:
    """The snapshot; clients that hold a connection made to a UNIX listener pair.

    One is enough: of several API connections some may be left over whose own UNIX end has gone already.
    """
    used = {pid for each in snapshot.connections if each.state == ESTABLISHED for pid in each.client_pids}
    found: Dict[int, Process] = {}
    for pid in used:
        process = snapshot.processes.get(pid)
        if process is not None and not process.pairs and not process.gateway and _accepts(pid):
            found[pid] = replace(process, pairs=True)
    return snapshot._replace(processes={**snapshot.processes, **found}) if found else snapshot


def _accepts(pid: int) -> bool:
    """Whether a process has accepted a connection to a UNIX listener and holds it; not where that may not be read.

    The kernel may leave lines out of a table that changes while it is read, so a no is asked for twice.
    """
    return _accepted(pid) or _accepted(pid)


def _accepted(pid: int) -> bool:
    inodes = processes.socket_inodes(pid)
    try:
        sockets = parse(processes.unix_table(pid))
    except OSError:
        return False
    return any(sockets.taken.get(inode) in sockets.heard for inode in inodes or ())


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
