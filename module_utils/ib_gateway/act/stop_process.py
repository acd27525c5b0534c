"""The only place that signals a process, stops the unit that would start it again, or has IBC end a gateway.

A signal goes through a pidfd to exactly the process a plan named: the pidfd is opened first, then pid, start ticks,
boot id, role and command line are read again, and again before a forced signal. A pid that was reused in between is
another process with another start, and is left alone.

A gateway whose command server is known is told STOP first: one that ends by a signal leaves its session at the broker.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..base import classify
from ..base.command_server import ServerAddress
from ..base.process_digest import argv_digest
from ..base.redaction import redact_argv
from ..lifecycle import environment, ibc, systemctl
from ..lifecycle.unit_facts import kills_after
from ..observe import host_key, processes
from . import ibc_commands

STOPPED = "stopped"
ALREADY_GONE = "already_gone"
REFUSED = "refused"
RESULTS = (STOPPED, ALREADY_GONE, REFUSED)
_KILL_PATIENCE = 5.0


@dataclass(frozen=True)
class Target:
    """A process as a plan names it. role, argv_digest and unit are compared where the plan gives them.

    unit: the system unit that exists for this process; it is stopped instead of the process being signalled, because
    its Restart= would undo the signal. allow_kill: whether it may be killed when it does not end. gateway: the name of
    the entry for whose sake it is to end. command_server: of a gateway, where it takes commands. killed_after: seconds
    after which systemd would kill it if its unit were stopped, where it may not be killed: it is asked to end by a
    signal, and its unit is stopped when it has; no plan tells that, it is read before the act.
    """

    pid: int
    started_ticks: int
    boot_id: str
    role: Optional[str] = None
    argv_digest: Optional[str] = None
    unit: Optional[str] = None
    allow_kill: bool = False
    gateway: Optional[str] = None
    command_server: Optional[ServerAddress] = None
    killed_after: Optional[float] = None

    @classmethod
    def named(cls, plan: Mapping[str, Any]) -> Target:
        """The process that a step's target names; what is there for people only is left out."""
        return cls(
            pid=plan["pid"],
            started_ticks=plan["started_ticks"],
            boot_id=plan["boot_id"],
            role=plan.get("role"),
            argv_digest=plan.get("argv_digest"),
            unit=plan.get("unit"),
            allow_kill=bool(plan.get("allow_kill")),
            gateway=plan.get("gateway"),
            command_server=ServerAddress.named(plan["command_server"]) if plan.get("command_server") else None,
        )


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


class Refused(Exception):
    """The process may not be touched; the message says why."""


class Gone(Exception):
    """The process the plan named has ended."""


#: Called right before a process is asked to end, with the proof just made. Raises Refused to keep it from that.
Announce = Callable[[Target], None]


def _silently(_target: Target) -> None:
    """Announces nothing."""


def stop(
    targets: Sequence[Target],
    grace_period: float,
    force: bool,
    dry_run: bool = False,
    announce: Announce = _silently,
) -> List[Ending]:
    """Asks every target to end, waits together for at most grace_period seconds, then kills where that is allowed.

    A gateway that IBC was told to end and that still runs by then gets SIGTERM, and as many seconds again.

    Allowed it is for a target that says so, and with force for all. dry_run: does everything but the signals and the
    announcements; the outcome is then what would be. Outcomes come in the targets' order.
    """
    outcomes: Dict[int, Ending] = {}
    held: Dict[int, int] = {}
    try:
        for index, named in enumerate(targets):
            target = named
            try:
                held[index] = hold(target)
                _spare_container(target)
                target = replace(target, unit=_own_unit(target))
                target = replace(target, killed_after=_killed_after(target, force))
                # Described before it is asked to end: afterwards there may be nothing left to read.
                outcomes[index] = _outcome(target, STOPPED, _success(target, dry_run))
                if not dry_run:
                    announce(target)
                    _keep_environment(target)
                    prove(target)  # to announce it takes a moment, in which it may become another program
                    outcomes[index] = _ask(target, held[index], outcomes[index])
            except Gone:
                outcomes[index] = _outcome(target, ALREADY_GONE, "it had ended before")
            except Refused as refusal:
                outcomes[index] = _outcome(target, REFUSED, str(refusal))
        if not dry_run:
            waiting = {index: held[index] for index in held if outcomes[index].result == STOPPED}

            def keep_down(index: int) -> None:
                outcomes[index] = _kept_down(outcomes[index])

            left = _await(waiting, grace_period, keep_down)
            for index in _signalled(left, outcomes, held, grace_period, keep_down):
                may_kill = force or targets[index].allow_kill
                outcomes[index] = _insist(outcomes[index], held[index], grace_period, may_kill)
    finally:
        for descriptor in held.values():
            os.close(descriptor)
    return [outcomes[index] for index in range(len(targets))]


