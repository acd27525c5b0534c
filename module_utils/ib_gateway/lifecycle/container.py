"""A gateway that a container carries: started and restarted by the container's engine, never by a signal from here."""

from __future__ import annotations

import functools
import os
import time
from typing import Callable, FrozenSet, List, Optional, Sequence

from ..base import classify
from ..base.container import ContainerState
from ..base.redaction import redact_argv
from ..base.spec import GatewaySpec
from ..base.unit import UnitMember, UnitState
from ..observe import processes
from . import engine, systemctl
from .accounts import account_of
from .base import Asked, CannotStart, Lifecycle, Patience, StartCheck, Started
from .unit_facts import UnitFacts, show_each, state_of, trouble_of

#: A container that ends at once is worth saying so; one that still runs after this many seconds has been started.
_SETTLE = 1.0


class Container(Lifecycle):
    """A container of docker or podman. Where its label names a systemd unit, that unit is told in its place."""

    restarts = True
    carrier = "container"

    @classmethod
    def start_checks(cls, asked: Sequence[Asked]) -> List[StartCheck]:
        """One call to the engine for each container."""
        states = engine.states_of([one.spec for one in asked])
        found = [
            _start_check(states[one.spec.name], one.process is not None or _young(states[one.spec.name], one.spec))
            for one in asked
        ]
        return [_with_unit(each, states[one.spec.name]) for one, each in zip(asked, found)]

    def carries(self, pid: int) -> bool:
        state = engine.state_of(self.spec)
        return state.running and pid in _pids(state)

    def start(self, patience: Patience) -> Started:
        return self._told(engine.start, systemctl.start, patience.seconds)

    def restart(self, seconds: float) -> Started:
        """Restarts the container with all that lives in it; starts one that does not run."""
        return self._told(engine.restart, systemctl.restart, seconds)

    def state(self) -> Optional[UnitState]:
        state = engine.state_of(self.spec)
        return _start_check(state, state.running).state

    def describe(self) -> str:
        return self.spec.container.title if self.spec.container else ""

    def by_hand(self) -> str:
        account = account_of(self.spec.user)
        state = engine.state_of(self.spec)
        restart = "%s restart %s" % (state.engine, state.name)
        if state.unit:
            restart = "systemctl%s restart %s" % (" --user" if state.account else "", state.unit)
        if state.account is None or account is None or account.uid == os.geteuid():
            return restart
        prefix = "runuser -u %s -- env XDG_RUNTIME_DIR=%s" % (account.name, account.runtime_dir)
        return "%s %s" % (prefix, restart)

    def _told(
        self, by_engine: Callable[[ContainerState, float], None], by_unit: Callable[..., None], seconds: float
    ) -> Started:
        state = engine.state_of(self.spec)
        obstacle = _blocker(state)
        if obstacle:
            raise CannotStart(obstacle)
        log = _log(state)
        try:
            if state.unit:
                by_unit(state.unit, seconds, account_of(state.account) if state.account else None)
            else:
                by_engine(state, seconds)
        except (engine.EngineError, systemctl.UnitError) as error:
            raise CannotStart("%s; its output: %s" % (error, log), error.pending) from None
        time.sleep(_SETTLE)
        why = _why_unit_not_up(state)
        if why:
            raise CannotStart("%s %s; its output: %s" % (state.unit, why, log))
        now = engine.state_of(self.spec)
        if now.exists and not now.error and not now.running and not now.comes_back:
            raise CannotStart("it has ended at once, with exit status %d; its output: %s" % (now.exit_code, log))
        return Started(None, log)


def _why_unit_not_up(state: ContainerState) -> str:
    """Why the unit that carries a container is not up after a start; empty where it is, and without a unit.

    One that systemd has skipped leaves no container that could tell.
    """
    if not state.unit:
        return ""
    account = account_of(state.account) if state.account else None
    show = functools.partial(systemctl.show, account=account)
    came = state_of(state.unit, show_each([state.unit], show)[state.unit], state.account)
    return came.why_not_up if came is not None else ""


def _young(state: ContainerState, spec: GatewaySpec) -> bool:
    """Whether a container has come up so lately that what brings its gateway is still at work."""
    stat = processes.read_stat(state.pid) if state.running else None
    age = None if stat is None else processes.uptime() - stat.started_ticks / os.sysconf("SC_CLK_TCK")
    return age is not None and age < spec.start_timeout


