"""The unit that exists for one process: whether it is stopped in the place of the process.

Who looks and who acts ask the same function, so that what a plan says of the unit is what is done with it.
"""

from __future__ import annotations

from ..base import classify
from ..base.unit import OwnUnit
from ..observe import processes
from . import systemctl
from .bound_units import bound_to
from .unit_facts import show_each


def own_unit(unit: str, pid: int) -> OwnUnit:
    """What becomes of a unit with a process of it that is to end: only one is stopped whose main process it is, or was
    started by.

    A process that cron or another service once started is in that service's control group too, and stopping that
    service for its sake would stop everything else it does. Whatever else lives in the unit must be a launcher, or
    started by the process itself.
    """
    try:
        main_pid = systemctl.main_pid(unit)
    except systemctl.UnitError as error:
        return OwnUnit(unit, refused=str(error))
    line = processes.ancestors(pid) - {1}
    if main_pid not in line:
        return OwnUnit(unit, apart=main_pid > 0)
    refused = _bound(unit)
    if refused:
        return OwnUnit(unit, refused=refused)
    others = {each for each in processes.pids() if processes.read_unit(each) == unit} - line
    unrelated = {each for each in others if pid not in processes.ancestors(each)}
    working = frozenset(each for each in others if not classify.is_launcher(processes.read_argv(each)))
    return OwnUnit(unit, stopped=not unrelated & working, others=working)


def _bound(unit: str) -> str:
    """Who lives in a unit that goes down with this one, in words, or why that is not known; empty for nobody."""
    shown = show_each([unit], systemctl.show)[unit]
    bound = bound_to(unit, shown, systemctl.show)
    unread = shown.get("error") or bound.unread
    if unread or not bound.members:
        return unread
    first = bound.members[0]
    return "%s goes down with %s and carries pid %d of %s" % (first.unit, unit, first.pid, first.user)
