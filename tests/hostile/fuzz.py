"""Throws damaged and endless inputs at every parser that reads what others wrote.

    make fuzz MINUTES=3                     all parsers in turn, until the time is over
    make fuzz PARSER=redaction SEED=7       one of them

A parser passes where it returns, or raises what it documents, and where four times the input is not much more than four
times the work. What fails is printed with its seed and number, which make the same input again.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Callable, Iterator, List, Optional, Sequence, Tuple, Type

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    import conftest  # noqa: F401 - makes the project importable under Ansible's names

from hostile.mutations import Make, mutations, pumped

#: Seconds of the processor that one input may take; the largest takes a tenth of it.
MOST_SECONDS = 10.0
#: Seconds of the processor below which growth is not looked at, and the most that four times the input may cost.
_NOTICEABLE, _MOST_GROWTH = 0.1, 9.0
_TRIES = 3
#: Seconds of the processor that a parser gets before it is the next one's turn.
_TURN = 0.5


@dataclass(frozen=True)
class Parser:
    """Something that reads bytes of others. calls: each takes the bytes; errors: what they may raise, by their docs.

    most: bytes that its reader hands to it at most. make: makes an input; by default of the samples. endless: make
    inputs of about so many bytes that are likely to cost much. grows: whether the work for endless inputs is measured;
    False where its own tests count it.
    """

    name: str
    calls: Tuple[Callable[[bytes], object], ...]
    samples: Tuple[bytes, ...]
    errors: Tuple[Type[Exception], ...] = ()
    most: int = 1 << 16
    make: Optional[Make] = None
    endless: Tuple[Callable[[int], bytes], ...] = ()
    grows: bool = True


@dataclass(frozen=True)
class Failure:
    """An input that a parser did not take. number: of the input under the seed; why: what became of it."""

    parser: str
    seed: int
    number: int
    why: str
    data: bytes = field(repr=False)

    def __str__(self) -> str:
        shown = self.data if len(self.data) <= 600 else self.data[:300] + b" ... " + self.data[-300:]
        return "%s, seed %d, input %d (%d bytes): %s\n    %r" % (
            *(self.parser, self.seed, self.number, len(self.data), self.why),
            shown,
        )


class TooMuchWork(BaseException):
    """An input has used up its time of the processor. No exception that a parser could take for its own."""


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raises TooMuchWork inside, once this process has worked for so many seconds; waiting does not count."""

    def stop(_number: int, _frame: Optional[FrameType]) -> None:
        raise TooMuchWork

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def chance(parser: Parser, seed: int, number: int) -> random.Random:
    """The randomness of one input, which depends on nothing else."""
    return random.Random("%s:%d:%d" % (parser.name, seed, number))  # noqa: S311 - inputs, no secrets


def made(parser: Parser, seed: int, number: int) -> bytes:
    """One input."""
    make = parser.make or mutations(parser.samples, parser.most)
    return make(chance(parser, seed, number))


def taken(parser: Parser, data: bytes) -> str:
    """What is wrong with how a parser takes an input; empty where nothing is."""
    for call in parser.calls:
        try:
            with bounded(MOST_SECONDS):
                call(data)
        except parser.errors:
            continue
        except TooMuchWork:
            return "%s is still at work after %g s of the processor" % (_name(call), MOST_SECONDS)
        except Exception as error:
            return "%s raises %s: %s" % (_name(call), type(error).__name__, str(error)[:200])
    return ""


def fuzz(
    parser: Parser, seed: int, numbers: Sequence[int], over: Callable[[], bool] = lambda: False
) -> Tuple[int, List[Failure]]:
    """(how many inputs were tried, those that failed). over: whether to stop before the next one."""
    found: List[Failure] = []
    tried = 0
    for number in numbers:
        if over():
            break
        data = made(parser, seed, number)
        why = taken(parser, data)
        tried += 1
        if why:
            found.append(Failure(parser.name, seed, number, why, data))
    return tried, found


