"""Connections that no plain call opens: functools.partial, and the Watchdog of the libraries. Pure."""

from __future__ import annotations

import ast
from typing import Iterator, Optional, Tuple

from ..reading.model import ASYNC, INSYNC
from .project import Project
from .scopes import VALUE, Table

#: What a Watchdog takes, in order; it connects with these arguments by itself, again and again.
WATCHDOG_ARGUMENTS = (
    *("controller", "ib", "host", "port", "clientId", "connectTimeout", "appStartupTime", "appTimeout", "retryDelay"),
    *("readonly", "account"),
)
_WATCHDOGS = {
    "%s.%sWatchdog" % (library, module): library for library in (INSYNC, ASYNC) for module in ("", "ibcontroller.")
}
_PARTIAL = "functools.partial"


def watchdog(project: Project, table: Table, call: ast.Call) -> Optional[str]:
    """The library whose Watchdog a call makes, also by a class of the scripts that has no constructor of its own."""
    for thing in project.things(table, call.func):
        names = {thing.dotted}
        if thing.table is not None and isinstance(thing.node, ast.ClassDef):
            own = "__init__" in thing.table.scope_of(thing.node).names
            names = set() if own else set(project.bases(thing.table, thing.node))
        library = next((_WATCHDOGS[name] for name in sorted(names) if name in _WATCHDOGS), None)
        if library is not None:
            return library
    return None


def is_partial(project: Project, table: Table, node: Optional[ast.AST]) -> bool:
    """Whether an expression prepares the call of a connect: partial(ib.connect, ...)."""
    return (
        isinstance(node, ast.Call)
        and bool(node.args)
        and isinstance(node.args[0], ast.Attribute)
        and node.args[0].attr in ("connect", "connectAsync")
        and _PARTIAL in project.dotted(table, node.func)
    )


def prepared(project: Project, table: Table, func: ast.AST) -> Optional[Tuple[Table, ast.Call]]:
    """The partial that a call runs, where the name or attribute that is called stands for one."""
    for home, node in _meanings(project, table, func):
        if isinstance(node, ast.Call) and is_partial(project, home, node):
            return home, node
    return None


def _meanings(project: Project, table: Table, func: ast.AST) -> Iterator[Tuple[Table, Optional[ast.AST]]]:
    if isinstance(func, ast.Name):
        for binding in table.lookup(func.id, func):
            if binding.kind == VALUE:
                yield table, binding.expression
    elif isinstance(func, ast.Attribute) and func.attr not in ("connect", "connectAsync"):
        for given in project.attribute(table, func):
            yield given.table, given.expression
    else:
        yield table, func
