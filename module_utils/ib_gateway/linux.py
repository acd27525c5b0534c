"""Reads a Linux host once: which processes matter, what they listen on, who is connected to whom.

Cheap in this order: command lines of all processes, the listening sockets, then only the connections of the ports
that matter, then the open files only of processes that can own one of those sockets.
"""

from __future__ import annotations

import os
import time
from typing import Dict, FrozenSet, Iterable, List, Mapping, Optional, Pattern, Sequence, Set, Tuple

from ansible.module_utils.ib_gateway import processes, recognition, sockets
from ansible.module_utils.ib_gateway.model import (
    COMMAND_SERVER_PORT,
    Connection,
    Listener,
    Process,
    Reading,
    Visibility,
)
from ansible.module_utils.ib_gateway.redaction import redact_argv

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_ATTEMPTS = 3


class _CommandLines:
    """The command lines of one scan, parsed when somebody asks."""

    def __init__(self) -> None:
        self._raw: Dict[int, bytes] = dict(processes.scan())
        self._parsed: Dict[int, Tuple[str, ...]] = {}

    def pids(self) -> Iterable[int]:
        return self._raw

    def argv(self, pid: int) -> Tuple[str, ...]:
        if pid not in self._parsed:
            raw = self._raw.get(pid)
            self._parsed[pid] = processes.read_argv(pid) if raw is None else processes.parse_cmdline(raw)
        return self._parsed[pid]

    def gateways(self) -> Set[int]:
        java = [pid for pid, raw in self._raw.items() if b"java" in raw.partition(b"\0")[0]]
        return {pid for pid in java if recognition.gateway_kind(self.argv(pid))}

    def matching(self, patterns: Sequence[Pattern[str]]) -> Set[int]:
        if not patterns:
            return set()
        return {pid for pid in self._raw if any(recognition.matches_client(each, self.argv(pid)) for each in patterns)}


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
    own_run = processes.ancestors(os.getpid())
    lines = _CommandLines()
    gateways = lines.gateways()
    named = lines.matching(patterns) - own_run
    owners = _Owners(lines)
    for pid in gateways:
        owners.read(pid)
    listening = sockets.listeners()
    relevant = ports | {
        row.local_port for row in listening if owners.of(row.inode) & gateways and row.local_port != COMMAND_SERVER_PORT
    }
    rows = sockets.connections(relevant)
    listening = [row for row in listening if row.local_port in relevant or owners.of(row.inode) & gateways]
    owners.resolve(listening + rows)

    described = _describe(gateways | named | owners.pids(), lines, owners, own_run)
    users = processes.Users()
    silent = frozenset(units) - {process.unit for process in described.values() if process.gateway}
    reading = Reading(
        boot_id=processes.boot_id(),
        visibility=_visibility(users),
        ports=frozenset(relevant),
        processes=described,
        listeners=tuple(_listener(row, owners, users) for row in listening),
        connections=tuple(_connection(row, owners, users) for row in rows),
        units=_unit_ages(silent, lines),
    )
    return reading, _unchanged(described.values())


def _unit_ages(units: FrozenSet[Optional[str]], lines: _CommandLines) -> Dict[str, float]:
    """By unit, the age of its oldest process. Costs a read for each process, so only units without a gateway ask."""
    ages: Dict[str, float] = {}
    for pid in lines.pids() if units else ():
        unit, stat = processes.read_unit(pid), processes.read_stat(pid)
        if unit is not None and unit in units and stat is not None:
            age = processes.uptime() - stat.started_ticks / _TICKS
            ages[unit] = max(age, ages.get(unit, 0.0))
    return ages


class _Owners:
    """Which pids hold which socket inode; several processes can hold one."""

    def __init__(self, lines: _CommandLines) -> None:
        self._lines = lines
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

    def resolve(self, rows: Sequence[sockets.SocketRow]) -> None:
        """Finds the holders of these sockets, opening as few processes' files as it takes.

        Processes of the accounts that made the sockets come first. A socket gets to further processes by being
        inherited, so once somebody is known to hold it, only that one's family can hold it too.
        """
        self._wanted = {row.inode for row in rows if row.inode}
        if not self._wanted:
            return
        uids = {row.uid for row in rows if row.inode}
        own: List[int] = []
        others: List[int] = []
        for pid in self._lines.pids():
            (own if processes.owner_uid(pid) in uids else others).append(pid)
        for pid in [*own, *others]:
            if self._wanted <= self._pids.keys():
                break
            self.read(pid)
        family = [self._family(pid) for pid in self.pids()]
        for pid in own + others if None in family else sorted(set().union(*(each or () for each in family))):
            self.read(pid)

    @staticmethod
    def _family(pid: int) -> Optional[FrozenSet[int]]:
        """A process's parent, its siblings and all below it; None where the kernel does not list children."""
        stat = processes.read_stat(pid)
        found = {pid} | ({stat.ppid} if stat and stat.ppid > 1 else set())
        unknown = list(found)
        while unknown:
            below = processes.children(unknown.pop())
            if below is None:
                return None
            unknown.extend(below - found)
            found |= below
        return frozenset(found)


def _describe(
    wanted: Iterable[int], lines: _CommandLines, owners: _Owners, own_run: FrozenSet[int]
) -> Mapping[int, Process]:
    users = processes.Users()
    boot_id = processes.boot_id()
    uptime = processes.uptime()
    boot_time = time.time() - uptime
    own_netns = processes.network_namespace("self")
    found: Dict[int, Process] = {}
    for pid in wanted:
        argv = lines.argv(pid)
        stat, uid = processes.read_stat(pid), processes.read_real_uid(pid)
        if stat is None or uid is None or stat.state in "ZX":
            continue
        started = stat.started_ticks / _TICKS
        command = redact_argv(argv)
        netns = processes.network_namespace(str(pid))
        kind, unit = recognition.gateway_kind(argv), processes.read_unit(pid)
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
            argv_digest=recognition.argv_digest(command),
            cwd=processes.read_cwd(pid),
            unit=unit,
            unit_is_own=unit is not None and _only_launchers_above(stat.ppid),
            gateway=kind,
            relay=recognition.relay_name(argv),
            sockets_visible=owners.visible(pid),
            other_netns=netns is not None and netns != own_netns,
            own_run=pid in own_run,
        )
    return found


def _only_launchers_above(pid: int) -> bool:
    """Whether shells and wrappers are all there is between a process and the system's first one.

    A gateway that cron or another service once started lives in that service's unit, and the unit is not its own.
    """
    return all(recognition.is_launcher(processes.read_argv(each)) for each in processes.ancestors(pid) if each != 1)


def _unchanged(described: Iterable[Process]) -> bool:
    stats = ((process, processes.read_stat(process.pid)) for process in described)
    return all(stat is not None and stat.started_ticks == process.started_ticks for process, stat in stats)


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
    )
