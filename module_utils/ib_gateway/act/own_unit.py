"""The unit that exists for one process: whether to stop it in its place, and that it does not bring it back."""

from __future__ import annotations

from typing import Optional

from ..base.unit import OwnUnit
from ..lifecycle import systemctl
from ..lifecycle.accounts import Account, account_by
from ..lifecycle.own_unit import Staying, around, own_unit
from ..lifecycle.unit_facts import kills_after
from ..observe import processes
from .held_process import Refused, Target


def unit_to_stop(target: Target, staying: Staying = tuple) -> Optional[str]:
    """The unit to stop in place of the process; None where only the process ends. Raises Refused."""
    if target.unit is None and target.unit_weighed:
        return None
    try:
        found = _asked(target, staying)
    except OSError as error:  # others that are stopped by the same call are in the midst of it
        raise Refused("who else would end with its unit cannot be seen: %s" % error.strerror) from None
    if found is None:
        return None
    if found.refused:
        raise Refused(found.refused)
    return target.unit if found.stopped else None


def _asked(target: Target, staying: Staying) -> Optional[OwnUnit]:
    if target.unit is None:
        return around(target.pid, staying)
    return own_unit(target.unit, target.pid, target.unit_uid, staying)


def killed_after(target: Target, force: bool) -> Optional[float]:
    """Seconds after which systemd would kill what may not be killed; None where it would not, or may."""
    if target.unit is None or target.allow_kill or force:
        return None
    try:
        return kills_after(systemctl.show([target.unit], _account(target))[0])
    except systemctl.UnitError as error:
        raise Refused(str(error)) from None


def keep_down(target: Target) -> Optional[str]:
    """Stops the unit of a process that has ended, so that Restart= does not bring it back; why it may come back.

    Not where the unit has brought something already: systemd would end that, and kill it, and no plan names it. Nor
    where it has gone with its process, as a unit of systemd-run does: what is not loaded brings nothing.
    """
    if target.unit is None:
        return None
    try:
        main = processes.read_stat(systemctl.main_pid(target.unit, _account(target)))
        if main and main.started_ticks > target.started_ticks:
            return "%s has started another process" % target.unit
        stop(target)
    except systemctl.UnitError as error:
        return None if _unloaded(target) else str(error)
    return None


def stop(target: Target) -> None:
    """Tells the unit of a process to stop. Raises UnitError."""
    if target.unit is not None:
        systemctl.stop(target.unit, _account(target))


def _unloaded(target: Target) -> bool:
    try:
        return systemctl.show([target.unit or ""], _account(target))[0].get("LoadState") == "not-found"
    except systemctl.UnitError:
        return False


def _account(target: Target) -> Optional[Account]:
    """Whose systemd has its unit; None for the system's. Raises UnitError."""
    if target.unit_uid is None:
        return None
    found = account_by(target.unit_uid)
    if found is None:
        raise systemctl.UnitError("only root can ask the systemd that %s is a unit of" % target.unit)
    return found
