"""The unit that exists for one process: whether it is stopped in the place of the process.

Who looks and who acts ask the same function, so that what a plan says of the unit is what is done with it.
"""

from __future__ import annotations

import functools
import os
from typing import Callable, FrozenSet, Optional, Sequence

from ..base import classify
from ..base.host import Process
from ..base.short_command import short
from ..base.unit import OwnUnit, UnitState
from ..observe import processes
from . import detach, systemctl
from .accounts import Account, account_by
from .base import Runs
from .bound_units import Bound, bound_to, stopped_after
from .unit_commands import runs_of
from .unit_facts import Show, show_each, state_of

#: Gives the scripts that may not end by what a unit runs, beside the gateways of the host. Raises OSError.
Staying = Callable[[], Sequence[Process]]


def own_unit(unit: str, pid: int, uid: Optional[int] = None, staying: Staying = tuple) -> OwnUnit:
    """What becomes of a unit with a process of it that is to end: only one is stopped whose main process it is, or was
    started by.

    A process that cron or another service once started is in that service's control group too, and stopping that
    service for its sake would stop everything else it does. Whatever else lives in the unit must be a launcher, or
    started by the process itself. uid: of the account whose own systemd has the unit; None for the system's.
    """
    account = account_by(uid) if uid is not None else None
    if uid is not None and account is None:
        return OwnUnit(unit, refused="only root can ask the systemd that %s is a unit of: run with become" % unit)
    return _judged(unit, pid, account, staying)


def around(pid: int, staying: Staying = tuple) -> Optional[OwnUnit]:
    """What the end of a process does to the service that it lives in and that is not stopped for its sake, as one in
    which others work too. None where it does nothing to any.

    What a service runs when it has ended, it runs as well where its main process was ended by a signal.
    """
    unit, account = processes.read_unit(pid), None
    if unit is None:
        found = processes.read_user_unit(pid)
        account = account_by(found[0]) if found is not None else None
        unit = found[1] if found is not None and account is not None else None
        if account is None or not os.path.exists(account.runtime_dir + "/systemd/private"):
            return None
    elif not os.path.isdir(detach.BOOTED):
        return None
    if unit is None or not unit.endswith(".service"):
        return None
    told = _judged(unit, pid, account, staying)
    return None if told.apart else told._replace(stopped=False)


def _judged(unit: str, pid: int, account: Optional[Account], staying: Staying) -> OwnUnit:
    show: Show = functools.partial(systemctl.show, account=account)
    shown = show_each([unit], show)[unit]
    if "error" in shown:
        return OwnUnit(unit, refused=shown["error"])
    line = processes.ancestors(pid) - {1}
    main = shown.get("MainPID", "")
    main_pid = int(main) if main.isdigit() else 0
    if main_pid not in line or not _waits_for(main_pid, pid):
        return OwnUnit(unit, apart=main_pid > 0)
    state = state_of(unit, shown, account.name if account else None)
    bound, after = bound_to(unit, shown, show), stopped_after(unit, shown, show)
    refused = bound.unread or after.unread or _tied(unit, state, bound, after)
    if not refused:
        runs = [each for each in runs_of(shown, account, True) if each.stop]
        runs += [each for one in after.started for each in runs_of(one, account, False)]
        refused = _ends_one(unit, runs, pid, staying) if runs else ""
    if refused:
        return OwnUnit(unit, refused=refused)
    lives_there = _lives_in(unit, account)
    others = {each for each in processes.pids() if lives_there(each)} - line
    unrelated = {each for each in others if pid not in processes.ancestors(each)}
    working = frozenset(each for each in others if not classify.is_launcher(processes.read_argv(each)))
    ending: FrozenSet[int] = frozenset() if state is not None and state.leaves_behind else working
    return OwnUnit(unit, stopped=not unrelated & working, others=ending)


def _waits_for(main_pid: int, pid: int) -> bool:
    """Whether nothing but launchers is from a unit's main process down to the parent of one: then it ends with that."""
    between = {each for each in processes.ancestors(pid) - {pid} if main_pid in processes.ancestors(each)}
    return all(classify.is_launcher(processes.read_argv(each)) for each in between)


def _lives_in(unit: str, account: Optional[Account]) -> Callable[[int], bool]:
    if account is None:
        return lambda pid: processes.read_unit(pid) == unit
    return lambda pid: processes.read_user_unit(pid) == (account.uid, unit)


def _tied(unit: str, state: Optional[UnitState], bound: Bound, after: Bound) -> str:
    """Who lives in a unit that goes down with this one, or by one that is started when it has ended, or what systemd
    does to the host then, in words; empty for nobody and nothing. Pure."""
    if state is not None and state.host_action:
        return "systemd would act on the whole host where %s ends (%s)" % (unit, state.host_action)
    for found, tie in ((bound, "goes down with"), (after, "is stopped by what is started after")):
        if found.members:
            first = found.members[0]
            return "%s %s %s and carries pid %d of %s" % (first.unit, tie, unit, first.pid, first.user)
    return ""


def _ends_one(unit: str, runs: Sequence[Runs], pid: int, staying: Staying) -> str:
    """Whom what is run when a unit has ended would end that is to stay, in words; empty for nobody."""
    from ..observe.ended_by_start import ended_by_start
    from ..observe.linux import gateways
    from .orders import asks

    others = [each for each in (*gateways().values(), *staying()) if each.pid != pid]
    for each in runs:
        if each.uid is None:
            continue
        found = ended_by_start(each.commands, each.uid, others, each.folder, asks())
        if found is not None:
            from .ending_words import told_command, told_end

            whom = found.process
            what = "gateway pid %d" % whom.pid if whom.gateway else "pid %d (%s)" % (whom.pid, short(whom.command))
            return "what is run when %s ends has %s, which %s %s" % (unit, told_command(found), told_end(found), what)
    return ""
