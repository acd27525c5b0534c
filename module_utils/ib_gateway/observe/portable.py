"""The same reading through psutil: for systems that are not Linux, and as a second opinion in tests.

Slower, and without accept queues, idle times and network namespaces; everything else means the same.
"""

from __future__ import annotations

import os
import time
from typing import Any, Dict, FrozenSet, Iterable, List, Pattern, Sequence, Set, Tuple

from ..base import classify
from ..base.host import Connection, Listener, Process, Reading, Visibility
from ..base.process_digest import argv_digest
from ..base.redaction import redact_argv
from ..base.spec import HELPER_PORTS
from . import host_key
from .addresses import normalise

# Closed for good, or only the kernel's memory of a connection: no process holds them.
_NOT_CONNECTED = ("LISTEN", "TIME_WAIT", "CLOSE", "NONE", "DELETE_TCB")


def read(ports: Iterable[int], patterns: Sequence[Pattern[str]], units: Sequence[str] = ()) -> Reading:  # noqa: ARG001 - systemd's units are Linux's
    """One reading; arguments and result as in linux.read. Raises ImportError without psutil, OSError when refused."""
    import psutil

    own_run = _ancestors(psutil)
    rows, sockets_missing = _sockets(psutil)
    argvs = _command_lines(psutil)
    gateways = {pid for pid, argv in argvs.items() if classify.gateway_kind(argv)}
    named = {
        pid
        for pid, argv in argvs.items()
        if pid not in own_run and any(classify.matches_client(pattern, argv) for pattern in patterns)
    }
    relevant = set(ports) | {
        row.laddr.port
        for row in rows
        if row.status == "LISTEN" and row.pid in gateways and row.laddr.port not in HELPER_PORTS
    }
    listening = [row for row in rows if row.status == "LISTEN" and (row.laddr.port in relevant or row.pid in gateways)]
    connected = [
        row
        for row in rows
        if row.status not in _NOT_CONNECTED and row.raddr and {row.laddr.port, row.raddr.port} & relevant
    ]
    holders = {row.pid for row in listening + connected if row.pid}
    blind = frozenset(pid for pid in gateways if not _may_read_sockets(psutil, pid))
    described = _describe(psutil, gateways | named | holders, argvs, own_run, blind)
    missing = ("the socket table: %s" % sockets_missing,) if sockets_missing else ()
    return Reading(
        boot_id=_boot_id(psutil),
        visibility=Visibility(
            user=psutil.Process().username(),
            privileged=hasattr(os, "geteuid") and os.geteuid() == 0,
            missing=missing,
        ),
        ports=frozenset(relevant),
        processes=described,
        listeners=_listeners(listening),
        connections=_connections(connected),
    )


def _boot_id(psutil: Any) -> str:
    """Linux names its boots; elsewhere the boot's time in whole seconds serves."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as name:
            return name.read().strip()
    except OSError:
        return "boot-%d" % psutil.boot_time()


def _ancestors(psutil: Any) -> FrozenSet[int]:
    try:
        parents = [parent.pid for parent in psutil.Process().parents()]
    except psutil.Error:
        parents = []
    return frozenset([os.getpid(), *parents])


def _command_lines(psutil: Any) -> Dict[int, Tuple[str, ...]]:
    found: Dict[int, Tuple[str, ...]] = {}
    for process in psutil.process_iter():
        try:
            argv = process.cmdline()
        except (psutil.Error, OSError):
            continue
        if argv:
            found[process.pid] = tuple(os.fsencode(word).decode("utf-8", "backslashreplace") for word in argv)
    return found


def _sockets(psutil: Any) -> Tuple[List[Any], str]:
    try:
        return list(psutil.net_connections(kind="tcp")), ""
    except psutil.AccessDenied:
        return [], "this system shows it to privileged users only"


def _may_read_sockets(psutil: Any, pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        process.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return False
    except psutil.Error:
        return True
    return True


def _describe(
    psutil: Any,
    wanted: Set[int],
    argvs: Dict[int, Tuple[str, ...]],
    own_run: FrozenSet[int],
    blind: FrozenSet[int],
) -> Dict[int, Process]:
    boot_id, now, key = _boot_id(psutil), time.time(), host_key.digest_key()
    found: Dict[int, Process] = {}
    for pid in wanted:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                created, user, ppid = process.create_time(), process.username(), process.ppid()
                if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                    continue
        except (psutil.Error, OSError):
            continue
        argv = argvs.get(pid, ())
        command = redact_argv(argv)
        found[pid] = Process(
            pid=pid,
            started_ticks=round((created - psutil.boot_time()) * 100)
            if hasattr(psutil, "LINUX")
            else round(created * 100),
            boot_id=boot_id,
            ppid=ppid,
            user=user,
            age=max(0.0, now - created),
            started_at=created,
            argv=argv,
            command=command,
            argv_digest=argv_digest(argv, key),
            cwd=_cwd(psutil, process),
            gateway=classify.gateway_kind(argv, _exe(psutil, process)),
            relay=classify.relay_name(argv),
            sockets_visible=pid not in blind,
            own_run=pid in own_run,
        )
    return found


def _cwd(psutil: Any, process: Any) -> Any:
    try:
        return os.fsencode(process.cwd()).decode("utf-8", "backslashreplace") or None
    except (psutil.Error, OSError):
        return None


def _exe(psutil: Any, process: Any) -> Any:
    try:
        return os.fsencode(process.exe()).decode("utf-8", "backslashreplace") or None
    except (psutil.Error, OSError):
        return None


def _grouped(rows: Sequence[Any]) -> Dict[Tuple[Any, ...], Set[int]]:
    """Rows of one socket held by several processes come once for each; here they are one, with a set of pids."""
    found: Dict[Tuple[Any, ...], Set[int]] = {}
    for row in rows:
        remote = tuple(row.raddr) if row.raddr else ()
        holders = found.setdefault((tuple(row.laddr), remote, row.status, int(row.family)), set())
        if row.pid:
            holders.add(row.pid)
    return found


def _listeners(rows: Sequence[Any]) -> Tuple[Listener, ...]:
    found = []
    for (local, _remote, _status, _family), holders in _grouped(rows).items():
        address = normalise(local[0])
        families: Tuple[str, ...] = ("ipv6",) if ":" in address else ("ipv4",)
        found.append(
            Listener(
                port=local[1],
                address=address,
                families=("ipv4", "ipv6") if address == "::" else families,
                inode=0,
                pids=frozenset(holders),
            )
        )
    return tuple(found)


def _connections(rows: Sequence[Any]) -> Tuple[Connection, ...]:
    return tuple(
        Connection(
            local=normalise(local[0]),
            local_port=local[1],
            remote=normalise(remote[0]),
            remote_port=remote[1],
            state=status.replace("FIN_WAIT_", "FIN_WAIT"),
            # psutil gives no inode; whether somebody holds the socket is what the pairing needs to know.
            inode=-1 if holders else 0,
            pids=frozenset(holders),
        )
        for (local, remote, status, _family), holders in _grouped(rows).items()
    )
