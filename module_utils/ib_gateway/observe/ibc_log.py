"""Finds and reads the log in which IBC says how a gateway's login goes.

Read only where a gateway does not own its port, or is gone while what keeps it is alive: a healthy host pays nothing.
Every path here is another account's choice. A file is only read when it is a regular one that the process's account or
root owns; it is never opened before that is known, the last part of a path is never a link, and no more than MOST_BYTES
of its end are read. What the lines say beyond what base/ibc_words.py recognises stays here.
"""

from __future__ import annotations

import calendar
import os
import re
import stat
import time
from typing import Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..base import ibc_words
from ..base.classify import gateway_kind
from ..base.ibc_words import Line, LogEvent, LoginLog, line_of
from ..base.launchers import launcher_of
from ..base.redaction import mask_text
from . import processes

#: Bytes that are read of one log; a start writes about 20 KiB, a night in a loop some hundred.
MOST_BYTES = 1 << 18
#: Files that are opened for one gateway, and names that are read of one folder.
_MOST_FILES, _MOST_NAMES = 6, 512
#: IBC names its logs ibc-VERSION_GATEWAY-MAJOR_Weekday.txt; one a week old is replaced. Others rotate and add `.1`.
_NAME = re.compile(r"(?i)^ib(?:c|controller)\b.*\.(?:txt|log)(?:[.-]\d+)?$")
#: What a process writes beside its output may be IBC's log under any name of one.
_ANY_LOG = re.compile(r"(?i)\.(?:txt|log|out)(?:[.-]\d+)?$")
#: A container's name among the control groups of its processes, and where engines of root keep its output.
_CONTAINER = re.compile(r"\b[0-9a-f]{64}\b")
_CONTAINER_LOGS = (
    "/var/lib/docker/containers/%(id)s/%(id)s-json.log",
    "/var/lib/containers/storage/overlay-containers/%(id)s/userdata/ctr.log",
)
#: Seconds that a time in a log may lie before the start of the process, or after its last change, by rounding.
_SLACK = 5.0
#: Time zones differ by a multiple of this many seconds.
_ZONE_STEP = 900
#: How a log's last line may lag behind its last change, in seconds, for its time zone to be told by that.
_ZONE_LAG = 120.0


class Source(NamedTuple):
    """An open log: what it is called, by what it is known among all files, how long it is, when it was changed."""

    descriptor: int
    path: str
    identity: Tuple[int, int]
    size: int
    changed: float


def read(pid: int, since: float, others: Iterable[int] = ()) -> Optional[LoginLog]:
    """What IBC's log says of a process, a gateway or one of its keepers; None where none is found or may be read.

    since: when the process started, in seconds since the epoch; logs that were last changed before count for nothing.
    others: pids of the other gateways and keepers; a log that one of them writes as well tells nothing of this one.
    """
    others = [each for each in others if each != pid]
    taken = written_by(others)
    opened: List[Source] = []
    try:
        for source in _sources(pid, others):
            opened.append(source)
            if source.changed >= since - _SLACK and source.identity not in taken:
                found = _with_rotated(pid, source, since)
                if found is not None:
                    return found
            if len(opened) >= _MOST_FILES:
                break
        return None
    finally:
        for source in opened:
            os.close(source.descriptor)


def written_by(pids: Iterable[int]) -> FrozenSet[Tuple[int, int]]:
    """What is known of the regular files that these processes have as their output."""
    found = set()
    for pid in pids:
        for number in (1, 2):
            try:
                there = os.stat("%s/%d/fd/%d" % (processes.PROC, pid, number))
            except OSError:
                continue
            if stat.S_ISREG(there.st_mode):
                found.add((there.st_dev, there.st_ino))
    return frozenset(found)


# --- where logs are --------------------------------------------------------------------------------------------------


def _sources(pid: int, others: Sequence[int]) -> Iterator[Source]:
    """The logs that a process may have, the surest first: its output, other files that it writes, IBC's folders."""
    owners = _owners(pid)
    if owners is None:
        return
    seen = set()
    ways = [(path, owners) for path in _written(pid)]
    output = _link(pid, 1)
    if not output.startswith(("socket:", "/dev/null")):  # a journal's output is in no file
        ways.extend((path, owners) for path in _by_folder(pid, owners))
    if output.startswith("pipe:") and not any(_link(each, 1) == output for each in others):
        ways.extend((path, frozenset((0,))) for path in _of_container(pid))
    for path, allowed in ways:
        source = _open(path, allowed)
        if source is not None and source.identity in seen:
            os.close(source.descriptor)
        elif source is not None:
            seen.add(source.identity)
            yield source


