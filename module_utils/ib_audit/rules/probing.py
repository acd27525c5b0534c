"""Loops that only try which gateway answers: each turn closes its connection again, and nothing is done with it. Pure.

Which port such a loop ends at decides nothing: no account is used.
"""

from __future__ import annotations

import ast
from typing import Iterator, List, Set, Union

from ..analysis import flow
from ..analysis.library import ORDERING
from ..analysis.scopes import FUNCTIONS, Table

_CLOSES = ("disconnect", "disconnectAsync")
#: Who tells a text to people, and keeps nothing.
_TELLS = ("print", "debug", "info", "warning", "warn", "error", "critical", "exception", "log", "success")
_Target = Union[ast.For, ast.AsyncFor]


def only_probes(table: Table, call: ast.Call, loop: flow.Loop) -> bool:
    """Whether a loop that connects is always left with its connection closed, and keeps nothing of its turns.

    call: the connect, which stands in the loop itself.
    """
    receiver = getattr(call.func, "value", None)
    if receiver is None or not isinstance(loop, (ast.For, ast.AsyncFor)):
        return False
    client = ast.dump(receiver)
    exits = [each for each in _nodes(loop) if _is_exit(each) and not _after_failure(table, each, loop)]
    return (
        bool(exits)
        and all(_closed_before(table, each, client, loop) and _returns_nothing(each) for each in exits)
        and not any(getattr(each, "attr", "") in ORDERING for each in _nodes(loop))
        and not _keeps(table, call, loop)
    )


def _nodes(loop: flow.Loop) -> Iterator[ast.AST]:
    return (each for statement in loop.body for each in flow.below(statement))


def _is_exit(node: ast.AST) -> bool:
    if isinstance(node, (ast.Break, ast.Return)):
        return True
    called = getattr(node, "value", None) if isinstance(node, ast.Expr) else getattr(node, "exc", None)
    name = _name(called.func) if isinstance(called, ast.Call) else _name(called)
    return name in ("exit", "_exit") if isinstance(node, ast.Expr) else name == "SystemExit"


def _name(node: object) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _after_failure(table: Table, node: ast.AST, loop: flow.Loop) -> bool:
    """Whether a node of a loop only runs when something failed."""
    for outer in table.ancestors(node):
        if outer is loop:
            return False
        if isinstance(outer, ast.ExceptHandler):
            return True
    return False


def _closed_before(table: Table, node: ast.AST, client: str, loop: flow.Loop) -> bool:
    """Whether the connection is closed right before a way out, in its block, or by a `finally` that it leaves."""
    inner = node
    for outer in table.ancestors(node):
        for block in _blocks(outer):
            if inner in block and any(_closes(each, client) for each in block[: block.index(inner)]):
                return True
        finally_ = getattr(outer, "finalbody", ()) if inner in getattr(outer, "body", ()) else ()
        if any(_closes(each, client) for each in finally_):
            return True
        if outer is loop or isinstance(outer, FUNCTIONS):
            return False
        inner = outer
    return False


def _blocks(node: ast.AST) -> List[List[ast.AST]]:
    found = (getattr(node, name, None) for name in ("body", "orelse"))
    return [each for each in found if isinstance(each, list)]


def _closes(statement: ast.AST, client: str) -> bool:
    """Whether a statement closes the connection; also under a test whether there is one."""
    if isinstance(statement, ast.If) and not isinstance(statement.test, ast.UnaryOp):
        return any(_closes(each, client) for each in statement.body)
    if not isinstance(statement, ast.Expr):
        return False
    called = statement.value.value if isinstance(statement.value, ast.Await) else statement.value
    function = getattr(called, "func", None)
    return isinstance(function, ast.Attribute) and function.attr in _CLOSES and ast.dump(function.value) == client


def _returns_nothing(node: ast.AST) -> bool:
    """Whether a way out says at most yes or no."""
    value = getattr(node, "value", None) if isinstance(node, ast.Return) else None
    return value is None or (isinstance(value, ast.Constant) and (value.value is None or isinstance(value.value, bool)))


def _keeps(table: Table, call: ast.Call, loop: _Target) -> bool:
    """Whether what the loop goes over is used for more than to connect and to be told, in the loop or after it."""
    names: Set[str] = {each.id for each in ast.walk(loop.target) if isinstance(each, ast.Name)}
    within = set(_nodes(loop))
    for load in table.loads:
        if getattr(load, "id", None) not in names or table.scope(load) is not table.scope(loop):
            continue
        if load in within:
            if not _is_told(table, load, call, loop):
                return True
        elif getattr(load, "lineno", 0) > loop.lineno:
            return True
    return False


def _is_told(table: Table, load: ast.AST, call: ast.Call, loop: flow.Loop) -> bool:
    for outer in table.ancestors(load):
        if outer is loop:
            return False
        if outer is call or (isinstance(outer, ast.Call) and _name(outer.func) in _TELLS):
            return True
    return False
