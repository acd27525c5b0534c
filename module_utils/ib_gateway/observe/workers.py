"""Finds the script for which a worker works: the nearest process above it that runs something of its own."""

from __future__ import annotations

import os
from typing import Callable, Iterator, Mapping, Optional, Tuple

from ..base.host import WORKER_OF_UNKNOWN
from ..base.launchers import SUPERVISOR, role_of
from ..base.workers import is_tracker, is_worker, may_be_worker
from . import processes

#: Steps up to the script; the server that forks workers is one, a pool that a worker has is another.
_FARTHEST = 8

#: (pid of the script, its raw argv); (None, ()) for what works for nobody, (WORKER_OF_UNKNOWN, ()) where nothing tells.
Work = Tuple[Optional[int], Tuple[str, ...]]
ArgvOf = Callable[[int], Tuple[str, ...]]
StatOf = Callable[[int], Optional[processes.Stat]]
NOBODY: Work = (None, ())


def works_for(pid: int, argv_of: ArgvOf, stat_of: StatOf) -> Work:
    """For whom a process works: a worker by its command line, or one that was forked and has run no program since.

    Followed are parents of the same account and program, in the same session or control group. Another parent is
    whoever takes in the children of those that have ended, as pid 1 does: nothing tells then whose worker it was. A
    forked process without its parent is known by its own command line. argv_of, stat_of: who has read some of them
    reads them once.
    """
    current, argv = pid, argv_of(pid)
    for _ in range(_FARTHEST):
        worker, stat = is_worker(argv), stat_of(current)
        if not worker and (stat is None or not stat.forked):
            break
        above = _parent(current, argv_of, stat_of)
        if above is None:
            if worker:
                return WORKER_OF_UNKNOWN, ()
            break
        current, argv = above, argv_of(above)
    else:
        return WORKER_OF_UNKNOWN, ()
    return (current, argv) if current != pid else NOBODY


def working(raw: Mapping[int, bytes], argv_of: ArgvOf, stat_of: StatOf) -> Iterator[Tuple[int, Tuple[str, ...]]]:
    """(pid, raw argv of its script) of each process whose raw command line is that of a worker, not of a tracker."""
    for pid, line in raw.items():
        if may_be_worker(line) and is_worker(argv_of(pid)) and not is_tracker(argv_of(pid)):
            yield pid, works_for(pid, argv_of, stat_of)[1]


def _parent(pid: int, argv_of: ArgvOf, stat_of: StatOf) -> Optional[int]:
    """The parent that has started a process; None where it has gone, or cannot be told."""
    stat = stat_of(pid)
    above = stat_of(stat.ppid) if stat is not None and stat.ppid > 0 else None
    if stat is None or above is None or above.started_ticks > stat.started_ticks or not argv_of(stat.ppid):
        return None
    account = processes.read_real_uid(pid)
    if account is None or account != processes.read_real_uid(stat.ppid) or not _same_program(pid, stat.ppid):
        return None
    return stat.ppid if stat.session == above.session or _same_group(pid, stat.ppid) else None


def _same_program(pid: int, above: int) -> bool:
    """Whether a script may have started a worker: with its own interpreter, unless it is no script but a supervisor.

    Where neither program may be read, only pid 1 is doubted: every process's children come to it.
    """
    own, other = processes.read_exe(pid), processes.read_exe(above)
    if own is None and other is None:
        return above != 1
    return own == other and role_of(processes.read_argv(above)) != SUPERVISOR


def _same_group(pid: int, other: int) -> bool:
    """Whether both are in one control group below the system's own, as processes of one unit or one login are."""
    try:
        one, two = processes.read_text(pid, "cgroup"), processes.read_text(other, "cgroup")
    except (OSError, ValueError):
        return False
    return one == two and any(line.rpartition(":")[2] not in ("", os.sep) for line in one.splitlines())
