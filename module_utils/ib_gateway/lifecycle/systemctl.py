"""Talks to systemd, the system's or an account's own: asks, stops, starts, restarts. Waits as long as it is told to."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from ..base.plain_text import plain_text
from . import unit_commands, unit_ties
from .accounts import Account, become

#: Seconds for what systemctl answers without waiting for a unit.
_PATIENCE = 20.0
#: What is asked of a unit. systemctl leaves out what a kind of unit does not have.
_PROPERTIES = (
    *("LoadState", "LoadError", "ActiveState", "SubState", "Result", "Type", "RemainAfterExit", "CanStart", "CanStop"),
    *(
        "NRestarts",
        "ExecMainStatus",
        "InactiveEnterTimestampMonotonic",
        "SendSIGKILL",
        "KillSignal",
        "RestartKillSignal",
        "TimeoutStopUSec",
        "StartLimitBurst",
        "ControlGroup",
        "MainPID",
        "User",
        "DynamicUser",
        "WorkingDirectory",
        "RootDirectory",
        "RootImage",
    ),
    *("Environment", "EnvironmentFiles", "PassEnvironment", "ExecSearchPath"),
    *("Group", "SupplementaryGroups", "ConditionResult", "ConditionTimestampMonotonic", "Id"),
    *("KillMode", "FailureAction", "SuccessAction", "StartLimitAction", "JobTimeoutAction"),
    *("FragmentPath", "DropInPaths", "NeedDaemonReload", "Transient"),
    *unit_commands.PROPERTIES,
    *unit_ties.PROPERTIES,
)
_UNFINISHED = "%s has not come to an end within %g s; systemd goes on with it"


class UnitError(Exception):
    """systemctl did not do as told; the message says what it said. pending: systemd is at it, or has not answered."""

    def __init__(self, text: str, pending: bool = False) -> None:
        super().__init__(text)
        self.pending = pending


def main_pid(unit: str, account: Optional[Account] = None) -> int:
    """The pid of a unit's main process; 0 without one. Raises UnitError."""
    found = _ask(account, "show", "--property=MainPID", "--value", "--", unit).strip()
    return int(found) if found.isdigit() else 0


def show(units: Sequence[str], account: Optional[Account] = None) -> List[Dict[str, str]]:
    """What systemd says of these units, in their order, in one call: properties by name, as text.

    May hold secrets of unit files: for judging, never to be shown. A property that has several values has them on
    several lines. Raises UnitError.
    """
    told = _ask(account, "show", "--property=" + ",".join(_PROPERTIES), "--", *units)
    found = [_properties(block) for block in told.strip("\n").split("\n\n")]
    if len(found) != len(units):
        raise UnitError("systemctl show answered for %d of %d units" % (len(found), len(units)))
    return found


def _properties(block: str) -> Dict[str, str]:
    found: Dict[str, str] = {}
    for line in block.splitlines():
        name, equals, value = line.partition("=")
        if equals and name in _PROPERTIES:
            found[name] = found[name] + "\n" + value if name in found else value
    return found


def stop(unit: str, account: Optional[Account] = None) -> None:
    """Tells a unit to stop, and does not wait for it. Raises UnitError."""
    _ask(account, "--no-block", "stop", "--", unit)


def start(unit: str, seconds: float, account: Optional[Account] = None) -> None:
    """Starts a unit and waits until systemd calls it started. Raises UnitError, pending when the seconds are up."""
    _ask(account, "start", "--", unit, seconds=seconds)


def restart(unit: str, seconds: float, account: Optional[Account] = None) -> None:
    """Restarts a unit and waits until systemd calls it started. Raises UnitError, pending when the seconds are up."""
    _ask(account, "restart", "--", unit, seconds=seconds)


def reset_failed(unit: str, account: Optional[Account] = None) -> None:
    """Has systemd forget how often the unit was started and how it failed. Raises UnitError."""
    _ask(account, "reset-failed", "--", unit)


def silence(seconds: float, account: Optional[Account] = None) -> Optional[str]:
    """Why systemd does not answer, in systemctl's words; None where it does. Asks for next to nothing."""
    try:
        told = _ask(account, "show", "--property=Version", seconds=seconds)
    except UnitError as error:
        return str(error)
    # Where systemctl takes this for a chroot it asks nobody, and says so in a line that is no error.
    return None if "Version=" in told else "systemctl show asked nobody: %s" % (plain_text(told) or "it said nothing")


def user_environment(account: Account) -> str:
    """What an account's systemd gives to its units, an assignment on each line: never to be shown. Raises UnitError."""
    return _ask(account, "show-environment")


def _ask(account: Optional[Account], *arguments: str, seconds: float = _PATIENCE) -> str:
    """Asks the system's systemd, or an account's own."""
    if account is None:
        return _systemctl(*arguments, seconds=seconds)
    return _systemctl("--user", *arguments, seconds=seconds, account=account)


def _systemctl(*arguments: str, seconds: float = _PATIENCE, account: Optional[Account] = None) -> str:
    import subprocess

    command = ["systemctl", "--no-ask-password", *arguments]
    told = "systemctl " + " ".join(word for word in arguments if not word.startswith("--property="))
    as_account: Dict[str, Any] = {}
    if account is not None:
        # Straight to the socket of the account's systemd: --machine= needs systemd 248, PAM and a message bus.
        as_account = {"env": account.environment(), "preexec_fn": become(account)}
    try:
        done: subprocess.CompletedProcess[bytes] = subprocess.run(
            command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, **as_account
        )
    except subprocess.CalledProcessError as error:
        said = plain_text(error.stderr.decode("utf-8", "backslashreplace"))
        raise UnitError("%s failed: %s" % (told, said or "status %d" % error.returncode)) from None
    except subprocess.TimeoutExpired:
        text = "%s was not answered within %g s" if "show" in arguments else _UNFINISHED
        raise UnitError(text % (told, seconds), pending=True) from None
    except OSError as error:
        raise UnitError("%s failed: %s" % (told, error.strerror or type(error).__name__)) from None
    except subprocess.SubprocessError:
        raise UnitError("%s failed: this run may not act as %s" % (told, account.name if account else "root")) from None
    return done.stdout.decode("utf-8", "backslashreplace")
