"""Who keeps a process stopped besides the signal that has stopped it: what SIGCONT would not help against, or undo."""

from __future__ import annotations

import re
from typing import Optional

from ..base.host import ENDS_WHEN_IT_GOES_ON, TRACED
from . import processes
from .freezer import held_frozen

#: Signals that end a JVM. One that waits is delivered as soon as the process goes on.
_ENDING = {1: "SIGHUP", 2: "SIGINT", 15: "SIGTERM"}


def kept_stopped(pid: int) -> str:
    """What speaks against letting a stopped process go on, in words that follow its pid; empty for nothing.

    What cannot be read speaks against it as well.
    """
    try:
        return (
            _traced(processes.read_text(pid, "status"))
            or _under_job_control(processes.read_text(pid, "stat"))
            or held_frozen(processes.read_text(pid, "cgroup"))
        )
    except (OSError, ValueError):
        return "cannot be read in full, so that nobody knows what else keeps it stopped"


def _traced(status: str) -> str:
    """A tracer, or a signal that would end it."""
    tracer = _number(r"^TracerPid:\s+(\d+)", status, 10)
    if tracer:
        return "%s pid %d, as by a debugger" % (TRACED, tracer)
    waiting = _number(r"^SigPnd:\s+([0-9a-f]+)", status, 16) | _number(r"^ShdPnd:\s+([0-9a-f]+)", status, 16)
    names = [name for number, name in _ENDING.items() if waiting >> (number - 1) & 1]
    return "%s, because %s waits for it" % (ENDS_WHEN_IT_GOES_ON, " and ".join(names)) if names else ""


def _number(pattern: str, text: str, base: int) -> int:
    found = re.search(pattern, text, re.MULTILINE)
    if not found:
        raise ValueError("no line %s" % pattern)
    return int(found.group(1), base)


def _under_job_control(stat: str) -> str:
    """A terminal whose foreground is somebody else: a shell has stopped it, or it would stop again by itself."""
    _state, _ppid, group, _session, terminal, foreground = stat.rpartition(")")[2].split()[:6]
    if int(terminal) and group != foreground:
        return "is a stopped job of the terminal that it was started from: `fg` there lets it go on"
    return ""


def state_of(pid: int) -> Optional[str]:
    """The kernel's letter for its state; None when it has gone or is hidden."""
    stat = processes.read_stat(pid)
    return stat.state if stat else None
