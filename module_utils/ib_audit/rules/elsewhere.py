"""Rules about connections that are opened in one event loop or thread and used in another, or never awaited."""

from __future__ import annotations

import ast
from typing import FrozenSet, Iterator, List, NamedTuple, Optional, Set, Tuple, Union

from ..analysis import flow
from ..analysis.connections import client_classes
from ..analysis.library import BLOCKING, SUBSCRIBING
from ..analysis.project import argument_of
from ..analysis.scopes import FUNCTIONS, Binding, Table, parameters
from ..reading.model import ASYNC, INSYNC, OFFICIAL, Found
from .blocking import functions, is_patched
from .case import Case, found

_CLASSES = frozenset("%s.IB" % name for name in (INSYNC, ASYNC))
#: Patches asyncio.run() alone, which then uses the loop that is there.
_ONE_LOOP = "nest_asyncio._patch_asyncio"
_Def = Union[ast.FunctionDef, ast.AsyncFunctionDef]
#: So many functions a client is followed through.
_DEEPEST = 4
#: Methods of the client that ask for something, whether they wait for it or not.
_REQUESTS = BLOCKING | SUBSCRIBING | {"placeOrder", "cancelOrder"}
_SLEEPS = ("sleep", "waitOnUpdate")


def connect_not_awaited(case: Case, table: Table) -> Iterator[Found]:
    """connectAsync() whose result is dropped: the coroutine never runs."""
    for connection in case.of(table):
        called = connection.call.func
        if connection.library == OFFICIAL or connection.blocking or not connection.direct:
            continue
        if not isinstance(called, ast.Attribute) or called.attr != "connectAsync":
            continue
        if _is_dropped(table, connection.call):
            summary = "connectAsync() is called and not awaited: nothing connects"
            yield found("connect_not_awaited", table, connection.call, summary)


def _is_dropped(table: Table, call: ast.Call) -> bool:
    """Whether nothing is done with what a call returns: it is a statement, or given a name that is never read."""
    parent = table.parents.get(call)
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0], ast.Name):
        name = parent.targets[0].id
        return not any(getattr(each, "id", "") == name for each in table.loads)
    return isinstance(parent, ast.Expr)


def connection_in_other_loop(case: Case, table: Table) -> Iterator[Found]:
    """A connection that the blocking connect() opened, used in the loop that asyncio.run() makes."""
    receivers = receivers_of(case, table)
    if not receivers or is_patched(case, table) or _has_one_loop(case, table):
        return
    opened = Opened(of_module(table, receivers), of_classes(table, receivers))
    for call in table.calls:
        if "asyncio.run" not in case.project.dotted(table, call.func) or not call.args:
            continue
        started = call.args[0]
        if not isinstance(started, ast.Call):
            continue
        names = [_asked_at_once(case, table, started, opened)]
        for function in _run(case, table, started):
            names.append(uses(case, table, function, opened))
            names.append(_handed_on(case, table, function, started, receivers))
        name = next(filter(None, names), None)
        if name:
            summary = "asyncio.run() makes a loop of its own, and %s was connected in another one: " % name
            yield found("connection_in_other_loop", table, call, summary + "its answers never arrive")


def _run(case: Case, table: Table, call: ast.Call) -> Iterator[ast.AST]:
    """The functions of a script that a call runs, and the coroutines that it is given to run."""
    yield from (node for home, node in case.project.called(table, call) if home is table)
    for given in _arguments(call):
        if isinstance(given, (ast.Name, ast.Attribute)):
            handed = functions(case, table, given)
            yield from (node for home, node in handed if home is table and isinstance(node, ast.AsyncFunctionDef))


def _has_one_loop(case: Case, table: Table) -> bool:
    """Whether asyncio.run() makes no loop of its own."""
    return any(
        _ONE_LOOP in case.project.dotted(one, call.func)
        for one in case.project.of_one_process(table)
        if _ONE_LOOP.rpartition(".")[2] in one.script.text
        for call in one.calls
    )


class Opened(NamedTuple):
    """What stands for clients that a blocking connect() opens: names of the module, and attributes of classes."""

    names: List[List[Binding]]
    attributes: FrozenSet[Tuple[Optional[ast.AST], str]]


def receivers_of(case: Case, table: Table) -> List[ast.expr]:
    """The names and attributes on which plain functions, or the module itself, call a blocking connect()."""
    return [
        connection.call.func.value
        for connection in case.of(table)
        if isinstance(connection.call.func, ast.Attribute)
        and connection.blocking
        and connection.library != OFFICIAL
        and not isinstance(table.function(connection.call), ast.AsyncFunctionDef)
    ]


def of_module(table: Table, receivers: List[ast.expr]) -> List[List[Binding]]:
    """The bindings of those that are names of the module."""
    names = [(each.id, table.lookup(each.id, each)) for each in receivers if isinstance(each, ast.Name)]
    return [bindings for name, bindings in names if bindings and bindings is table.module.names.get(name)]


