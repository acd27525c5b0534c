"""Whether there is room left where the files lie that a process writes. Asked where something is wrong."""

from __future__ import annotations

import itertools
import os
import re
import stat
from typing import Optional, Set

from ..base.host import LEAST_FREE
from . import processes
from .kernel_waits import held
from .settings import free

#: A gateway has a few hundred files open.
_MOST_FILES = 4096


def cannot_write(pid: int, started_ticks: int) -> Optional[str]:
    """A file that a process has open for writing, as its log is, whose file system is full; None where none is known.

    The next process would have to write there as well. Read only while the process is still the same. None as well
    where it waits in the kernel: what it waits for may be one of these files, and would hold this run as well.
    """
    if held([pid]):
        return None
    asked: Set[int] = set()
    try:
        with os.scandir(os.path.join(processes.PROC, str(pid), "fd")) as listed:
            for each in itertools.islice(listed, _MOST_FILES):
                found = _full(pid, each.name, each.path, asked)
                if found:
                    now = processes.read_stat(pid)
                    return found if now is not None and now.started_ticks == started_ticks else None
    except OSError:
        return None  # it has ended, or belongs to an account whose files this run may not see
    return None


def _full(pid: int, number: str, path: str, asked: Set[int]) -> Optional[str]:
    """The name of an open file, if it is one and has no room left. asked: file systems that were asked already."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_dev in asked:
            return None
        flags = re.search(r"^flags:\s+([0-7]+)", processes.read_text(pid, "fdinfo/" + number), re.MULTILINE)
        if flags is None or int(flags.group(1), 8) & os.O_ACCMODE == os.O_RDONLY:
            return None
        asked.add(found.st_dev)
        left = free(path)
        return os.readlink(path) if left is not None and left < LEAST_FREE else None
    except OSError:
        return None
