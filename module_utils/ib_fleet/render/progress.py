"""How far a look over a fleet has come, and when that is worth a line. Pure: the clock is handed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

#: A smaller fleet is through before a line about its progress could be read.
WORTH_TELLING = 4
_STEPS = 10
_QUIET = 10.0


@dataclass
class Tally:
    """One look over some hosts. began: the clock's reading at its start."""

    title: str
    total: int
    began: float
    seen: dict[str, str] = field(default_factory=dict)
    _told_at: float = field(init=False)
    _told_step: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._told_at = self.began

    def note(self, host: str, status: str) -> None:
        """A host is done."""
        self.seen[host] = status
        self.total = max(self.total, len(self.seen))

    @property
    def done(self) -> int:
        """How many hosts are done."""
        return len(self.seen)

    @property
    def unhealthy(self) -> int:
        """How many of them are anything but healthy."""
        return sum(status != "healthy" for status in self.seen.values())

    def left(self, now: float) -> Optional[float]:
        """Seconds it will take on at the pace so far; None while there is none."""
        if not self.done:
            return None
        return (now - self.began) / self.done * (self.total - self.done)

    def line(self, now: float) -> Optional[str]:
        """A line, where one is due: for each tenth of the fleet, and after ten quiet seconds."""
        step = self.done * _STEPS // max(self.total, 1)
        due = step > self._told_step or (now - self._told_at >= _QUIET and self.done > 0)
        if self.total < WORTH_TELLING or not due:
            return None
        self._told_at, self._told_step = now, step
        return self.sentence(now)

    def sentence(self, now: float) -> str:
        """How far it has come, in words."""
        left = self.left(now)
        rest = f", about {span(left)} left" if left and self.done < self.total else ""
        return f"{self.title}: {self.done} of {self.total} hosts done, {self.unhealthy} not healthy{rest}"


def span(seconds: float) -> str:
    """A duration as a person says it."""
    whole = max(1, round(seconds))
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
