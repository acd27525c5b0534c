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
from ..base.host import ESTABLISHED, STOPPED_STATES, Connection, Listener, Process, Reading, Visibility
from ..base.process_digest import argv_digest
from ..base.redaction import redact_argv
from ..base.spec import HELPER_PORTS
from . import host_key, processes, settings, sockets
from .addresses import SocketRow
from .holders import Owners, Sockets
from .process_table import Table

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_ATTEMPTS = 3
#: State letters of a process that has ended and waits for its parent.
_ENDED = "ZX"
#: Lower ports are for root's services alone.
_FIRST_FREE_PORT = 1024


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
    table = Table(every_command_line=bool(patterns))
    own_run = table.ancestors(os.getpid())
    gateways = table.gateways()
    named = table.matching(patterns) - own_run
    owners = Owners(table)
    for pid in gateways:
        owners.read(pid)
    every_listener = sockets.listeners()
    relevant = ports | {
        row.local_port
        for row in every_listener
        if owners.of(row.inode) & gateways and row.local_port not in HELPER_PORTS
    }
    rows = sockets.connections(relevant)
    listening = [row for row in every_listener if row.local_port in relevant or owners.of(row.inode) & gateways]
    owners.resolve(listening + rows, named)

    connected = {pid for row in rows for pid in owners.of(row.inode)}
    served = {row.local_port for row in every_listener}
    busy = _busy(named - connected, owners, served) if named - connected else frozenset()
    users, boot_id = processes.Users(), processes.boot_id()
    seen = Sockets(owners, gateways, every_listener, rows)
    described = _describe(gateways | named | owners.pids(), table, seen, own_run, users, boot_id)
    silent = frozenset(units) - {_unit_key(process) for process in described.values() if process.gateway}
    reading = Reading(
        boot_id=boot_id,
        visibility=_visibility(users),
        ports=frozenset(relevant),
        processes=described,
        listeners=tuple(listener_of(row, owners, users) for row in listening),
        connections=tuple(connection_of(row, owners, users) for row in rows),
        units=_unit_ages(silent, table, users),
        busy=busy,
    )
    return reading, _unchanged(described.values())


def _busy(pids: Set[int], owners: Owners, served: Set[int]) -> FrozenSet[int]:
    """Which of these processes are somebody's clients, on a port that any gateway could have.

    The ports below are the system's own, as those of the web and of names. served: the ports that are listened on here;
    a connection that was made to one is its caller's.
    """
    for pid in pids:
        owners.read(pid)
    calls = [
        row
        for row in sockets.every_connection()
        if row.state == ESTABLISHED and row.remote_port >= _FIRST_FREE_PORT and row.local_port not in served
    ]
    return frozenset(pid for row in calls for pid in owners.of(row.inode) & pids)


def _first_may_end_with_it(table: Table) -> bool:
    """Whether the first process, in whose session a gateway is, may be one that ends with it.

    On a host each service has a session of its own. In a container the first process is most often a script that waits
    for the gateway it has started; when that ends, so does the container, and this run with it.
    """
    from ..base import launchers  # only containers need it

    return launchers.role_of(table.argv(1)) != launchers.SUPERVISOR


def describe(pids: Iterable[int]) -> Mapping[int, Process]:
    """Processes that a look has not described, such as those of another network namespace; what has gone is left out.

    Raises OSError as read() does.
    """
    table = Table(every_command_line=False)
    owners = Owners(table)
    seen = Sockets(owners, set(), (), ())
    return _describe(pids, table, seen, frozenset(), processes.Users(), processes.boot_id())


def gateways() -> Mapping[int, Process]:
    """Every gateway of this host. Raises OSError."""
    return describe(Table(every_command_line=False).gateways())


def whose_words(patterns: Sequence[Pattern[str]]) -> Mapping[int, Process]:
    """Every process of this host of whose command line a word matches, but for this run's own. Raises OSError."""
    table = Table(every_command_line=True)
    own_run = processes.ancestors(os.getpid()) | {os.getpid()}
    pids = [pid for pid in table.entries() if pid not in own_run and classify.matches_any(patterns, table.argv(pid))]
    return describe(pids)


