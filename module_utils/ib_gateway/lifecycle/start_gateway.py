"""Starts a gateway: by its unit, or by its start_command, detached and as the gateway's user.

A start_command gets a session of its own, no terminal and no open files of this run, so that it outlives the run.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import Any, Callable, Dict, Optional, Sequence

from ..base.spec import GatewaySpec
from . import systemctl

#: A command that fails at once is worth saying so; one that still runs after this many seconds has been started.
_SETTLE = 1.0
_POLL_INTERVAL = 0.1
#: Whether the gateway that was started serves already. Raises OSError.
IsUp = Callable[[], bool]
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CannotStart(Exception):
    """The gateway was not started; the message says why, without the command itself.

    pending: systemd is still at it.
    """

    def __init__(self, text: str, pending: bool = False) -> None:
        super().__init__(text)
        self.pending = pending


def bring_up(spec: GatewaySpec, seconds: float, is_up: IsUp) -> Optional[int]:
    """Starts an entry's gateway by its unit, else by its start_command; the command's pid, None for a unit.

    seconds: how long systemd may take to call the unit started. Does not wait for the port. Raises CannotStart.
    """
    if spec.unit is None:
        return start(spec.start_command, spec.user, spec.config_dir, is_up)
    try:
        systemctl.start(spec.unit, seconds)
    except systemctl.UnitError as error:
        raise CannotStart(str(error), error.pending) from None
    return None


def start(command: Sequence[str], user: Optional[str], folder: Optional[str], is_up: IsUp) -> int:
    """Starts the command and returns its pid. user: None for the account this run has; folder: None for the home.

    is_up: whether its gateway serves already; a command whose gateway does has not failed. Raises CannotStart when the
    account is not there or may not be used, when the program cannot be run, or when it fails within a second.
    """
    account = _account(user)
    home = str(account.pw_dir)
    cwd = next((path for path in (folder, home, "/") if path and os.path.isdir(path)), "/")
    try:
        # S603: the command is the inventory's start_command, an argv list that never passes a shell.
        process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env=_environment(account),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            close_fds=True,
            preexec_fn=_become(account),
        )
    except OSError as error:
        raise CannotStart("start_command cannot be run: %s" % error.strerror) from None
    except subprocess.SubprocessError:
        raise CannotStart("start_command cannot be run as %s" % account.pw_name) from None
    status = _settled(process, is_up)
    if status:
        raise CannotStart(
            "start_command ended at once with status %d; run it by hand as %s" % (status, account.pw_name)
        )
    return process.pid


def _settled(process: subprocess.Popen[bytes], is_up: IsUp) -> Optional[int]:
    """How the command ended within a second; None when it has not, or when its gateway serves before that."""
    until = time.monotonic() + _SETTLE
    while time.monotonic() < until:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_POLL_INTERVAL)
        with contextlib.suppress(OSError):  # what cannot be seen does not make a command that runs a failed one
            if is_up():
                return None
    return None


def _account(user: Optional[str]) -> Any:
    import pwd

    try:
        account = pwd.getpwnam(user) if user else pwd.getpwuid(os.geteuid())
    except KeyError:
        raise CannotStart("this host has no account %s" % (user or os.geteuid())) from None
    if os.geteuid() not in (0, account.pw_uid):
        raise CannotStart("only root can start a process as %s: run with become" % account.pw_name)
    return account


def _become(account: Any) -> Optional[Callable[[], None]]:
    """What the new process does first to become the account; None where it is it already."""
    if os.geteuid() == account.pw_uid:
        return None

    def change() -> None:
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)

    return change


def _environment(account: Any) -> Dict[str, str]:
    """A login's environment and nothing of this run's."""
    return {
        "HOME": account.pw_dir,
        "USER": account.pw_name,
        "LOGNAME": account.pw_name,
        "SHELL": account.pw_shell or "/bin/sh",
        "PATH": _PATH,
        "LANG": "C.UTF-8",
    }
