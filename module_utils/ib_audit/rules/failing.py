"""Rules about what happens when a connection does not come about: timeouts, errors, retries."""

from __future__ import annotations

import ast
from typing import Iterator, List, Optional, Set, Tuple, Union

from ..analysis import flow
from ..analysis.connections import Connection
from ..analysis.scopes import Table
from ..analysis.values import CONSTANT
from ..reading.model import ERROR, OFFICIAL, Found
from .case import Case, at, found

_LIMITS = frozenset(["asyncio.wait_for", "asyncio.timeout", "asyncio.timeout_at", "async_timeout.timeout"])
_SLEEPS = ("sleep", "wait", "wait_for")
Loop = Union[ast.While, ast.For, ast.AsyncFor]


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
        for value in case.argument(connection, "timeout"):
            if value.kind == CONSTANT and not value.constant:
                summary = "timeout=%r waits for ever" % (value.constant,)
                yield found("connect_without_timeout", value.table, value.node, summary, ERROR, [at(connection)])


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
    """No handler around the connect, nor around every call of the function it is in."""
    for connection in case.of(table):
        if not connection.direct or flow.handled(case.project, table, connection.call):
            continue
        if _official_handler(case, connection):
            continue
        yield found(
            "connect_without_error_handling",
            table,
            connection.call,
            "a gateway that is away, busy or hanging ends the script with a traceback here",
        )


def _official_handler(case: Case, connection: Connection) -> bool:
    """Whether a class of the official library's client takes errors by the method that is called for them."""
    if connection.library != OFFICIAL or not isinstance(connection.call.func, ast.Attribute):
        return False
    for thing in case.project.types(connection.table, connection.call.func.value):
        if thing.table is not None and isinstance(thing.node, ast.ClassDef):
            for home, one in case.project.lineage(thing.table, thing.node):
                if "error" in home.scope_of(one).names:
                    return True
    return False


def retry_without_backoff(case: Case, table: Table) -> Iterator[Found]:
    """A loop that connects again after a failure at once, or always after the same delay."""
    connecting = {connection.call for connection in case.connections if connection.direct}
    seen: Set[ast.AST] = set()
    for _home, call, _loop in _loops(case, table, connecting):
        loop = _loop
        if loop in seen or not _goes_on(case, table, call, loop):
            continue
        seen.add(loop)
        delays = _delays(case, table, loop)
        if not delays:
            yield found("retry_without_backoff", table, call, "a failed connect is repeated at once, without a delay")
        elif all(_always(case, table, delay) is not None for delay in delays):
            seconds = _always(case, table, delays[0])
            summary = "a failed connect is repeated with the same delay each time (%s s)" % seconds
            yield found("retry_without_backoff", table, call, summary)


def _loops(case: Case, table: Table, connecting: Set[ast.Call]) -> Iterator[Tuple[Table, ast.Call, Loop]]:
    """The loops of a script whose turns connect, each with the call in it that does or leads to it."""
    for call in table.calls:
        loop = flow.loop(table, call)
        if loop is None:
            continue
        for home, inner, _first in flow.reachable(case.project, table, call):
            if inner in connecting:
                yield home, call, loop
                break


def _goes_on(case: Case, table: Table, call: ast.Call, loop: Loop) -> bool:
    """Whether a failure of the call leads to the loop's next turn: caught inside of it, and no way out taken."""
    catcher = flow.handler(case.project, table, call)
    if catcher is None or loop not in set(table.ancestors(catcher)):
        return _returns_failure(table, call, loop)
    handlers: List[ast.ExceptHandler] = list(getattr(catcher, "handlers", ()))
    return not handlers or any(not _leaves(each.body) for each in handlers)


def _returns_failure(table: Table, call: ast.Call, loop: Loop) -> bool:
    """Whether the loop is one that asks until it is connected: while not ib.isConnected()."""
    test = getattr(loop, "test", None)
    if test is None:
        return False
    asks = any(isinstance(each, ast.Attribute) and each.attr == "isConnected" for each in ast.walk(test))
    return asks and table.statement(call) in loop.body


def _leaves(body: List[ast.stmt]) -> bool:
    """Whether statements end in raise, return or break whatever happens."""
    for statement in body:
        if isinstance(statement, (ast.Raise, ast.Return, ast.Break)):
            return True
        if isinstance(statement, ast.If) and statement.orelse and _leaves(statement.body) and _leaves(statement.orelse):
            return True
        function = getattr(getattr(statement, "value", None), "func", None)
        if isinstance(statement, ast.Expr) and getattr(function, "attr", getattr(function, "id", "")) == "exit":
            return True
    return False


def _always(case: Case, table: Table, delay: ast.AST) -> Optional[float]:
    """The number a delay always is; None where it may be another one the next time."""
    values = case.values.of(table, delay)
    only = values[0].constant if len(values) == 1 and values[0].kind == CONSTANT else None
    return only if isinstance(only, (int, float)) else None


def _delays(case: Case, table: Table, loop: Loop) -> List[ast.AST]:
    """What the loop waits for in each turn: the arguments of its sleeps, also in functions it calls."""
    found_delays: List[ast.AST] = []
    for statement in loop.body:
        for home, call, _first in flow.reachable(case.project, table, statement, depth=1):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            given = [*call.args, *[keyword.value for keyword in call.keywords if keyword.arg == "timeout"]]
            if name in _SLEEPS and given:
                # A delay that is computed anywhere else may grow; only one that is written down here cannot.
                found_delays.append(given[0] if home is table else call)
    return found_delays


RULES = (connect_without_timeout, connect_without_error_handling, retry_without_backoff)
