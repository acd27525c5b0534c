"""Who holds which sockets: owners by inode, who hands connections on, whose attempts to connect nobody answers."""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, Sequence, Set

from . import processes, sockets
from .addresses import SocketRow
from .process_table import Table


class Owners:
    """Which pids hold which socket inode; several processes can hold one."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._pids: Dict[int, Set[int]] = {}
        self._read: Dict[int, bool] = {}
        self._wanted: Set[int] = set()

    def read(self, pid: int) -> None:
        if pid in self._read:
            return
        inodes = processes.socket_inodes(pid)
        self._read[pid] = inodes is not None
        for inode in inodes or ():
            self._pids.setdefault(inode, set()).add(pid)

    def of(self, inode: int) -> FrozenSet[int]:
        return frozenset(self._pids.get(inode, ()))

    def visible(self, pid: int) -> bool:
        self.read(pid)
        return self._read[pid]

    def pids(self) -> Set[int]:
        return {pid for inode in self._wanted for pid in self._pids.get(inode, ())}

    def resolve(self, rows: Sequence[SocketRow], likely: Iterable[int]) -> None:
        """Finds the holders of these sockets, opening as few processes' files as it takes.

        The likely processes come first, then those of the accounts that made the sockets. A socket gets to further
        processes by being inherited, so from one that is known to hold it, its parent and its children are looked at,
        and from those that hold it too, theirs.
        """
        self._wanted = {row.inode for row in rows if row.inode}
        if not self._wanted:
            return
        for pid in likely:
            self.read(pid)
        if not self._wanted <= self._pids.keys():
            for pid in self._table.by_age({row.uid for row in rows if row.inode}):
                self.read(pid)
                if self._wanted <= self._pids.keys():
                    break
        if not self._read_families():
            for pid in self._table.entries():
                self.read(pid)

    def _read_families(self) -> bool:
        """Reads whoever can have a socket from its holders, or they from it; False where children are not listed."""
        asked: Set[int] = set()
        ahead = self.pids()
        while ahead:
            pid = ahead.pop()
            asked.add(pid)
            stat, below = self._table.stat(pid), processes.children(pid)
            if below is None:
                return False
            parent = {stat.ppid} if stat and stat.ppid > 1 else set()
            for each in parent | below:
                self.read(each)
            # Whose files may not be read may be a holder: its children are looked at as well.
            unreadable = {each for each in parent if not self._read[each]}
            ahead |= (self.pids() | unreadable) - asked
        return True


class Sockets:
    """What one pass knows of sockets, and what it asks for only where somebody needs it."""

    def __init__(
        self,
        owners: Owners,
        gateways: Set[int],
        listening: Sequence[SocketRow],
        api: Sequence[SocketRow],
    ) -> None:
        self.owners = owners
        self._gateways = gateways
        self._listening = listening
        self._api = api

    def unanswered(self) -> Dict[int, int]:
        """By gateway that listens nowhere, how many connections it tries to make and nobody has answered yet."""
        serving = {pid for row in self._listening for pid in self.owners.of(row.inode)}
        found: Dict[int, int] = {}
        for row in sockets.unanswered() if self._gateways - serving else ():
            for pid in self.owners.of(row.inode) & self._gateways:
                found[pid] = found.get(pid, 0) + 1
        return found

    def pairing(self, table: Table) -> Set[int]:
        """Who hands API connections on: it has a listener, or its parent of the same program has, and as many
        connections that were made to that as it has API connections of its own."""
        calls: Dict[int, int] = {}
        for row in self._api:
            for pid in self.owners.of(row.inode) - self._gateways:
                calls[pid] = calls.get(pid, 0) + 1
        ports = {pid: self._ports_of(pid, table) for pid in calls}
        wanted = frozenset(port for each in ports.values() for port in each)
        made: Dict[int, int] = {}
        for row in sockets.connections(wanted):
            for pid in self.owners.of(row.inode):
                if row.local_port in ports.get(pid, ()):
                    made[pid] = made.get(pid, 0) + 1
        return {pid for pid, count in calls.items() if made.get(pid, 0) >= count}

    def _ports_of(self, pid: int, table: Table) -> FrozenSet[int]:
        stat = table.stat(pid)
        family = {pid}
        if stat is not None and stat.ppid > 1 and table.argv(stat.ppid) == table.argv(pid):
            family.add(stat.ppid)
        for each in family:
            self.owners.read(each)
        return frozenset(row.local_port for row in self._listening if self.owners.of(row.inode) & family)
