"""The rule about connections that are used in a thread, though another one opened them."""

from __future__ import annotations

import ast
from typing import Iterator, List, Optional, Tuple

from ..analysis import flow
from ..analysis.scopes import FUNCTIONS, Function, Table
from ..reading.model import Found
from .blocking import functions, is_patched
from .case import Case, found
from .elsewhere import Opened, of_classes, of_module, receivers_of, uses

#: Who calls one of these hands work over to the right loop.
_BRIDGES = ("run_coroutine_threadsafe", "call_soon_threadsafe", "asyncio.run")
#: Who calls one of these gives a thread a loop.
_LOOPS = ("set_event_loop", "new_event_loop")
#: What runs a function in another thread: (what it is called by, where the function stands, its keyword).
_THREADS = {
    "threading.Thread": (1, "target"),
    "threading.Timer": (1, "function"),
    "asyncio.to_thread": (0, "func"),
}
#: The same of methods: (the class they belong to, the method) -> (where the function stands, its keyword).
_POOLS = {
    ("concurrent.futures.ThreadPoolExecutor", "submit"): (0, "fn"),
    ("concurrent.futures.ThreadPoolExecutor", "map"): (0, "fn"),
    ("apscheduler.schedulers.background.BackgroundScheduler", "add_job"): (0, "func"),
}
_ROUTES = ("get", "post", "put", "delete", "patch", "route")
_CALLERS_DEEP = 6
#: (where a thread is told what to run, what it runs)
Entry = Tuple[ast.AST, Function]


def connection_in_thread(case: Case, table: Table) -> Iterator[Found]:
    """Requests in a thread that has no event loop, or one of its own, on a connection that was opened outside of it."""
    if any(word in table.script.text for word in _BRIDGES) or is_patched(case, table):
        return
    receivers = [each for each in receivers_of(case, table) if _at_start(case, table, each)]
    opened = Opened(of_module(table, receivers), of_classes(table, receivers))
    if not opened.names and not opened.attributes:
        return
    for place, function in _entries(case, table):
        own = _makes_loop(function)
        if not own and any(word in table.script.text for word in _LOOPS):
            continue
        name = uses(case, table, function, opened, loop=own)
        if name:
            summary = "a thread without an event loop uses %s, which was connected outside of it"
            if own:
                summary = "a thread makes a loop of its own and uses %s, which was connected in another one"
            yield found("connection_in_other_loop", table, place, summary % name)


def _at_start(case: Case, table: Table, node: ast.AST, depth: int = 0) -> bool:
    """Whether the script itself runs a node, and not only a thread: in the module, or through functions it calls."""
    function = table.function(node)
    if function is None or depth >= _CALLERS_DEEP:
        return function is None

    def called() -> bool:
        sites = flow.callers(case.project, table, node)
        return any(home is table and _at_start(case, home, site, depth + 1) for home, site in sites)

    return case.project.questions.answer(("at start", function), called, False)


def _makes_loop(function: Function) -> bool:
    names = {getattr(call.func, "attr", getattr(call.func, "id", "")) for call in flow.calls_of(function)}
    return set(_LOOPS) <= names


def _entries(case: Case, table: Table) -> Iterator[Entry]:
    """The functions of a script that run in threads of their own, each with the place that says so."""
    for call in table.calls:
        given = _given_to_thread(case, table, call)
        for home, node in functions(case, table, given) if given is not None else ():
            if home is table and isinstance(node, FUNCTIONS):
                yield call, node
    serves = any(_serves_in_threads(case, table, call) for call in table.calls)
    for scope in table.scopes():
        if isinstance(scope.node, ast.FunctionDef) and _is_route(case, table, scope.node, serves):
            yield scope.node, scope.node


def _given_to_thread(case: Case, table: Table, call: ast.Call) -> Optional[ast.expr]:
    """What a call has another thread run."""
    method = call.func
    name = getattr(method, "attr", getattr(method, "id", ""))
    if name in ("Thread", "Timer", "to_thread"):
        for dotted in case.project.dotted(table, method):
            if dotted in _THREADS:
                return _argument(call, *_THREADS[dotted])
    if not isinstance(method, ast.Attribute):
        return None
    if name == "run_in_executor":
        return _argument(call, 1, "func")
    if name in ("submit", "map", "add_job"):
        for owner in _classes(case, table, method.value):
            if (owner, name) in _POOLS:
                return _argument(call, *_POOLS[owner, name])
    return None


def _argument(call: ast.Call, index: int, keyword: str) -> Optional[ast.expr]:
    named = next((each.value for each in call.keywords if each.arg == keyword), None)
    return named or (call.args[index] if index < len(call.args) else None)


def _classes(case: Case, table: Table, node: ast.expr) -> List[str]:
    return [each.dotted for each in case.project.types(table, node) if each.dotted]


def _serves_in_threads(case: Case, table: Table, call: ast.Call) -> bool:
    """app.run() of Flask, which answers each request in a thread of its own unless it is told not to."""
    method = call.func
    if not isinstance(method, ast.Attribute) or method.attr != "run":
        return False
    threaded = [each.value for each in call.keywords if each.arg == "threaded"]
    return not threaded and "flask.Flask" in _classes(case, table, method.value)


def _is_route(case: Case, table: Table, function: ast.FunctionDef, serves: bool) -> bool:
    """Whether a plain function answers requests of a server that runs it in a thread."""
    for decorator in function.decorator_list:
        method = getattr(decorator, "func", None)
        if isinstance(method, ast.Attribute) and method.attr in _ROUTES:
            classes = _classes(case, table, method.value)
            if ("flask.Flask" in classes and serves) or {"fastapi.FastAPI", "fastapi.APIRouter"} & set(classes):
                return True
    return False


RULES = (connection_in_thread,)
