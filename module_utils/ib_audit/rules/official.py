"""Rules about the official library, whose connect() does not raise and whose answers come by callbacks."""

from __future__ import annotations

import ast
from functools import partial
from typing import Dict, FrozenSet, Iterator, List, Optional, Sequence, Set, Tuple

from ..analysis import flow
from ..analysis.connections import Connection, client_classes
from ..analysis.scopes import Table
from ..reading.model import OFFICIAL, Found
from .case import Case, found

#: The callbacks that say that the connection can be used.
_READY = ("nextValidId", "connectAck", "managedAccounts")
_WAITS = ("wait", "get", "acquire", "join", "result", "run")
_REQUESTS = ("req", "placeOrder", "cancel", "calculate", "exerciseOptions", "subscribe", "query")
_CLIENT = "ibapi.client.EClient"


def request_before_ready(case: Case, table: Table) -> Iterator[Found]:
    """A request after connect() with nothing, or only a sleep, between: before nextValidId it can be lost."""
    for connection in case.of(table):
        if connection.library != OFFICIAL:
            continue
        request = _next_request(case, table, connection)
        if request is not None:
            summary = "%s() is called without waiting for nextValidId: before that a request can be lost" % (
                getattr(request.func, "attr", "")
            )
            yield found("request_before_ready", table, request, summary)


def _next_request(case: Case, table: Table, connection: Connection) -> Optional[ast.Call]:
    """The first request in the statements after a connect, in the same block; None where something is waited for."""
    for statement in _after(table, connection.call):
        for node in flow.below(statement):
            if isinstance(node, ast.While) or (isinstance(node, ast.Call) and _waits(case, table, node)):
                return None
            if isinstance(node, ast.If) and _asks_for_answer(node.test):
                return None
            if isinstance(node, ast.Call) and _is_request(case, table, node):
                return node
    return None


def _after(table: Table, call: ast.Call) -> List[ast.stmt]:
    """The statements after the one a call is in, in the same block and, at its end, in those around it."""
    listed: List[ast.stmt] = []
    inner: ast.AST = table.statement(call)
    while True:
        parent = table.parents.get(inner)
        for block in (getattr(parent, name, None) for name in ("body", "orelse", "finalbody")):
            if isinstance(block, list) and inner in block:
                listed.extend(block[block.index(inner) + 1 :])
        if parent is None or isinstance(
            parent, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.While, ast.For)
        ):
            return listed
        inner = parent


def _waits(case: Case, table: Table, call: ast.Call) -> bool:
    """Whether a call may wait for an answer: event.wait(), queue.get(), thread.join(), or a function here that does."""

    def waits(_home: Table, one: ast.Call) -> bool:
        return getattr(one.func, "attr", "") in _WAITS

    if flow.reached(case.project, table, call, "await answer", waits, depth=2):
        # A function of these scripts may be the one that starts the thread; then it waits for nothing.
        return getattr(call.func, "attr", "") not in ("start", "submit")
    return any(
        isinstance(each, ast.While)
        for _home, function in case.project.called(table, call)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for statement in function.body
        for each in flow.below(statement)
    )


def _asks_for_answer(test: ast.AST) -> bool:
    words = [str(getattr(each, "attr", getattr(each, "id", ""))).lower() for each in ast.walk(test)]
    return any("valid" in word or "order" in word or "ready" in word or "connected" in word for word in words)


def _is_request(case: Case, table: Table, call: ast.Call) -> bool:
    function = call.func
    if not isinstance(function, ast.Attribute) or not function.attr.startswith(_REQUESTS):
        return False
    if any(
        isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) for _home, node in case.project.called(table, call)
    ):
        return False
    return _CLIENT in client_classes(case.project, table, function.value)


