"""Rules about what must not happen while the event loop runs: blocking requests, blocking calls, sleeps."""

from __future__ import annotations

import ast
import sys
from typing import Dict, FrozenSet, Iterator, List, Set, Tuple

from ..analysis import flow
from ..analysis.connections import client_classes
from ..analysis.library import BLOCKING, CALLBACKS, CALM_EVENTS, PATCHES
from ..analysis.scopes import FUNCTIONS, Function, Table
from ..reading.model import Found
from .case import Case, found, where
from .polling import SYNC_CLASSES, runs_loop, sleeping_loops

_BLOCKING_CALLS = frozenset(
    ["requests.%s" % name for name in ("get", "post", "put", "delete", "patch", "head", "request")]
    + ["subprocess.%s" % name for name in ("run", "call", "check_call", "check_output", "getoutput")]
    + ["os.system", "builtins.input", "urllib.request.urlopen", "smtplib.SMTP", "smtplib.SMTP_SSL"]
)
#: What starts the event loop with the coroutine it is given.
_STARTS = ("run", "run_until_complete")


def sync_connect_in_coroutine(case: Case, table: Table) -> Iterator[Found]:
    """A blocking connect where a loop runs already: it raises RuntimeError."""
    blocking = {one.call for one in case.connections if one.blocking and one.library != "ibapi"}
    if not blocking or is_patched(case, table):
        return
    for node in _coroutines(table):
        for home, call, first in _run_by(case, table, node, "connect", lambda _home, call: call in blocking):
            summary = "coroutine %s opens the connection with the blocking connect()" % getattr(node, "name", "")
            if call is not first:
                summary += ", through the call that ends at %s" % where(home, call)
            yield found("sync_connect_in_coroutine", table, first, summary)


def sync_request(case: Case, table: Table) -> Iterator[Found]:
    """A request that runs the event loop, in a coroutine or an event handler: the loop runs already."""
    if is_patched(case, table):
        return

    def blocks(home: Table, call: ast.Call) -> bool:
        function = call.func
        return (
            isinstance(function, ast.Attribute)
            and function.attr in BLOCKING
            and not isinstance(home.parents.get(call), ast.Await)
            and not _is_second_choice(home, call)
            and bool(client_classes(case.project, home, function.value) & SYNC_CLASSES)
        )

    for node in _coroutines(table):
        for home, call, first in _run_by(case, table, node, "request", blocks):
            if _name(call) != "connect":
                yield _blocked(
                    "sync_request_in_coroutine", "coroutine %s" % getattr(node, "name", ""), table, home, call, first
                )
    for handler, name in _handlers(case, table, CALM_EVENTS):
        if not isinstance(handler, ast.AsyncFunctionDef):
            for home, call, first in _run_by(case, table, handler, "request", blocks):
                yield _blocked("sync_request_in_handler", "event handler %s" % name, table, home, call, first)


def _blocked(code: str, who: str, table: Table, home: Table, call: ast.Call, first: ast.Call) -> Found:
    summary = "%s calls the blocking %s(): the event loop runs already, so it raises RuntimeError" % (who, _name(call))
    if call is not first:
        summary += "; the call is at %s" % where(home, call)
    return found(code, table, first, summary)


def blocking_sleep(case: Case, table: Table) -> Iterator[Found]:
    """A blocking sleep in a coroutine, handler or callback; and time.sleep in a loop that waits for the client."""
    if not case.project.libraries(table) and not case.of(table):
        return

    nested = not is_patched(case, table)

    def sleeps(home: Table, call: ast.Call) -> bool:
        return "time.sleep" in case.project.dotted(home, call.func) or (nested and runs_loop(case, home, call))

    for node, what in _running(case, table):
        for home, call, first in _run_by(case, table, node, "sleep", sleeps):
            summary = "%s sleeps, and nothing else is received meanwhile" % what
            if "time.sleep" in case.project.dotted(home, call.func):
                if _is_before_all_else(case, table, node, first):
                    continue
            else:
                summary = "%s calls a sleep of the library, which raises RuntimeError while the event loop runs" % what
            if call is not first:
                summary += "; the sleep is at %s" % where(home, call)
            yield found("blocking_sleep", table, first, summary)
    yield from sleeping_loops(case, table)


def blocking_call(case: Case, table: Table) -> Iterator[Found]:
    """A call that waits for the network, a program or a person, in a coroutine, handler or callback."""
    if not case.project.libraries(table) and not case.of(table):
        return

    def waits(home: Table, call: ast.Call) -> bool:
        return bool(case.project.dotted(home, call.func) & _BLOCKING_CALLS)

    for node, what in _running(case, table):
        for home, call, first in _run_by(case, table, node, "wait", waits):
            if _is_before_all_else(case, table, node, first):
                continue
            name = min(case.project.dotted(home, call.func) & _BLOCKING_CALLS).replace("builtins.", "")
            summary = "%s waits in %s(), and nothing else is received meanwhile" % (what, name)
            if call is not first:
                summary += "; the call is at %s" % where(home, call)
            yield found("blocking_call", table, first, summary)


# --- what the event loop runs ----------------------------------------------------------------------------------------

Runner = Tuple[Function, str]


def is_patched(case: Case, table: Table) -> bool:
    """Whether the loop is made re-entrant here, or in a script that may be loaded by the same process."""

    def patches(one: Table) -> bool:
        return case.project.questions.answer(
            ("patches", one.script.path),
            lambda: any(case.project.dotted(one, call.func) & PATCHES for call in one.calls),
            False,
        )

    return any(patches(one) for one in case.project.of_one_process(table))


