"""Loops that only try which gateway answers: each turn closes its connection again, and nothing is done with it. Pure.

Which port such a loop ends at decides nothing: no account is used.
"""

from __future__ import annotations

import ast
from typing import Dict, Iterator, List, Set, Tuple

from ..analysis import flow
from ..analysis.library import ORDERING
from ..analysis.scopes import FUNCTIONS, Table
from .case import Case

_CLOSES = ("disconnect", "disconnectAsync")
#: Who tells a text to people, and keeps nothing.
_TELLS = ("print", "debug", "info", "warning", "warn", "error", "critical", "exception", "log", "success")


def only_probes(case: Case, table: Table, call: ast.Call, loop: flow.Loop) -> bool:
    """Whether a loop that connects is always left with its connection closed, and keeps nothing of its turns.

    call: the connect, which stands in the loop itself.
    """
    receiver = getattr(call.func, "value", None)
    if receiver is None or isinstance(loop, ast.While):
        return False
    ways_out = list(_ways_out(loop, ast.dump(receiver)))
    return (
        bool(ways_out)
        and all(closed and _says_nothing(way_out) for way_out, closed in ways_out)
        and not any(getattr(each, "attr", "") in ORDERING for each in _nodes(loop))
        and not _keeps(case, table, call, loop)
    )


def _nodes(loop: flow.Loop) -> Iterator[ast.AST]:
    return (each for statement in loop.body for each in flow.below(statement))


def _ways_out(loop: flow.Loop, client: str) -> Iterator[Tuple[ast.stmt, bool]]:
    """(a statement that leaves the loop after a success, whether the connection was closed before)."""
    waiting: List[Tuple[List[ast.stmt], bool]] = [(loop.body, False)]
    while waiting:
        block, closed = waiting.pop()
        for statement in block:
            closed = closed or _closes(statement, client)
            if _is_way_out(statement):
                yield statement, closed
            elif not isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
                # What a `finally` closes is closed whichever way its try is left. Handlers follow a failure.
                within = closed or any(_closes(each, client) for each in getattr(statement, "finalbody", ()))
                blocks = [getattr(statement, name, None) for name in ("body", "orelse")]
                blocks.extend(each.body for each in getattr(statement, "cases", ()))
                waiting.extend((each, within) for each in blocks if each)


def _is_way_out(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Raise):
        raised = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
        return _name(raised) == "SystemExit"
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return _name(statement.value.func) in ("exit", "_exit")
    return isinstance(statement, (ast.Break, ast.Return))


def _name(node: object) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _closes(statement: ast.stmt, client: str) -> bool:
    """Whether a statement closes the connection; also under a test whether there is one."""
    if isinstance(statement, ast.If) and not isinstance(statement.test, ast.UnaryOp):
        return any(_closes(each, client) for each in statement.body if not isinstance(each, ast.If))
    if not isinstance(statement, ast.Expr):
        return False
    called = statement.value.value if isinstance(statement.value, ast.Await) else statement.value
    function = getattr(called, "func", None)
    return isinstance(function, ast.Attribute) and function.attr in _CLOSES and ast.dump(function.value) == client


def _says_nothing(way_out: ast.stmt) -> bool:
    """Whether a way out says at most yes or no."""
    value = way_out.value if isinstance(way_out, ast.Return) else None
    return value is None or (isinstance(value, ast.Constant) and (value.value is None or isinstance(value.value, bool)))


def _keeps(case: Case, table: Table, call: ast.Call, loop: flow.Loop) -> bool:
    """Whether what the loop goes over is used for more than to connect and to be told, in the loop or after it."""
    targets = getattr(loop, "target", None)
    names: Set[str] = {each.id for each in ast.walk(targets) if isinstance(each, ast.Name)} if targets else set()
    nothing: Dict[Tuple[ast.AST, str], int] = {}
    last = case.project.questions.answer(("last reads", table.script.path), lambda: _last_reads(table), nothing)
    end = getattr(loop, "end_lineno", None) or loop.lineno
    if any(last.get((table.scope(loop).node, name), 0) > end for name in names):
        return True
    reads = (each for each in _nodes(loop) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load))
    return any(each.id in names and not _is_told(table, each, call, loop) for each in reads)


def _last_reads(table: Table) -> Dict[Tuple[ast.AST, str], int]:
    """By scope and name: the last line that reads it."""
    lines: Dict[Tuple[ast.AST, str], int] = {}
    for each in table.loads:
        if isinstance(each, ast.Name):
            key = (table.scope(each).node, each.id)
            lines[key] = max(lines.get(key, 0), each.lineno)
    return lines


def _is_told(table: Table, load: ast.AST, call: ast.Call, loop: flow.Loop) -> bool:
    for outer in table.ancestors(load):
        if outer is loop:
            return False
        if outer is call or (isinstance(outer, ast.Call) and _name(outer.func) in _TELLS):
            return True
    return False
