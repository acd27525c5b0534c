"""Threads that stay in the kernel where no signal reaches them: for a disk or a mount that is frozen or hangs, mostly.

A backup that freezes a file system for its snapshot and a server of NFS that is away both do it. The process ends by a
signal only once such a thread goes on, which it does by itself when the disk or mount answers. Its first thread may
look idle meanwhile, as a JVM's does.

Nothing here touches a file that the process has: what may hang is told from /proc alone.
"""

from __future__ import annotations

import os
import re
import time
from typing import Dict, FrozenSet, Iterable, Optional, Tuple

from ..base.host import HELD_IN_KERNEL
from . import processes

#: A thread in such a wait: its number, and how often it has been taken off a processor. It is in the same wait as long
#: as that does not change.
Waiting = FrozenSet[Tuple[int, str]]

#: A JVM has a hundred threads; of more than these only the first are read.
_THREADS = 512
#: Seconds that a wait has to last, where one for a disk that answers takes milliseconds; and until the next look at it.
_LASTS, _AGAIN = 1.0, 0.1
#: System calls whose first argument is the file that they wait for: reads, writes and syncs, by the machine's name.
_ON_A_FILE = {
    "x86_64": frozenset((0, 1, 17, 18, 19, 20, 74, 75, 77, 285)),
    "aarch64": frozenset((46, 47, 63, 64, 65, 66, 67, 68, 82, 83)),
}


def waiting(pid: int) -> Waiting:
    """The threads of a process that are in such a wait at this moment; most of them are over in the next."""
    try:
        threads = sorted(map(int, os.listdir("%s/%d/task" % (processes.PROC, pid))))[:_THREADS]
    except (OSError, ValueError):
        return frozenset()
    return frozenset(found for found in (_in_a_wait(pid, each) for each in threads) if found)


def held(asked: Iterable[int]) -> Dict[int, str]:
    """By pid, that a thread of it stays in such a wait, in words that follow the pid. Those without one are left out.

    Takes no time where none is in one at first.
    """
    found = {pid: waiting(pid) for pid in asked}
    deadline = time.monotonic() + _LASTS
    while any(found.values()) and time.monotonic() < deadline:
        time.sleep(_AGAIN)
        found = {pid: _still(pid, threads) for pid, threads in found.items() if threads}
    return {pid: "%s%s" % (HELD_IN_KERNEL, _where(pid, min(threads)[0])) for pid, threads in found.items() if threads}


def _in_a_wait(pid: int, thread: int) -> Optional[Tuple[int, str]]:
    try:
        if processes.read_text(pid, "task/%d/stat" % thread).rpartition(")")[2].split()[0] != "D":
            return None
        status = processes.read_text(pid, "task/%d/status" % thread)
    except (OSError, IndexError):
        return None
    switches = "/".join(re.findall(r"^(?:non)?voluntary_ctxt_switches:\s+(\d+)", status, re.MULTILINE))
    return (thread, switches) if re.search(r"^State:\s+D", status, re.MULTILINE) else None


def _still(pid: int, threads: Waiting) -> Waiting:
    """Those that have not moved since."""
    return frozenset(each for each in threads if _in_a_wait(pid, each[0]) == each)


def _where(pid: int, thread: int) -> str:
    """What a thread waits for, as far as the kernel tells it, in words; empty where it tells nothing."""
    told = []
    mount = _mount(pid, thread)
    if mount:
        told.append("what is mounted at %s%s" % (mount, " in its container" if processes.pid_inside(pid) else ""))
    try:
        function = processes.read_text(pid, "task/%d/wchan" % thread).strip()
    except OSError:
        function = ""
    if function.strip("0"):
        told.append("in %s" % function)
    return " (%s)" % ", ".join(told) if told else ""


def _mount(pid: int, thread: int) -> Optional[str]:
    """Where the file is mounted that a thread reads or writes; None where the kernel does not tell that for sure."""
    try:
        number, first = processes.read_text(pid, "task/%d/syscall" % thread).split()[:2]
        if int(number) not in _ON_A_FILE.get(os.uname().machine, ()):
            return None
        opened = processes.read_text(pid, "fdinfo/%d" % int(first, 16))
        mount = re.search(r"^mnt_id:\s+(\d+)$", opened, re.MULTILINE)
        table = processes.read_table(pid, "mountinfo")
    except (OSError, ValueError):
        return None
    rows = (line.split() for line in table.splitlines())
    place = next((row[4] for row in rows if mount and len(row) > 4 and row[0] == mount.group(1)), None)
    return place and re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), place)
