"""A process table in which, before any call of one's choice, a pid passes from its process to a stranger."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass, field
from typing import Any, Callable, Collection, Dict, Iterator, List, Optional, Tuple
from unittest import mock

from ansible.module_utils.ib_gateway.observe import processes

BOOT = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"


@dataclass(eq=False)
class FakeProcess:
    """One process: when it started, what it runs, which signals it was sent. stubborn: SIGTERM does not end it."""

    started_ticks: int
    argv: Tuple[str, ...]
    stubborn: bool = False
    alive: bool = True
    signals: List[int] = field(default_factory=list)
    writers: List[int] = field(default_factory=list)

    def die(self) -> None:
        """Ends it: every pidfd that is open on it says so."""
        self.alive = False
        self.forget()

    def forget(self) -> None:
        """Closes what stands for the pidfds that are open on it."""
        while self.writers:
            os.close(self.writers.pop())


class FakeKernel:
    """Knows one pid. handovers: before which calls, counted from 0, the pid's process ends and a stranger gets it."""

    def __init__(
        self, pid: int, first: FakeProcess, handovers: Collection[int], stranger_argv: Tuple[str, ...]
    ) -> None:
        self.pid = pid
        self.processes = [first]
        self.calls = 0
        self._handovers = handovers
        self._stranger_argv = stranger_argv
        self._held: Dict[int, FakeProcess] = {}

    @property
    def strangers(self) -> List[FakeProcess]:
        """Everybody who got the pid later."""
        return self.processes[1:]

    def _call(self) -> FakeProcess:
        now = self.processes[-1]
        if self.calls in self._handovers:
            now.die()
            now = FakeProcess(now.started_ticks + 1, self._stranger_argv, stubborn=now.stubborn)
            self.processes.append(now)
        self.calls += 1
        return now

    def _about(self, answer: Callable[[FakeProcess], Any], gone: Any) -> Callable[[int], Any]:
        def call(pid: int) -> Any:
            now = self._call()
            return answer(now) if pid == self.pid and now.alive else gone

        return call

    def read_text(self, pid: int, _name: str) -> str:
        """Its control groups: the first one, which nobody can freeze."""
        if pid != self.pid or not self._call().alive:
            raise ProcessLookupError(3, "No such process")
        return "0::/\n"

    def pidfd_open(self, pid: int) -> int:
        """A pipe's end that can be read when the process has ended, as a pidfd can."""
        now = self._call()
        if pid != self.pid or not now.alive:
            raise ProcessLookupError(3, "No such process")
        reader, writer = os.pipe()
        now.writers.append(writer)
        self._held[reader] = now
        return reader

    def pidfd_send_signal(self, descriptor: int, number: int) -> None:
        """Sends a signal to the process that is held, whoever has its pid now."""
        self._call()
        held = self._held[descriptor]
        if not held.alive:
            raise ProcessLookupError(3, "No such process")
        held.signals.append(number)
        if number == signal.SIGKILL or not held.stubborn:
            held.die()

    @contextlib.contextmanager
    def rules(self) -> Iterator[None]:
        """Everything that signalling asks the kernel is answered by this one."""
        stat = self._about(lambda one: processes.Stat("S", 1, one.started_ticks), None)
        unit: Optional[str] = None
        with contextlib.ExitStack() as stack:
            for target, name, answer in (
                (processes, "read_stat", stat),
                (processes, "read_text", self.read_text),
                (processes, "read_argv", self._about(lambda one: one.argv, ())),
                (processes, "read_real_uid", self._about(lambda _one: 0, None)),
                (processes, "read_unit", self._about(lambda _one: unit, None)),
                (processes, "pid_inside", self._about(lambda _one: None, None)),
                (processes, "boot_id", lambda: BOOT),
                (processes, "ancestors", lambda pid: frozenset((pid, 1))),
                (os, "pidfd_open", self.pidfd_open),
                (signal, "pidfd_send_signal", self.pidfd_send_signal),
            ):
                stack.enter_context(mock.patch.object(target, name, answer))
            yield
        for one in self.processes:
            one.forget()
