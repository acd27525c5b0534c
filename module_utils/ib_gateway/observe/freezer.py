"""The freezer of control groups: what it holds gets no signal but SIGKILL, and ends by another one when it goes on.

`systemctl freeze` and the pause of a container work by it. The kernel's letter for the process tells nothing of it:
that is S or D, as of one that waits.
"""

from __future__ import annotations

import os

from ..base.host import FROZEN_GROUP

_CGROUPS = "/sys/fs/cgroup"
#: Where version 2 is mounted: by itself, or beside the controllers of version 1.
_SECOND_VERSION = ("", "/unified")
_FROZEN = "frozen 1"


def held_frozen(cgroup: str) -> str:
    """That its control group is frozen, by the text of its /proc/PID/cgroup, in words that follow its pid.

    Empty where it is not. Raises as frozen_group() does.
    """
    group = frozen_group(cgroup)
    return "%s (%s)" % (FROZEN_GROUP, group) if group else ""


def frozen_group(cgroup: str) -> str:
    """The frozen control group that a process is in, by the text of its /proc/PID/cgroup; empty without one.

    The kernel tells it of each group below a frozen one as well. Raises ValueError on a text of another form, and
    OSError where a group's file may not be read.
    """
    for line in cgroup.splitlines():
        _number, controllers, path = line.split(":", 2)
        if not controllers and any(
            _FROZEN in _file(root + path, "cgroup.events").split("\n") for root in _SECOND_VERSION
        ):
            return path
        freezes = "freezer" in controllers.split(",")
        if freezes and _file("/freezer" + path, "freezer.state").strip() not in ("", "THAWED"):
            return path
    return ""


def _file(path: str, name: str) -> str:
    """A file of a control group; empty where this host shows none, as for the first one of version 2."""
    try:
        with open(os.path.join(_CGROUPS + path, name), encoding="utf-8", errors="backslashreplace") as file:
            return file.read(4096)
    except (FileNotFoundError, NotADirectoryError):
        return ""
