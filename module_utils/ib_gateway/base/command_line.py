"""A redacted command line in the space that a line of output has."""

from __future__ import annotations

from typing import Sequence

from .classify import MAIN_CLASSES


def short(command: Sequence[str], limit: int = 100) -> str:
    """A redacted command line that fits a line of output: of a gateway what makes it one, of paths the last part."""
    line = " ".join(command)
    if len(line) > limit:
        main_class = next((word for word in command if word in MAIN_CLASSES), None)
        names = [word.rpartition("/")[2] if word.startswith("/") else word for word in command]
        line = "%s ... %s" % (names[0], main_class) if main_class else " ".join(names)
    return line if len(line) <= limit else line[: limit - 3] + "..."
