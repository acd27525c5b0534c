"""What runs when: guards, loops, handlers, callers. Pure; every answer is about one script's own text."""

from __future__ import annotations

import ast
from typing import Any, Callable, Iterator, List, Optional, Tuple, Union, cast

from .project import Project
from .scopes import FUNCTIONS, Function, Table

Call = Tuple[Table, ast.Call]
Loop = Union[ast.While, ast.For, ast.AsyncFor]
#: ast.TryStar came with Python 3.11.
TRIES: Tuple[Any, ...] = tuple(getattr(ast, name) for name in ("Try", "TryStar") if hasattr(ast, name))
#: Libraries whose decorators catch what a function raises and call it again.
_REPEATING = ("tenacity", "backoff", "retrying", "retry", "stamina")
_CALLERS_DEEP = 6
#: Calls of a module that only prepare what it defines.
_SETTING_UP = (
    *("startLoop", "patchAsyncio", "nest_asyncio", "basicConfig", "append", "insert", "filterwarnings"),
    *("load_dotenv", "setLevel", "addHandler", "set_option", "getLogger"),
)
#: So many calls of a kind are followed from one place.
_MOST_REACHED = 6


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
    """Whether a node runs only in a notebook: under a test for IPython or a running loop, or in a notebook's cells."""
    if table.script.notebook:
        return True
    inner = node
    for outer in table.ancestors(node):
        if isinstance(outer, ast.If) and _asks_for_notebook(outer.test):
            return True
        if isinstance(outer, TRIES) and not isinstance(inner, ast.ExceptHandler) and _asks_for_loop(outer):
            return True
        inner = outer
    text = table.script.text
    return "\n# %%" in "\n" + text or "\n# In[" in "\n" + text


def _asks_for_notebook(test: ast.AST) -> bool:
    words = {_word(each) or str(getattr(each, "value", "")) for each in ast.walk(test)}
    named = any("running_loop" in word or "loop_running" in word for word in words)  # also a function of the scripts
    return named or bool(words & {"get_ipython", "IPython", "ipykernel", "__IPYTHON__", "is_running"})


def _asks_for_loop(tried: Any) -> bool:
    return any(_word(call.func) == "get_running_loop" for each in tried.body for call in calls_in(each))


def _word(node: ast.AST) -> str:
    return str(getattr(node, "id", None) or getattr(node, "attr", None) or "")


def loop(table: Table, node: ast.AST) -> Optional[Loop]:
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
    function = table.function(node)
    if function is None or depth >= _CALLERS_DEEP:
        return False
    if is_repeated(project, table, function):
        return True

    def everywhere() -> bool:
        sites = callers(project, table, node)
        return bool(sites) and all(handled(project, *site, depth=depth + 1) for site in sites)

    return project.questions.answer(("handled", function), everywhere, False)


def is_repeated(project: Project, table: Table, function: ast.AST) -> bool:
    """Whether a decorator catches what a function raises and calls it again."""
    return any(
        name.split(".")[0] in _REPEATING
        for decorator in getattr(function, "decorator_list", ())
        for name in project.dotted(table, getattr(decorator, "func", decorator))
    )


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
    """The calls below a node, in the order of the text; those in functions defined there left out."""
    return (each for each in below(node) if isinstance(each, ast.Call))


def below(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it, in the order of the text; functions defined there left out."""
    stack: List[ast.AST] = [] if isinstance(node, FUNCTIONS) else [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(
            child for child in reversed(list(ast.iter_child_nodes(current))) if not isinstance(child, FUNCTIONS)
        )


Wanted = Callable[[Table, ast.Call], bool]


def reached(project: Project, table: Table, call: ast.Call, kind: str, wanted: Wanted, depth: int = 3) -> List[Call]:
    """The calls of a kind that a call runs: itself, or through functions here. kind: names `wanted`, for keeping."""
    found = [(table, call)] if wanted(table, call) else []
    for home, function in project.called(table, call) if depth else ():
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.extend(in_function(project, home, function, kind, wanted, depth - 1))
    return found[:_MOST_REACHED]


def in_function(
    project: Project, table: Table, function: Function, kind: str, wanted: Wanted, depth: int = 3
) -> List[Call]:
    """The calls of a kind that a function runs."""

    def look() -> List[Call]:
        found: List[Call] = []
        for call in calls_of(function):
            project.effort.step()
            found.extend(reached(project, table, call, kind, wanted, depth))
            if len(found) >= _MOST_REACHED:
                break
        return found[:_MOST_REACHED]

    return project.questions.answer(("reached", kind, function, depth), look, [])


def calls_of(function: Function) -> Iterator[ast.Call]:
    """The calls of a function's body."""
    for statement in function.body if isinstance(function.body, list) else [function.body]:
        yield from calls_in(statement)


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
    waiting: List[ast.stmt] = list(table.script.tree.body)
    while waiting:
        statement = waiting.pop()
        if isinstance(statement, (ast.While, ast.For, ast.With, ast.AsyncFor, ast.AsyncWith)):
            return True
        if isinstance(statement, TRIES):
            waiting.extend([*statement.body, *statement.orelse, *statement.finalbody])
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, (ast.Call, ast.Await)):
            name = ast.dump(statement.value)
            if not any(word in name for word in _SETTING_UP):
                return True
    return False
