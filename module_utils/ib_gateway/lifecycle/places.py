"""Where what a start leaves on a host lies: the output of start_commands, and what an ended gateway ran with.

Beside the journal where a run has a state folder of its own, so that such a run leaves nothing anywhere else.
"""

from __future__ import annotations

import os
from typing import Optional

_LOGS = "/var/log/ib-gateway-repair"
#: Gone when the host is restarted, as the displays are.
_RUNTIME = "/run/ib-gateway-repair"
_USER_FOLDER = ".local/state/ib-gateway-repair"
#: Bytes below which there is no room: a few files of some hundred bytes, each of which takes a page or a block.
_LEAST_FREE = 1 << 16
_given = ""


def use(state_dir: str) -> None:
    """Tells this process the run's state folder; empty for the usual places."""
    global _given
    _given = state_dir


def log_folder(home: str) -> str:
    """Where the output of start_commands goes. home: of the account they run as."""
    if _given:
        return os.path.join(_given, "output")
    return _LOGS if os.geteuid() == 0 else os.path.join(home, _USER_FOLDER)


def environment_folder() -> str:
    """Where it is kept what ended gateways ran with; for this run's account alone."""
    if _given:
        return os.path.join(_given, "environment")
    if os.geteuid() == 0:
        return _RUNTIME
    runtime = "/run/user/%d" % os.geteuid()
    if os.path.isdir(runtime):
        return os.path.join(runtime, "ib-gateway-repair")
    return os.path.join(os.path.expanduser("~"), _USER_FOLDER, "environment")


def cannot_hold(folder: str) -> Optional[str]:
    """Why this run cannot have a new file in a folder, or in the one above that it would be made in, with the cure;
    None where nothing speaks against it. Writes nothing."""
    wanted = folder
    while not os.path.lexists(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    # The folder itself may be no link; those above it may, as where a home's folders lie elsewhere.
    if (folder == wanted and os.path.islink(folder)) or not os.path.isdir(folder):
        return "%s is no folder: move it away" % folder
    if not os.access(folder, os.W_OK | os.X_OK):
        return "this run may not write in %s: mend its owner, its mode or its mount" % folder
    return without_room(folder)


def without_room(folder: str) -> Optional[str]:
    """Why a new file would have no room in a folder, with the cure; None where it would, or where that is not known."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    left = (found.f_bfree if os.geteuid() == 0 else found.f_bavail) * found.f_frsize
    if not found.f_blocks or (left >= _LEAST_FREE and (found.f_files == 0 or found.f_ffree)):
        return None
    return "the file system of %s is full: make room there" % folder
