"""Restarts one gateway: exactly the process the plan named, by the unit that carries it or by stop and start.

Nothing is restarted while another gateway of the entry runs, and nothing is started beside one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Collection, Mapping, Optional, Sequence, Tuple

from ..base.host import Process
from ..base.plan import Entry
from ..base.spec import GatewaySpec
from ..base.unit import UnitState
from ..decide.refusals import also_carried
from ..decide.targets import BY_CONTAINER, BY_UNIT
from ..lifecycle.base import Asked, CannotStart, Lifecycle, Patience
from ..lifecycle.ends_others import ends_others
from ..lifecycle.lifecycles import lifecycle
from ..lifecycle.own_unit import Staying
from ..lifecycle.start_check import informed
from ..observe import processes
from . import held_process, stop_process
from .held_process import Gone, Refused, Target
from .stop_process import Ending

RESTARTED = "restarted"
REFUSED = "refused"
NOT_RESTARTED = "not_restarted"
RESULTS = (RESTARTED, REFUSED, NOT_RESTARTED)


@dataclass(frozen=True)
class Order:
    """What a restart step names. by_unit: whether the entry's unit restarts it, or its container; process: None where
    there is none. beside: pids of broken gateways of other entries that end as well.
    """

    by_unit: bool
    process: Optional[Target]
    beside: Tuple[int, ...] = ()

    @classmethod
    def named(cls, plan: Mapping[str, Any]) -> Order:
        """The target of a restart step."""
        process = plan.get("process")
        target = Target.named({**process, "role": "gateway"}) if process else None
        return cls(plan["by"] in (BY_UNIT, BY_CONTAINER), target, tuple(plan.get("beside") or ()))


@dataclass(frozen=True)
class Way:
    """How a restart is done. Seconds: grace_period to end after SIGTERM, patience for systemd.

    dry_run: all but the acts. assume_stopped: pids of gateways that a run in earnest would have ended before. beside:
    [pid, started_ticks] of gateways that might be the entry's and ran before anything was done. guarded: what
    protected_clients of any entry name; seen: describes who runs on the host now, by pid. staying: gives the scripts
    that may not end by what a unit runs.
    """

    grace_period: float
    patience: float
    dry_run: bool = False
    assume_stopped: Collection[int] = ()
    beside: Collection[Tuple[int, int]] = ()
    guarded: Sequence[str] = ()
    seen: Callable[[], Mapping[int, Process]] = dict
    staying: Staying = tuple


@dataclass(frozen=True)
class Outcome:
    """What became of one restart. result: restarted, refused (it goes on) or not_restarted (something failed).

    ended: the pid of the process that was ended; pid: of the start_command, where one was run; log: where the output
    of what was started is; pending: systemd is still at it; asked: whether it was asked to end; acted: whether anything
    has changed.
    """

    result: str
    reason: str
    ended: Optional[int] = None
    pid: Optional[int] = None
    pending: bool = False
    asked: bool = False
    acted: bool = False
    log: str = ""


#: Called right before the first thing is done. Raises Refused to keep it from that.
Announce = Callable[[], None]
#: The entry beside what is on the host now. Raises OSError.
Look = Callable[[], Entry]


def restart(order: Order, spec: GatewaySpec, look: Look, way: Way, announce: Announce) -> Outcome:
    """Restarts one gateway. spec: its entry, with the words of its start_command. Raises OSError when nothing can be
    seen."""
    before, announce = look(), _once(announce)
    if order.process is not None:  # the plan, which names one, has weighed those that might be the entry's as well
        way = replace(way, beside=frozenset((each.pid, each.started_ticks) for each in before.unplaced))
    others = _others(before, order.process, way)
    if others:
        return Outcome(REFUSED, "another gateway of %s runs than the plan named (%s)" % (spec.name, others))
    try:
        gateway = lifecycle(spec)
        _prove_start(gateway, order, before, way)
        if order.by_unit:
            return _by_unit(order.process, gateway, look, way, announce)
        if order.process is None:
            raise Refused("the plan names no process to restart")
        return _by_identity(order.process, gateway, look, way, announce)
    except (Refused, CannotStart) as refusal:
        return Outcome(REFUSED, str(refusal))


def _once(announce: Announce) -> Announce:
    """Announces at the first call only: one admission serves one restart, and there are several ways to begin it."""
    pending = [announce]

    def once() -> None:
        if pending:
            announce()
            pending.clear()

    return once


def _prove_start(gateway: Lifecycle, order: Order, entry: Entry, way: Way) -> None:
    """Makes sure that what is ended can be started again, and that nobody else ends with it. Raises Refused."""
    start_check = gateway.start_checks([Asked(gateway.spec, next(iter(entry.processes), None))])[0]
    told = informed(entry, start_check, guarded=way.guarded)
    if told.start_blocker:
        raise Refused("it could not be started again: %s" % told.start_blocker)
    ending = ends_others(told, start_check, way.seen(), way.guarded) if start_check.runs else None
    if ending:
        raise Refused(ending)
    held = told.unit_state is not None and told.unit_state.holds_without_process
    others = told.others_in_unit() if order.by_unit or held else told.others_at_start()
    others = tuple(each for each in others if each.protected or each.pid not in order.beside)
    if others:
        raise Refused(also_carried(entry, others))


def _others(entry: Entry, named: Optional[Target], way: Way) -> str:
    """The gateways that are or may be the entry's, the one that is meant left out, in words; empty for none."""
    assumed = way.assume_stopped if way.dry_run else ()
    found = [
        each
        for each in (*entry.processes, *entry.ambiguous, *entry.unplaced)
        if each.pid not in assumed
        and (each.pid, each.started_ticks) not in way.beside
        and (named is None or (each.pid, each.started_ticks) != (named.pid, named.started_ticks))
    ]
    return ", ".join("pid %d" % each.pid for each in found)


