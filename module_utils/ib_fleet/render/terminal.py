"""The end of a run: the fleet in one table, what changed, where the page is, and the next command to run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..document.text import counted
from .layout import Line
from .overview import changes
from .wording import EXPLAINED

#: A table of so few hosts says nothing that was not said of each.
_FEW = 3


def lines(overview: Mapping[str, Any]) -> Iterator[Line]:
    """The lines, in their order. A path and a command stay one line, so that they can be copied."""
    yield Line(f"FLEET: {headline(overview)}", tone="title", word="FLEET")
    for kind, text in overview["alerts"]:
        yield Line(f"{kind.upper()}: {text}", 1, tone="failed", word=kind.upper())
    if overview["healing"]:
        yield Line(overview["healing"], 1)
    if overview["hosts"] > _FEW:
        yield from _table(overview)
    for text in changes(overview):
        yield Line(text, 1)
    if any(row["status"] != "unreachable" for row in overview["rows"]):
        yield Line(EXPLAINED, 1)
    if overview["page"]:
        yield Line(f"PAGE: {overview['page']}", tone="title", word="PAGE", whole=True)
    for each in overview["next"]:
        yield Line(f"NEXT, to {each['why']}:", tone="title", word="NEXT")
        yield Line(each["command"], 1, whole=True)


def _table(overview: Mapping[str, Any]) -> Iterator[Line]:
    """A row for each finding: how bad it is, what it is, and on which hosts."""
    rows = overview["rows"]
    width = max((len(row["code"]) for row in rows), default=0)
    for row in rows:
        begin = f"{row['status']:<11} {row['code']:<{width}} {counted(row['count'], 'host'):>9}: "
        yield Line(row["hosts"], 1, begin, tone=row["status"], word=row["status"])


def headline(overview: Mapping[str, Any]) -> str:
    """How many hosts, and how they are."""
    told = ", ".join(f"{count} {status}" for status, count in overview["counts"].items())
    mode = " (check mode: nothing was done)" if overview["check_mode"] else ""
    return f"{counted(overview['hosts'], 'host')}: {told}{mode}"
