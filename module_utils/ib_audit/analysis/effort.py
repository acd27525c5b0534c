"""Questions that are answered once, and the effort that a file may cost. Pure: the clock is given.

Names lead to names in circles. A question that comes back to itself is cut there; its answer holds for the question
that was asked, and is kept for later ones where nothing was cut. So each question costs a bounded number of steps, and
an audit a number of steps that grows with the size of the scripts, not with the ways through them.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, Hashable, Iterator, Optional, Set, TypeVar

T = TypeVar("T")

#: Steps that one question may take, and how many questions may be asked inside of one another.
_EACH_QUESTION = 600
_DEPTH = 36
#: Steps that a file may cost: so many, and so many for each of its nodes.
_EACH_FILE = 50000
_EACH_NODE = 40
_CLOCK_EVERY = 512


class TooCostly(Exception):
    """A file has reached its limit."""


class Effort:
    """Counts what each file costs. clock: with it, seconds limits the time of each file; wall: likewise, total that of
    all. The first should tell the time this program works, so that a busy host gives no file up."""

    def __init__(
        self,
        seconds: float = 0.0,
        clock: Optional[Callable[[], float]] = None,
        total: float = 0.0,
        wall: Optional[Callable[[], float]] = None,
    ) -> None:
        self._seconds = seconds if clock else 0.0
        self._total = total if wall else 0.0
        self._clock = clock or (lambda: 0.0)
        self._wall = wall or (lambda: 0.0)
        self._began = self._wall()
        self._left: Dict[str, int] = {}
        self._spent: Dict[str, float] = {}
        self._payer = ""
        self._since = 0.0
        #: By path: why a file was given up.
        self.given_up: Dict[str, str] = {}

    def allow(self, path: str, nodes: int) -> None:
        """Says how large a file is, before it costs anything."""
        self._left[path] = _EACH_FILE + _EACH_NODE * nodes

    @contextlib.contextmanager
    def of(self, path: str) -> Iterator[None]:
        """What is done inside is paid by a file; when it cannot pay, the rest is left out and the file is noted."""
        outer, self._payer, self._since = self._payer, path, self._clock()
        try:
            yield
        except TooCostly as error:
            self._give_up(path, str(error))
        except RecursionError:
            self._give_up(path, "it is nested too deeply")
        except MemoryError:
            self._give_up(path, "it needs more memory than there is")
        finally:
            self._spent[path] = self._spent.get(path, 0.0) + self._clock() - self._since
            self._payer, self._since = outer, self._clock()

    def _give_up(self, path: str, reason: str) -> None:
        self.given_up.setdefault(path, reason)
        self._left[path] = 0

    def late(self) -> str:
        """Why nothing more is begun; empty while there is time."""
        over = self._total and self._wall() - self._began > self._total
        return "the audit of this host had taken %g s before it" % self._total if over else ""

    def step(self) -> None:
        """Counts a step. Raises TooCostly when the file that pays has none left, or no time."""
        path = self._payer
        if not path:
            return
        left = self._left.get(path, _EACH_FILE) - 1
        self._left[path] = left
        if left < 0:
            raise TooCostly("following its names costs too much")
        if left % _CLOCK_EVERY == 0:
            spent = self._spent.get(path, 0.0) + self._clock() - self._since
            if self._seconds and spent > self._seconds:
                raise TooCostly("it takes more than %g s" % self._seconds)
            if self.late():
                raise TooCostly(self.late())


class Questions:
    """Answers each question once."""

    def __init__(self, effort: Effort) -> None:
        self.effort = effort
        self._known: Dict[Hashable, Any] = {}
        self._within: Dict[Hashable, Any] = {}
        self._active: Set[Hashable] = set()
        self._steps = 0
        self._cut = False

    def answer(self, key: Hashable, work: Callable[[], T], unknown: T) -> T:
        """What work() returns for this question; unknown where it leads back to itself or too far."""
        if key in self._known:
            known: T = self._known[key]
            return known
        if key in self._within:
            within: T = self._within[key]
            return within
        if key in self._active or self._steps >= _EACH_QUESTION or len(self._active) >= _DEPTH:
            self._cut = True
            return unknown
        self.effort.step()
        self._steps += 1
        outermost = not self._active
        self._active.add(key)
        try:
            found = work()
            self._within[key] = found
            if outermost:
                self._keep(key, found)
            return found
        finally:
            self._active.discard(key)
            if outermost:
                self._within, self._active, self._steps, self._cut = {}, set(), 0, False

    def _keep(self, key: Hashable, found: Any) -> None:
        if self._cut:
            self._known[key] = found
        else:
            self._known.update(self._within)

    def forget(self) -> None:
        """Drops the answers, because more is known now."""
        self._known = {}