def of_classes(table: Table, receivers: List[ast.expr]) -> FrozenSet[Tuple[Optional[ast.AST], str]]:
    """(class, attribute) of those that are attributes of the object itself."""
    attributes = (each for each in receivers if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name))
    return frozenset((_class_around(table, each), each.attr) for each in attributes)


def _class_around(table: Table, node: ast.AST) -> Optional[ast.AST]:
    """The class whose method a node is in."""
    function = table.function(node)
    return table.enclosing_class(function) if function is not None else None


def _asked_at_once(case: Case, table: Table, started: ast.Call, opened: Opened) -> Optional[str]:
    """The name of such a client in asyncio.run(client.requestAsync())."""
    method = started.func
    if not isinstance(method, ast.Attribute) or not _is_request(method, loop=True):
        return None
    return _opened_as(case, table, method.value, opened)


def _is_request(method: ast.Attribute, loop: bool) -> bool:
    if method.attr.startswith(("connect", "disconnect")):
        return False
    return method.attr in _REQUESTS or (method.attr.endswith("Async") if loop else method.attr in _SLEEPS)


def _opened_as(case: Case, table: Table, node: ast.expr, opened: Opened) -> Optional[str]:
    """The name by which an expression is one of these clients."""
    name = None
    if isinstance(node, ast.Name) and any(table.lookup(node.id, node) is each for each in opened.names):
        name = node.id
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        owner = _class_around(table, node)
        if owner is not None and (owner, node.attr) in opened.attributes:
            name = "%s.%s" % (node.value.id, node.attr)
    return name if name and client_classes(case.project, table, node) & _CLASSES else None


def _handed_on(case: Case, table: Table, function: ast.AST, started: ast.Call, handed: List[ast.expr]) -> Optional[str]:
    """The name of such a client that asyncio.run(function(client)) hands on, where the function asks it something."""
    if not isinstance(function, ast.AsyncFunctionDef):
        return None
    for parameter, given in _given_names(function, started):
        bindings = table.lookup(given.id, given)
        same = any(isinstance(each, ast.Name) and table.lookup(each.id, each) is bindings for each in handed)
        if same and _asks(case, table, function, parameter):
            return given.id
    return None


def _given_names(function: _Def, call: ast.Call) -> Iterator[Tuple[str, ast.Name]]:
    """(parameter, what is given for it) of a call, for what is given by a name."""
    placed = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    for parameter, _default in parameters(function):
        index = placed.index(parameter.arg) if parameter.arg in placed else None
        given = argument_of(call, parameter.arg, index)
        if isinstance(given, ast.Name):
            yield parameter.arg, given


def _asks(case: Case, table: Table, function: _Def, name: str) -> bool:
    """Whether a function requests something of the client that a parameter of it is, and does not connect it itself."""
    methods = _methods(case, table, function, name, 0)
    connects = any(each.startswith("connect") for each in methods)
    return not connects and any(each in _REQUESTS or each.endswith("Async") for each in methods)


def _methods(case: Case, table: Table, function: _Def, name: str, depth: int) -> FrozenSet[str]:
    """The methods that a function calls of what a parameter of it is, also through functions it hands it on to."""

    def answer() -> FrozenSet[str]:
        found_names: Set[str] = set()
        for call in flow.calls_of(function):
            method = call.func
            if isinstance(method, ast.Attribute) and getattr(method.value, "id", "") == name:
                found_names.add(method.attr)
            if depth == _DEEPEST or not any(getattr(each, "id", "") == name for each in _arguments(call)):
                continue
            for home, callee in case.project.called(table, call):
                if home is table and isinstance(callee, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    for parameter, given in _given_names(callee, call):
                        if given.id == name:
                            found_names |= _methods(case, table, callee, parameter, depth + 1)
        return frozenset(found_names)

    nothing: FrozenSet[str] = frozenset()
    return case.project.questions.answer(("methods of", function, name, depth), answer, nothing)


def _arguments(call: ast.Call) -> List[ast.expr]:
    return [*call.args, *[keyword.value for keyword in call.keywords]]


def uses(case: Case, table: Table, function: ast.AST, opened: Opened, loop: bool = True) -> Optional[str]:
    """The name of such a client that a function makes requests with, unless it opens a connection itself.

    loop: whether there is one; without one nothing is awaited, and a sleep of the library needs one as well.
    """
    name: Optional[str] = None
    seen: Set[ast.AST] = set()
    waiting = [function]
    while waiting and len(seen) < 30:
        current = waiting.pop()
        if current in seen or not isinstance(current, FUNCTIONS):
            continue
        seen.add(current)
        for call in flow.calls_of(current):
            method = call.func
            waiting.extend(_run(case, table, call))
            if not isinstance(method, ast.Attribute):
                continue
            if method.attr.startswith("connect") and client_classes(case.project, table, method.value):
                return None
            if _is_request(method, loop):
                name = name or _opened_as(case, table, method.value, opened)
    return name


RULES = (connect_not_awaited, connection_in_other_loop)
