"""Rules about a connection that does not come about: timeouts, errors, and who notices."""

from __future__ import annotations

import ast
from typing import Dict, Iterator, List, Optional, Sequence, Tuple, Union

from ..analysis import flow
from ..analysis.connections import Connection
from ..analysis.scopes import Table
from ..analysis.values import CONSTANT
from ..reading.model import ERROR, OFFICIAL, Found
from .case import Case, at, found

_LIMITS = frozenset(["asyncio.wait_for", "asyncio.timeout", "asyncio.timeout_at", "async_timeout.timeout"])
_NO_LINES: Dict[str, Tuple[int, int]] = {}
_WIDE = ("Exception", "BaseException", "OSError", "ConnectionError", "ConnectionRefusedError", "TimeoutError")


def connect_without_timeout(case: Case, table: Table) -> Iterator[Found]:
    """No timeout of its own, or one that is turned off. The official library has none to give."""
    for connection in case.of(table):
        if connection.library == OFFICIAL or not connection.direct or _limited(case, connection):
            continue
        if "timeout" not in connection.arguments:
            if connection.complete:
                summary = "no timeout is given: the library's 4 s are short for a gateway that is busy"
                yield found("connect_without_timeout", table, connection.call, summary)
            continue
        values = case.argument(connection, "timeout")
        for value in values:
            if value.kind == CONSTANT and not value.constant:
                certain = all(each.kind == CONSTANT and not each.constant for each in values)
                summary = "timeout=%r waits for ever%s" % (value.constant, "" if certain else ", where it is used")
                severity = ERROR if certain else None
                yield found("connect_without_timeout", value.table, value.node, summary, severity, [at(connection)])


def _limited(case: Case, connection: Connection) -> bool:
    """Whether something around the call ends it: asyncio.wait_for, asyncio.timeout."""
    table = connection.table
    for outer in table.ancestors(connection.call):
        calls: List[ast.AST] = [outer] if isinstance(outer, ast.Call) else []
        if isinstance(outer, (ast.With, ast.AsyncWith)):
            calls = [each.context_expr for each in outer.items]
        for call in calls:
            if isinstance(call, ast.Call) and case.project.dotted(table, call.func) & _LIMITS:
                return True
        if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef)):
            break
    return False


def connect_without_error_handling(case: Case, table: Table) -> Iterator[Found]:
    """No handler around the connect, nor around every call of the function it is in.

    Not asked of the official library, whose connect() does not raise, of notebooks, whose reader sees the error, and
    of functions that only other files call, who may handle it.
    """
    for connection in case.of(table):
        if not connection.direct or connection.library == OFFICIAL or table.script.notebook:
            continue
        if _is_lost(connection) or flow.handled(case.project, table, connection.call):
            continue
        if _called_elsewhere(case, table, connection.call):
            continue
        summary = "nobody catches the error of a gateway that is away, busy or hanging: it ends in a traceback"
        yield found("connect_without_error_handling", table, connection.call, summary)


def _is_lost(connection: Connection) -> bool:
    """Whether a coroutine is made and never run: another rule tells of it."""
    return not connection.blocking and isinstance(connection.table.parents.get(connection.call), ast.Expr)


def _called_elsewhere(case: Case, table: Table, node: ast.AST, depth: int = 0) -> bool:
    """Whether somebody calls the function around a node who is not among these scripts, or cannot be followed."""
    function = table.function(node)
    if function is None:
        return False
    sites = flow.callers(case.project, table, node)
    if not sites:
        return True
    return depth < 4 and any(
        not flow.handled(case.project, *site) and _called_elsewhere(case, *site, depth=depth + 1) for site in sites
    )


def connect_error_swallowed(case: Case, table: Table) -> Iterator[Found]:
    """A handler that says and does nothing, so that the script goes on without a connection."""
    passed_over = []
    for connection in case.of(table):
        if connection.library != OFFICIAL and connection.direct and flow.loop(table, connection.call) is None:
            around = flow.handler(case.project, table, connection.call)
            silent = _silent(around)
            if silent is not None and around is not None and _goes_on_without(case, table, connection.call, around):
                passed_over.append((connection.call, silent.lineno))
    if passed_over and not _asks_again(table):
        for call, line in passed_over:
            summary = "a failed connect is ignored in silence (line %d), and the script goes on" % line
            yield found("connect_error_swallowed", table, call, summary)


def _goes_on_without(case: Case, table: Table, call: ast.Call, around: ast.AST) -> bool:
    """Whether what follows a try uses its client and cannot know whether the connect in it came about.

    What is assigned, returned or left behind the connect, and an else, may say so.
    """
    body: List[ast.stmt] = getattr(around, "body", [])
    after = [each for each in body if each.lineno > call.lineno]
    if getattr(around, "orelse", None) or not all(isinstance(each, ast.Expr) for each in after):
        return False
    receiver = getattr(call.func, "value", None)
    name = getattr(receiver, "attr", getattr(receiver, "id", ""))
    first, last = case.project.questions.answer(("lines", table.script.path), lambda: _lines(table), _NO_LINES).get(
        name, (0, 0)
    )
    before = isinstance(receiver, ast.Attribute) and first < getattr(around, "lineno", 0)  # in another method
    return before or last > (getattr(around, "end_lineno", None) or 0)


def _lines(table: Table) -> Dict[str, Tuple[int, int]]:
    """By name, of variables and attributes: the first and the last line on which it is read, but to disconnect it."""
    found_lines: Dict[str, Tuple[int, int]] = {}
    for each in table.loads:
        if getattr(table.parents.get(each), "attr", "") == "disconnect":
            continue
        name, line = str(getattr(each, "attr", getattr(each, "id", ""))), int(getattr(each, "lineno", 0))
        first, last = found_lines.get(name, (line, line))
        found_lines[name] = (min(first, line), max(last, line))
    return found_lines


def _silent(around: Optional[ast.AST]) -> Union[ast.ExceptHandler, ast.expr, None]:
    """What passes over an error in silence: a handler with nothing in it, or contextlib.suppress."""
    for each in getattr(around, "items", ()):
        if isinstance(each.context_expr, ast.Call) and _is_wide(each.context_expr.args):
            return each.context_expr
    return next((each for each in getattr(around, "handlers", ()) if _is_silent(each)), None)


def _is_wide(caught: Sequence[Optional[ast.expr]]) -> bool:
    return any(each is None or getattr(each, "id", getattr(each, "attr", "")) in _WIDE for each in caught)


def _is_silent(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return _is_wide(caught) and all(
        isinstance(each, ast.Pass) or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        for each in handler.body
    )


def _asks_again(table: Table) -> bool:
    """Whether the script asks somewhere whether it is connected."""
    return any(isinstance(each, ast.Attribute) and each.attr in ("isConnected", "isReady") for each in table.loads)


RULES = (connect_without_timeout, connect_without_error_handling, connect_error_swallowed)
