"""How the text behind an option's `=` becomes a value; a text that cannot be used raises ValueError."""

import math
from typing import Any, Callable, Iterable, Tuple

Convert = Callable[[str], Any]


def whole(low: int, high: int) -> Convert:
    """A whole number between two, both included."""

    def convert(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError(f"must be {low} to {high}")
        return number

    return convert


def one_of(names: Iterable[str]) -> Convert:
    """One of these names."""

    def convert(text: str) -> str:
        if text not in names:
            raise ValueError("must be one of " + ", ".join(names))
        return text

    return convert


def seconds(text: str) -> float:
    """A number of seconds, not negative and not infinite."""
    number = float(text)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError("must be a number of seconds")
    return number


def text(value: str) -> str:
    """Any text but an empty one."""
    if not value:
        raise ValueError("must not be empty")
    return value


def texts(value: str) -> Tuple[str, ...]:
    """Texts with commas between them, and perhaps one at the end."""
    return tuple(text(name.strip()) for name in value.rstrip(",").split(","))


def address(value: str) -> Tuple[str, int]:
    """HOST:PORT."""
    host, _, port = value.rpartition(":")
    if not host:
        raise ValueError("must be HOST:PORT")
    return host, int(port)


def yes(value: str) -> bool:
    """The word yes, or no."""
    if value not in ("yes", "no"):
        raise ValueError("must be yes or no")
    return value == "yes"
