"""Rules about what a script leaves behind: a connection that is open, and no trace of it in a log."""

from __future__ import annotations

import ast
import re
from typing import Dict, Iterator, List, Optional

from ..analysis import flow
from ..analysis.connections import Connection, client_classes, is_managed
from ..analysis.scopes import FUNCTIONS, Table
from ..reading.model import OFFICIAL, Found
from .case import Case, found

_LEAVING = ("__exit__", "__aexit__", "__del__")
#: Decorators of servers for what runs when they end: of quart and of sanic.
_AT_SHUTDOWN = ("after_serving", "before_server_stop", "after_server_stop")
_KEEPERS = ("callback", "push", "add_signal_handler")
_LEVELS = ("debug", "info", "warning", "warn", "error", "critical", "exception", "log", "success")
_SETUP = ("logging.basicConfig", "logging.config.dictConfig", "logging.config.fileConfig")
_LIBRARY_SETUP = tuple(
    "%s.util.%s" % (one, name) for one in ("ib_insync", "ib_async") for name in ("logToConsole", "logToFile")
)
#: Where a node of a logging call's arguments keeps its word.
_WORDED = ("id", "attr", "arg", "value")
#: Of so many connections of a script it is asked whether their arguments are logged.
_MOST_CONNECTIONS = 10
_PORT = re.compile(r"port|\b(?:4001|4002|7496|7497)\b")
_NO_LOADS: Dict[str, List[ast.AST]] = {}
_QUIET = ("WARNING", "WARN", "ERROR", "CRITICAL", "FATAL")


def no_disconnect(case: Case, table: Table) -> Iterator[Found]:
    """No disconnect that runs whatever happens: in a finally, at exit, by a context manager."""
    connections = [each for each in case.of(table) if each.direct]
    if (
        table.script.notebook
        or not connections
        or all(is_managed(case.project, connection) for connection in connections)
    ):
        return
    leaving = list(_disconnects(case, table))
    if any(_on_the_way_out(case, table, node) for node in leaving):
        return
    if flow.is_library(case.project, table):
        return  # who imports the file has to end it
    open_ended = [
        each for each in connections if not is_managed(case.project, each) and not _ended_at_once(table, each)
    ]
    if not open_ended:
        return
    first = open_ended[0]
    summary = "nothing calls disconnect(): the connection stays open until the process ends"
    if leaving:
        lines = ", ".join(str(getattr(node, "lineno", 0)) for node in leaving[:3])
        summary = "the connection is ended only when nothing fails before (line %s)" % lines
    yield found("no_disconnect", table, first.call, summary)


def _ended_at_once(table: Table, connection: Connection) -> bool:
    """Whether the statement after the connect ends it: nothing can fail between the two."""
    statement = table.statement(connection.call)
    parent = table.parents.get(statement)
    for block in (getattr(parent, name, None) for name in ("body", "orelse", "finalbody")):
        if isinstance(block, list) and statement in block:
            after = block[block.index(statement) + 1 :][:1]
            calls = [call for each in after if isinstance(each, ast.Expr) for call in flow.calls_in(each)]
            return any(getattr(call.func, "attr", "") == "disconnect" for call in calls)
    return False


def _disconnects(case: Case, table: Table) -> Iterator[ast.AST]:
    """Where disconnect is called, or handed to somebody who calls it."""
    for node in table.loads:
        if isinstance(node, ast.Attribute) and node.attr in ("disconnect", "disconnectAsync"):
            receiver = node.value
            if client_classes(case.project, table, receiver) or not _is_plain_object(case, table, receiver):
                yield node


def _is_plain_object(case: Case, table: Table, node: ast.AST) -> bool:
    """Whether an expression is known to be something else than a client, like a database or an event."""
    types = case.project.types(table, node)
    return bool(types) and all(each.table is None for each in types)


