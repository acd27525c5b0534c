"""The processes above a gateway: up to the one that may bring the next, and not to a person's shell or the system.

Linux only.
"""

from __future__ import annotations

import os
import re
from typing import Optional, Sequence, Tuple

from ..base.command_line import is_interpreter, run_of
from ..base.launchers import Launcher, launcher_of
from ..base.parents import unnamed_keeper
from ..base.words import program_name
from . import processes, started_files

#: A line of a shell's script that runs another file in the same shell.
SOURCES = re.compile(r"(?m)^[ \t]*(?:\.|source)\s+\S")


def above(gateway: int) -> Tuple[Tuple[int, int], ...]:
    """(pid, started_ticks) of the parents of a gateway that started it, from its own up; the last one may bring the
    next gateway, or started it for somebody who does not."""
    own_run = processes.ancestors(os.getpid())
    found = []
    stat = processes.read_stat(gateway)
    while stat is not None and stat.ppid > 1 and stat.ppid not in own_run:
        pid, stat = stat.ppid, processes.read_stat(stat.ppid)
        argv = processes.read_argv(pid)
        named = launcher_of(argv)
        launcher = named if named is not None else unnamed(pid, argv)
        if stat is None or launcher is None or not launcher.keeps:
            break
        found.append((pid, stat.started_ticks))
        if launcher.again:
            break
    return tuple(found)


def unnamed(pid: int, argv: Sequence[str]) -> Optional[Launcher]:
    """What a parent of a gateway that nothing names is to it; None for a person's shell and everybody's parent."""
    script = script_run_by(argv)
    text = text_of(pid, script) if script else None
    found = unnamed_keeper(argv, text)
    # What takes its commands from another file may take a loop from there as well.
    return found and found._replace(again=found.again or (text is not None and SOURCES.search(text) is not None))


def script_run_by(argv: Sequence[str]) -> Optional[str]:
    """The script that a shell or another interpreter runs, of `-m` where it is by rule; None for everything else."""
    run = run_of(argv)
    if run.program is None or run.script is None or not is_interpreter(program_name(argv[run.program :])):
        return None
    return argv[run.script] if run.module is None else run.module.replace(".", "/") + ".py"


def text_of(pid: int, script: str) -> Optional[str]:
    """The text of the script that a process runs; None where it may not be read."""
    return started_files.read_as(pid, os.path.join(processes.read_cwd(pid) or "/", script))
