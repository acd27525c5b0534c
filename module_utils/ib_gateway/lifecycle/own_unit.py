"""The unit that exists for one process: whether it is stopped in the place of the process.

Who looks and who acts ask the same function, so that what a plan says of the unit is what is done with it.
"""

from __future__ import annotations

from typing import FrozenSet, Mapping, Optional, Sequence

from ..base import classify
from ..base.redaction import redact_argv
from ..base.short_command import short
from ..base.unit import OwnUnit, UnitState
from ..observe import processes
from . import systemctl
from .base import Runs
from .bound_units import bound_to, stopped_after
from .unit_commands import runs_of
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
    refused = _bound(unit, shown, state, pid)
    if refused:
        return OwnUnit(unit, refused=refused)
    others = {each for each in processes.pids() if processes.read_unit(each) == unit} - line
    unrelated = {each for each in others if pid not in processes.ancestors(each)}
    working = frozenset(each for each in others if not classify.is_launcher(processes.read_argv(each)))
    ending: FrozenSet[int] = frozenset() if state is not None and state.leaves_behind else working
    return OwnUnit(unit, stopped=not unrelated & working, others=ending)


def _bound(unit: str, shown: Mapping[str, str], state: Optional[UnitState], pid: int) -> str:
    """Who lives in a unit that goes down with this one, or by one that is started when it ends, or by what either runs
    then, or what systemd does to the host, in words; or why that is not known. Empty for nobody and nothing."""
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
    runs = [each for each in runs_of(shown, None, True) if each.stop]
    runs += [each for one in after.started for each in runs_of(one, None, False)]
    return _ends_gateway(unit, runs, pid) if runs else ""


def _ends_gateway(unit: str, runs: Sequence[Runs], pid: int) -> str:
    """Which other gateway what is run when a unit ends would end as well, in words; empty for none."""
    from ..observe.ended_by_start import ended_by_start
    from ..observe.linux import gateways

    others = [each for each in gateways().values() if each.pid != pid]
    for each in runs:
        found = ended_by_start(each.commands, each.uid, others, each.folder) if each.uid is not None else None
        if found is not None:
            told = short(redact_argv(found.words))
            return "what is run when %s ends has `%s`, which ends gateway pid %d" % (unit, told, found.process.pid)
    return ""
