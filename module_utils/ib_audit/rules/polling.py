"""A loop that sleeps while it waits for what the client receives: nothing is received meanwhile."""

from __future__ import annotations

import ast
from typing import FrozenSet, Iterator

from ..analysis import flow
from ..analysis.connections import client_classes
from ..analysis.library import BLOCKING, READING, SUBSCRIBING
from ..analysis.scopes import Table
from ..reading.model import ASYNC, INSYNC, Found
from .case import Case, found

#: Sleeps of the library. They run the loop meanwhile, which cannot be done again while it runs.
_LOOP_SLEEPS = frozenset("%s.%s" % (name, sleep) for name in (INSYNC, ASYNC) for sleep in ("util.sleep", "IB.sleep"))
#: Methods of the client that run the loop until something happens: like its sleep, they cannot be nested.
_RUNNING = ("sleep", "waitOnUpdate", "waitUntil")
#: Clients that receive only while something of theirs waits.
SYNC_CLASSES = frozenset("%s.IB" % name for name in (INSYNC, ASYNC))


def runs_loop(case: Case, table: Table, call: ast.Call) -> bool:
    """Whether a call waits by running the event loop: a sleep of the library, or a method of its client that waits."""
    if case.project.dotted(table, call.func) & _LOOP_SLEEPS:
        return True
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in _RUNNING:
        return False
    return bool(client_classes(case.project, table, function.value))


def sleeping_loops(case: Case, table: Table) -> Iterator[Found]:
    """time.sleep in a loop that reads what the client has received: while it sleeps nothing is received."""
    for call in table.calls:
        if "time.sleep" not in case.project.dotted(table, call.func):
            continue
        loop = flow.loop(table, call)
        if loop is None or isinstance(table.function(call), ast.AsyncFunctionDef) or _in_handler(table, call, loop):
            continue
        if _reads(case, table, loop):
            summary = "the loop reads what the client has received, and time.sleep() keeps it from receiving"
            yield found("blocking_sleep", table, call, summary + ": use ib.sleep()")


def _in_handler(table: Table, node: ast.AST, loop: ast.AST) -> bool:
    for outer in table.ancestors(node):
        if outer is loop:
            return False
        if isinstance(outer, ast.ExceptHandler):
            return True
    return False


def _reads(case: Case, table: Table, loop: flow.Loop) -> bool:
    def answer() -> bool:
        calls = [call for statement in loop.body for call in flow.calls_in(statement)]
        return any(_is_of_client(case, table, call, READING) for call in calls) or _reads_prices(case, table, loop)

    return case.project.questions.answer(("reads", loop), answer, False)


def _is_of_client(case: Case, table: Table, call: ast.AST, methods: FrozenSet[str]) -> bool:
    """Whether a call is one of these methods of a client that receives while it waits."""
    function = getattr(call, "func", None)
    if not isinstance(function, ast.Attribute) or function.attr not in methods:
        return False
    return bool(client_classes(case.project, table, function.value) & SYNC_CLASSES)


def _is_known(attribute: str) -> bool:
    """Whether an attribute of what a subscription returned is there without anything received."""
    return attribute == "contract" or attribute.endswith("Event")


def _receives(case: Case, table: Table, call: ast.Call) -> bool:
    """Whether the client receives while a call runs: the library's sleeps, and requests that wait."""
    return runs_loop(case, table, call) or _is_of_client(case, table, call, BLOCKING)


def _reads_prices(case: Case, table: Table, loop: flow.Loop) -> bool:
    """Whether a loop reads attributes of what a subscription returned, and nothing in it receives.

    Where the script has threads, one of them may receive.
    """
    if "hread" in table.script.text or any(_receives(case, table, call) for call in flow.calls_in(loop)):
        return False
    return any(
        _is_of_client(case, table, binding.expression, SUBSCRIBING)
        for statement in loop.body
        for each in flow.below(statement)
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and not _is_known(each.attr)
        for binding in table.lookup(each.value.id, each.value)
        if binding.expression is not None
    )
