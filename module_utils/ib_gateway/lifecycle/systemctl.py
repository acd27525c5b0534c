"""Talks to systemd about system units: asks, stops, starts, restarts. Waits as long as it is told to, no longer."""

from __future__ import annotations

from ..base.redaction import plain_text

#: Seconds for what systemctl answers without waiting for a unit.
_PATIENCE = 20.0


class UnitError(Exception):
    """systemctl did not do as told; the message says what it said. pending: systemd is still at it."""

    def __init__(self, text: str, pending: bool = False) -> None:
        super().__init__(text)
        self.pending = pending


def main_pid(unit: str) -> int:
    """The pid of a unit's main process; 0 without one. Raises UnitError."""
    found = _systemctl("show", "--property=MainPID", "--value", "--", unit).strip()
    return int(found) if found.isdigit() else 0


def stop(unit: str) -> None:
    """Tells a unit to stop, and does not wait for it. Raises UnitError."""
    _systemctl("--no-block", "stop", "--", unit)


def start(unit: str, seconds: float) -> None:
    """Starts a unit and waits until systemd calls it started. Raises UnitError, pending when the seconds are up."""
    _systemctl("start", "--", unit, seconds=seconds)


def restart(unit: str, seconds: float) -> None:
    """Restarts a unit and waits until systemd calls it started. Raises UnitError, pending when the seconds are up."""
    _systemctl("restart", "--", unit, seconds=seconds)


def _systemctl(*arguments: str, seconds: float = _PATIENCE) -> str:
    import subprocess

    command = ["systemctl", "--no-ask-password", *arguments]
    told = "systemctl " + " ".join(arguments)
    try:
        done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)
    except subprocess.CalledProcessError as error:
        said = plain_text(error.stderr.decode("utf-8", "backslashreplace"))
        raise UnitError("%s failed: %s" % (told, said or "status %d" % error.returncode)) from None
    except subprocess.TimeoutExpired:
        text = "%s has not come to an end within %g s; systemd goes on with it" % (told, seconds)
        raise UnitError(text, pending=True) from None
    except OSError as error:
        raise UnitError("%s failed: %s" % (told, error.strerror or type(error).__name__)) from None
    return done.stdout.decode("utf-8", "backslashreplace")
