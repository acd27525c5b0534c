"""Rules about loops that connect: again at once, with one id after another, or again in each turn."""

from __future__ import annotations

import ast
from typing import Iterator, List, Optional, Set, Tuple

from ..analysis import flow
from ..analysis.connections import Connection, client_classes, is_managed
from ..analysis.scopes import ELEMENT, OPAQUE, Table
from ..analysis.values import CONSTANT
from ..reading.model import OFFICIAL, Found
from .case import Case, found

#: Seconds: a script that waits so long between two attempts is in no hurry, and the gateway has time to come back.
_LONG = 300.0
#: What makes objects that are closed or stopped as well: open(), and modules of Python.
_OF_PYTHON = (
    "builtins",
    "socket",
    "sqlite3",
    "subprocess",
    "multiprocessing",
    "threading",
    "tempfile",
    "urllib",
    "http",
)
_WITHOUT_END = ("run", "run_forever")
_SLEEPS = ("sleep", "wait", "wait_for", "waitOnUpdate")
#: (the script and the connect, the call in the loop that leads to it, the loop)
Turn = Tuple[Connection, ast.Call, flow.Loop]


def turns(case: Case, table: Table) -> List[Turn]:
    """The loops of a script whose turns connect."""
    by_call = {connection.call: connection for connection in case.connections if connection.direct}

    def answer() -> List[Turn]:
        listed: List[Turn] = []
        for call in table.calls:
            loop = flow.loop(table, call)
            if loop is not None:
                inner = flow.reached(case.project, table, call, "connect", lambda _home, one: one in by_call)
                listed.extend((by_call[one], call, loop) for _home, one in inner[:1])
        return listed

    return case.project.questions.answer(("turns", table.script.path), answer, [])


def retry_without_backoff(case: Case, table: Table) -> Iterator[Found]:
    """A loop that connects again after a failure at once, or always after the same delay."""
    seen: Set[ast.AST] = set()
    for connection, call, loop in turns(case, table):
        if (
            loop in seen
            or not goes_on(case, table, connection, call, loop)
            or not _repeats(case, table, connection, call, loop)
        ):
            continue
        seen.add(loop)
        delays = _delays(case, table, call, loop)
        if not delays:
            yield found("retry_without_backoff", table, call, "a failed connect is repeated at once, without a delay")
            continue
        always = [_always(case, table, delay) for delay in delays]
        told = [each for each in always if each is not None]
        if len(told) == len(always) and sum(told) < _LONG:
            # Of several, one turn may wait for all of them or, in branches, for one.
            word = "delay" if len(set(told)) == 1 else "delays"
            shown = ", ".join("%g s" % each for each in dict.fromkeys(told))
            summary = "a failed connect is repeated with the same %s each time (%s)" % (word, shown)
            yield found("retry_without_backoff", table, call, summary)


def client_ids_in_turn(case: Case, table: Table) -> Iterator[Found]:
    """One client id after another until one is free: sessions that were left open are hidden, not closed."""
    seen: Set[ast.AST] = set()
    for connection, call, loop in turns(case, table):
        given = connection.arguments.get("clientId")
        if loop in seen or given is None or connection.call is not call:
            continue
        if _is_of_loop(table, given.expression, loop) and goes_on(case, table, connection, call, loop) and ends(loop):
            seen.add(loop)
            summary = "one client id after another is tried until one is free: sessions that hang are hidden that way"
            yield found("client_ids_in_turn", table, given.expression, summary)


def connect_each_turn(case: Case, table: Table) -> Iterator[Found]:
    """A loop that opens a connection of its own in each turn and closes none."""
    seen: Set[ast.AST] = set()
    for connection, call, loop in turns(case, table):
        if loop in seen or connection.library == OFFICIAL or ends(loop) or not _is_new(case, connection, loop):
            continue
        if (
            is_managed(case.project, connection)
            or _is_kept(connection)
            or _closes(case, table, loop)
            or _stays(case, connection, loop)
        ):
            continue
        seen.add(loop)
        summary = "each turn of the loop opens another connection, and none is closed before the next"
        yield found("connect_each_turn", table, call, summary)


def _is_new(case: Case, connection: Connection, loop: flow.Loop) -> bool:
    """Whether the client is made where it connects: in the same function, and in the loop if that is in it as well."""
    table, function = connection.table, connection.call.func
    receiver = function.value if isinstance(function, ast.Attribute) else None
    if isinstance(receiver, ast.Call):
        return _makes(case, table, receiver)
    if not isinstance(receiver, ast.Name):
        return False
    bindings = table.lookup(receiver.id, receiver)
    made = [each.node for each in bindings if _makes(case, table, each.expression)]
    if not made or len(made) != len(bindings) or table.scope(made[0]) is not table.scope(connection.call):
        return False
    if table.scope(loop) is table.scope(connection.call):
        return all(loop in set(table.ancestors(each)) for each in made)
    return table.function(connection.call) is not None


