"""Holds a process by pidfd and proves that it is the one a plan named; the only place that sends a signal.

A signal goes through a pidfd to exactly that process: the pidfd is opened first, then pid, start ticks, boot id, role
and command line are read again. A pid that was reused in between is another process with another start, and is left
alone.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ..base import classify
from ..base.command_server import ServerAddress
from ..base.host import STOPPED_STATES
from ..base.process_digest import argv_digest
from ..observe import freezer, host_key, kernel_waits, processes, stopped


@dataclass(frozen=True)
class Target:
    """A process as a plan names it. role, argv_digest and unit are compared where the plan gives them.

    unit: the unit that exists for this process; it is stopped instead of the process being signalled, because its
    Restart= would undo the signal. unit_uid: of the account whose own systemd has the unit; None for the system's.
    allow_kill: whether it may be killed when it does not end. gateway: the name of the entry for whose sake it is to
    end. command_server: of a gateway, where it takes commands. killed_after: seconds after which systemd would kill it
    if its unit were stopped, where it may not be killed: it is asked to end by a signal, and its unit is stopped when
    it has; no plan tells that, it is read before the act. unit_weighed: whether what else ends with the unit that it
    lives in has been asked already, as where that is the one that is restarted.
    """

    pid: int
    started_ticks: int
    boot_id: str
    role: Optional[str] = None
    argv_digest: Optional[str] = None
    unit: Optional[str] = None
    unit_uid: Optional[int] = None
    allow_kill: bool = False
    gateway: Optional[str] = None
    command_server: Optional[ServerAddress] = None
    killed_after: Optional[float] = None
    unit_weighed: bool = False

    @property
    def identity(self) -> Tuple[int, str]:
        """(started_ticks, boot_id)"""
        return self.started_ticks, self.boot_id

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
            unit_uid=plan.get("unit_uid"),
            allow_kill=bool(plan.get("allow_kill")),
            gateway=plan.get("gateway"),
            command_server=ServerAddress.named(plan["command_server"]) if plan.get("command_server") else None,
        )


class Refused(Exception):
    """The process may not be touched; the message says why."""


class Gone(Exception):
    """The process the plan named has ended."""


def identity_of(pid: int) -> Optional[Tuple[int, str]]:
    """(started_ticks, boot_id) of a live process; None when it has ended."""
    stat = processes.read_stat(pid)
    return (stat.started_ticks, processes.boot_id()) if stat and stat.state not in "ZX" else None


def hold(target: Target) -> int:
    """A pidfd of the target, its identity proven after it was opened. Raises Gone or Refused."""
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        raise Refused(
            "this host cannot hold a process by pidfd (Python 3.9 and Linux 5.3 are needed): nothing is done to it"
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


def prove(target: Target) -> None:
    """Reads everything again that makes this process the one that was meant. Raises Gone or Refused.

    Refused as well for what is never touched, whatever a plan says: the system's first process, and this run.
    """
    if target.pid <= 1:
        raise Refused("pid %d is the system's first process" % target.pid)
    found = identity_of(target.pid)
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
    if target.unit and not _lives_in(target.pid, target.unit, target.unit_uid):
        raise Refused("pid %d no longer belongs to unit %s" % (target.pid, target.unit))


def _lives_in(pid: int, unit: str, uid: Optional[int]) -> bool:
    return processes.read_unit(pid) == unit if uid is None else processes.read_user_unit(pid) == (uid, unit)


def prove_reachable(target: Target) -> None:
    """As prove(), and that no wait in the kernel keeps every signal from it, SIGKILL too. Raises Gone or Refused."""
    prove(target)
    if _prove_no_wait(target):
        prove(target)


def prove_going(target: Target) -> None:
    """As prove_reachable(), and that no signal, debugger or freezer keeps it stopped. Raises Gone or Refused.

    A stopped process keeps what it is told waiting: it would end by it whenever somebody lets it go on. Refused as well
    where nothing tells whether its control group is frozen.
    """
    _prove_unstopped(target)
    if _prove_no_wait(target):
        _prove_unstopped(target)


def _prove_no_wait(target: Target) -> bool:
    """Whether it took a while to see that no thread stays in the kernel. Raises Refused where one does."""
    if not kernel_waits.waiting(target.pid):
        return False
    held = kernel_waits.held([target.pid]).get(target.pid)
    if held:
        raise Refused("pid %d %s, and would end only when it goes on, as it does by itself" % (target.pid, held))
    return True


def _prove_unstopped(target: Target) -> None:
    prove(target)
    state = stopped.state_of(target.pid)
    if state in STOPPED_STATES:
        by = "a debugger" if state == "t" else "a signal"
        then = "; the next run lets it go on" if state == "T" and target.role == "gateway" else ""
        raise Refused("pid %d is stopped by %s, and would end only when it goes on%s" % (target.pid, by, then))
    try:
        held = freezer.held_frozen(processes.read_text(target.pid, "cgroup"))
    except (OSError, ValueError):
        prove(target)  # its file goes with it
        why = "is in a control group that cannot be read, so that nobody knows whether it is frozen"
        raise Refused("pid %d %s: it is told nothing" % (target.pid, why)) from None
    if held:
        raise Refused("pid %d %s, and would end only when it goes on" % (target.pid, held))


def _prove_gone(pid: int) -> None:
    """Makes sure that a process that cannot be read has ended. Raises Refused when it is only hidden (hidepid)."""
    try:
        descriptor = os.pidfd_open(pid)
    except (OSError, OverflowError):
        return
    try:
        ended = not await_ends({0: descriptor}, 0.0)
    finally:
        os.close(descriptor)
    if not ended:
        raise Refused("pid %d is there and cannot be read: run with become" % pid)


def send(descriptor: int, number: int) -> None:
    """Sends a signal to a process that is held. Raises Gone or Refused."""
    try:
        signal.pidfd_send_signal(descriptor, number)  # type: ignore[attr-defined,unused-ignore]
    except ProcessLookupError:
        raise Gone from None
    except PermissionError:
        raise Refused("it belongs to another user: run with become") from None


def _no_more(_index: int) -> None:
    """Does nothing more."""


def await_ends(held: Dict[int, int], seconds: float, on_end: Callable[[int], None] = _no_more) -> List[int]:
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
