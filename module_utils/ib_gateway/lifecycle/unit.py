"""A gateway that a unit of the system's systemd starts."""

from __future__ import annotations

import functools
import os
from typing import Callable, FrozenSet, List, Mapping, Optional, Sequence

from ..base.spec import GatewaySpec
from ..base.unit import UnitState
from ..observe import processes
from . import systemctl, unit_ties
from .accounts import Account, account_of, may_become
from .base import Asked, CannotStart, Lifecycle, Patience, StartCheck, Started
from .contradictions import of_unit
from .members import members_of, pids_of
from .unit_commands import runs_of
from .unit_conditions import prevented
from .unit_facts import Show, UnitFacts, blocker, lacks_display, show_each, state_of, trouble_of


class Unit(Lifecycle):
    """A unit of the system's systemd."""

    restarts = True

    @classmethod
    def start_checks(cls, asked: Sequence[Asked]) -> List[StartCheck]:
        """One call to systemctl for all of them."""
        units = [each.spec.any_unit or "" for each in asked]
        shown = show_each(units, systemctl.show)
        return [_start_check(one, shown[one.spec.any_unit or ""]) for one in asked]

    @property
    def unit(self) -> str:
        return self.spec.any_unit or ""

    @property
    def account(self) -> Optional[Account]:
        """Whose systemd it is; None for the system's. Raises CannotStart."""
        return None

    def carries(self, pid: int) -> bool:
        lives_in = processes.read_unit(pid)
        return lives_in is not None and (lives_in == self.unit or lives_in == self._alias_of())

    def _alias_of(self) -> Optional[str]:
        """By which name the kernel knows the unit; None where systemd does not answer. Raises CannotStart."""
        return show_each([self.unit], functools.partial(systemctl.show, account=self.account))[self.unit].get("Id")

    def start(self, patience: Patience) -> Started:
        """Starts the unit; restarts one that is active without any process, because a start would do nothing."""
        state = self.state()
        active = state is not None and state.holds_without_process
        return self._told(systemctl.restart if active else systemctl.start, patience.seconds, state)

    def restart(self, seconds: float) -> Started:
        """Restarts the unit."""
        return self._told(systemctl.restart, seconds, self.state())

    def state(self) -> Optional[UnitState]:
        """What systemd says of the unit now; None where it does not answer. Raises CannotStart."""
        account = self.account
        shown = show_each([self.unit], functools.partial(systemctl.show, account=account))[self.unit]
        return state_of(self.unit, shown, account.name if account else None)

    def describe(self) -> str:
        return "unit %s" % self.unit

    def by_hand(self) -> str:
        return "systemctl start %s" % self.unit

    @property
    def log(self) -> str:
        """The command that shows its output."""
        return "journalctl -u %s" % self.unit

    def _told(self, verb: Callable[..., None], seconds: float, state: Optional[UnitState]) -> Started:
        """Has systemd start or restart the unit, also at its start limit: a restart must not end half-way there.

        systemd does not tell how near its limit a unit is, so a failed one is always told to start counting anew.
        """
        try:
            if state is not None and state.active == "failed":
                systemctl.reset_failed(self.unit, self.account)
            try:
                verb(self.unit, seconds, self.account)
            except systemctl.UnitError as error:
                ran = state is not None and state.active == "active"
                now = self.state() if ran and not error.pending else None
                if now is None or now.active != "failed":
                    raise
                systemctl.reset_failed(self.unit, self.account)
                systemctl.start(self.unit, seconds, self.account)
        except systemctl.UnitError as error:
            raise CannotStart("%s; its output: %s" % (error, self.log), error.pending) from None
        came = self.state()
        why = came.why_not_up if came is not None else ""
        if why:  # systemctl calls a start that was skipped, and a program that could not be run, a success
            raise CannotStart("%s %s; its output: %s" % (self.unit, why, self.log))
        return Started(None, self.log)


def _start_check(one: Asked, shown: Mapping[str, str]) -> StartCheck:
    unit = one.spec.any_unit or ""
    state = state_of(unit, shown, None)
    facts = UnitFacts(
        unit=unit,
        state=state,
        silence=shown.get("error", ""),
        may_manage=_may_manage(),
        elsewhere=_users_unit(one.spec) if state and state.load == "not-found" else "",
        losing=one.process is not None,
    )
    other = None
    if state is not None and state.load == "loaded":
        carries = one.process is not None and one.process.unit in (unit, shown.get("Id", unit))
        lacks = not carries and lacks_display(shown, None)  # what it has was good enough for the one that runs
        other = of_unit(one, shown, runs_of(shown, None, False))
        facts = facts._replace(obstacle=other or trouble_of(shown, None), without_display=lacks)
    return start_check_of(facts, shown, systemctl.show)._replace(contradicts=other is not None)


def start_check_of(
    facts: UnitFacts,
    shown: Mapping[str, str],
    show: Show,
    account: Optional[Account] = None,
) -> StartCheck:
    """Whether a start of a unit can succeed, and who ends where it is stopped or started.

    shown: what systemctl shows of it; show: asks the same systemd about others. account: whose that is; None for the
    system's.
    """
    group, main = shown.get("ControlGroup", ""), shown.get("MainPID", "")
    obstacle, members = blocker(facts) or prevented(facts, shown, show, account), members_of(group)
    whose = account.name if account else ""
    stops: FrozenSet[str] = frozenset()
    runs = runs_of(shown, account, facts.losing)
    if unit_ties.any_of(shown):
        from .bound_units import all_tied  # most units have none

        bound = all_tied(facts.unit, shown, show)
        obstacle, members = obstacle or bound.unread or None, (*members, *bound.members)
        stops = bound.stops
        runs += tuple(each for one in bound.started for each in runs_of(one, account, False))
    # The main process of a unit may live elsewhere, as where su has opened a session for it.
    pids = pids_of(group) | ({int(main)} if main.isdigit() else set())
    return StartCheck(
        obstacle,
        facts.state,
        members,
        frozenset(pids - {0}),
        runs=runs,
        unit=(whose, shown.get("Id") or facts.unit),  # what others are in conflict with is told by this name
        stops=frozenset((whose, each) for each in stops),
    )


def _users_unit(spec: GatewaySpec) -> str:
    """What to say where the entry's account has a unit of this name in its own systemd."""
    account = account_of(spec.user)
    folders = ["/etc/systemd/user", "/usr/lib/systemd/user"]
    if account is not None and may_become(account):
        folders.append(os.path.join(account.home, ".config/systemd/user"))
    found = any(os.path.exists(os.path.join(folder, spec.any_unit or "")) for folder in folders)
    return "it is a unit of an account's own systemd: set service_scope: user" if found else ""


def _may_manage() -> bool:
    """Whether this run may start and stop the system's units: as root, or because a policy of this host says so."""
    import subprocess

    if os.geteuid() == 0:
        return True

    command = ["pkcheck", "--action-id", "org.freedesktop.systemd1.manage-units", "--process", str(os.getpid())]
    try:
        answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return answer.returncode == 0
