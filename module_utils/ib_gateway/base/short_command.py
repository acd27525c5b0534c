"""A redacted command line in the few words that fit into a sentence. Pure."""

from __future__ import annotations

from typing import Sequence

from .java_line import MAIN_CLASSES


def short(command: Sequence[str], limit: int = 100) -> str:
    """A redacted command line that fits a line of output: of a gateway what makes it one, of paths the last part.

    What is too long is cut between two words, and ends with three dots.
    """
    line = " ".join(command)
    if len(line) > limit:
        main_class = next((word for word in command if word in MAIN_CLASSES), None)
        names = [word.rpartition("/")[2] if word.startswith("/") else word for word in command]
        line = "%s ... %s" % (names[0], main_class) if main_class else " ".join(names)
    if len(line) <= limit:
        return line
    # Between two words, unless the last one is most of the line.
    between = line.rfind(" ", limit // 2, limit - 3)
    return line[:between] + " ..." if between > 0 else line[: limit - 3] + "..."
