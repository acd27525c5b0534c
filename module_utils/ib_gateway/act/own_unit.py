"""The unit that exists for one process: whether to stop it in its place, and that it does not bring it back."""

from __future__ import annotations

from typing import Optional

from ..base import classify
from ..lifecycle import systemctl
from ..lifecycle.bound_units import bound_to, stopped_after
from ..lifecycle.unit_facts import kills_after, show_each, state_of
from ..observe import processes
from .held_process import Refused, Target


def unit_to_stop(target: Target) -> Optional[str]:
    """The unit to stop in place of the process: only one whose main process it is, or was started by.

    A process that cron or another service once started is in that service's control group too, and stopping that
    service for its sake would stop everything else it does. Whatever else lives in the unit must be a launcher, or
    started by the process itself.
    """
    if target.unit is None:
        return None
    try:
        main_pid = systemctl.main_pid(target.unit)
    except systemctl.UnitError as error:
        raise Refused(str(error)) from None
    line = processes.ancestors(target.pid) - {1}
    if main_pid not in line:
        return None
    _prove_alone(target.unit)
    members = {pid for pid in processes.pids() if processes.read_unit(pid) == target.unit}
    unrelated = {pid for pid in members - line if target.pid not in processes.ancestors(pid)}
    return target.unit if all(classify.is_launcher(processes.read_argv(pid)) for pid in unrelated) else None


def _prove_alone(unit: str) -> None:
    """Makes sure that nobody lives in a unit that goes down with this one, or by one that is started when it ends: no
    plan names who does; and that systemd does nothing to the host. Raises Refused."""
    shown = show_each([unit], systemctl.show)[unit]
    bound, after = bound_to(unit, shown, systemctl.show), stopped_after(unit, shown, systemctl.show)
    unread = shown.get("error") or bound.unread or after.unread
    if unread:
        raise Refused(unread)
    state = state_of(unit, shown, None)
    if state is not None and state.host_action:
        raise Refused("systemd would act on the whole host where %s ends (%s)" % (unit, state.host_action))
    for found, tie in ((bound, "goes down with"), (after, "is stopped by what is started after")):
        if found.members:
            first = found.members[0]
            text = "%s %s %s and carries pid %d of %s"
            raise Refused(text % (first.unit, tie, unit, first.pid, first.user))


def killed_after(target: Target, force: bool) -> Optional[float]:
    """Seconds after which systemd would kill what may not be killed; None where it would not, or may."""
    if target.unit is None or target.allow_kill or force:
        return None
    try:
        return kills_after(systemctl.show([target.unit])[0])
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
        main = processes.read_stat(systemctl.main_pid(target.unit))
        if main and main.started_ticks > target.started_ticks:
            return "%s has started another process" % target.unit
        systemctl.stop(target.unit)
    except systemctl.UnitError as error:
        return None if _unloaded(target.unit) else str(error)
    return None


def _unloaded(unit: str) -> bool:
    try:
        return systemctl.show([unit])[0].get("LoadState") == "not-found"
    except systemctl.UnitError:
        return False
