"""How page and terminal write names, moments and sentences. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup, escape

from ..document.text import visible

#: After these a long name or command may go on in the next line; spaces and hyphens are places to break already.
_JOINTS = re.compile(r"(?<=[.,_/@:=])(?=[^\s.,_/@:=])")


#: Where the words in brackets at the end of a finding are explained.
EXPLAINED = "docs/findings.md explains the words in [ ]; docs/outages.md goes by what a script's log says"


def with_codes(findings: Iterable[Mapping[str, Any]]) -> list[str]:
    """What was found, each summary once, with the codes under which the documentation has it: `it hangs [frozen]`."""
    codes: dict[str, dict[str, None]] = {}
    for each in findings:
        codes.setdefault(each["summary"], {})[each["code"]] = None
    return ["%s [%s]" % (summary, ", ".join(of)) for summary, of in codes.items()]


def breakable(text: Any) -> Markup:
    """A name or a command that breaks between its parts, and inside one only where that is wider than its place."""
    return Markup("<wbr>").join(escape(part) for part in _JOINTS.split(visible(text)))


def command(line: Any) -> Markup:
    """A command line, ready to be copied: it breaks between its words and in lists, and no option loses its dashes."""
    words = [
        Markup('<span class="option">{}</span>').format(visible(word)) if word.startswith("-") else breakable(word)
        for word in str(line).split(" ")
    ]
    return Markup(" ").join(words)


def moment(at: str) -> str:
    """An RFC 3339 moment as a person reads it: `2026-11-22 09:00:00 UTC`."""
    return at.replace("T", " ").replace("Z", " UTC")


def sentence(text: str) -> str:
    """A summary as a sentence: with a capital, and with its end."""
    told = text.strip()
    told = told[:1].upper() + told[1:]
    return told if not told or told[-1] in ".!?" else told + "."


def plain(code: str) -> str:
    """A code as words: `gateway not running`."""
    return code.replace("_", " ")


def span(seconds: float) -> str:
    """How long, in the largest unit that fits: `3 h`."""
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return "%d %s" % (seconds // size, name)
    return "%d s" % seconds
