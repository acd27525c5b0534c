"""What runs when: guards, loops, handlers, callers. Pure; every answer is about one script's own text."""

from __future__ import annotations

import ast
from typing import Any, Iterator, List, Optional, Set, Tuple, Union, cast

from .project import Project
from .scopes import FUNCTIONS, Table

Call = Tuple[Table, ast.Call]
#: ast.TryStar came with Python 3.11.
TRIES: Tuple[Any, ...] = tuple(getattr(ast, name) for name in ("Try", "TryStar") if hasattr(ast, name))
_CALLERS_DEEP = 6


def is_main_guard(node: ast.AST) -> bool:
    """Whether a statement is `if __name__ == "__main__":`."""
    if not isinstance(node, ast.If):
        return False
    tests = node.test.values if isinstance(node.test, ast.BoolOp) else [node.test]
    return any(
        isinstance(test, ast.Compare)
        and {getattr(each, "id", getattr(each, "value", None)) for each in (test.left, *test.comparators)}
        == {"__name__", "__main__"}
        for test in tests
    )


def main_guard(table: Table) -> Optional[ast.If]:
    """The script's main guard."""
    return next((each for each in table.script.tree.body if isinstance(each, ast.If) and is_main_guard(each)), None)


def under_guard(table: Table, node: ast.AST) -> bool:
    """Whether a node runs only when the file is run as a script."""
    return any(is_main_guard(outer) for outer in table.ancestors(node))


def in_notebook(table: Table, node: ast.AST) -> bool:
    """Whether a node runs only in a notebook: under a test for IPython, or after a cell mark of an exported one."""
    for outer in table.ancestors(node):
        if isinstance(outer, ast.If):
            words = {getattr(each, "id", "") or str(getattr(each, "value", "")) for each in ast.walk(outer.test)}
            if words & {"get_ipython", "IPython", "ipykernel", "__IPYTHON__"}:
                return True
    text = table.script.text
    return "\n# %%" in "\n" + text or "\n# In[" in "\n" + text


def loop(table: Table, node: ast.AST) -> Optional[Union[ast.While, ast.For, ast.AsyncFor]]:
    """The innermost loop of the same function whose body a node is in."""
    inner = node
    for outer in table.ancestors(node):
        if isinstance(outer, (ast.While, ast.For, ast.AsyncFor)) and inner in outer.body:
            return outer
        if isinstance(outer, FUNCTIONS):
            return None
        inner = outer
    return None


def in_coroutine(table: Table, node: ast.AST) -> bool:
    """Whether a node is evaluated by a coroutine itself, not by a function defined in it."""
    return isinstance(table.function(node), ast.AsyncFunctionDef)


def handler(project: Project, table: Table, node: ast.AST) -> Optional[ast.AST]:
    """What catches an exception of a node within its function: a try with handlers, or contextlib.suppress."""
    inner = node
    for outer in table.ancestors(node):
        if isinstance(outer, FUNCTIONS):
            return None
        if isinstance(outer, TRIES) and inner in outer.body and outer.handlers:
            return cast("ast.Try", outer)
        if isinstance(outer, (ast.With, ast.AsyncWith)) and inner in outer.body and _suppresses(project, table, outer):
            return outer
        inner = outer
    return None


def _suppresses(project: Project, table: Table, node: Union[ast.With, ast.AsyncWith]) -> bool:
    calls = [each.context_expr for each in node.items if isinstance(each.context_expr, ast.Call)]
    return any("contextlib.suppress" in project.dotted(table, call.func) for call in calls)


def handled(project: Project, table: Table, node: ast.AST, depth: int = 0) -> bool:
    """Whether an exception of a node is caught in its function, or around every call of that function here."""
    if handler(project, table, node) is not None:
        return True
    sites = callers(project, table, node)
    return bool(sites) and depth < _CALLERS_DEEP and all(handled(project, *site, depth=depth + 1) for site in sites)


def callers(project: Project, table: Table, node: ast.AST) -> List[Call]:
    """The calls of the function a node is in; a constructor is called by its class."""
    function = table.function(node)
    if function is None:
        return []
    found = list(project.sites(function))
    owner = table.enclosing_class(function)
    if owner is not None and getattr(function, "name", "") in ("__init__", "__enter__", "__aenter__", "__post_init__"):
        found.extend(project.sites(owner))
    return [site for site in found if site[1] is not node]


def calls_in(node: ast.AST) -> Iterator[ast.Call]:
    """The calls below a node; those in functions defined there left out."""
    stack: List[ast.AST] = [] if isinstance(node, FUNCTIONS) else [node]
    while stack:
        current = stack.pop()
        if isinstance(current, ast.Call):
            yield current
        for child in ast.iter_child_nodes(current):
            if not isinstance(child, FUNCTIONS):
                stack.append(child)


def reachable(
    project: Project, table: Table, node: ast.AST, depth: int = 3
) -> Iterator[Tuple[Table, ast.Call, ast.Call]]:
    """(script, call, the call below the node that leads to it): what runs below a node, through functions here."""
    seen: Set[ast.AST] = set()
    waiting = [(table, call, call, 0) for call in calls_in(node)]
    while waiting:
        home, call, first, level = waiting.pop()
        if call in seen:
            continue
        seen.add(call)
        yield home, call, first
        if level >= depth:
            continue
        for other, function in project.called(home, call):
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for statement in function.body:
                    waiting.extend((other, each, first, level + 1) for each in calls_in(statement))


def exclusive(table: Table, one: ast.AST, other: ast.AST) -> bool:
    """Whether two nodes never both run: they are in different branches of one `if`, or of a try and its handlers."""
    branches = dict(_branches(table, one))
    return any(outer in branches and branches[outer] != branch for outer, branch in _branches(table, other))


def _branches(table: Table, node: ast.AST) -> Iterator[Tuple[ast.AST, str]]:
    inner = node
    for outer in table.ancestors(node):
        if isinstance(outer, ast.If):
            yield outer, "body" if inner in outer.body else "orelse"
        elif isinstance(outer, TRIES) and isinstance(inner, ast.ExceptHandler):
            yield outer, "handler"
        elif isinstance(outer, TRIES) and inner in getattr(outer, "body", ()):
            yield outer, "body"
        inner = outer


def runs_once(project: Project, table: Table, node: ast.AST, depth: int = 0) -> bool:
    """Whether a node of a function runs at most once: one call of it, not in a loop, which itself runs once."""
    if loop(table, node) is not None:
        return False
    if table.function(node) is None:
        return True
    sites = callers(project, table, node)
    return len(sites) == 1 and depth < _CALLERS_DEEP and runs_once(project, *sites[0], depth=depth + 1)


def is_library(project: Project, table: Table) -> bool:
    """Whether a file is there to be imported: another one here imports it, or it only defines."""
    if project.is_imported(table):
        return True
    defining = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    defines = any(isinstance(each, defining[:3]) for each in table.script.tree.body)
    return defines and main_guard(table) is None and not _acts(table)


def _acts(table: Table) -> bool:
    """Whether statements of the module itself do something: a loop, a with, or a call whose result is dropped."""
    for statement in table.script.tree.body:
        if isinstance(statement, (ast.While, ast.For, ast.With, ast.AsyncFor, ast.AsyncWith)):
            return True
        if isinstance(statement, ast.Expr) and isinstance(statement.value, (ast.Call, ast.Await)):
            name = ast.dump(statement.value)
            if not any(word in name for word in ("startLoop", "patchAsyncio", "nest_asyncio", "basicConfig", "append")):
                return True
    return False
