"""Rules about the client id of one script: written down, or left to chance."""

from __future__ import annotations

import ast
from typing import Iterator

from ..analysis.scopes import Table
from ..analysis.values import CHANCE, Value
from ..reading.model import NOTE, Found
from .case import Case, about, at, found


def hardcoded_client_id(case: Case, table: Table) -> Iterator[Found]:
    """An id that is written down: in the call, as a constant, as a default, or by leaving it out."""
    for connection in case.of(table):
        for value in case.numbers(connection, "clientId"):
            number = value.constant
            if value.node is connection.call:
                summary = "no client id is given: the library uses %d, as every other script that gives none" % number
            elif value.table.script.path not in case.project.tables:
                summary = "client id %d is written down in a file that the script reads" % number
            elif value.what:
                summary = "client id %d is used where %s gives none" % (number, value.what)
            elif number == 0:
                summary = "client id 0 is written down; it also takes over orders that are entered by hand"
            else:
                summary = "client id %d is written down%s" % (number, _as_default(value))
            severity = NOTE if value.what or value.table.script.path not in case.project.tables else None
            verdict = found("hardcoded_client_id", value.table, value.node, summary, severity, [at(connection)])
            yield about(verdict, connection, value)


def _as_default(value: Value) -> str:
    parent = value.table.parents.get(value.node)
    return " as a default argument" if isinstance(parent, ast.arguments) else ""


def random_client_id(case: Case, table: Table) -> Iterator[Found]:
    """An id by chance: two scripts may draw the same."""
    for connection in case.of(table):
        for value in case.argument(connection, "clientId"):
            if value.kind != CHANCE:
                continue
            by_time = _uses(value.node, "time") and _uses(value.node, "random")
            summary = "two scripts may get the same client id: it comes from %s" % (
                "the clock and chance" if by_time else value.what
            )
            also = [at(connection)]
            verdict = found("random_client_id", value.table, value.node, summary, NOTE if by_time else None, also)
            yield about(verdict, connection, value)


def _uses(node: ast.AST, word: str) -> bool:
    return any(word in (getattr(each, "id", ""), getattr(each, "attr", "")) for each in ast.walk(node))


RULES = (hardcoded_client_id, random_client_id)