def _makes(case: Case, table: Table, node: Optional[ast.expr]) -> bool:
    """Whether an expression makes a client; what a function returns, or super(), may be the same one each time."""
    if not isinstance(node, ast.Call):
        return False
    made = case.project.things(table, node.func)
    classes = [thing.dotted != "builtins.super" if thing.table is None else _is_class(thing.node) for thing in made]
    return bool(classes) and all(classes)


def _is_class(node: Optional[ast.AST]) -> bool:
    return isinstance(node, ast.ClassDef)


def _is_kept(connection: Connection) -> bool:
    """Whether the client is handed to somebody who may close it: returned, stored, or given to a function."""
    table, function = connection.table, connection.call.func
    receiver = function.value if isinstance(function, ast.Attribute) else None
    if not isinstance(receiver, ast.Name):
        return False
    for load in table.loads:
        if getattr(load, "id", None) != receiver.id or table.scope(load) is not table.scope(receiver):
            continue
        parent = table.parents.get(load)
        if not isinstance(parent, ast.Attribute):
            return True
    return False


def _closes(case: Case, table: Table, loop: flow.Loop) -> bool:
    def disconnects(home: Table, call: ast.Call) -> bool:
        name = getattr(call.func, "attr", "")
        if name in ("close", "stop") and isinstance(call.func, ast.Attribute):  # also of wrappers, not of a socket
            return not _is_of_python(case, home, call.func.value)
        return name in ("disconnect", "disconnectAsync")

    return any(
        flow.reached(case.project, table, call, "disconnect", disconnects)
        for statement in loop.body
        for call in flow.calls_in(statement)
    )


def _is_of_python(case: Case, table: Table, node: ast.AST) -> bool:
    """Whether an expression is known to be an object of Python itself, like a file or a socket."""
    types = case.project.types(table, node)
    modules = ("open" if each.dotted == "builtins.open" else each.dotted.split(".")[0] for each in types)
    return bool(types) and all(module in _OF_PYTHON for module in modules)


def _stays(case: Case, connection: Connection, loop: flow.Loop) -> bool:
    """Whether a turn, or what connects in it, goes on until its connection is over: while x.isConnected(), x.run()."""
    around = connection.table.function(connection.call)

    def answer(place: ast.AST) -> bool:
        return case.project.questions.answer(("stays", place), lambda: _waits_for_the_end(place), False)

    return answer(loop) or (around is not None and answer(around))


def _waits_for_the_end(place: ast.AST) -> bool:
    """Whether a loop inside of a node goes on while there is a connection, or the event loop is run without an end."""
    inner = [each for each in ast.walk(place) if each is not place]
    loops = (each for each in inner if isinstance(each, ast.While))
    runs = (getattr(each.func, "attr", "") for each in inner if isinstance(each, ast.Call) and not each.args)
    return any(_asks(each) and not _denies(each) for each in loops) or any(name in _WITHOUT_END for name in runs)


def _denies(loop: ast.While) -> bool:
    """Whether a loop goes on while there is no connection: while not x.isConnected()."""
    return any(isinstance(each, ast.UnaryOp) and isinstance(each.op, ast.Not) for each in ast.walk(loop.test))


# --- what a failure leads to -----------------------------------------------------------------------------------------


def goes_on(case: Case, table: Table, connection: Connection, call: ast.Call, loop: flow.Loop) -> bool:
    """Whether a failed connect leads to the loop's next turn: caught inside of it, and no way out taken."""
    catcher = flow.handler(case.project, table, call)
    if catcher is not None and loop in set(table.ancestors(catcher)):
        handlers: List[ast.ExceptHandler] = list(getattr(catcher, "handlers", ()))
        return not handlers or any(not _leaves(each.body) for each in handlers)
    if connection.call is call:
        return False
    inner = flow.handler(case.project, connection.table, connection.call)
    caught = connection.library == OFFICIAL or any(not _leaves(each.body) for each in getattr(inner, "handlers", ()))
    return caught and _asks(loop)


def _asks(loop: flow.Loop) -> bool:
    """Whether the loop is one that asks until it is connected: while not ib.isConnected()."""
    test = getattr(loop, "test", None)
    return test is not None and any(
        isinstance(each, ast.Attribute) and each.attr == "isConnected" for each in ast.walk(test)
    )


def ends(loop: flow.Loop) -> bool:
    """Whether the loop is left from its body, or when it is connected: then it only goes on until it is."""
    inner = [each for statement in loop.body for each in flow.below(statement)]
    return _asks(loop) or any(isinstance(each, (ast.Break, ast.Return)) or _exits(each) for each in inner)


def _exits(node: ast.AST) -> bool:
    function = getattr(node, "func", None)
    return getattr(function, "attr", getattr(function, "id", "")) in ("exit", "_exit")