def growth(parser: Parser, seed: int, number: int, most: int = 1 << 20) -> Optional[Failure]:
    """Measures an endless input and one of a quarter of its size; the failure where work grows much faster.

    most: bytes, beside the parser's own bound.
    """
    large = min(parser.most, most)
    short, long = (_endless(parser, seed, number, size) for size in (large // 4, large))
    for call in parser.calls:
        ratio = 0.0
        for _ in range(_TRIES):  # the least of several: others use the processor's caches as well
            try:
                some, all_ = _work(parser, call, short), _work(parser, call, long)
            except TooMuchWork:
                return Failure(parser.name, seed, number, "%s works without an end" % _name(call), long)
            except Exception as error:
                why = "%s raises %s for an endless input" % (_name(call), type(error).__name__)
                return Failure(parser.name, seed, number, why, long)
            ratio = all_ / max(some, 1e-6)
            if all_ < _NOTICEABLE or ratio <= _MOST_GROWTH:
                break
        else:
            why = "%s: %d bytes take %.2f s of the processor, a quarter of them %.0f times less" % (
                *(_name(call), len(long), all_, ratio),
            )
            return Failure(parser.name, seed, number, why, long)
    return None


def _endless(parser: Parser, seed: int, number: int, size: int) -> bytes:
    """The inputs that are known to be likely come first."""
    if number < len(parser.endless):
        return parser.endless[number](size)[:size]
    return pumped(chance(parser, seed, number), parser.samples, size)[:size]


def _work(parser: Parser, call: Callable[[bytes], object], data: bytes) -> float:
    """Seconds of the processor. Raises what the parser does not document."""
    began = time.process_time()
    try:
        with bounded(MOST_SECONDS):
            call(data)
    except parser.errors:
        pass
    return time.process_time() - began


def _name(call: Callable[[bytes], object]) -> str:
    return getattr(call, "__name__", repr(call)).lstrip("_")


def main(arguments: List[str]) -> int:
    """Fuzzes until the time is over; 1 where something failed."""
    from hostile.controller_parsers import CONTROLLER_PARSERS
    from hostile.host_parsers import HOST_PARSERS

    parsers: Sequence[Parser] = (*HOST_PARSERS, *CONTROLLER_PARSERS)
    options = argparse.ArgumentParser(description="Fuzzes the project's parsers.")
    options.add_argument("--minutes", type=float, default=3.0)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options.add_argument("--parser", choices=[each.name for each in parsers])
    options.add_argument("--number", type=int, help="this input alone")
    chosen = options.parse_args(arguments)
    parsers = [each for each in parsers if chosen.parser in (None, each.name)]
    if chosen.number is not None:
        failures = [one for each in parsers for one in fuzz(each, chosen.seed, [chosen.number])[1]]
    else:
        failures = _until(parsers, chosen.seed, time.monotonic() + 60 * chosen.minutes)
    for each in failures:
        print(each)
    print("%d failed; seed %d" % (len(failures), chosen.seed))
    return 1 if failures else 0


def _until(parsers: Sequence[Parser], seed: int, end: float) -> List[Failure]:
    """Each parser gets the same time of the processor in each turn, however busy the machine is."""
    failures: List[Failure] = []
    counts = dict.fromkeys((each.name for each in parsers), 0)
    turn = 0
    while time.monotonic() < end:
        for parser in parsers:
            start = counts[parser.name]
            turn_ends = time.process_time() + _TURN

            def over(turn_ends: float = turn_ends) -> bool:
                return time.process_time() >= turn_ends or time.monotonic() >= end

            tried, found = fuzz(parser, seed, range(start, start + 100_000), over)
            counts[parser.name] += tried
            failures += found[: 3 - sum(each.parser == parser.name for each in failures)]
            grown = growth(parser, seed, turn) if parser.grows else None
            failures += [grown] if grown else []
        turn += 1
    for name, count in counts.items():
        print("%-24s %9d inputs" % (name, count))
    print("%-24s %9d times each" % ("growth of endless inputs", turn))
    return failures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
