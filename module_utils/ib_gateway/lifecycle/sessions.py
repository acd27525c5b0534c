"""Whether an account's own systemd, and all that it has started, ends as soon as this run logs out."""

from __future__ import annotations

import os
import re
import subprocess
from typing import List, Optional

from ..observe import processes
from .accounts import Account, lingers

_SESSION = re.compile(r"/session-([^/.]+)\.scope(?:/|$)", re.MULTILINE)
#: Seconds for an answer of systemd-logind's.
_PATIENCE = 10.0
#: What a session is that still goes on; one that is closing only waits for its last processes.
_GOES_ON = ("State=active", "State=online")


def ends_with_this_run(account: Account) -> bool:
    """Whether nothing but this run's own login keeps the account's own systemd alive.

    False where that cannot be told, and for a run that is not the account's own: it has no session of that account.
    """
    own = _own_session()
    if own is None or os.geteuid() != account.uid or lingers(account):
        return False
    sessions = _answer("show-user", "--property=Sessions", "--value", str(account.uid))
    if sessions is None or own not in sessions.split():
        return False
    others = [each for each in sessions.split() if each != own]
    states = _answer("show-session", "--property=State", *others) if others else ""
    return states is not None and not any(line in _GOES_ON for line in states.splitlines())


def _own_session() -> Optional[str]:
    """The session that this run was started in, as systemd-logind calls it; None outside of any."""
    try:
        found = _SESSION.search(processes.read_text(os.getpid(), "cgroup"))
    except OSError:
        return None
    return found.group(1) if found else None


def _answer(*arguments: str) -> Optional[str]:
    """What loginctl says; None where it says nothing."""
    command: List[str] = ["loginctl", *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False, text=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
