"""Lines of text laid out for a terminal or a log: indented, wrapped between words, coloured where asked. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..document.text import visible

#: Columns that a line has at least, however narrow the terminal and deep the indentation.
_LEAST = 20
_INDENT = 2
#: By what a line means, as the terminal's own colours: they are readable on light and on dark ground.
_COLOURS = {
    "title": "1",
    "healthy": "32",
    "degraded": "33",
    "unknown": "35",
    "unhealthy": "31",
    "unreachable": "31",
    "failed": "31",
    "added": "32",
    "removed": "31",
}


class Line(NamedTuple):
    """One line as it is meant.

    depth: how far it is indented, in steps. lead: what stands before it, such as "1. "; what is wrapped is indented by
    its width. tone: what it means, which decides its colour. word: the part that is coloured; empty for all of it.
    whole: never wrapped, because it is to be copied. about: what it tells of, where the same is told again in words
    that may differ, as in a number of seconds; empty for its text.
    """

    text: str
    depth: int = 0
    lead: str = ""
    tone: str = ""
    word: str = ""
    whole: bool = False
    about: str = ""


def laid_out(lines: Iterable[Line], width: int, colour: bool = False) -> Iterator[str]:
    """The lines as they are printed, at most `width` columns wide; a longer word stands on a line of its own."""
    for line in lines:
        text, word = visible(line.text), visible(line.word)
        indent = " " * (_INDENT * line.depth)
        rows = [indent + line.lead + text] if line.whole else _wrapped(text, indent, line.lead, width)
        style = _COLOURS.get(line.tone) if colour else None
        yield from _painted(rows, word, style) if style else (row.rstrip() for row in rows)


def _wrapped(text: str, indent: str, lead: str, width: int) -> list[str]:
    room = max(_LEAST, width - len(indent) - len(lead))
    rows = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    hang = " " * len(lead)
    return [indent + (hang if number else lead) + row for number, row in enumerate(rows)]


def _painted(rows: Iterable[str], word: str, style: str) -> Iterator[str]:
    """word: coloured where it stands first, and nothing else; empty for the whole of every row."""
    left = word
    for row in rows:
        text = row.rstrip()
        if not word:
            yield "\x1b[%sm%s\x1b[0m" % (style, text)
        elif left and left in text:
            yield text.replace(left, "\x1b[%sm%s\x1b[0m" % (style, left), 1)
            left = ""
        else:
            yield text
