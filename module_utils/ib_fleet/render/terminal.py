"""The end of a run at a terminal: the overview as one table, or as plain lines where nobody can see a table. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .overview import changes

_COLOURS = {
    "healthy": "green",
    "degraded": "yellow",
    "unknown": "blue",
    "unhealthy": "red",
    "unreachable": "magenta",
}


def plain(overview: Mapping[str, Any]) -> Iterator[str]:
    """The lines for a log or a pipe."""
    yield f"FLEET: {headline(overview)}"
    for word, text in overview["alerts"]:
        yield f"  {word.upper()}: {text}"
    rows = overview["rows"]
    width = max((len(row["code"]) for row in rows), default=0)
    for row in rows:
        lasts = f"; open for {row['lasts']}" if row["lasts"] else ""
        yield f"  {row['status']:<11} {row['code']:<{width}} {row['count']:>5} host(s): {row['hosts']}{lasts}"
    for line in changes(overview):
        yield f"  {line}"
    if overview["page"]:
        yield f"PAGE: {overview['page']}"
    for each in overview["next"]:
        yield f"NEXT, to {each['why']}:"
        yield f"  {each['command']}"


def table(overview: Mapping[str, Any]) -> RenderableType:
    """The same for a terminal. Names come as text, so that no name is taken for markup."""
    parts: list[RenderableType] = [Text(f"FLEET  {headline(overview)}", style="bold")]
    parts += [Text.assemble((word.upper(), "bold red"), f"  {text}") for word, text in overview["alerts"]]
    if overview["rows"]:
        grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for title, options in (
            ("status", {}),
            ("finding", {}),
            ("hosts", {"justify": "right"}),
            ("open for", {"justify": "right"}),
            ("where", {"overflow": "fold"}),
        ):
            grid.add_column(title, **options)  # type: ignore[arg-type]
        for row in overview["rows"]:
            grid.add_row(
                Text(row["status"], style=_COLOURS.get(row["status"], "")),
                Text(row["code"]),
                Text(str(row["count"])),
                Text(row["lasts"]),
                Text(row["hosts"]),
            )
        parts.append(grid)
    parts += [Text(line, style="dim") for line in changes(overview)]
    return Group(*parts)


def show(overview: Mapping[str, Any], console: Console) -> None:
    """Table, page and next commands; a path and a command stay one line, so that they can be copied."""
    console.print(table(overview))
    if overview["page"]:
        console.print(Text.assemble(("page  ", "bold"), overview["page"]), soft_wrap=True)
    for each in overview["next"]:
        console.print(Text.assemble(("next  ", "bold"), "to ", each["why"], ":"), soft_wrap=True)
        console.print(Text(f"  {each['command']}"), soft_wrap=True)


def headline(overview: Mapping[str, Any]) -> str:
    """How many hosts, and how they are."""
    told = ", ".join(f"{count} {status}" for status, count in overview["counts"].items())
    mode = " (check mode: nothing was done)" if overview["check_mode"] else ""
    return f"{overview['hosts']} host(s): {told}{mode}"
