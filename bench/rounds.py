"""Measuring: two or more ways in interleaved rounds of one run, so that what else the machine does hits all alike."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Dict, List, Optional

Work = Callable[[], object]


@dataclass(frozen=True)
class Cost:
    """Medians over the rounds: CPU and wall seconds, those of child processes included."""

    cpu: float
    wall: float
    rounds: int


@dataclass(frozen=True)
class Row:
    """One line of the table. ratio: how many times dearer the other way is, or under `at_most` ours.

    met is None where there is no goal, or where the row was not measured; note then says why.
    """

    name: str
    what: str
    against: str
    unit: str
    ours: Optional[float] = None
    other: Optional[float] = None
    at_least: Optional[float] = None
    at_most: Optional[float] = None
    absolute: bool = False
    note: str = ""

    @property
    def ratio(self) -> Optional[float]:
        """Other over ours where the goal is to be cheaper by a factor, ours over other where it is not to be dearer."""
        if self.absolute or not self.ours or not self.other:
            return None
        return self.ours / self.other if self.at_most is not None else self.other / self.ours

    @property
    def met(self) -> Optional[bool]:
        """Whether the goal is reached; None without a goal or a measurement."""
        value = self.ours if self.absolute else self.ratio
        if value is None or (self.at_least is None and self.at_most is None):
            return None
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    @property
    def goal(self) -> str:
        """The goal in words; empty where there is none."""
        unit = f" {self.unit}" if self.absolute else "x"
        if self.at_least is not None:
            return f"at least {self.at_least:g}{unit}"
        return f"at most {self.at_most:g}{unit}" if self.at_most is not None else ""


def interleaved(ways: Mapping[str, Work], rounds: int, budget: float = 60.0, least: float = 0.0) -> Dict[str, Cost]:
    """Runs every way in each round, after one round that is not counted; stops early when the time is up.

    least: seconds that a way gets in each round; what takes less is repeated, and its mean counts. What takes
    milliseconds is otherwise a draw between rounds in which it came first and those in which it came after one that
    had emptied the caches.
    """
    for work in ways.values():
        work()
    began = time.monotonic()
    cpu: Dict[str, List[float]] = {name: [] for name in ways}
    wall: Dict[str, List[float]] = {name: [] for name in ways}
    for number in range(rounds):
        # Every other round the other way round: what one leaves in the caches serves both alike.
        for name in list(ways)[:: -1 if number % 2 else 1]:
            spent = _repeated(ways[name], least)
            cpu[name].append(spent.cpu)
            wall[name].append(spent.wall)
        if time.monotonic() - began > budget and number >= 1:
            break
    return {name: Cost(statistics.median(cpu[name]), statistics.median(wall[name]), len(cpu[name])) for name in ways}


def _repeated(work: Work, least: float) -> Cost:
    """What it costs, as the mean of as many times as fill these seconds, and of one time at least."""
    before, at = used(), time.perf_counter()
    times, gone = 0, 0.0
    while not times or gone < least:
        work()
        times, gone = times + 1, time.perf_counter() - at
    return Cost((used() - before) / times, gone / times, times)


def used() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def command(argv: Sequence[str], environment: Optional[Mapping[str, str]] = None) -> Work:
    """A command as work: without output, in a good or a bad end. lsof ends with 1 where it found nothing."""

    def run() -> None:
        subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            check=False,
        )

    return run
