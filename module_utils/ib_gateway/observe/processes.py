"""The kernel's process table on Linux, from procfs. Parse functions are pure; readers answer None for what has gone.

Everything in the table is a stranger's: names with `)` or newlines, argv of megabytes, bytes that are no text,
processes that vanish between two reads. Whatever a process does to its own entry, the others are still read.
"""

from __future__ import annotations

import errno
import os
import re
import time
from typing import Callable, Dict, FrozenSet, Iterable, Iterator, List, Optional, Set, Tuple

from ..base.record import Record

PROC = "/proc"
#: One page is enough for scripts; a JVM's class path is not, so what begins like a java is read up to the second mark.
_ARGV_FIRST_READ = 16384
_ARGV_LIMIT = 1 << 20
_SYSTEM = "system.slice"
#: The service below the slices of a user's manager. The first manager in a path: folders below it may have any name.
_USER_UNIT = r"(?:(?!/user@).)*/user@(\d{1,10})\.service(?:/[^/]+\.slice)*/([^/]+\.service)(?:/|$)"
#: The kernel's flag PF_FORKNOEXEC.
_FORKED = 0x40
_GONE = (errno.ENOENT, errno.ESRCH)


class Stat(Record):
    """What /proc/PID/stat says: state letter, parent's pid, start in clock ticks after boot, the session's leader.

    forked: whether it has run no program of its own since its parent made it.
    """

    state: str
    ppid: int
    started_ticks: int
    session: int = 0
    forked: bool = False


def parse_stat(data: bytes) -> Stat:
    """Parses /proc/PID/stat. The name may hold anything, so counting starts after the last `)`. Raises ValueError."""
    fields = data[data.rindex(b")") + 1 :].split()
    if len(fields) < 20:
        raise ValueError("stat has %d fields after the name, 20 are needed" % len(fields))
    forked = bool(int(fields[6]) & _FORKED)
    return Stat(fields[0].decode("ascii", "replace"), int(fields[1]), int(fields[19]), int(fields[3]), forked)


def parse_cmdline(data: bytes) -> Tuple[str, ...]:
    """The argument list; bytes that are not UTF-8 become backslash escapes, so that every consumer can print them."""
    if not data:
        return ()
    return tuple(data.rstrip(b"\0").decode("utf-8", "backslashreplace").split("\0"))


def parse_unit(cgroup: str, first: Callable[[], str] = str) -> Optional[str]:
    """The system unit in the text of /proc/PID/cgroup (v1, v2 or both), also inside a container; None without one.

    first: reads that text of the first process; asked only where the path alone does not tell whose system it is in.
    """
    for controllers, folders in _groups(cgroup):
        if folders.count(_SYSTEM) > 1 or (_SYSTEM in folders and folders[0] != _SYSTEM):
            folders = _below(folders, next((path for kind, path in _groups(first()) if kind == controllers), []))
        unit = _unit_in(folders)
        if unit is not None:
            return unit
    return None


def _groups(cgroup: str) -> Iterator[Tuple[str, List[str]]]:
    """(controllers, folders of the path) of each line that systemd has a say in."""
    for line in cgroup.splitlines():
        _number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        if controllers in ("", "name=systemd"):
            yield controllers, path.strip("/").split("/")


def _below(folders: List[str], first: List[str]) -> List[str]:
    """A path as the system of the first process sees it; nothing where it is not in that system.

    Whoever has a subtree of his own may give folders in it any name, `system.slice/ibgateway.service` too, and so may a
    container. Only what lies right below the place of the system's own first process is the system's.
    """
    if first[-1:] != ["init.scope"] or folders[: len(first) - 1] != first[:-1]:
        return []
    return folders[len(first) - 1 :]


def parse_user_unit(cgroup: str) -> Optional[Tuple[int, str]]:
    """(uid, unit) of an account's own systemd in the text of /proc/PID/cgroup; None without one."""
    for line in cgroup.splitlines():
        _number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        systemd = controllers in ("", "name=systemd") and "/user@" in path
        found = re.match(_USER_UNIT, path) if systemd else None
        if found:
            return int(found.group(1)), found.group(2)
    return None


def _unit_in(folders: List[str]) -> Optional[str]:
    """The system unit in a control group's path: the service below slices alone. Units of accounts are not its own."""
    for folder in folders:
        if folder.endswith(".service"):
            return folder
        if folder == "user.slice" or not folder.endswith(".slice"):
            return None
    return None