def _unit_key(process: Process) -> Optional[str]:
    """A process's unit as GatewaySpec.unit_key names an entry's."""
    return "%s/%s" % (process.user, process.user_unit) if process.user_unit else process.unit


def _unit_ages(units: FrozenSet[Optional[str]], table: Table, users: processes.Users) -> Dict[str, float]:
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


def _describe(
    wanted: Iterable[int],
    table: Table,
    seen: Sockets,
    own_run: FrozenSet[int],
    users: processes.Users,
    boot_id: str,
) -> Mapping[int, Process]:
    uptime = processes.uptime()
    boot_time = time.time() - uptime
    own_netns, key = processes.network_namespace("self"), host_key.digest_key()
    unanswered, pairing = seen.unanswered(), seen.pairing(table)
    found: Dict[int, Process] = {}
    for pid in wanted:
        argv = table.argv(pid)
        stat, uid = table.stat(pid), processes.read_real_uid(pid)
        if stat is None or uid is None or stat.state in _ENDED:
            continue
        started = stat.started_ticks / _TICKS
        command = redact_argv(argv)
        netns = processes.network_namespace(str(pid))
        kind, unit = table.kind(pid), processes.read_unit(pid)
        cwd = processes.read_cwd(pid)
        told = settings.started(pid, kind, argv, table.exe(pid), cwd) if kind else None
        user_unit = processes.read_user_unit(pid) if unit is None else None
        worker_of, script_argv = _works_for(pid, table) if kind is None else (None, ())
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
            argv_digest=argv_digest(argv, key),
            cwd=cwd,
            unit=unit,
            unit_is_own=_is_own(stat.ppid, unit, user_unit, table),
            user_unit=user_unit[1] if user_unit else None,
            unit_uid=user_unit[0] if user_unit else None,
            gateway=told.kind if told else None,
            relay=classify.relay_name(argv),
            sockets_visible=seen.owners.visible(pid),
            other_netns=netns is not None and netns != own_netns,
            own_run=pid in own_run or (kind is not None and stat.session == 1 and _first_may_end_with_it(table)),
            state=stat.state,
            pairs=pid in pairing,
            unanswered=unanswered.get(pid, 0),
            uid=uid,
            folder=told.folder if told else None,
            folder_id=told.folder_id if told else None,
            kept_stopped=_kept_stopped(pid, stat.state) if kind else "",
            worker_of=worker_of,
            script_argv=script_argv,
        )
    return found


def _works_for(pid: int, table: Table) -> Tuple[Optional[int], Tuple[str, ...]]:
    """Process.worker_of and Process.script_argv of a process that is no gateway."""
    from .workers import works_for  # a host without clients does not need it

    return works_for(pid, table.argv, table.stat)


def _kept_stopped(pid: int, state: str) -> str:
    """What keeps a gateway from running; of one that no signal has stopped only the freezer of its control group."""
    if state in STOPPED_STATES:
        from .stopped import kept_stopped  # no healthy host needs it

        return kept_stopped(pid)
    from .freezer import held_frozen  # a host without a gateway does not need it

    try:
        return held_frozen(processes.read_text(pid, "cgroup"))
    except (OSError, ValueError):
        return ""


def _is_own(parent: int, unit: Optional[str], user_unit: Optional[Tuple[int, str]], table: Table) -> bool:
    """Whether shells and wrappers are all there is between a process and the systemd that has its unit.

    A gateway that cron or another service once started lives in that service's unit, and the unit is not its own.
    """
    if unit is None and user_unit is None:
        return False
    above = [each for each in table.ancestors(parent) if each != 1]
    if user_unit is not None:
        above = [each for each in above if processes.read_user_unit(each) == user_unit]
    return all(classify.is_launcher(table.argv(each)) for each in above)


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


def listener_of(row: SocketRow, owners: Owners, users: processes.Users) -> Listener:
    """A listening socket with its owners, as a reading tells it."""
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


def connection_of(row: SocketRow, owners: Owners, users: processes.Users) -> Connection:
    """A connection with its owners, as a reading tells it."""
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
        received=row.received,
        lost_for=row.lost_for,
        unread=row.receive_queue,
    )
