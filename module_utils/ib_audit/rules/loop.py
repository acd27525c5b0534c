"""Rules about the event loop: where a script patches it, and how often."""

from __future__ import annotations

import ast
from typing import Iterator, List

from ..analysis import flow
from ..analysis.scopes import Table
from ..reading.model import WARNING, Found
from .case import Case, found, where

_STARTS = frozenset(
    ["nest_asyncio.apply"]
    + [
        "%s.util.%s" % (library, name)
        for library in ("ib_insync", "ib_async")
        for name in ("startLoop", "patchAsyncio")
    ]
)


def starts(case: Case, table: Table) -> List[ast.Call]:
    """The calls of a script that patch the event loop, in order; those that only a notebook makes left out."""
    calls = [call for call in table.calls if case.project.dotted(table, call.func) & _STARTS]
    calls = [call for call in calls if not flow.in_notebook(table, call)]
    return sorted(calls, key=lambda call: (call.lineno, call.col_offset))


def loop_in_function(case: Case, table: Table) -> Iterator[Found]:
    """Patched in a function, where it may happen again and under a running loop."""
    for call in starts(case, table):
        function = table.function(call)
        if function is None:
            continue
        once = flow.runs_once(case.project, table, call) and not isinstance(function, ast.AsyncFunctionDef)
        name = getattr(function, "name", "a lambda")
        yield found(
            "loop_in_function",
            table,
            call,
            "%s patches the event loop%s" % (name, "" if once else ", each time it is called"),
            WARNING if once else None,
        )


def loop_started_twice(case: Case, table: Table) -> Iterator[Found]:
    """Patched by more than one call, or in a loop."""
    calls = starts(case, table)
    for index, call in enumerate(calls):
        before = [other for other in calls[:index] if not flow.exclusive(table, other, call)]
        if before:
            summary = "the event loop was patched before, at line %d" % before[0].lineno
            yield found("loop_started_twice", table, call, summary)
        elif flow.loop(table, call) is not None:
            yield found("loop_started_twice", table, call, "the event loop is patched in each turn of a loop")


def loop_at_import(case: Case, table: Table) -> Iterator[Found]:
    """Patched by importing the module: outside of functions and of the main guard of a file that others may import."""
    guarded = flow.main_guard(table) is not None
    if not guarded and not flow.is_library(case.project, table):
        return
    for call in starts(case, table):
        if table.function(call) is None and not flow.under_guard(table, call):
            summary = "whoever imports this module gets a patched event loop"
            if case.project.is_imported(table):
                summary += ", as another audited script does"
            yield found("loop_at_import", table, call, summary)


def sync_connect_in_coroutine(case: Case, table: Table) -> Iterator[Found]:
    """A blocking connect where a loop runs already: it raises RuntimeError, or stops everything else."""
    blocking = {
        connection.call: connection
        for connection in case.connections
        if connection.blocking and connection.library != "ibapi"
    }
    for node in (scope.node for scope in table.scopes()):
        if not isinstance(node, ast.AsyncFunctionDef):
            continue
        for statement in node.body:
            for home, call, first in flow.reachable(case.project, table, statement):
                # Through other coroutines nothing is said twice: they are looked at themselves.
                elsewhere = isinstance(home.function(call), ast.AsyncFunctionDef) and call is not first
                if call not in blocking or elsewhere:
                    continue
                summary = "coroutine %s opens the connection with the blocking connect()" % node.name
                if call is not first:
                    summary += ", through the call that ends at %s" % where(home, call)
                yield found("sync_connect_in_coroutine", table, first, summary)


RULES = (loop_in_function, loop_started_twice, loop_at_import, sync_connect_in_coroutine)