def _link(pid: int, descriptor: int) -> str:
    try:
        return os.readlink("%s/%d/fd/%d" % (processes.PROC, pid, descriptor))
    except OSError:
        return ""


def _of_container(pid: int) -> List[str]:
    """Where the container's engine keeps what its processes write."""
    try:
        with open("%s/%d/cgroup" % (processes.PROC, pid), encoding="ascii", errors="replace") as file:
            found = _CONTAINER.search(file.read(1 << 16))
    except OSError:
        return []
    return [path % {"id": found.group()} for path in _CONTAINER_LOGS] if found else []


def _owners(pid: int) -> Optional[FrozenSet[int]]:
    """The accounts that a file may belong to: the process's own, and root."""
    uid = processes.read_real_uid(pid)
    return None if uid is None else frozenset((0, uid))


def _written(pid: int) -> List[str]:
    """The regular files that a process has open for writing, its outputs first."""
    folder = "%s/%d/fd" % (processes.PROC, pid)
    try:
        names = [name for name in os.listdir(folder) if name.isdigit()]
    except OSError:
        return []
    found = []
    for name in sorted(names, key=int):
        path = "%s/%s" % (folder, name)
        try:
            # The permissions of the link tell how the file was opened.
            written = os.lstat(path).st_mode & stat.S_IWUSR
            if written and (int(name) in (1, 2) or _ANY_LOG.search(os.readlink(path))):
                found.append(path)
        except OSError:
            continue
    return found[:_MOST_FILES]


def _by_folder(pid: int, owners: FrozenSet[int]) -> List[str]:
    """Files that are named as IBC names its logs, in the folders that it is told or has by convention; newest first."""
    root = "%s/%d/root" % (processes.PROC, pid)
    found: List[Tuple[float, str]] = []
    for folder in dict.fromkeys(_folders(pid)):
        try:
            with os.scandir(root + folder) as entries:
                names = [entry.name for entry, _ in zip(entries, range(_MOST_NAMES)) if _NAME.match(entry.name)]
        except (OSError, ValueError):
            continue
        for name in names:
            path = "%s%s/%s" % (root, folder, name)
            try:
                there = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISREG(there.st_mode) and there.st_uid in owners:
                found.append((there.st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)[:_MOST_FILES]]


def _folders(pid: int) -> Iterator[str]:
    """LOG_PATH of IBC's scripts; `logs` beside its settings file, and in its own folder."""
    environment = _environment(pid)
    told = [environment.get("LOG_PATH", "")]
    argv, cwd = processes.read_argv(pid), processes.read_cwd(pid) or "/"
    kind, launcher = gateway_kind(argv), launcher_of(argv)
    ini = (kind.ini if kind else None) or (launcher.ini if launcher else None) or environment.get("IBC_INI")
    if ini:
        told.append(os.path.join(os.path.dirname(os.path.join(cwd, ini)), "logs"))
    installed = [word.partition("=")[2] for word in argv if word.startswith("--ibc-path=")]
    for path in (*installed, environment.get("IBC_PATH", "")):
        told.append(os.path.join(path, "logs") if path else "")
    if environment.get("HOME") and (ini or installed):
        told.append(os.path.join(environment["HOME"], "ibc/logs"))
    return (os.path.normpath(path) for path in told if path.startswith("/"))


#: What of a process's environment is looked at; it holds passwords as well.
_VARIABLES = (b"LOG_PATH", b"IBC_INI", b"IBC_PATH", b"HOME", b"TZ")


def _environment(pid: int) -> Dict[str, str]:
    try:
        with open("%s/%d/environ" % (processes.PROC, pid), "rb") as file:
            data = file.read(MOST_BYTES)
    except OSError:
        return {}
    pairs = [each.partition(b"=") for each in data.split(b"\0")]
    return {name.decode(): os.fsdecode(value) for name, _, value in pairs if name in _VARIABLES}


# --- opening and reading ---------------------------------------------------------------------------------------------


def _open(path: str, owners: FrozenSet[int]) -> Optional[Source]:
    """A log, open for reading. Looked at before it is opened: to open a FIFO or a device would already do something."""
    link = re.match(r"^%s/\d+/fd/\d+$" % processes.PROC, path) is not None  # the kernel's own link to an open file
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC | (0 if link else os.O_NOFOLLOW))
    except (OSError, ValueError):
        return None
    try:
        found = os.fstat(place)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in owners:
            return None
        named = os.readlink("/proc/self/fd/%d" % place)
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        descriptor = os.open("/proc/self/fd/%d" % place, flags)
    except OSError:
        return None
    finally:
        os.close(place)
    return Source(descriptor, named, (found.st_dev, found.st_ino), found.st_size, found.st_mtime)