def _by_unit(named: Optional[Target], gateway: Lifecycle, look: Look, way: Way, announce: Announce) -> Outcome:
    """Restarted by the unit that carries it, in one step where systemd ends all of it, and kills nothing that may not
    be killed.

    What of the unit's lives in a container is for its engine to end, so that nothing else is to be asked before.
    """
    contained = named is not None and processes.pid_inside(named.pid) is not None
    state = None if named is None or contained else gateway.state()
    spared = state is not None and state.kills_after is not None and named is not None and not named.allow_kill
    if named is None or state is None or not (spared or state.leaves_behind):
        return _in_one_step(named, gateway, way, announce)
    return _ended_first(named, gateway, state, look, way, announce)


def _in_one_step(named: Optional[Target], gateway: Lifecycle, way: Way, announce: Announce) -> Outcome:
    """Restarted by the unit that carries it; only started where the process has ended meanwhile."""
    if not gateway.restarts:
        raise Refused("its entry has no service any more")
    gone = _prove_carried(named, gateway)
    told = "start" if gone else "restart"
    reason = "%sed by its %s" % (told, gateway.carrier) + (", because the process had ended meanwhile" if gone else "")
    if way.dry_run:
        return Outcome(RESTARTED, "would be " + reason, acted=True)
    announce()
    if not gone and _prove_carried(named, gateway):  # to announce it takes a moment
        told, reason = "start", "started by its %s, because the process had ended meanwhile" % gateway.carrier
    try:
        again = told == "restart"
        started = gateway.restart(way.patience) if again else gateway.start(Patience(way.patience))
    except CannotStart as error:
        ended = named.pid if named and not gone and _has_ended(named) else None
        return Outcome(NOT_RESTARTED, str(error), ended, pending=error.pending, acted=bool(ended) or error.pending)
    ended = named.pid if named and told == "restart" else None
    return Outcome(RESTARTED, reason, ended=ended, acted=True, log=started.log)


