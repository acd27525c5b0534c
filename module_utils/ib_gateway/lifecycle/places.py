"""Where what a start leaves on a host lies: the output of start_commands, and what an ended gateway ran with.

Beside the journal where a run has a state folder of its own, so that such a run leaves nothing anywhere else.
"""

from __future__ import annotations

import os

_LOGS = "/var/log/ib-gateway-repair"
#: Gone when the host is restarted, as the displays are.
_RUNTIME = "/run/ib-gateway-repair"
_USER_FOLDER = ".local/state/ib-gateway-repair"
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