def _on_the_way_out(case: Case, table: Table, node: ast.AST, depth: int = 0) -> bool:
    """Whether a node runs however the script ends; also through a function that is called there."""
    inner = node
    for outer in table.ancestors(node):
        if isinstance(outer, flow.TRIES) and inner in getattr(outer, "finalbody", ()):
            return True
        if _hands_on(case, table, outer, inner):
            return True
        if isinstance(outer, FUNCTIONS) and not isinstance(outer, ast.Lambda):
            if _runs_at_the_end(case, table, outer, inner):
                return True
            break
        inner = outer
    function = table.function(node)
    if function is None or depth > 4:
        return False

    def by_others() -> bool:
        sites = [(home, call) for home, call in case.project.sites(function) if call is not node]
        if any(_on_the_way_out(case, home, call, depth + 1) for home, call in sites):
            return True
        handed = [each for each in _reads_of(case, table, function) if not _is_called(table, each)]
        return any(_on_the_way_out(case, table, each, depth + 1) for each in handed)

    return case.project.questions.answer(("on the way out", function), by_others, False)


def _hands_on(case: Case, table: Table, outer: ast.AST, inner: ast.AST) -> bool:
    """Whether a node is given to somebody who keeps it for the end: atexit.register(...), on_shutdown=[...]."""
    if isinstance(outer, ast.Call):
        return outer.func is not inner and inner in outer.args and _registers(case, table, outer)
    return isinstance(outer, ast.keyword) and outer.arg == "on_shutdown"


def _runs_at_the_end(case: Case, table: Table, function: ast.AST, statement: ast.AST) -> bool:
    """Whether a statement of a function runs when its object, or the server it belongs to, ends."""
    if getattr(function, "name", "") in _LEAVING or _at_shutdown(function):
        return True
    return _is_after_yield(case, function, statement) and _is_lifespan(case, table, function)


def _at_shutdown(function: ast.AST) -> bool:
    """Whether a server runs a function when it ends: @app.on_event("shutdown"), @app.after_serving."""
    for decorator in getattr(function, "decorator_list", ()):
        name = getattr(getattr(decorator, "func", decorator), "attr", "")
        given = [getattr(each, "value", "") for each in getattr(decorator, "args", ())]
        if name in _AT_SHUTDOWN or (name == "on_event" and "shutdown" in given):
            return True
    return False


def _is_after_yield(case: Case, function: ast.AST, statement: ast.AST) -> bool:
    """Whether a statement of a function comes after its yield; statement: one of its body."""
    body = getattr(function, "body", [])
    if not isinstance(body, list) or statement not in body:
        return False
    first = case.project.questions.answer(("first yield", function), lambda: _first_yield(body), None)
    return first is not None and first < getattr(statement, "lineno", 0)


def _first_yield(body: List[ast.stmt]) -> Optional[int]:
    lines = [each.lineno for one in body for each in flow.below(one) if isinstance(each, ast.Yield)]
    return min(lines, default=None)


def _is_lifespan(case: Case, table: Table, function: ast.AST) -> bool:
    """Whether a server is given a function as its lifespan: what comes after the yield runs when it ends."""
    return any(
        isinstance(table.parents.get(each), ast.keyword) and getattr(table.parents[each], "arg", "") == "lifespan"
        for each in _reads_of(case, table, function)
    )


def _reads_of(case: Case, table: Table, function: ast.AST) -> List[ast.AST]:
    """Where a function is named without calling it."""
    name = getattr(function, "name", "")
    loads = case.project.questions.answer(("loads", table.script.path), lambda: _loads_by_name(table), _NO_LOADS)
    return [
        each
        for each in loads.get(name, ())[:20]
        if (table, function) in {(thing.table, thing.node) for thing in case.project.things(table, each)}
    ]


def _loads_by_name(table: Table) -> Dict[str, List[ast.AST]]:
    found_loads: Dict[str, List[ast.AST]] = {}
    for load in table.loads:
        found_loads.setdefault(str(getattr(load, "id", getattr(load, "attr", ""))), []).append(load)
    return found_loads


def _is_called(table: Table, node: ast.AST) -> bool:
    parent = table.parents.get(node)
    return isinstance(parent, ast.Call) and parent.func is node


