"""When a call that patches the event loop can be removed or moved without changing what a script does. Pure."""

from __future__ import annotations

import ast
from typing import List, Union

from ..analysis import flow
from ..analysis.scopes import Table
from ..reading.model import Found, Problem
from ..rules.case import Case
from ..rules.loop import starts
from .edit import MOVE, REMOVE, Decision, Edit, place

CODES = ("loop_in_function", "loop_started_twice", "loop_at_import")
Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


def decide(case: Case, table: Table, verdict: Found, problem: Problem) -> Decision:
    """A call that another one has made before goes away; the first thing of a run goes to where the run begins."""
    call = verdict.place.node
    statement = table.parents.get(call)
    if not isinstance(call, ast.Call) or not isinstance(statement, ast.Expr) or call.args or call.keywords:
        return "the call is part of a larger statement"
    if case.project.is_imported(table):
        return "another audited script imports this one and may rely on it"
    if _earlier(case, table, call, statement):
        return Edit(REMOVE, *place(table, statement), problem)
    reason = _why_not_move(case, table, call, statement)
    return reason or Edit(MOVE, *place(table, statement), problem)


def _earlier(case: Case, table: Table, call: ast.Call, statement: ast.Expr) -> bool:
    """Whether the same call stands before it in the same block: the second one does nothing."""
    block = _block(table, statement)
    before = block[: block.index(statement)]
    return any(
        isinstance(each, ast.Expr) and each.value in starts(case, table) and ast.dump(each.value) == ast.dump(call)
        for each in before
    )


def _why_not_move(case: Case, table: Table, call: ast.Call, statement: ast.Expr) -> str:
    guard = flow.main_guard(table)
    function = table.function(call)
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return "who imports the module may rely on it"
    if guard is None:
        return "the script has no main guard to move the call to"
    if guard.body[0].lineno == guard.lineno:
        return "the main guard has its statement on its own line"
    if len(starts(case, table)) > 1:
        return "the event loop is patched elsewhere as well"
    if table.parents.get(statement) is not function:
        return "it depends on a condition or a loop"
    if _named_in(table, call) != table.module.names.get(_root(call), []):
        return "its name is only known in the function"
    if _before(function, statement):
        return "the function does something before it"
    if not _begins_with(case, table, guard, function):
        return "the function is not the first thing that the main guard runs, and called from nowhere else"
    return ""


def _root(call: ast.Call) -> str:
    root: ast.AST = call
    while isinstance(root, (ast.Call, ast.Attribute)):
        root = root.func if isinstance(root, ast.Call) else root.value
    return str(getattr(root, "id", ""))


def _named_in(table: Table, call: ast.Call) -> List[object]:
    root: ast.AST = call
    while isinstance(root, (ast.Call, ast.Attribute)):
        root = root.func if isinstance(root, ast.Call) else root.value
    return list(table.lookup(root.id, root)) if isinstance(root, ast.Name) else [None]


def _before(function: Function, statement: ast.stmt) -> List[ast.stmt]:
    """What a function does before a statement; its docstring does nothing."""
    before = function.body[: function.body.index(statement)]
    return [each for each in before if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))]


def _begins_with(case: Case, table: Table, guard: ast.If, function: Function) -> bool:
    """Whether the main guard's first statement calls the function, with nothing to evaluate, and nobody else does."""
    first = guard.body[0]
    call = first.value if isinstance(first, ast.Expr) else None
    if not isinstance(call, ast.Call) or call.args or call.keywords or not isinstance(call.func, ast.Name):
        return False
    loads = [each for each in table.loads if getattr(each, "id", getattr(each, "attr", "")) == function.name]
    return [each for _table, each in case.project.sites(function)] == [call] and loads == [call.func]


def _block(table: Table, statement: ast.stmt) -> List[ast.stmt]:
    parent = table.parents.get(statement)
    blocks = [getattr(parent, name, None) for name in ("body", "orelse", "finalbody")]
    return next((each for each in blocks if isinstance(each, list) and statement in each), [statement])