def _outcome(target: Target, result: str, reason: str) -> Ending:
    argv = (
        processes.read_argv(target.pid) if result != ALREADY_GONE and _identity_of(target.pid) == _named(target) else ()
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


def _keep_environment(target: Target) -> None:
    """Whoever starts the next gateway of the entry, maybe in another call, gives it what this one ran with."""
    if target.role == "gateway" and target.gateway:
        environment.keep(target.gateway, target.pid)


def _named(target: Target) -> Tuple[int, str]:
    return target.started_ticks, target.boot_id


def _identity_of(pid: int) -> Optional[Tuple[int, str]]:
    """(started_ticks, boot_id) of a live process; None when it has ended."""
    stat = processes.read_stat(pid)
    return (stat.started_ticks, processes.boot_id()) if stat and stat.state not in "ZX" else None


def hold(target: Target) -> int:
    """A pidfd of the target, its identity proven after it was opened. Raises Gone or Refused."""
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        raise Refused(
            "this host cannot hold a process by pidfd (Python 3.9 and Linux 5.3 are needed): nothing is stopped"
        )
    try:
        descriptor = os.pidfd_open(target.pid)
    except OverflowError:
        raise Refused("no process has the number %d" % target.pid) from None
    except OSError as error:
        if error.errno == errno.ESRCH:
            raise Gone from None
        raise Refused("it cannot be held by pidfd: %s" % error.strerror) from None
    try:
        prove(target)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


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


def prove(target: Target) -> None:
    """Reads everything again that makes this process the one that was meant. Raises Gone or Refused.

    Refused as well for what is never touched, whatever a plan says: the system's first process, and this run.
    """
    if target.pid <= 1:
        raise Refused("pid %d is the system's first process" % target.pid)
    found = _identity_of(target.pid)
    if found is None:
        _prove_gone(target.pid)
        raise Gone
    if found[1] != target.boot_id:
        raise Refused("the host has been restarted since the plan was made")
    if found[0] != target.started_ticks:
        raise Gone  # the pid has been reused: the process that was meant has ended
    if target.pid in processes.ancestors(os.getpid()):
        raise Refused("pid %d carries this very run" % target.pid)
    argv = processes.read_argv(target.pid)
    kind = classify.gateway_kind(argv)
    if target.role == "gateway" and kind is None:
        raise Refused("pid %d is no gateway any more" % target.pid)
    if target.role == "client" and kind is not None:
        raise Refused("pid %d has become a gateway" % target.pid)
    if target.argv_digest and target.argv_digest != argv_digest(argv, host_key.digest_key()):
        raise Refused("pid %d has become another program since the plan was made" % target.pid)
    if target.unit and processes.read_unit(target.pid) != target.unit:
        raise Refused("pid %d no longer belongs to unit %s" % (target.pid, target.unit))


def _prove_gone(pid: int) -> None:
    """Makes sure that a process that cannot be read has ended. Raises Refused when it is only hidden (hidepid)."""
    try:
        descriptor = os.pidfd_open(pid)
    except (OSError, OverflowError):
        return
    try:
        ended = not _await({0: descriptor}, 0.0)
    finally:
        os.close(descriptor)
    if not ended:
        raise Refused("pid %d is there and cannot be read: run with become" % pid)


def _own_unit(target: Target) -> Optional[str]:
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
    members = {pid for pid in processes.pids() if processes.read_unit(pid) == target.unit}
    unrelated = {pid for pid in members - line if target.pid not in processes.ancestors(pid)}
    return target.unit if all(classify.is_launcher(processes.read_argv(pid)) for pid in unrelated) else None


def _killed_after(target: Target, force: bool) -> Optional[float]:
    """Seconds after which systemd would kill what may not be killed; None where it would not, or may."""
    if target.unit is None or target.allow_kill or force:
        return None
    try:
        return kills_after(systemctl.show([target.unit])[0])
    except systemctl.UnitError as error:
        raise Refused(str(error)) from None


def _ask(target: Target, descriptor: int, asked: Ending) -> Ending:
    """Asks a process that is held to end: through its unit where it has one of its own, by IBC, else by SIGTERM.

    Not through its unit where systemd would kill what does not end, and nobody may.
    """
    if target.unit is not None and target.killed_after is None:
        try:
            systemctl.stop(target.unit)
        except systemctl.UnitError as error:
            raise Refused(str(error)) from None
        return asked
    if target.role == "gateway" and target.command_server is not None:
        told = replace(asked, signals=(), reason="ended after IBC's command STOP", by_command=True)
        try:
            ibc_commands.send(target.pid, target.command_server, ibc.STOP, lambda: prove(target))
            return told
        except ibc.CommandFailed as failure:
            if failure.sent and _identity_of(target.pid) != _named(target):
                return told
            prove(target)  # a while has passed
    _send(descriptor, signal.SIGTERM)
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
            prove(outcomes[index].target)
            _send(held[index], signal.SIGTERM)
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
    return sorted([*others, *(_await(again, grace_period, when_ended) if again else ())])


def _kept_down(ended: Ending) -> Ending:
    """A process that was asked to end, and has, has its unit stopped, so that Restart= does not bring it back.

    Not where the unit has brought something already: systemd would end that, and kill it, and no plan names it. Nor
    where it has gone with its process, as a unit of systemd-run does: what is not loaded brings nothing.
    """
    target = ended.target
    if target.unit is None or target.killed_after is None:
        return ended
    try:
        main = processes.read_stat(systemctl.main_pid(target.unit))
        if main and main.started_ticks > target.started_ticks:
            raise systemctl.UnitError("%s has started another process" % target.unit)
        systemctl.stop(target.unit)
    except systemctl.UnitError as error:
        if _unloaded(target.unit):
            return ended
        by = "IBC's command STOP" if ended.by_command and not ended.signals else "SIGTERM"
        return replace(ended, result=REFUSED, reason="ended after %s, but may come back: %s" % (by, error), unit=None)
    return ended


def _unloaded(unit: str) -> bool:
    try:
        return systemctl.show([unit])[0].get("LoadState") == "not-found"
    except systemctl.UnitError:
        return False


def _send(descriptor: int, number: int) -> None:
    try:
        signal.pidfd_send_signal(descriptor, number)  # type: ignore[attr-defined,unused-ignore]
    except ProcessLookupError:
        raise Gone from None
    except PermissionError:
        raise Refused("it belongs to another user: run with become") from None


def _no_more(_index: int) -> None:
    """Does nothing more."""


def _await(held: Dict[int, int], seconds: float, on_end: Callable[[int], None] = _no_more) -> List[int]:
    """Waits until all have ended or the time is up; the indexes of those that have not ended.

    on_end: called with the index of each that has, at once.
    """
    waiting = {descriptor: index for index, descriptor in held.items()}
    poll = select.poll()
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + seconds
    while waiting:
        for descriptor, _event in poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            poll.unregister(descriptor)
            on_end(waiting.pop(descriptor))
        if time.monotonic() >= deadline:
            break
    return sorted(waiting.values())


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
        prove(target)
        _send(descriptor, signal.SIGKILL)
    except Gone:
        return asked
    except Refused as refusal:
        return replace(asked, result=REFUSED, reason=str(refusal))
    killed = replace(asked, signals=("SIGTERM", "SIGKILL"))
    if _await({0: descriptor}, _KILL_PATIENCE):
        return replace(killed, result=REFUSED, reason="still there %g s after SIGKILL" % _KILL_PATIENCE)
    return replace(killed, reason="ended after SIGKILL")