def _registers(case: Case, table: Table, call: ast.Call) -> bool:
    """Whether a call keeps what it is given for the end: atexit, a signal, an exit stack, an event."""
    if case.project.dotted(table, call.func) & {"atexit.register", "signal.signal", "weakref.finalize"}:
        return True
    if not isinstance(call.func, ast.Attribute):
        return False
    shutdown = bool(call.args) and getattr(call.args[0], "value", "") == "shutdown"
    return call.func.attr in _KEEPERS or (call.func.attr == "add_event_handler" and shutdown)


# --- logging ---------------------------------------------------------------------------------------------------------


def connection_not_logged(case: Case, table: Table) -> Iterator[Found]:
    """Host, port and client id are told nowhere: nobody can say later who held the slot.

    Scripts that it imports, and those that import it, count: logging is often set up elsewhere.
    """
    connections = case.of(table)
    if not connections or table.script.notebook:
        return
    if flow.is_library(case.project, table) and not case.project.is_imported(table):
        return  # who imports it sets up the log
    official = connections[0].library == OFFICIAL
    if any(_named(table, each) for each in connections[:_MOST_CONNECTIONS]):
        return
    if not any(_logged(case, each, official) for each in [table, *case.project.neighbours(table)]):
        summary = "no log says with which host, port and client id the script connects"
        yield found("connection_not_logged", table, connections[0].call, summary)


def _named(table: Table, connection: Connection) -> bool:
    """Whether a call logs or prints the very names that are given for port and client id, whatever they are."""
    given = (connection.arguments.get(name) for name in ("port", "clientId"))
    names = [
        str(getattr(each.expression, "attr", getattr(each.expression, "id", ""))) if each else "" for each in given
    ]
    return all(names) and any(set(names) <= set(_words(call)) for call in table.calls if _is_shown(call))


def _logged(case: Case, table: Table, official: bool) -> bool:
    def answer() -> bool:
        return any(_tells(call) or (not official and _turns_on(case, table, call)) for call in table.calls)

    return case.project.questions.answer(("logged", table.script.path, official), answer, False)


def _tells(call: ast.Call) -> bool:
    """Whether a call logs or prints a port and a client id, by what its arguments are named or say."""
    words = "".join(_words(call)).lower() if _is_shown(call) else ""
    return bool(_PORT.search(words)) and ("client" in words or "cid" in words)


def _is_shown(call: ast.Call) -> bool:
    """Whether a call logs or prints."""
    function = call.func
    prints = isinstance(function, ast.Name) and function.id == "print"
    return prints or (isinstance(function, ast.Attribute) and function.attr in _LEVELS)


def _words(call: ast.Call) -> Iterator[str]:
    """The names and texts in a call's arguments."""
    for argument in (*call.args, *call.keywords):
        for node in ast.walk(argument):
            yield str(next((getattr(node, name) for name in _WORDED if getattr(node, name, None)), ""))


def _turns_on(case: Case, table: Table, call: ast.Call) -> bool:
    """Whether a call sets up logging so that the library's own line about host, port and client id appears."""
    names = case.project.dotted(table, call.func)
    if names & set(_LIBRARY_SETUP):
        return not _is_quiet(call)
    if names & set(_SETUP[1:]):
        return True
    given = [keyword for keyword in call.keywords if keyword.arg == "level"]
    return bool(names & set(_SETUP)) and bool(given) and not _is_quiet(call)


def _is_quiet(call: ast.Call) -> bool:
    words = {getattr(node, "attr", getattr(node, "id", getattr(node, "value", None))) for node in ast.walk(call)}
    numbers = [keyword.value for keyword in call.keywords if keyword.arg == "level"]
    high = any(isinstance(each, ast.Constant) and isinstance(each.value, int) and each.value > 20 for each in numbers)
    return high or any(word in _QUIET for word in words if isinstance(word, str))


RULES = (no_disconnect, connection_not_logged)
