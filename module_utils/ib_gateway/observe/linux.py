"""Reads a Linux host once: which processes matter, what they listen on, who is connected to whom.

Cheap in this order: one call for each process, command lines of those that can be gateways, the listening sockets,
then only the connections of the ports that matter, then the open files only of processes that can own one of those
sockets. docs/performance.md has the prices.
"""

from __future__ import annotations

import os
import time
from typing import Dict, FrozenSet, Iterable, List, Mapping, Optional, Pattern, Sequence, Set, Tuple

from ..base import classify
from ..base.host import Connection, Listener, Process, Reading, Visibility
from ..base.redaction import redact_argv
from ..base.spec import COMMAND_SERVER_PORT
from . import processes, sockets

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_ATTEMPTS = 3
#: State letters of a process that has ended and waits for its parent.
_ENDED = "ZX"


class _Table:
    """The process table: what one call for each process tells, and command lines, parsed when somebody asks.

    A gateway is a JVM, and a JVM has a dozen threads before it runs its main class. Most processes of a host have
    one, so that their command lines need not be read, unless patterns may name them.
    """

    def __init__(self, every_command_line: bool) -> None:
        self._entries: Dict[int, os.stat_result] = {}
        self._raw: Dict[int, bytes] = dict(
            processes.scan(processes.pids() if every_command_line else self._candidates())
        )
        self._parsed: Dict[int, Tuple[str, ...]] = {}
        self._stats: Dict[int, Optional[processes.Stat]] = {}

    def _candidates(self) -> Iterable[int]:
        entries = self.entries()
        if not processes.threads_are_counted():
            return entries
        return [pid for pid, entry in entries.items() if processes.threads(entry) > 1]

    def entries(self) -> Mapping[int, os.stat_result]:
        """Every process, as processes.glance() has it; read when somebody asks."""
        if not self._entries:
            self._entries = processes.glance()
        return self._entries

    def by_age(self, first: Set[int]) -> List[int]:
        """Every process: those of these effective uids first, and the youngest first, as scripts mostly are."""
        entries = self.entries()
        pids = sorted(entries, reverse=True)
        return [pid for pid in pids if entries[pid].st_uid in first] + [
            pid for pid in pids if entries[pid].st_uid not in first
        ]

    def argv(self, pid: int) -> Tuple[str, ...]:
        if pid not in self._parsed:
            raw = self._raw.get(pid)
            self._parsed[pid] = processes.read_argv(pid) if raw is None else processes.parse_cmdline(raw)
        return self._parsed[pid]

    def stat(self, pid: int) -> Optional[processes.Stat]:
        """Read once in a pass; what is described by it is compared with what the kernel says when the pass ends."""
        if pid not in self._stats:
            self._stats[pid] = processes.read_stat(pid)
        return self._stats[pid]

    def ancestors(self, pid: int) -> FrozenSet[int]:
        return processes.ancestors(pid, self.stat)

    def gateways(self) -> Set[int]:
        java = [pid for pid, raw in self._raw.items() if b"java" in raw.partition(b"\0")[0]]
        return {pid for pid in java if classify.gateway_kind(self.argv(pid))}

    def matching(self, patterns: Sequence[Pattern[str]]) -> Set[int]:
        return {pid for pid in self._raw if any(classify.matches_client(each, self.argv(pid)) for each in patterns)}


def read(ports: Iterable[int], patterns: Sequence[Pattern[str]], units: Sequence[str] = ()) -> Reading:
    """One consistent reading of the ports and of the processes behind them.

    ports: API ports of interest; ports that gateways listen on are added. patterns: what marks a process as an API
    client although it is not connected. units: system units whose processes are of interest when none of them is a
    gateway. A process that changes while it is read causes another pass, at most three.
    Raises OSError when procfs or the socket table cannot be read at all.
    """
    for attempt in range(_ATTEMPTS):
        reading, consistent = _pass(frozenset(ports), patterns, units)
        if consistent or attempt == _ATTEMPTS - 1:
            break
    return reading


def _pass(ports: FrozenSet[int], patterns: Sequence[Pattern[str]], units: Sequence[str]) -> Tuple[Reading, bool]:
    table = _Table(every_command_line=bool(patterns))
    own_run = table.ancestors(os.getpid())
    gateways = table.gateways()
    named = table.matching(patterns) - own_run
    owners = _Owners(table)
    for pid in gateways:
        owners.read(pid)
    listening = sockets.listeners()
    relevant = ports | {
        row.local_port for row in listening if owners.of(row.inode) & gateways and row.local_port != COMMAND_SERVER_PORT
    }
    rows = sockets.connections(relevant)
    listening = [row for row in listening if row.local_port in relevant or owners.of(row.inode) & gateways]
    owners.resolve(listening + rows, named)

    users, boot_id = processes.Users(), processes.boot_id()
    described = _describe(gateways | named | owners.pids(), table, owners, own_run, users, boot_id)
    silent = frozenset(units) - {_unit_key(process) for process in described.values() if process.gateway}
    reading = Reading(
        boot_id=boot_id,
        visibility=_visibility(users),
        ports=frozenset(relevant),
        processes=described,
        listeners=tuple(_listener(row, owners, users) for row in listening),
        connections=tuple(_connection(row, owners, users) for row in rows),
        units=_unit_ages(silent, table, users),
    )
    return reading, _unchanged(described.values())


