"""One change of a script, and where it stands."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import NamedTuple, Optional, Tuple, Union

from ..analysis.scopes import Table
from ..reading.model import Problem

# What an edit does with the node at its place.
REPLACE, ARGUMENT, REMOVE, MOVE = "replace", "argument", "remove", "move"

Place = Tuple[int, int]


class Left(NamedTuple):
    """A problem that is left, and why."""

    code: str
    file: str
    line: int
    reason: str


@dataclass(frozen=True)
class Edit:
    """One change of a script. The place is that of the node: lines from 1, columns from 0, in characters."""

    action: str
    start: Place
    end: Place
    problem: Problem
    text: str = ""
    #: The call that gets a line for each argument, because its line would become too long.
    wrap: Optional[Tuple[Place, Place]] = None


#: An edit, or the reason why there is none.
Decision = Union[Edit, str]


def place(table: Table, node: ast.AST) -> Tuple[Place, Place]:
    """Start and end of a node, columns in characters."""
    return (
        _characters(table, getattr(node, "lineno", 1), getattr(node, "col_offset", 0)),
        _characters(table, getattr(node, "end_lineno", 1), getattr(node, "end_col_offset", 0)),
    )


def _characters(table: Table, line: int, offset: int) -> Place:
    return line, len(table.line(line).encode("utf-8")[:offset].decode("utf-8", "ignore"))
