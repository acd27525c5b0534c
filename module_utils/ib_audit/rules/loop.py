"""Rules about patching the event loop: where a script does it, and how often."""

from __future__ import annotations

import ast
from typing import Iterator, List

from ..analysis import flow
from ..analysis.library import PATCHES
from ..analysis.scopes import Table
from ..reading.model import ERROR, NOTE, WARNING, Found
from .case import Case, found


def starts(case: Case, table: Table) -> List[ast.Call]:
    """The calls of a script that patch the event loop, in order; those that only a notebook makes left out."""
    calls = [call for call in table.calls if case.project.dotted(table, call.func) & PATCHES]
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
        before = next((other for other in calls[:index] if not _exclusive(case, table, other, call)), None)
        if before is not None:
            summary = "the event loop was patched before, at line %d" % before.lineno
            yield found("loop_started_twice", table, call, summary)
        elif flow.loop(table, call) is not None:
            yield found("loop_started_twice", table, call, "the event loop is patched in each turn of a loop")


def _exclusive(case: Case, table: Table, one: ast.Call, other: ast.Call) -> bool:
    case.project.effort.step()
    return flow.exclusive(table, one, other)


def loop_at_import(case: Case, table: Table) -> Iterator[Found]:
    """Patched by importing the module: outside of functions and of the main guard of a file that others may import.

    An error where another audited script does import it; where nobody is known to, only the possibility is told.
    """
    imported = case.project.is_imported(table)
    guarded = flow.main_guard(table) is not None
    if not guarded and not flow.is_library(case.project, table):
        return
    for call in starts(case, table):
        if table.function(call) is None and not flow.under_guard(table, call):
            summary = "whoever imports this module gets a patched event loop"
            if imported:
                summary += ", as another audited script does"
            severity = ERROR if imported else NOTE if guarded else WARNING
            yield found("loop_at_import", table, call, summary, severity)


RULES = (loop_in_function, loop_started_twice, loop_at_import)