def _leaves(body: List[ast.stmt]) -> bool:
    """Whether statements end in raise, return or break whatever happens."""
    for statement in body:
        if isinstance(statement, (ast.Raise, ast.Return, ast.Break)):
            return True
        if isinstance(statement, ast.If) and statement.orelse and _leaves(statement.body) and _leaves(statement.orelse):
            return True
        if isinstance(statement, ast.Expr) and _exits(statement.value):
            return True
    return False


def _repeats(case: Case, table: Table, connection: Connection, call: ast.Call, loop: flow.Loop) -> bool:
    """Whether a turn does the same as the one before: no other item of a list, and no other host, port or id."""
    if not isinstance(loop, ast.While) and not _counts(loop):
        return False
    given = [*call.args, *[keyword.value for keyword in call.keywords]]
    if connection.call is call:
        given = [each.expression for name, each in connection.arguments.items() if name in ("host", "port", "clientId")]
    elif any(_is_taken(case, table, each, loop) for each in given):
        return False
    return not any(_is_of_loop(table, each, loop) for each in given)


def _is_taken(case: Case, table: Table, node: ast.AST, loop: flow.Loop) -> bool:
    """Whether an expression is made anew in each turn, such as the next job of a queue; a new client is no job."""
    if not isinstance(node, ast.Name) or client_classes(case.project, table, node):
        return False
    bindings = table.lookup(node.id, node)
    return bool(bindings) and all(loop in set(table.ancestors(each.node)) for each in bindings)


def _counts(loop: flow.Loop) -> bool:
    """Whether a for loop only counts: over a range, or over delays that are written down."""
    name = str(getattr(getattr(getattr(loop, "iter", None), "func", None), "id", ""))
    name = name or str(getattr(getattr(getattr(loop, "iter", None), "func", None), "attr", ""))
    return name in ("range", "count", "repeat") or isinstance(getattr(loop, "iter", None), (ast.Tuple, ast.List))


def _is_of_loop(table: Table, node: ast.AST, loop: flow.Loop) -> bool:
    """Whether an expression has another value in each turn: by the loop's own target, or counted up in its body."""
    if not isinstance(loop, ast.While) and _is_range_counter(loop) and not isinstance(node, (ast.Name, ast.BinOp)):
        return False
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            for binding in table.lookup(each.id, each):
                if binding.kind in (ELEMENT, OPAQUE) and binding.node is loop:  # also one of several: for port, name in
                    return True
                counted = binding.kind == OPAQUE and isinstance(binding.node, ast.AugAssign)
                if counted and loop in set(table.ancestors(binding.node)):
                    return True
    return False


def _is_range_counter(loop: flow.Loop) -> bool:
    return isinstance(loop, ast.For) and getattr(getattr(loop.iter, "func", None), "id", "") == "range"


def _always(case: Case, table: Table, delay: ast.AST) -> Optional[float]:
    """The number a delay always is; None where it may be another one the next time."""
    values = case.values.of(table, delay)
    only = values[0].constant if len(values) == 1 and values[0].kind == CONSTANT else None
    return only if isinstance(only, (int, float)) else None


def _delays(case: Case, table: Table, call: ast.Call, loop: flow.Loop) -> List[ast.AST]:
    """What the loop waits for after a failure: the arguments of its sleeps, also in functions it calls.

    What stands after the connect in its try, or in the else of that, runs only when it came about.
    """
    catcher = flow.handler(case.project, table, call)
    skipped: Set[ast.AST] = set()
    if catcher is not None and isinstance(catcher, flow.TRIES):
        body: List[ast.stmt] = getattr(catcher, "body", [])
        own = table.statement(call)
        index = next((place for place, each in enumerate(body) if _holds(table, each, own)), len(body))
        skipped.update([*body[index + 1 :], *getattr(catcher, "orelse", [])])
    listed: List[ast.AST] = []
    for each in (inner for statement in loop.body for inner in flow.calls_in(statement)):
        if skipped and skipped & set(table.ancestors(each)):
            continue
        for home, one in flow.reached(case.project, table, each, "delay", _is_delay, depth=1):
            # A delay that is computed anywhere else may grow; only one that is written down here cannot.
            listed.append(_given(one) if home is table and one is each else one)
    return listed


def _holds(table: Table, outer: ast.AST, node: ast.AST) -> bool:
    return outer is node or outer in set(table.ancestors(node))


def _is_delay(_table: Table, call: ast.Call) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    return name in _SLEEPS and _given(call) is not call


def _given(call: ast.Call) -> ast.AST:
    given = [*call.args, *[keyword.value for keyword in call.keywords if keyword.arg == "timeout"]]
    return given[0] if given else call


RULES = (retry_without_backoff, client_ids_in_turn, connect_each_turn)