def wait_without_end(case: Case, table: Table) -> Iterator[Found]:
    """A wait for the answer to connect() without a limit: a refused connect() does not raise, so it never ends."""
    if not any(connection.library == OFFICIAL for connection in case.of(table)):
        return
    told = _told(case, table)
    for node in table.nodes():
        if isinstance(node, ast.While) and _waits_for(node, told) and not _has_end(node, told):
            if _asks_anew(table, node):
                continue
            summary = "this waits without a limit for the answer to connect(), which does not raise when it is refused"
            yield found("wait_without_end", table, node, summary)
    waited: Set[Tuple[ast.AST, str]] = set()
    for call in sorted(table.calls, key=lambda each: (each.lineno, each.col_offset)):
        function = call.func
        if not isinstance(function, ast.Attribute) or function.attr != "wait":
            continue
        # What is waited for later is another answer, whose request was heard.
        wait = (table.scope(call).node, _named(function.value))
        first = wait not in waited
        waited.add(wait)
        if first and wait[1] in told and not call.args and not call.keywords:
            summary = "this waits without a limit for the answer to connect(): give wait() a timeout"
            yield found("wait_without_end", table, call, summary)


def _asks_anew(table: Table, loop: ast.While) -> bool:
    """Whether the statement before a loop asks for the next order id: then it is that answer which it waits for."""
    for block in (getattr(table.parents.get(loop), name, None) for name in ("body", "orelse", "finalbody")):
        if isinstance(block, list) and loop in block:
            before = block[: block.index(loop)][-1:]
            return any(_named(call.func) == "reqIds" for each in before for call in flow.calls_in(each))
    return False


def _told(case: Case, table: Table) -> FrozenSet[str]:
    """What the callbacks that say "ready" set: names of attributes they assign, and of events they set."""
    names: Set[str] = set()
    for one in [table, *case.project.neighbours(table)]:
        names |= case.project.questions.answer(("told", one.script.path), partial(_set_in, one), frozenset())
    return frozenset(names)


def _set_in(table: Table) -> FrozenSet[str]:
    names: Set[str] = set()
    for scope in table.scopes():
        if getattr(scope.node, "name", "") not in _READY:
            continue
        for node in ast.walk(scope.node):
            if isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets: Sequence[ast.expr] = node.targets if isinstance(node, ast.Assign) else [node.target]
                names.update(each.attr for each in targets if isinstance(each, ast.Attribute))
            called = getattr(node, "func", None)
            if isinstance(called, ast.Attribute) and called.attr == "set":
                names.add(_named(called.value))
    return frozenset(names - {""})


def _named(node: ast.AST) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _waits_for(loop: ast.While, told: FrozenSet[str]) -> bool:
    """Whether a loop goes on until such a name is set, or until isConnected() says so, and does nothing else."""
    if isinstance(loop.test, ast.Constant) and loop.test.value:
        return any(_breaks(each, told) for each in loop.body)
    words = {_named(each) for each in ast.walk(loop.test)}
    if not words & (told | {"isConnected"}) or any(isinstance(each, ast.BoolOp) for each in ast.walk(loop.test)):
        return False
    negated = isinstance(loop.test, ast.UnaryOp) and isinstance(loop.test.op, ast.Not)
    compared = isinstance(loop.test, ast.Compare) and isinstance(loop.test.ops[0], (ast.Is, ast.Eq, ast.Lt))
    return negated or compared


def _breaks(statement: ast.stmt, told: FrozenSet[str]) -> bool:
    if not isinstance(statement, ast.If):
        return False
    words: Dict[str, bool] = {_named(each): True for each in ast.walk(statement.test)}
    return bool(set(words) & told) and any(isinstance(each, ast.Break) for each in statement.body)


def _has_end(loop: ast.While, told: FrozenSet[str]) -> bool:
    """Whether something else ends the loop: a count, a deadline, an exception."""
    endless = isinstance(loop.test, ast.Constant)
    for statement in loop.body:
        if endless and _breaks(statement, told):
            if isinstance(statement, ast.If) and _leaves(statement.orelse):
                return True
            continue
        if _leaves([statement]):
            return True
    return False


def _leaves(body: Sequence[ast.AST]) -> bool:
    for statement in body:
        for each in flow.below(statement):
            if isinstance(each, (ast.Break, ast.Return, ast.Raise)):
                return True
            if isinstance(each, ast.Call) and _named(each.func) in ("exit", "_exit", "quit", "connect"):
                return True
    return False


RULES = (request_before_ready, wait_without_end)
