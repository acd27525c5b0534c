"""Rules about scripts that run for days: what brings them back after the gateway's nightly restart."""

from __future__ import annotations

import ast
import re
from typing import Dict, Iterator, List, Optional

from ..analysis import flow
from ..analysis.connections import client_classes
from ..analysis.library import SUBSCRIBING
from ..analysis.scopes import ELEMENT, FUNCTIONS, OPAQUE, PARAMETER, VALUE, Function, Table
from ..reading.model import ASYNC, INSYNC, KIT, OFFICIAL, Found
from .blocking import functions, registered
from .case import Case, found
from .retrying import turns

_FOREVER = frozenset("%s.%s" % (name, method) for name in (INSYNC, ASYNC) for method in ("util.run", "IB.run"))
#: Names in a script that knows that connections end.
_KNOWS = re.compile(r"disconnectedevent|isconnected|watchdog|connectionlost|reconnect|re_connect|timeoutevent|" + KIT)
_WAITS = ("sleep", "waitOnUpdate")


def no_reconnect(case: Case, table: Table) -> Iterator[Found]:
    """A script that runs without an end, and in which nothing connects again."""
    connections = [each for each in case.of(table) if each.library != OFFICIAL and each.direct]
    if not connections or table.script.notebook:
        return
    if any(_knows(case, each) for each in [table, *case.project.neighbours(table)]) or turns(case, table):
        return
    around = {table.function(connection.call) for connection in connections}
    # A connection that is closed by the function that made it is over when another one waits.
    kept = any(each is None or not _closes(each) for each in around)
    forever = next(
        (
            call
            for call in table.calls
            if _runs_forever(case, table, call)
            or ((kept or table.function(call) in around) and _sleeps(case, table, call))
        ),
        None,
    )
    if forever is not None:
        summary = "the script runs without an end (line %d), and nothing connects again" % forever.lineno
        summary += " after the gateway's nightly restart"
        yield found("no_reconnect", table, connections[0].call, summary)


def _knows(case: Case, table: Table) -> bool:
    """Whether a name in a script shows that it knows that connections end; comments and texts do not count."""

    def answer() -> bool:
        names = (str(getattr(each, "attr", getattr(each, "id", ""))) for each in table.loads)
        bound = (name for scope in table.scopes() for name in scope.names)
        events = (event for event, _handler in registered(case, table))
        return any(_KNOWS.search(name.lower()) for source in (names, bound, events) for name in source)

    return case.project.questions.answer(("knows", table.script.path), answer, False)


def _runs_forever(case: Case, table: Table, call: ast.Call) -> bool:
    """ib.run(), util.run(), loop.run_forever(), or a wait of the client in `while True` that nothing leaves."""
    function = call.func
    if not isinstance(function, ast.Attribute):
        return bool(case.project.dotted(table, function) & _FOREVER) and not call.args
    if function.attr == "run_forever" or (function.attr == "run" and not call.args):
        classes = client_classes(case.project, table, function.value)
        named = case.project.dotted(table, function) & _FOREVER
        if function.attr == "run_forever":
            return not _is_stopped(table, function.value)
        return bool(named) or bool(classes & {"ib_insync.IB", "ib_async.IB"})
    if function.attr not in _WAITS or not client_classes(case.project, table, function.value):
        return False
    return _is_endless(flow.loop(table, call))


def _closes(function: Function) -> bool:
    return any(getattr(each.func, "attr", "").startswith("disconnect") for each in flow.calls_of(function))


def _sleeps(case: Case, table: Table, call: ast.Call) -> bool:
    """asyncio.sleep() in `while True` that nothing leaves."""
    asleep = "asyncio.sleep" in case.project.dotted(table, call.func) and flow.in_coroutine(table, call)
    return asleep and _is_endless(flow.loop(table, call))


def _is_stopped(table: Table, loop: ast.expr) -> bool:
    """Whether a script stops an event loop of that name itself: then it ends when it wants to."""
    name = getattr(loop, "attr", getattr(loop, "id", ""))
    stops = (call.func for call in table.calls if getattr(call.func, "attr", "") == "stop")
    stopped = [getattr(function, "value", None) for function in stops]
    return any(getattr(each, "attr", getattr(each, "id", None)) == name for each in stopped)


def _is_endless(loop: Optional[flow.Loop]) -> bool:
    return isinstance(loop, ast.While) and _is_true(loop.test) and not _leaves(loop)


def _is_true(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)


def _leaves(loop: ast.While) -> bool:
    inner = [each for statement in loop.body for each in flow.below(statement)]
    return any(isinstance(each, (ast.Break, ast.Return)) for each in inner)


