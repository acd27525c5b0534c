"""A gateway that a unit of its account's own systemd starts (systemctl --user)."""

from __future__ import annotations

import functools
import os
from typing import Dict, List, Mapping, Optional, Sequence

from ..observe import processes
from . import systemctl
from .accounts import Account, account_of, lingers, may_become
from .base import Asked, CannotStart, StartCheck
from .contradictions import of_unit
from .unit import Unit, start_check_of
from .unit_commands import runs_of
from .unit_facts import UnitFacts, lacks_display, show_each, state_of, trouble_of


class UserUnit(Unit):
    """A unit of the systemd of the entry's account."""

    @classmethod
    def start_checks(cls, asked: Sequence[Asked]) -> List[StartCheck]:
        """One call to systemctl for each account."""
        by_account: Dict[Optional[str], List[Asked]] = {}
        for one in asked:
            by_account.setdefault(one.spec.user, []).append(one)
        found: Dict[str, StartCheck] = {}
        for user, entries in by_account.items():
            found.update(_start_checks(account_of(user), user, entries))
        return [found[one.spec.name] for one in asked]

    @property
    def account(self) -> Optional[Account]:
        found = account_of(self.spec.user)
        if found is None:
            raise CannotStart("this host has no account %s" % self.spec.user)
        if not may_become(found):
            raise CannotStart("only root can ask %s's systemd: run with become" % found.name)
        return found

    def carries(self, pid: int) -> bool:
        account = account_of(self.spec.user)
        found = processes.read_user_unit(pid)
        if account is None or found is None or found[0] != account.uid:
            return False
        return found[1] == self.unit or (may_become(account) and found[1] == self._alias_of())

    def describe(self) -> str:
        return "unit %s of %s's own systemd" % (self.unit, self.spec.user or "the account")

    def by_hand(self) -> str:
        account = account_of(self.spec.user)
        if account is None or account.uid == os.geteuid() != 0:
            return "systemctl --user start %s" % self.unit
        # --machine=ACCOUNT@ would need a message bus that not every host has.
        prefix = "runuser -u %s -- env XDG_RUNTIME_DIR=%s" % (account.name, account.runtime_dir)
        return "%s systemctl --user start %s" % (prefix, self.unit)

    @property
    def log(self) -> str:
        return "journalctl --user-unit=%s" % self.unit


def _start_checks(account: Optional[Account], user: Optional[str], asked: Sequence[Asked]) -> Dict[str, StartCheck]:
    if account is None:
        return {
            one.spec.name: StartCheck("this host has no account %s: correct the entry's user" % user) for one in asked
        }
    if not may_become(account):
        text = "only root can start units of %s's systemd, and this run is not: run with become" % account.name
        return {one.spec.name: StartCheck(text) for one in asked}
    if not os.path.exists(account.runtime_dir + "/systemd/private"):
        text = _asleep(account)
        return {one.spec.name: StartCheck(text) for one in asked}
    passing = _passing(account)
    units = [one.spec.any_unit or "" for one in asked]
    shown = show_each(units, functools.partial(systemctl.show, account=account))
    told = {one.spec.name: _start_check(one, shown[one.spec.any_unit or ""], account) for one in asked}
    return {name: each._replace(blocker=each.blocker or passing) for name, each in told.items()}


def _start_check(one: Asked, shown: Mapping[str, str], account: Account) -> StartCheck:
    unit = one.spec.any_unit or ""
    state = state_of(unit, shown, account.name)
    facts = UnitFacts(
        unit=unit,
        state=state,
        whose="%s's own" % account.name,
        silence=shown.get("error", ""),
        elsewhere=_systems_unit(unit) if state and state.load == "not-found" else "",
        losing=one.process is not None,
    )
    other = None
    if state is not None and state.load == "loaded":
        names = (unit, shown.get("Id", unit))
        carries = one.process is not None and (one.process.unit_uid == account.uid and one.process.user_unit in names)
        lacks = not carries and _lacks_display(shown, account)  # what it has was good enough for the one that runs
        other = of_unit(one, shown, runs_of(shown, account, False))
        facts = facts._replace(obstacle=other or trouble_of(shown, account), without_display=lacks)
    found = start_check_of(facts, shown, functools.partial(systemctl.show, account=account), account)
    return found._replace(contradicts=other is not None)


def _lacks_display(shown: Mapping[str, str], account: Account) -> bool:
    """Beside its file, a unit has the environment that a session has given to the account's systemd."""
    if not lacks_display(shown, account):
        return False
    try:
        return "DISPLAY=" not in systemctl.user_environment(account)
    except systemctl.UnitError:
        return False


def _passing(account: Account) -> Optional[str]:
    """Why what this run starts would not outlive it; None where it would, or where nothing tells."""
    from .sessions import ends_with_this_run  # of use to an account's own run alone

    if os.geteuid() != account.uid or not ends_with_this_run(account):
        return None
    return "%s's own systemd ends with this run's login, and the gateway with it: loginctl enable-linger %s" % (
        account.name,
        account.name,
    )


def _asleep(account: Account) -> str:
    """What to say where an account has no systemd of its own running."""
    if lingers(account):
        return "%s's own systemd does not run: systemctl start user@%d.service" % (account.name, account.uid)
    return "%s's own systemd does not run, and ends with its last login: loginctl enable-linger %s" % (
        account.name,
        account.name,
    )


def _systems_unit(unit: str) -> str:
    """What to say where the system has a unit of this name."""
    folders = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
    found = any(os.path.exists(os.path.join(folder, unit)) for folder in folders)
    return "it is a unit of the system's: leave service_scope out" if found else ""