def _log(state: ContainerState) -> str:
    """The command that shows its output; a container that its unit makes anew is gone with what it has written."""
    if state.unit:
        return "journalctl %s %s" % ("--user-unit" if state.account else "-u", state.unit)
    return "%s logs %s" % (state.engine, state.name)


def _start_check(state: ContainerState, carries: bool) -> StartCheck:
    """carries: whether the entry's gateway lives in it, or may be about to."""
    told = None if state.error and state.exists else state.as_unit(carries)
    return StartCheck(_blocker(state), told, tuple(_members(state)))


def _blocker(state: ContainerState) -> Optional[str]:
    """Why a start must fail, with the cure; None where nothing speaks against it."""
    if not state.exists:
        return (
            "%s has no container %s: create it, or correct the entry's container; where a unit makes it anew at each "
            "start, as a quadlet does, give the entry service in its place" % (state.engine, state.name)
        )
    if state.error:
        return state.error
    if state.status == "paused":
        return "the %s is paused: `%s unpause %s` lets it go on" % (state.label, state.engine, state.name)
    if state.status == "stopping":
        return "the %s is being stopped by somebody: wait until it has stopped" % state.label
    if state.status in ("removing", "dead"):
        removal = "`%s rm --force %s` ends it" % (state.engine, state.name)
        rest = "its removal is under way or was broken off; %s, then create it anew" % removal
        return "the %s is %s: %s" % (state.label, state.status, rest)
    if state.goes_with_its_end and state.running and not state.unit:
        text = "the %s is removed as soon as it ends (--rm), with all that is in it: restart it by hand"
        return text % state.label
    if state.lacks and not state.unit:
        return "the %s needs %s: start that first, or make it anew" % (state.label, state.lacks)
    # A unit that has to make the container anew may make its folders before.
    looked_at = state.needs if state.running or not state.unit else ()
    gone = next((path for path in looked_at if _is_gone(path)), None)
    if gone:
        return "the %s needs %s of this host at each start, which does not exist: bring it back" % (state.label, gone)
    return None


def _is_gone(path: str) -> bool:
    """Whether a path is known not to be there; one that cannot be looked at may be."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _with_unit(found: StartCheck, state: ContainerState) -> StartCheck:
    """With what the unit says that its label names and that is told in its place: why it must fail, who ends too."""
    if not state.unit or found.blocker:
        return found
    from .unit import start_check_of  # most containers have no unit

    account = account_of(state.account) if state.account else None
    show = functools.partial(systemctl.show, account=account)
    shown = show_each([state.unit], show)[state.unit]
    facts = UnitFacts(
        unit=state.unit,
        state=state_of(state.unit, shown, state.account),
        whose="%s's own" % state.account if state.account else "the system's",
        silence=shown.get("error", ""),
        elsewhere="the %s has it in its label PODMAN_SYSTEMD_UNIT: install that unit" % state.label,
        losing=state.running,
        obstacle=trouble_of(shown, account) if shown.get("LoadState") == "loaded" else None,
    )
    told = start_check_of(facts, shown, show, account)
    tied = [each for each in told.members if each.unit]
    members = (*found.members, *tied)
    return found._replace(blocker=told.blocker, members=members, runs=told.runs, unit=told.unit, stops=told.stops)


def _pids(state: ContainerState) -> FrozenSet[int]:
    """The processes of a running container: those of its pid namespace; only its first where it has none of its own."""
    if not state.running:
        return frozenset()
    namespace = processes.pid_namespace(str(state.pid))
    if namespace is None or namespace == processes.pid_namespace("self"):
        return frozenset((state.pid,))
    return frozenset(pid for pid in processes.pids() if processes.pid_namespace(str(pid)) == namespace)


def _members(state: ContainerState) -> List[UnitMember]:
    """Who lives in it, launchers and relays left out."""
    users, found = processes.Users(), []
    for pid in sorted(_pids(state)):
        argv, uid = processes.read_argv(pid), processes.read_real_uid(pid)
        if argv and uid is not None and not classify.is_launcher(argv) and not classify.relay_name(argv):
            kind = "gateway" if classify.gateway_kind(argv) else "other"
            found.append(UnitMember(pid, users.name(uid), redact_argv(argv), kind))
    return found