def parse_real_uid(status: bytes) -> int:
    """The real uid in the text of /proc/PID/status. Raises ValueError."""
    found = re.search(rb"^Uid:\s+(\d+)", status, re.MULTILINE)
    if not found:
        raise ValueError("status has no Uid line")
    return int(found.group(1))


def _read(path: str, limit: int = 65536) -> bytes:
    """A file that is one record: the kernel hands it over in one read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, limit)
    finally:
        os.close(descriptor)


def _read_table(path: str) -> bytes:
    """A file of many records: one read ends with the page that is full, long before the file does."""
    with open(path, "rb", buffering=0) as file:
        return file.readall()


def pids() -> List[int]:
    """The pids that can be seen, in no order."""
    return [int(name) for name in os.listdir(PROC) if name.isdigit()]


def glance() -> Dict[int, os.stat_result]:
    """What one system call tells of every process: its effective uid, and through threads() how many it has."""
    found: Dict[int, os.stat_result] = {}
    folder = os.open(PROC, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in os.listdir(folder):
            if name.isdigit():
                try:
                    found[int(name)] = os.stat(name + "/task", dir_fd=folder)
                except OSError:  # gone, or hidden
                    continue
    finally:
        os.close(folder)
    return found


def threads(entry: os.stat_result) -> int:
    """How many threads a process has, by its entry of glance(): the folder of its threads has a link for each."""
    return entry.st_nlink - 2


def threads_are_counted() -> bool:
    """Whether threads() can be relied on here: asked of this process, whose threads can be listed."""
    folder = PROC + "/self/task"
    return threads(os.stat(folder)) == len(os.listdir(folder))


def scan(pids: Iterable[int]) -> Iterator[Tuple[int, bytes]]:
    """(pid, raw command line) of those that have one: no kernel threads, no zombies, nothing that has gone.

    Raw, because on a busy host nearly all of them are of no interest and parsing would cost more than reading.
    """
    for pid in pids:
        data = _read_cmdline(pid)
        if data:
            yield pid, data


def read_argv(pid: int) -> Tuple[str, ...]:
    """A process's argument list; empty for a kernel thread, a zombie, one that has gone or that is hidden."""
    return parse_cmdline(_read_cmdline(pid))


