"""Rules about a connection that does not come about: timeouts, errors, and who notices."""

from __future__ import annotations

import ast
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from ..analysis import flow
from ..analysis.connections import Connection
from ..analysis.scopes import Table
from ..analysis.values import CONSTANT
from ..reading.model import ERROR, OFFICIAL, Found
from .case import Case, at, found

_LIMITS = frozenset(["asyncio.wait_for", "asyncio.timeout", "asyncio.timeout_at", "async_timeout.timeout"])
_NO_LINES: Dict[Tuple[Any, ...], Tuple[int, int]] = {}
#: What tells an error and lets the script go on.
_TELLING = frozenset(
    ["print", "print_exc", "print_exception", "debug", "info", "warning", "warn", "error", "exception", "critical"]
)
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
    """A handler that does nothing, or only tells, so that the script goes on without a connection."""
    passed_over = []
    for connection in case.of(table):
        if connection.library != OFFICIAL and connection.direct and flow.loop(table, connection.call) is None:
            around = flow.handler(case.project, table, connection.call)
            silent = _silent(around) if around is not None else None
            told = _told(case, table, around) if around is not None and silent is None else None
            if not (silent or told):
                continue
            if around is not None and _goes_on_without(case, table, connection.call, around, told is not None):
                passed_over.append((connection.call, silent, told))
    if not passed_over or _asks_again(table):
        return
    elsewhere = any(_asks_again(one) for one in case.project.neighbours(table))
    for call, silent, told in passed_over:
        if silent is not None:
            summary = "a failed connect is ignored in silence (line %d), and the script goes on" % silent.lineno
            yield found("connect_error_swallowed", table, call, summary)
        elif told is not None and not elsewhere:
            summary = "a failed connect is only told (line %d), and the script goes on without one" % told.lineno
            yield found("connect_error_swallowed", table, call, summary)


def _goes_on_without(case: Case, table: Table, call: ast.Call, around: ast.AST, told: bool) -> bool:
    """Whether what follows a try uses its client and cannot know whether the connect in it came about.

    What is assigned, returned or left behind the connect, and an else, may say so. told: whether somebody may read that
    it failed; then the client must be asked for something, or returned.
    """
    body: List[ast.stmt] = getattr(around, "body", [])
    after = [each for each in body if each.lineno > call.lineno]
    if getattr(around, "orelse", None) or not all(isinstance(each, ast.Expr) for each in after):
        return False
    receiver = getattr(call.func, "value", None)
    first, last = _read(case, table, receiver, told)
    before = isinstance(receiver, ast.Attribute) and first < getattr(around, "lineno", 0)  # in another method
    return before or last > (getattr(around, "end_lineno", None) or 0)


def _read(case: Case, table: Table, receiver: Optional[ast.AST], asked: bool) -> Tuple[int, int]:
    """The first and the last line on which a client is read, or asked: by its variable, or its attribute's name."""
    lines = case.project.questions.answer(("lines", table.script.path), lambda: _lines(table), _NO_LINES)
    return lines.get((asked, *_name(table, receiver)), (0, 0))


def _lines(table: Table) -> Dict[Tuple[Any, ...], Tuple[int, int]]:
    """The first and the last line on which variables and attributes are read, but to disconnect what they are.

    By (whether something is asked of it, or it is returned; what _name() says).
    """
    found_lines: Dict[Tuple[Any, ...], Tuple[int, int]] = {}
    for each in table.loads:
        outer = table.parents.get(each)
        method = getattr(outer, "attr", "")
        if method == "disconnect":
            continue
        asked = isinstance(outer, ast.Return) or (bool(method) and not method.endswith("Event"))
        line = int(getattr(each, "lineno", 0))
        for key in [(kind, *_name(table, each)) for kind in ((False, True) if asked else (False,))]:
            first, last = found_lines.get(key, (line, line))
            found_lines[key] = (min(first, line), max(last, line))
    return found_lines


def _name(table: Table, node: Optional[ast.AST]) -> Tuple[Any, ...]:
    """What tells whether two expressions are the same client: the variable, or the name of the attribute."""
    if isinstance(node, ast.Name):
        return "variable", id(table.lookup(node.id, node))
    return "attribute", getattr(node, "attr", "")


def _told(case: Case, table: Table, around: ast.AST) -> Optional[ast.ExceptHandler]:
    """The handler that only prints or logs the error, where all that a try has do no more."""
    handlers: List[ast.ExceptHandler] = list(getattr(around, "handlers", ()))
    if not handlers or not all(all(_tells(case, table, each) for each in handler.body) for handler in handlers):
        return None
    return next((each for each in handlers if _is_wide(_caught(each))), None)


def _tells(case: Case, table: Table, statement: ast.stmt) -> bool:
    """Whether a statement only prints or logs something."""
    if not isinstance(statement, ast.Expr):
        return isinstance(statement, (ast.Pass, ast.Import, ast.ImportFrom))
    if isinstance(statement.value, ast.Constant):
        return True
    call = statement.value
    if not isinstance(call, ast.Call):
        return False
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    return name in _TELLING and not case.project.called(table, call)


def _silent(around: Optional[ast.AST]) -> Union[ast.ExceptHandler, ast.expr, None]:
    """What passes over an error in silence: a handler with nothing in it, or contextlib.suppress."""
    for each in getattr(around, "items", ()):
        if isinstance(each.context_expr, ast.Call) and _is_wide(each.context_expr.args):
            return each.context_expr
    return next((each for each in getattr(around, "handlers", ()) if _is_silent(each)), None)


def _is_wide(caught: Sequence[Optional[ast.expr]]) -> bool:
    return any(each is None or getattr(each, "id", getattr(each, "attr", "")) in _WIDE for each in caught)


def _caught(handler: ast.ExceptHandler) -> Sequence[Optional[ast.expr]]:
    return handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]


def _is_silent(handler: ast.ExceptHandler) -> bool:
    return _is_wide(_caught(handler)) and all(
        isinstance(each, ast.Pass) or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        for each in handler.body
    )


def _asks_again(table: Table) -> bool:
    """Whether the script asks somewhere whether it is connected."""
    return any(isinstance(each, ast.Attribute) and each.attr in ("isConnected", "isReady") for each in table.loads)


RULES = (connect_without_timeout, connect_without_error_handling, connect_error_swallowed)
