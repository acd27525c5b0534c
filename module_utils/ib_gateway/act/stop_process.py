"""The only place that has a process end: by a signal, by a stop of the unit that would start it again, or by IBC.

Each is held and proven as held_process.py says, and proven again before a forced signal.

A gateway whose command server is known is told STOP first: one that ends by a signal leaves its session at the broker.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..base.redaction import redact_argv
from ..lifecycle import environment, ibc, systemctl
from ..lifecycle.base import Lifecycle
from ..lifecycle.own_unit import Staying
from ..observe import processes
from . import ibc_commands, own_unit
from .held_process import Gone, Refused, Target, await_ends, hold, identity_of, prove_going, prove_reachable, send

STOPPED = "stopped"
ALREADY_GONE = "already_gone"
REFUSED = "refused"
RESULTS = (STOPPED, ALREADY_GONE, REFUSED)
_KILL_PATIENCE = 5.0


@dataclass(frozen=True)
class Ending:
    """What became of one target. result: stopped, already_gone or refused; signals: names, in the order sent.

    unit: the unit that was stopped, in place of a signal or after it, or None. by_command: whether IBC has taken STOP.
    """

    target: Target
    result: str
    reason: str
    command: Tuple[str, ...] = ()
    user: Optional[str] = None
    signals: Tuple[str, ...] = ()
    unit: Optional[str] = None
    by_command: bool = False


#: Called right before a process is asked to end, with the proof just made. Raises Refused to keep it from that.
Announce = Callable[[Target], None]


#: By entry, how the gateway is started that comes in place of the one that is stopped.
Next = Mapping[str, Lifecycle]
_NOBODY: Next = MappingProxyType({})


def _silently(_target: Target) -> None:
    """Announces nothing."""


def stop(
    targets: Sequence[Target],
    grace_period: float,
    force: bool,
    dry_run: bool = False,
    announce: Announce = _silently,
    then: Next = _NOBODY,
    staying: Staying = tuple,
) -> List[Ending]:
    """Asks every target to end, waits together for at most grace_period seconds, then kills where that is allowed.

    A gateway that IBC was told to end and that still runs by then gets SIGTERM, and as many seconds again.

    Allowed it is for a target that says so, and with force for all. dry_run: does everything but the signals and the
    announcements; the outcome is then what would be. then: what starts the next gateway of an entry; where that would
    lack what only the running one has, this is ended only when it was kept. staying: gives the scripts that may not end
    by what a unit runs. Outcomes come in the targets' order.
    """
    outcomes: Dict[int, Ending] = {}
    held: Dict[int, int] = {}
    try:
        for index, named in enumerate(targets):
            target = named
            try:
                held[index] = hold(target)
                _spare_container(target)
                going = _proof(target, force)
                going(target)
                target = replace(target, unit=own_unit.unit_to_stop(target, staying))
                target = replace(target, killed_after=own_unit.killed_after(target, force))
                # Described before it is asked to end: afterwards there may be nothing left to read.
                outcomes[index] = _outcome(target, STOPPED, _success(target, dry_run))
                if not dry_run:
                    announce(target)
                    _keep_environment(target, then.get(target.gateway or ""))
                    going(target)  # to announce it takes a moment, in which it may become another program
                    outcomes[index] = _ask(target, held[index], outcomes[index], going)
            except Gone:
                outcomes[index] = _outcome(target, ALREADY_GONE, "it had ended before")
            except Refused as refusal:
                outcomes[index] = _outcome(target, REFUSED, str(refusal))
        if not dry_run:
            waiting = {index: held[index] for index in held if outcomes[index].result == STOPPED}

            def keep_down(index: int) -> None:
                outcomes[index] = _kept_down(outcomes[index])

            left = await_ends(waiting, grace_period, keep_down)
            for index in _signalled(left, outcomes, held, grace_period, keep_down):
                may_kill = force or targets[index].allow_kill
                outcomes[index] = _insist(outcomes[index], held[index], grace_period, may_kill)
    finally:
        for descriptor in held.values():
            os.close(descriptor)
    return [outcomes[index] for index in range(len(targets))]


def _outcome(target: Target, result: str, reason: str) -> Ending:
    argv = (
        processes.read_argv(target.pid) if result != ALREADY_GONE and identity_of(target.pid) == target.identity else ()
    )
    uid = processes.read_real_uid(target.pid) if argv else None
    return Ending(
        target=target,
        result=result,
        reason=reason,
        command=redact_argv(argv),
        user=processes.Users().name(uid) if uid is not None else None,
        signals=("SIGTERM",) if result == STOPPED and not _through_unit(target) else (),
        unit=target.unit if result == STOPPED else None,
    )


def _success(target: Target, dry_run: bool) -> str:
    if _through_unit(target):
        return ("would be stopped through %s" if dry_run else "ended with its unit %s") % target.unit
    then = ", and then its unit %s stopped" % target.unit if target.unit else ""
    return ("would be asked to end" if dry_run else "ended after SIGTERM") + then


def _through_unit(target: Target) -> bool:
    """Whether its unit is stopped in place of a signal."""
    return target.unit is not None and target.killed_after is None


def _keep_environment(target: Target, then: Optional[Lifecycle]) -> None:
    """Whoever starts the next gateway of the entry, maybe in another call, gives it what this one ran with.

    Raises Refused where that cannot be kept, and the next one would lack something.
    """
    if target.role != "gateway" or not target.gateway:
        return
    try:
        environment.keep_for(target.gateway, target.pid, then.only_in if then is not None else None)
    except environment.NotKept as failure:
        raise Refused(str(failure)) from None


def _spare_container(target: Target) -> None:
    """Raises Refused for a process whose end would end a container: its first process, what that runs, a gateway.

    What of the system's units carries a container is stopped as a unit, by its own engine.
    """
    inside = processes.pid_inside(target.pid)
    if inside is None or target.unit is not None:
        return
    stat = processes.read_stat(target.pid)
    if target.role == "gateway" or inside == 1 or (stat is not None and processes.pid_inside(stat.ppid) in (None, 1)):
        raise Refused("pid %d lives in a container that could end with it: its engine has to end it" % target.pid)


def _proof(target: Target, force: bool) -> Announce:
    """What is proven of a process before it is asked to end: that it would do so now, or when it is killed.

    A gateway that was stopped by a signal is let go on by the next run, so it is never killed for that.
    """
    return prove_going if target.role == "gateway" or not (force or target.allow_kill) else prove_reachable


def _ask(target: Target, descriptor: int, asked: Ending, going: Announce) -> Ending:
    """Asks a process that is held to end: through its unit where it has one of its own, by IBC, else by SIGTERM.

    Not through its unit where systemd would kill what does not end, and nobody may.
    """
    if target.unit is not None and target.killed_after is None:
        try:
            own_unit.stop(target)
        except systemctl.UnitError as error:
            raise Refused(str(error)) from None
        return asked
    if target.role == "gateway" and target.command_server is not None:
        told = replace(asked, signals=(), reason="ended after IBC's command STOP", by_command=True)
        try:
            ibc_commands.send(target.pid, target.command_server, ibc.STOP, lambda: going(target))
            return told
        except ibc.CommandFailed as failure:
            if failure.sent and identity_of(target.pid) != target.identity:
                return told
            going(target)  # a while has passed
    send(descriptor, signal.SIGTERM)
    return asked


def _signalled(
    left: List[int],
    outcomes: Dict[int, Ending],
    held: Dict[int, int],
    grace_period: float,
    when_ended: Callable[[int], None],
) -> List[int]:
    """Of those that still run, the ones that do so after SIGTERM; who was told STOP gets that now, and time for it."""
    again: Dict[int, int] = {}
    for index in left:
        if not outcomes[index].by_command:
            continue
        try:
            prove_going(outcomes[index].target)
            send(held[index], signal.SIGTERM)
        except Gone:
            when_ended(index)
            continue
        except Refused as refusal:
            outcomes[index] = replace(outcomes[index], result=REFUSED, reason=str(refusal))
            continue
        reason = "ended after SIGTERM, because it still ran %g s after IBC's command STOP" % grace_period
        outcomes[index] = replace(outcomes[index], signals=("SIGTERM",), reason=reason)
        again[index] = held[index]
    others = [index for index in left if not outcomes[index].by_command]
    return sorted([*others, *(await_ends(again, grace_period, when_ended) if again else ())])


def _kept_down(ended: Ending) -> Ending:
    """A process that was asked to end, and has, has its unit stopped as well."""
    target = ended.target
    if target.unit is None or target.killed_after is None:
        return ended
    failure = own_unit.keep_down(target)
    if failure is None:
        return ended
    by = "IBC's command STOP" if ended.by_command and not ended.signals else "SIGTERM"
    return replace(ended, result=REFUSED, reason="ended after %s, but may come back: %s" % (by, failure), unit=None)


def spared(unit: str, grace_period: float, killed_after: float) -> str:
    """Why nothing more is done to a process that its unit carries and that did not end when it was asked to."""
    return (
        "still running %g s after SIGTERM; allow_kill is off, so nothing was killed, and its unit %s was left alone, "
        "because systemd would kill it %g s after it is told to stop" % (grace_period, unit, killed_after)
    )


def _insist(asked: Ending, descriptor: int, grace_period: float, may_kill: bool) -> Ending:
    """What becomes of a process that was asked to end and has not."""
    target = asked.target
    if target.unit and target.killed_after is not None:
        return replace(asked, result=REFUSED, reason=spared(target.unit, grace_period, target.killed_after), unit=None)
    if target.unit:
        reason = "still running %g s after its unit %s was told to stop" % (grace_period, target.unit)
        return replace(asked, result=REFUSED, reason=reason)
    if not may_kill:
        reason = "still running %g s after SIGTERM; allow_kill is off, so it was not killed" % grace_period
        return replace(asked, result=REFUSED, reason=reason)
    try:
        prove_reachable(target)
        send(descriptor, signal.SIGKILL)
    except Gone:
        return asked
    except Refused as refusal:
        return replace(asked, result=REFUSED, reason=str(refusal))
    killed = replace(asked, signals=("SIGTERM", "SIGKILL"))
    if await_ends({0: descriptor}, _KILL_PATIENCE):
        return replace(killed, result=REFUSED, reason="still there %g s after SIGKILL" % _KILL_PATIENCE)
    return replace(killed, reason="ended after SIGKILL")
