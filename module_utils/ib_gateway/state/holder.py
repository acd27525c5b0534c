"""Which process a run is, so that others on its machine can prove that it has ended. Linux only.

A pid says nothing alone: the boot and the pid namespace that count it, and its start, make it one process for ever. On
any other machine, in another namespace, or where processes are hidden, nothing is proven.
"""

from __future__ import annotations

import os
from typing import Optional, Tuple

from ..observe import processes


def holder(pid: int) -> str:
    """A process of this machine, as one word; empty where that cannot be told."""
    try:
        boot_id, stat = processes.boot_id(), processes.read_stat(pid)
    except OSError:
        return ""
    space = processes.pid_namespace("self")
    return "%s/%s/%d/%d" % (boot_id, space, pid, stat.started_ticks) if stat is not None and space else ""


def has_ended(told: str) -> bool:
    """Whether the process that holder() has told is one of this machine, and is proven to have ended."""
    named = _parse(told)
    if named is None:
        return False
    boot_id, space, pid, started_ticks = named
    try:
        here = (processes.boot_id(), processes.pid_namespace("self")) == (boot_id, space)
        if not here or not processes.table_is_complete():
            return False
        stat = processes.read_stat(pid)
        if stat is None:
            return not os.path.exists("%s/%d" % (processes.PROC, pid))
        return stat.started_ticks != started_ticks or stat.state in "ZX"
    except OSError:
        return False


def _parse(told: str) -> Optional[Tuple[str, str, int, int]]:
    words = told.split("/")
    if len(words) != 4 or not (words[2].isdigit() and words[3].isdigit()):
        return None
    return words[0], words[1], int(words[2]), int(words[3])