def _ended_first(
    named: Target, gateway: Lifecycle, before: UnitState, look: Look, way: Way, announce: Announce
) -> Outcome:
    """Restarted by the unit that carries it, once it has ended by itself: systemd would kill what does not end.

    before: the unit's state, with the seconds after which systemd would kill.
    """
    if not _prove_carried(named, gateway):
        alone = replace(named, unit=None, unit_weighed=True)  # its unit is not stopped, it is restarted
        ending = stop_process.stop([alone], way.grace_period, False, way.dry_run, lambda _target: announce())[0]
        if ending.signals and ending.result == stop_process.REFUSED:
            return Outcome(
                REFUSED, stop_process.spared(before.name, way.grace_period, before.kills_after or 0.0), asked=True
            )
        if ending.result == stop_process.REFUSED:
            return Outcome(REFUSED, ending.reason, asked=ending.by_command)
        if way.dry_run:
            return Outcome(RESTARTED, "would be asked to end, and then restarted by its unit", acted=True)
        if ending.result == stop_process.STOPPED:
            return _up_again(ending, gateway, before, look, way)
    return _in_one_step(named, gateway, way, announce)


def _up_again(ending: Ending, gateway: Lifecycle, before: UnitState, look: Look, way: Way) -> Outcome:
    """Has the unit of a gateway that has ended bring it up: started where the unit went down or comes back by itself,
    restarted where something else holds it up."""
    back = _others(look(), None, way)
    if back:
        return Outcome(RESTARTED, "it came back by itself (%s)" % back, ended=ending.target.pid, acted=True)
    try:
        now = gateway.state()
        down = now is not None and (now.active in ("inactive", "failed") or now.came_back_since(before))
        started = gateway.start(Patience(way.patience)) if down else gateway.restart(way.patience)
    except CannotStart as error:
        text = "it was stopped, but it was not started again: %s" % error
        return Outcome(NOT_RESTARTED, text, ended=ending.target.pid, pending=error.pending, acted=True)
    reason = "%s, then %s by its unit" % (ending.reason, "started" if down else "restarted")
    return Outcome(RESTARTED, reason, ended=ending.target.pid, acted=True, log=started.log)


def _prove_carried(named: Optional[Target], gateway: Lifecycle) -> bool:
    """Whether the process has ended. Raises Refused when it is not the one that is meant, or not in its unit."""
    if _has_gone(named):
        return True
    if named is not None and not gateway.carries(named.pid):
        raise Refused("pid %d no longer belongs to %s" % (named.pid, gateway.describe()))
    return False


def _has_gone(process: Optional[Target]) -> bool:
    """Whether the process has ended; False where none is meant. Raises Refused when it is not the one that is meant."""
    try:
        if process is not None:
            held_process.prove_going(process)
    except Gone:
        return True
    return False


def _has_ended(process: Target) -> bool:
    try:
        return _has_gone(process)
    except Refused:
        return False


def _by_identity(process: Target, gateway: Lifecycle, look: Look, way: Way, announce: Announce) -> Outcome:
    then = {gateway.spec.name: gateway}
    outcome = stop_process.stop(
        [process], way.grace_period, False, way.dry_run, lambda _target: announce(), then, way.staying
    )[0]
    if outcome.result == stop_process.REFUSED:
        return Outcome(REFUSED, outcome.reason, asked=bool(outcome.signals or outcome.unit or outcome.by_command))
    reason = "%s, then started by %s" % (outcome.reason, gateway.describe())
    if way.dry_run:
        return Outcome(RESTARTED, reason, acted=True)
    announce()
    ended = process.pid if outcome.result == stop_process.STOPPED else None
    return _start_again(gateway, look, way, ended, reason)


def _start_again(gateway: Lifecycle, look: Look, way: Way, ended: Optional[int], reason: str) -> Outcome:
    """Starts what has ended, unless something has brought a gateway up already."""
    back = _others(look(), None, way)
    if back:
        return Outcome(RESTARTED, "it came back by itself (%s)" % back, ended=ended, acted=ended is not None)
    try:
        started = gateway.start(Patience(way.patience, lambda: bool(look().owners())))
    except CannotStart as error:
        text = "%s, but it was not started again: %s" % ("it was stopped" if ended else "it had ended", error)
        return Outcome(NOT_RESTARTED, text, ended=ended, pending=error.pending, acted=bool(ended) or error.pending)
    return Outcome(RESTARTED, reason, ended=ended, pid=started.pid, acted=True, log=started.log)