def _unit_key(process: Process) -> Optional[str]:
    """A process's unit as GatewaySpec.unit_key names an entry's."""
    return "%s/%s" % (process.user, process.user_unit) if process.user_unit else process.unit


def _unit_ages(units: FrozenSet[Optional[str]], table: _Table, users: processes.Users) -> Dict[str, float]:
    """By unit, the age of its oldest process. Costs a read for each process, so only units without a gateway ask."""
    ages: Dict[str, float] = {}
    of_users = any(unit is not None and "/" in unit for unit in units)
    for pid in table.entries() if units else ():
        unit = processes.read_unit(pid)
        if unit is None and of_users:
            found = processes.read_user_unit(pid)
            unit = "%s/%s" % (users.name(found[0]), found[1]) if found else None
        stat = processes.read_stat(pid) if unit is not None and unit in units else None
        if unit is not None and stat is not None:
            age = processes.uptime() - stat.started_ticks / _TICKS
            ages[unit] = max(age, ages.get(unit, 0.0))
    return ages


class _Owners:
    """Which pids hold which socket inode; several processes can hold one."""

    def __init__(self, table: _Table) -> None:
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

    def resolve(self, rows: Sequence[sockets.SocketRow], likely: Iterable[int]) -> None:
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


def _describe(
    wanted: Iterable[int],
    table: _Table,
    owners: _Owners,
    own_run: FrozenSet[int],
    users: processes.Users,
    boot_id: str,
) -> Mapping[int, Process]:
    uptime = processes.uptime()
    boot_time = time.time() - uptime
    own_netns = processes.network_namespace("self")
    found: Dict[int, Process] = {}
    for pid in wanted:
        argv = table.argv(pid)
        stat, uid = table.stat(pid), processes.read_real_uid(pid)
        if stat is None or uid is None or stat.state in _ENDED:
            continue
        started = stat.started_ticks / _TICKS
        command = redact_argv(argv)
        netns = processes.network_namespace(str(pid))
        kind, unit = classify.gateway_kind(argv), processes.read_unit(pid)
        user_unit = processes.read_user_unit(pid) if unit is None else None
        found[pid] = Process(
            pid=pid,
            started_ticks=stat.started_ticks,
            boot_id=boot_id,
            ppid=stat.ppid,
            user=users.name(uid),
            age=max(0.0, uptime - started),
            started_at=boot_time + started,
            argv=argv,
            command=command,
            argv_digest=classify.argv_digest(command),
            cwd=processes.read_cwd(pid),
            unit=unit,
            unit_is_own=unit is not None and _only_launchers_above(stat.ppid, table),
            user_unit=user_unit[1] if user_unit else None,
            unit_uid=user_unit[0] if user_unit else None,
            gateway=kind,
            relay=classify.relay_name(argv),
            sockets_visible=owners.visible(pid),
            other_netns=netns is not None and netns != own_netns,
            own_run=pid in own_run,
        )
    return found


def _only_launchers_above(pid: int, table: _Table) -> bool:
    """Whether shells and wrappers are all there is between a process and the system's first one.

    A gateway that cron or another service once started lives in that service's unit, and the unit is not its own.
    """
    return all(classify.is_launcher(table.argv(each)) for each in table.ancestors(pid) if each != 1)


def _unchanged(described: Iterable[Process]) -> bool:
    """Whether they all still run, are who they were, and have the parents they had."""
    for process in described:
        now = processes.read_stat(process.pid)
        if now is None or now.state in _ENDED or (now.started_ticks, now.ppid) != (process.started_ticks, process.ppid):
            return False
    return True


def _visibility(users: processes.Users) -> Visibility:
    uid = os.geteuid()
    privileged = uid == 0
    missing: List[str] = []
    complete = processes.table_is_complete()
    if not complete:
        missing.append(
            "the process table: /proc is mounted with hidepid, and %s sees only its own processes" % users.name(uid)
        )
    return Visibility(user=users.name(uid), privileged=privileged, processes=complete, missing=tuple(missing))


def _listener(row: sockets.SocketRow, owners: _Owners, users: processes.Users) -> Listener:
    dual = row.family == "ipv6" and row.local == "::" and not row.v6only
    return Listener(
        port=row.local_port,
        address=row.local,
        families=("ipv4", "ipv6") if dual else (row.family if ":" in row.local else "ipv4",),
        inode=row.inode,
        pids=owners.of(row.inode),
        user=users.name(row.uid),
        accept_queue=row.receive_queue,
        backlog=row.send_queue,
    )


def _connection(row: sockets.SocketRow, owners: _Owners, users: processes.Users) -> Connection:
    return Connection(
        local=row.local,
        local_port=row.local_port,
        remote=row.remote,
        remote_port=row.remote_port,
        state=row.state,
        inode=row.inode,
        pids=owners.of(row.inode),
        user=users.name(row.uid),
        idle=row.idle,
        sent=row.sent,
        cookie=row.cookie,
    )