def _run_by(
    case: Case, table: Table, node: Function, kind: str, wanted: flow.Wanted
) -> Iterator[Tuple[Table, ast.Call, ast.Call]]:
    """(script, call, the call in this function that leads to it) for the calls of a kind that a function makes.

    Through other coroutines nothing is said twice: they are looked at themselves.
    """
    for first in flow.calls_of(node):
        awaited = any(isinstance(called, ast.AsyncFunctionDef) for _home, called in case.project.called(table, first))
        for home, call in flow.reached(case.project, table, first, kind, wanted):
            if call is first or not (awaited or isinstance(home.function(call), ast.AsyncFunctionDef)):
                yield home, call, first


def _coroutines(table: Table) -> List[ast.AsyncFunctionDef]:
    return [scope.node for scope in table.scopes() if isinstance(scope.node, ast.AsyncFunctionDef)]


def _running(case: Case, table: Table) -> List[Runner]:
    """The functions of a script that the event loop runs, each with what it is."""
    runners: Dict[ast.AST, Runner] = {node: (node, "coroutine %s" % node.name) for node in _coroutines(table)}
    for scope in table.scopes():
        node = scope.node
        if isinstance(node, ast.ClassDef) and case.project.bases(table, node) & {"ibapi.wrapper.EWrapper"}:
            for each in node.body:
                if isinstance(each, ast.FunctionDef) and each.name in CALLBACKS:
                    runners[each] = (each, "callback %s" % each.name)
    for function, name in _handlers(case, table):
        runners.setdefault(function, (function, "event handler %s" % name))
    return list(runners.values())


def _handlers(case: Case, table: Table, without: FrozenSet[str] = frozenset()) -> Iterator[Runner]:
    """The functions of a script that are registered for events, each with its name."""
    seen: Set[ast.AST] = set()
    for event, handler in registered(case, table):
        for home, node in functions(case, table, handler):
            if home is table and isinstance(node, FUNCTIONS) and event not in without and node not in seen:
                seen.add(node)
                yield node, getattr(node, "name", "(a lambda)")


def registered(case: Case, table: Table) -> List[Tuple[str, ast.expr]]:
    """(event, what is registered for it): ib.orderStatusEvent += handler, ib.orderStatusEvent.connect(handler)."""

    def answer() -> List[Tuple[str, ast.expr]]:
        found_handlers: List[Tuple[str, ast.expr]] = []
        for node in table.nodes():
            if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and _is_event(node.target):
                found_handlers.append((getattr(node.target, "attr", ""), node.value))
        for call in table.calls:
            function = call.func
            if not isinstance(function, ast.Attribute) or function.attr != "connect" or not call.args:
                continue
            if _is_event(function.value):
                found_handlers.append((getattr(function.value, "attr", ""), call.args[0]))
        return found_handlers

    return case.project.questions.answer(("registered", table.script.path), answer, [])


def _is_event(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr.endswith("Event")


def functions(case: Case, table: Table, node: ast.expr) -> Set[Tuple[Table, ast.AST]]:
    """The functions here that an expression stands for."""
    if isinstance(node, ast.Lambda):
        return {(table, node)}
    return {(each.table, each.node) for each in case.project.things(table, node) if each.table and each.node}


def _is_second_choice(table: Table, call: ast.Call) -> bool:
    """Whether a call is only made where the client lacks the awaitable method: the else of hasattr(ib, "...Async")."""
    inner: ast.AST = call
    for outer in table.ancestors(call):
        if isinstance(outer, (ast.If, ast.IfExp)):
            test, negated = outer.test, False
            if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
                test, negated = test.operand, True
            lacking = outer.body if negated else outer.orelse
            branch = lacking if isinstance(lacking, list) else [lacking]
            if inner in branch and _asks_for_awaitable(test):
                return True
        inner = outer
    return False


def _asks_for_awaitable(test: ast.expr) -> bool:
    if not isinstance(test, ast.Call) or getattr(test.func, "id", "") != "hasattr" or len(test.args) != 2:
        return False
    return str(getattr(test.args[1], "value", "")).endswith("Async")


def _is_before_all_else(case: Case, table: Table, node: Function, call: ast.Call) -> bool:
    """Whether a call stands in the coroutine that a script starts with, before its first await: nothing runs yet."""
    if not isinstance(node, ast.AsyncFunctionDef) or any(one.blocking for one in case.of(table)):
        return False
    first = case.project.questions.answer(("first await", node), lambda: _first_await(node), (0, 0))
    if first < (call.lineno, call.col_offset):
        return False
    sites = case.project.sites(node)
    return bool(sites) and all(
        isinstance(home.parents.get(site), ast.Call)
        and getattr(getattr(home.parents.get(site), "func", None), "attr", "") in _STARTS
        for home, site in sites
    )


def _first_await(node: ast.AsyncFunctionDef) -> Tuple[int, int]:
    """Where a coroutine first lets others run; behind its end where it never does."""
    places = [
        (each.lineno, each.col_offset)
        for statement in node.body
        for each in flow.below(statement)
        if isinstance(each, (ast.Await, ast.AsyncFor, ast.AsyncWith))
    ]
    return min(places, default=(sys.maxsize, 0))


def _name(call: ast.Call) -> str:
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


RULES = (sync_connect_in_coroutine, sync_request, blocking_sleep, blocking_call)
