"""The unit that exists for one process: whether it is stopped in the place of the process.

Who looks and who acts ask the same function, so that what a plan says of the unit is what is done with it.
"""

from __future__ import annotations

from typing import FrozenSet, Mapping, Optional

from ..base import classify
from ..base.unit import OwnUnit, UnitState
from ..observe import processes
from . import systemctl
from .bound_units import bound_to, stopped_after
from .unit_facts import show_each, state_of


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
    shown = show_each([unit], systemctl.show)[unit]
    state = state_of(unit, shown, None)
    refused = _bound(unit, shown, state)
    if refused:
        return OwnUnit(unit, refused=refused)
    others = {each for each in processes.pids() if processes.read_unit(each) == unit} - line
    unrelated = {each for each in others if pid not in processes.ancestors(each)}
    working = frozenset(each for each in others if not classify.is_launcher(processes.read_argv(each)))
    ending: FrozenSet[int] = frozenset() if state is not None and state.leaves_behind else working
    return OwnUnit(unit, stopped=not unrelated & working, others=ending)


def _bound(unit: str, shown: Mapping[str, str], state: Optional[UnitState]) -> str:
    """Who lives in a unit that goes down with this one, or by one that is started when it ends, or what systemd does to
    the host then, in words; or why that is not known. Empty for nobody and nothing."""
    bound, after = bound_to(unit, shown, systemctl.show), stopped_after(unit, shown, systemctl.show)
    unread = shown.get("error") or bound.unread or after.unread
    if unread:
        return unread
    if state is not None and state.host_action:
        return "systemd would act on the whole host where %s ends (%s)" % (unit, state.host_action)
    for found, tie in ((bound, "goes down with"), (after, "is stopped by what is started after")):
        if found.members:
            first = found.members[0]
            return "%s %s %s and carries pid %d of %s" % (first.unit, tie, unit, first.pid, first.user)
    return ""