def lost_subscriptions(case: Case, table: Table) -> Iterator[Found]:
    """A script that subscribes once and connects again: the new connection has none of its subscriptions."""
    connecting = {one.call for one in case.connections if one.library != OFFICIAL and one.direct}
    subscribed = _subscriptions(case, table)
    if not subscribed or not connecting:
        return

    def connects(_home: Table, call: ast.Call) -> bool:
        return call in connecting

    def subscribes(home: Table, call: ast.Call) -> bool:
        return _subscribes(case, home, call)

    def unknown(home: Table, call: ast.Call) -> bool:
        return _is_unknown(case, home, call)

    handlers = [
        (event, home, node)
        for event, handler in registered(case, table)
        for home, node in functions(case, table, handler)
        if isinstance(node, FUNCTIONS)
    ]
    again = [
        (home, node)
        for event, home, node in handlers
        if event in ("disconnectedEvent", "connectedEvent")
        and flow.in_function(case.project, home, node, "subscribe", subscribes)
    ]
    if again:
        return
    for event, home, node in handlers:
        if event != "disconnectedEvent" or flow.in_function(case.project, home, node, "unknown", unknown):
            continue
        first = next(iter(flow.in_function(case.project, home, node, "connect", connects)), None)
        if first is not None:
            name = getattr(node, "name", "a lambda")
            summary = "%s connects again and does not subscribe again to what line %d asked for" % (
                name,
                subscribed[0].lineno,
            )
            place: ast.AST = first[1] if first[0] is table else node
            yield found("lost_subscriptions", table, place, summary)


def _is_unknown(case: Case, table: Table, call: ast.Call) -> bool:
    """Whether a call runs what the script was given or keeps, such as a callback: it may subscribe."""
    function = call.func
    if case.project.called(table, call):
        return False
    if any(client_classes(case.project, table, each) for each in call.args):
        return True
    if isinstance(function, ast.Name):
        return any(each.kind in (ELEMENT, PARAMETER, OPAQUE, VALUE) for each in table.lookup(function.id, function))
    if not isinstance(function, ast.Attribute):
        return True
    own = isinstance(function.value, ast.Name) and table.owner(function.value) is not None
    return own and not client_classes(case.project, table, function.value)


def _subscriptions(case: Case, table: Table) -> List[ast.Call]:
    """The calls that subscribe once, unless one of them is in a loop that may go on over reconnections.

    What is called again and again may subscribe again when it finds that it has to.
    """
    calls = [call for call in table.calls if _subscribes(case, table, call)]
    calls = [call for call in calls if flow.runs_once(case.project, table, call)]
    return [] if any(isinstance(flow.loop(table, call), ast.While) for call in calls) else calls


def _subscribes(case: Case, table: Table, call: ast.Call) -> bool:
    function = call.func
    if not isinstance(function, ast.Attribute) or not client_classes(case.project, table, function.value):
        return False
    if function.attr in ("reqHistoricalData", "reqHistoricalDataAsync"):
        kept = [keyword.value for keyword in call.keywords if keyword.arg == "keepUpToDate"]
        return any(value.constant is True for each in kept for value in case.values.constants(table, each))
    if function.attr == "reqMktData" and (_is_snapshot(call) or _is_looked_at_once(case, table, call)):
        return False
    return function.attr in SUBSCRIBING


def _is_looked_at_once(case: Case, table: Table, call: ast.Call) -> bool:
    """Whether a function asks for a price, reads it, and drops it: it asks again each time it runs."""
    parent = table.parents.get(call)
    function = table.function(call)
    if not isinstance(parent, ast.Assign) or function is None or len(parent.targets) != 1:
        return False
    name = getattr(parent.targets[0], "id", "")
    if not name or table.scope(parent) is not table.scope_of(function):
        return False
    nothing: Dict[str, bool] = {}
    return case.project.questions.answer(("read", function), lambda: _only_read(table, function), nothing).get(
        name, False
    )


def _only_read(table: Table, function: ast.AST) -> Dict[str, bool]:
    """By name, for those that a function reads: whether it only asks for attributes of it that are no events."""
    found_names: Dict[str, bool] = {}
    for each in ast.walk(function):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
            outer = table.parents.get(each)
            plain = isinstance(outer, ast.Attribute) and not outer.attr.endswith("Event")
            found_names[each.id] = plain and found_names.get(each.id, True)
    return found_names


def _is_snapshot(call: ast.Call) -> bool:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "snapshot"] or call.args[2:3]
    return any(isinstance(each, ast.Constant) and each.value is True for each in given)


RULES = (no_reconnect, lost_subscriptions)