def _read_cmdline(pid: int) -> bytes:
    try:
        descriptor = os.open("%s/%d/cmdline" % (PROC, pid), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        data = os.read(descriptor, _ARGV_FIRST_READ)
        if len(data) == _ARGV_FIRST_READ and b"java" in data.partition(b"\0")[0]:
            while len(data) < _ARGV_LIMIT:
                more = os.read(descriptor, _ARGV_FIRST_READ)
                if not more:
                    break
                data += more
    except OSError:
        return b""
    finally:
        os.close(descriptor)
    return data


def children(pid: int) -> Optional[FrozenSet[int]]:
    """The direct children of a process, of all its threads; None where the kernel does not list them."""
    folder = "%s/%d/task" % (PROC, pid)
    found: Set[int] = set()
    try:
        for thread in os.listdir(folder):
            found.update(map(int, _read_table("%s/%s/children" % (folder, thread)).split()))
    except OSError as error:
        return frozenset(found) if error.errno in _GONE and not os.path.exists(folder) else None
    return frozenset(found)


def read_stat(pid: int) -> Optional[Stat]:
    """A process's state, parent and start; None when it has gone or is hidden."""
    try:
        return parse_stat(_read("%s/%d/stat" % (PROC, pid)))
    except (OSError, ValueError):
        return None


def read_real_uid(pid: int) -> Optional[int]:
    """A process's real uid; None when it has gone or is hidden."""
    try:
        return parse_real_uid(_read("%s/%d/status" % (PROC, pid)))
    except (OSError, ValueError):
        return None


def read_unit(pid: int) -> Optional[str]:
    """The system unit a process belongs to; None without one."""
    try:
        return parse_unit(_read_cgroup(pid), lambda: _read_cgroup(1))
    except OSError:
        return None


def read_text(pid: int, name: str) -> str:
    """The text of one of a process's files that are one record. Raises OSError."""
    return _read("%s/%d/%s" % (PROC, pid, name)).decode("utf-8", "backslashreplace")


def read_table(pid: int, name: str) -> str:
    """The text of one of a process's files that have many records. Raises OSError."""
    return _read_table("%s/%d/%s" % (PROC, pid, name)).decode("utf-8", "backslashreplace")


def unix_table(pid: int) -> str:
    """The UNIX sockets of a process's network namespace, as /proc/PID/net/unix lists them. Raises OSError."""
    return read_table(pid, "net/unix")


def _read_cgroup(pid: int) -> str:
    return read_text(pid, "cgroup")


def read_user_unit(pid: int) -> Optional[Tuple[int, str]]:
    """(uid, unit) where a process belongs to a unit of an account's own systemd; None where it does not."""
    try:
        return parse_user_unit(_read_cgroup(pid))
    except OSError:
        return None


def read_cwd(pid: int) -> Optional[str]:
    """A process's working directory; None when it may not be read."""
    return _read_link(pid, "cwd")


def read_exe(pid: int) -> Optional[str]:
    """The program a process runs, as the kernel names it; None when it may not be read."""
    return _read_link(pid, "exe")


def _read_link(pid: int, name: str) -> Optional[str]:
    try:
        return os.fsencode(os.readlink("%s/%d/%s" % (PROC, pid, name))).decode("utf-8", "backslashreplace")
    except OSError:
        return None


def socket_inodes(pid: int) -> Optional[FrozenSet[int]]:
    """Inodes of the sockets a process holds; None when that may not be read; empty when it has gone."""
    folder = "%s/%d/fd" % (PROC, pid)
    found: Set[int] = set()
    try:
        names = os.listdir(folder)
    except OSError as error:
        return frozenset() if error.errno in _GONE else None
    for name in names:
        try:
            target = os.readlink("%s/%s" % (folder, name))
        except OSError as error:
            if error.errno not in _GONE:
                return None
            continue
        if target.startswith("socket:["):
            found.add(int(target[8:-1]))
    return frozenset(found)


def network_namespace(pid: str) -> Optional[str]:
    """The network namespace of a process (`self` for this one), as the kernel names it; None when unreadable."""
    return _namespace(pid, "net")


def pid_namespace(pid: str) -> Optional[str]:
    """The pid namespace, likewise."""
    return _namespace(pid, "pid")


def user_namespace(pid: str) -> Optional[str]:
    """The user namespace, likewise."""
    return _namespace(pid, "user")


def _namespace(pid: str, kind: str) -> Optional[str]:
    try:
        return os.readlink("%s/%s/ns/%s" % (PROC, pid, kind))
    except OSError:
        return None


def pid_inside(pid: int) -> Optional[int]:
    """A process's number in its own pid namespace, where that is below this run's; None where it is this run's."""
    try:
        return parse_pid_inside(_read("%s/%d/status" % (PROC, pid)))
    except OSError:
        return None


def parse_pid_inside(status: bytes) -> Optional[int]:
    """The last number of the NSpid line in the text of /proc/PID/status; None where there is one only."""
    found = re.search(rb"^NSpid:\s+\d+\s+(?:\d+\s+)*?(\d+)\s*$", status, re.MULTILINE)
    return int(found.group(1)) if found else None


def boot_id() -> str:
    """The kernel's name for this boot."""
    return _read(PROC + "/sys/kernel/random/boot_id").decode("ascii").strip()


def uptime() -> float:
    """Seconds since boot, on the clock that start ticks count on: /proc/uptime is another one in a container of LXC."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def table_is_complete() -> bool:
    """Whether other users' processes can be seen: pid 1 is everybody's canary under hidepid."""
    try:
        _read(PROC + "/1/cmdline", 1)
    except OSError:
        return False
    return True


def ancestors(pid: int, stat_of: Callable[[int], Optional[Stat]] = read_stat) -> FrozenSet[int]:
    """A process and its parents, up to the first process of the system. stat_of: for who has read some of them."""
    found: Set[int] = set()
    current: Optional[int] = pid
    while current and current not in found:
        found.add(current)
        stat = stat_of(current)
        current = stat.ppid if stat else None
    return frozenset(found)


class Users:
    """Names for uids, each looked up once; a uid without a name is shown as its number."""

    def __init__(self) -> None:
        self._names: Dict[int, str] = {}

    def name(self, uid: int) -> str:
        """The account's name."""
        if uid not in self._names:
            import pwd  # not on every system this file can be imported on

            try:
                self._names[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                self._names[uid] = str(uid)
        return self._names[uid]