def _with_rotated(pid: int, source: Source, since: float) -> Optional[LoginLog]:
    """A log and, where it is whole and begins after the process did, the one that it was before it was rotated."""
    lines, complete = _lines(source, MOST_BYTES)
    if lines is None:
        return None
    events = _events(pid, lines, source)
    left = MOST_BYTES - source.size
    if complete and left > 0 and not any(event.kind in _STARTS for event in events):
        for before in _rotated(pid, source, since):
            older, complete = _lines(before, left)
            events = [*_events(pid, older or [], before), *events]
            os.close(before.descriptor)
    return LoginLog(_shown(source.path), tuple(events), complete)


_STARTS = (ibc_words.SESSION_START, ibc_words.SESSION_AGAIN)


def _rotated(pid: int, source: Source, since: float) -> Iterator[Source]:
    """The log as it was called before: its own name with a number or a date, the newest of them."""
    owners = _owners(pid) or frozenset()
    folder, name = os.path.split(source.path)
    place = "%s/%d/root%s" % (processes.PROC, pid, folder)
    pattern = re.compile(re.escape(name) + r"[.-]\d{1,14}$")
    found = []
    try:
        with os.scandir(place) as entries:
            for entry, _ in zip(entries, range(_MOST_NAMES)):
                if pattern.match(entry.name) and entry.is_file(follow_symlinks=False):
                    found.append((entry.stat(follow_symlinks=False).st_mtime, entry.path))
    except (OSError, ValueError):
        return
    for changed, path in sorted(found, reverse=True)[:1]:
        opened = _open(path, owners) if changed >= since - _SLACK else None
        if opened is not None:
            yield opened


def _shown(path: str) -> str:
    return mask_text(os.fsencode(path).decode("utf-8", "backslashreplace"))


def _lines(source: Source, most: int) -> Tuple[Optional[List[Line]], bool]:
    """(the lines in IBC's form at the end of a log, None where there are none; whether the log was read whole)."""
    start = max(0, source.size - most)
    try:
        data = os.pread(source.descriptor, most, start)
    except OSError:
        return None, False
    if start:
        data = data.partition(b"\n")[2]  # the first one is cut
    text = data.decode("utf-8", "replace")
    found = [line for line in map(line_of, text.split("\n")) if line is not None]
    return found or None, start == 0


# --- times -----------------------------------------------------------------------------------------------------------


def _events(pid: int, lines: Sequence[Line], source: Source) -> List[LogEvent]:
    """The lines that were recognised, with times since the epoch.

    One without a stamp is as old as the one before it; at the end of the log it is as old as the log's last change.
    """
    offset = _offset(pid, lines, source)
    last = max((index for index, line in enumerate(lines) if line.stamp), default=-1)
    found: List[LogEvent] = []
    stamp: Optional[str] = None
    for index, line in enumerate(lines):
        stamp = line.stamp or stamp
        if line.kind is None:
            continue
        at = None if stamp is None or offset is None else _naive(stamp) + offset
        found.append(LogEvent(line.kind, source.changed if index > last else at, line.number))
    return found


def _offset(pid: int, lines: Sequence[Line], source: Source) -> Optional[float]:
    """Seconds from a time in the log to the same time since the epoch, or None where that cannot be told.

    A log has this host's time, but for a JVM in a container or with a zone of its own: there the log's last change
    tells by how many quarters of an hour it differs.
    """
    newest = next((line.stamp for line in reversed(lines) if line.stamp), None)
    if newest is None:
        return None
    then = _naive(newest)
    here = _local_offset(then)
    if then + here <= source.changed + _SLACK and not _other_zone(pid):
        return here
    offset = round((source.changed - then) / _ZONE_STEP) * float(_ZONE_STEP)
    fits = -_SLACK <= source.changed - (then + offset) <= _ZONE_LAG and abs(offset) <= 14 * 3600
    return offset if fits else None


def _other_zone(pid: int) -> bool:
    """Whether a process may have another time zone than this host."""
    if "TZ" in _environment(pid) or any(word.startswith("-Duser.timezone=") for word in processes.read_argv(pid)):
        return True
    try:
        there, here = os.stat("%s/%d/root/" % (processes.PROC, pid)), os.stat("/")
    except OSError:
        return False
    return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)


def _naive(stamp: str) -> float:
    """A stamp as if it were UTC."""
    parts = [int(part) for part in re.split("[- :]", stamp)]
    return float(calendar.timegm((*parts, 0, 0, 0)))


def _local_offset(naive: float) -> float:
    """What this host's zone adds to a local time to make it a time since the epoch."""
    try:
        parts = time.gmtime(naive)
        return time.mktime((*parts[:6], 0, 0, -1)) - naive
    except (ValueError, OverflowError, OSError):
        return 0.0
