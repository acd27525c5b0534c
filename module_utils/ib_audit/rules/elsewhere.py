"""Rules about connections that are opened in one event loop or thread and used in another, or never awaited."""

from __future__ import annotations

import ast
from typing import Iterator, List, Optional, Set

from ..analysis import flow
from ..analysis.connections import Connection, client_classes
from ..analysis.library import BLOCKING
from ..analysis.project import argument_of
from ..analysis.scopes import FUNCTIONS, Binding, Table, parameters
from ..reading.model import ASYNC, INSYNC, OFFICIAL, Found
from .blocking import functions, is_patched
from .case import Case, found

_CLASSES = frozenset("%s.IB" % name for name in (INSYNC, ASYNC))
#: Who calls one of these gives a thread its own loop, or hands work over to the right one.
_BRIDGES = ("set_event_loop", "new_event_loop", "run_coroutine_threadsafe", "call_soon_threadsafe", "asyncio.run")


def connect_not_awaited(case: Case, table: Table) -> Iterator[Found]:
    """connectAsync() whose result is dropped: the coroutine never runs."""
    for connection in case.of(table):
        called = connection.call.func
        if connection.library == OFFICIAL or connection.blocking or not connection.direct:
            continue
        if not isinstance(called, ast.Attribute) or called.attr != "connectAsync":
            continue
        if isinstance(table.parents.get(connection.call), ast.Expr):
            summary = "connectAsync() is called and not awaited: nothing connects"
            yield found("connect_not_awaited", table, connection.call, summary)


def connection_in_other_loop(case: Case, table: Table) -> Iterator[Found]:
    """A connection that the blocking connect() opened, used in the loop that asyncio.run() makes."""
    opened = _opened_outside(case, table)
    handed = _receivers(case, table)
    if not (opened or handed) or is_patched(case, table):
        return
    for call in table.calls:
        if "asyncio.run" not in case.project.dotted(table, call.func) or not call.args:
            continue
        started = call.args[0]
        if not isinstance(started, ast.Call):
            continue
        for home, function in case.project.called(table, started):
            name = _uses(case, home, function, opened, everything=True) if home is table else None
            name = name or _handed_on(table, function, started, handed)
            if name:
                summary = "asyncio.run() makes a loop of its own, and %s was connected in another one: " % name
                yield found("connection_in_other_loop", table, call, summary + "its answers never arrive")


def connection_in_thread(case: Case, table: Table) -> Iterator[Found]:
    """Blocking requests in a thread that has no event loop, on a connection that was opened outside of it."""
    opened = _opened_outside(case, table)
    if not opened or any(word in table.script.text for word in _BRIDGES) or is_patched(case, table):
        return
    for call in table.calls:
        if "threading.Thread" not in case.project.dotted(table, call.func):
            continue
        for keyword in call.keywords:
            targets = functions(case, table, keyword.value) if keyword.arg == "target" else set()
            for home, function in targets:
                name = _uses(case, home, function, opened, everything=False) if home is table else None
                if name:
                    summary = "a thread without an event loop uses %s, which was connected outside of it" % name
                    yield found("connection_in_other_loop", table, call, summary)


def _opened_outside(case: Case, table: Table) -> List[List[Binding]]:
    """What names of the module stand for clients that a blocking connect() opens, each by its bindings."""
    found_names = (table.lookup(each.id, each) for each in _receivers(case, table))
    return [each for each in found_names if each and any(each is one for one in table.module.names.values())]


def _receivers(case: Case, table: Table) -> List[ast.Name]:
    """The names on which plain functions, or the module itself, call a blocking connect()."""
    return [
        receiver
        for connection in case.of(table)
        for receiver in [_receiver(connection)]
        if receiver is not None
        and connection.blocking
        and connection.library != OFFICIAL
        and not isinstance(table.function(connection.call), ast.AsyncFunctionDef)
    ]


def _receiver(connection: Connection) -> Optional[ast.Name]:
    function = connection.call.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return function.value
    return None


def _handed_on(table: Table, function: ast.AST, started: ast.Call, handed: List[ast.Name]) -> Optional[str]:
    """The name of such a client that asyncio.run(function(client)) hands on, where the function asks it something."""
    if not isinstance(function, ast.AsyncFunctionDef):
        return None
    placed = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    for parameter, _default in parameters(function):
        index = placed.index(parameter.arg) if parameter.arg in placed else None
        given = argument_of(started, parameter.arg, index)
        if not isinstance(given, ast.Name):
            continue
        same = any(table.lookup(each.id, each) is table.lookup(given.id, given) for each in handed)
        if same and _asks(function, parameter.arg):
            return given.id
    return None


def _asks(function: ast.AsyncFunctionDef, name: str) -> bool:
    """Whether a function requests something of the client that a parameter of it is, and does not connect it itself."""
    methods = [
        call.func.attr
        for call in flow.calls_of(function)
        if isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == name
    ]
    connects = any(each.startswith("connect") for each in methods)
    return not connects and any(each in BLOCKING or each.endswith("Async") for each in methods)


def _uses(case: Case, table: Table, function: ast.AST, opened: List[List[Binding]], everything: bool) -> Optional[str]:
    """The name of such a client that a function makes requests with; everything: coroutines of it count as well."""
    seen: Set[ast.AST] = set()
    waiting = [function]
    while waiting and len(seen) < 30:
        current = waiting.pop()
        if current in seen or not isinstance(current, FUNCTIONS):
            continue
        seen.add(current)
        for call in flow.calls_of(current):
            method = call.func
            waiting.extend(node for home, node in case.project.called(table, call) if home is table)
            if not isinstance(method, ast.Attribute) or not isinstance(method.value, ast.Name):
                continue
            requests = method.attr in BLOCKING or (everything and method.attr.endswith("Async"))
            if method.attr.startswith("connect") or not requests:
                if method.attr.startswith("connect") and client_classes(case.project, table, method.value):
                    return None  # it opens the connection itself
                continue
            own = any(table.lookup(method.value.id, method.value) is each for each in opened)
            if own and client_classes(case.project, table, method.value) & _CLASSES:
                return method.value.id
    return None


RULES = (connect_not_awaited, connection_in_other_loop, connection_in_thread)
