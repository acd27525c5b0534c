"""When a client id can be taken from the kit without changing what a script does with its orders. Pure.

docs/client-rules.md lists these preconditions; each function here is one of them and gives the reason when it fails.
"""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import Optional, Set, Tuple

from ..analysis import flow
from ..analysis.connections import Connection
from ..analysis.scopes import FUNCTIONS, IMPORT, VALUE, Table
from ..analysis.values import CHANCE, CONSTANT
from ..reading.model import KIT, Problem
from ..rules.case import Case
from .edit import ARGUMENT, REPLACE, Decision, Edit, Place, place
from .owning import connected, other_use

CODES = ("hardcoded_client_id", "random_client_id")
_TEXT = "%s.client_id()" % KIT
#: Frameworks whose apps a server imports, often into several processes.
_SERVED = frozenset(
    (
        *(
            "flask",
            "fastapi",
            "starlette",
            "django",
            "aiohttp",
            "sanic",
            "tornado",
            "quart",
            "bottle",
            "falcon",
            "dash",
        ),
        *("streamlit", "gradio", "celery", "uvicorn", "gunicorn", "rq", "huey", "airflow", "prefect", "mcp", "fastmcp"),
        *("panel", "nicegui", "litestar", "connexion", "socketio", "dramatiq", "apscheduler", "dagster", "luigi"),
    )
)
_LOGGING = frozenset(("debug", "info", "warning", "warn", "error", "critical", "exception", "log", "success"))
#: Lines up to this length are no news for any linter.
_WIDTH = 79


def decide(case: Case, connection: Connection, problem: Problem) -> Decision:
    """The edit that takes the id from the kit, or why it is left."""
    table = connection.table
    reason = (
        _other_kit(table)
        or _other_source(case, connection)
        or _of_script(case, table)
        or _not_once(case, table, connection.call)
        or _told_elsewhere(case, connection)
        or _read_back(case, table)
    )
    if reason:
        return reason
    decision = _edit(case, connection, problem)
    if isinstance(decision, Edit) and _too_long(table, decision):
        wrap = _wrap(table, connection.call, decision)
        return replace(decision, wrap=wrap) if wrap else "its line would become too long"
    return decision


# --- preconditions ---------------------------------------------------------------------------------------------------


def _other_kit(table: Table) -> str:
    bound = table.module.names.get(KIT, [])
    other = any(each.kind != IMPORT or each.target != KIT for each in bound)
    return "the name ib_connect means something else in the script" if other else ""


def _other_source(case: Case, connection: Connection) -> str:
    values = case.argument(connection, "clientId")
    if any(each.kind not in (CONSTANT, CHANCE) or (each.kind == CONSTANT and each.what) for each in values):
        return "the id may also come from elsewhere"
    if len(values) != 1:
        return "the id is one of several"
    if values[0].kind == CONSTANT and values[0].constant == 0:
        return "id 0 also takes over orders that are entered by hand, and another id does not"
    return ""


def _of_script(case: Case, table: Table) -> str:
    """What speaks against it whichever connect of the script is meant."""

    def answer() -> str:
        return other_use(case, table) or _may_be_served(case, table)

    return case.project.questions.answer(("keeps its id", table.script.path), answer, "it costs too much to find out")


def _not_once(case: Case, table: Table, call: ast.Call) -> str:
    """One lease is for the life of a process: who connects again has to use the same id."""
    once = "it may connect more than once in a process, and each time would lease another id"
    current: Optional[ast.AST] = call
    home = table
    for _ in range(8):
        function = home.function(current) if current is not None else None
        if flow.loop(home, current or call) is not None or _in_comprehension(home, current or call):
            return once
        if function is None:
            return ""
        if isinstance(function, ast.Lambda) or function.decorator_list or _is_mentioned(case, home, function):
            return once
        sites = flow.callers(case.project, home, current or call)
        if not sites:
            return "who calls the function it is in cannot be seen"
        if len(sites) > 1:
            return once
        home, current = sites[0]
    return once


def _in_comprehension(table: Table, node: ast.AST) -> bool:
    for outer in table.ancestors(node):
        if isinstance(outer, FUNCTIONS):
            return False
        if isinstance(outer, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            return True
    return False


def _is_mentioned(case: Case, table: Table, function: ast.AST) -> bool:
    """Whether a function is also handed to somebody: an event, a thread, a scheduler."""
    name = getattr(function, "name", "")
    for one in connected(case, table):
        for load in one.loads:
            if getattr(load, "id", getattr(load, "attr", "")) == name:
                parent = one.parents.get(load)
                if not isinstance(parent, ast.Call) or parent.func is not load:
                    return True
    return False


def _may_be_served(case: Case, table: Table) -> str:
    if case.project.is_imported(table):
        return "another audited script imports this one"
    packages = {name.partition(".")[0] for one in connected(case, table) for name, _level in one.imported_modules()}
    served = sorted(packages & _SERVED)
    return "a server may import the script (it uses %s): each process would lease an id" % served[0] if served else ""


def _told_elsewhere(case: Case, connection: Connection) -> str:
    """A text that tells the number would be wrong."""
    value = case.argument(connection, "clientId")[0]
    if value.kind != CONSTANT:
        return ""
    number = re.compile(r"(?<!\d)%s(?!\d)" % re.escape(str(value.constant)))
    for text in connection.table.texts():
        if "client" in text.lower() and number.search(text):
            return "a text of the script tells the number"
    return ""


def _read_back(case: Case, table: Table) -> str:
    """What the client says its id is: who compares it with a number, or keeps something by it, counts on the number."""
    for one in connected(case, table):
        for load in one.loads:
            if isinstance(load, ast.Attribute) and load.attr == "clientId" and not _is_shown(one, load):
                return "the id is read from the client, at line %d" % load.lineno
    return ""


def _too_long(table: Table, edit: Edit) -> bool:
    if edit.start[0] != edit.end[0]:
        return False
    line = table.line(edit.end[0])
    removed = edit.end[1] - edit.start[1] if edit.action == REPLACE else -2
    return len(line) <= _WIDTH < len(line) + len(edit.text) - removed or len(line) > _WIDTH


def _wrap(table: Table, call: ast.Call, edit: Edit) -> Optional[Tuple[Place, Place]]:
    """The call to wrap: one that is a whole line of its own, and whose arguments are short enough each."""
    statement = table.statement(call)
    start, end = place(table, call)
    line = table.line(start[0])
    alone = (
        place(table, statement)[0][0] == start[0] == end[0] == place(table, statement)[1][0]
        and "#" not in line[end[1] :]
    )
    if not alone or not start <= edit.start <= edit.end <= end or not isinstance(statement, (ast.Expr, ast.Assign)):
        return None
    indent = len(line) - len(line.lstrip()) + 4
    texts = [ast.get_source_segment(table.script.text, each) or "" for each in (*call.args, *call.keywords)]
    widest = max(len(each) for each in [*texts, "clientId=" + edit.text])
    head = len(line[: start[1]]) + len(ast.get_source_segment(table.script.text, call.func) or "") + 1
    return (start, end) if max(indent + widest + 1, head) <= _WIDTH else None


# --- where it is written ---------------------------------------------------------------------------------------------


def _edit(case: Case, connection: Connection, problem: Problem) -> Decision:
    table, call = connection.table, connection.call
    given = connection.arguments.get("clientId")
    if connection.more or not connection.complete or any(keyword.arg is None for keyword in call.keywords):
        return "the argument may be given by others: the call hands on what it was given"
    if given is None:
        return Edit(ARGUMENT, *place(table, call), problem, "clientId=" + _TEXT)
    if given.table is not table or not _stands_in(table, given.expression, call):
        return "the argument is not given in the call itself"
    written: Optional[ast.expr] = given.expression
    if isinstance(given.expression, ast.Name):
        written = _only_assignment(table, given.expression)
        if written is None:
            return "the number has a name that is not assigned once, or that callers may give"
        other = _other_read(case, table, given.expression, connection)
        if other:
            return "its name is read elsewhere as well, at line %d" % other
        if _is_typed(table.parents.get(written)):
            return "its annotation says more than that it is a number"
    elif isinstance(given.expression, (ast.Attribute, ast.Subscript)):
        return "the number is kept in an object that others may read"
    if written is None or _leaves_unused(table, written):
        return "an import would be left that nothing uses"
    return Edit(REPLACE, *place(table, written), problem, _TEXT)


def _stands_in(table: Table, node: ast.AST, call: ast.Call) -> bool:
    parent = table.parents.get(node)
    return parent is call or (isinstance(parent, ast.keyword) and table.parents.get(parent) is call)


def _only_assignment(table: Table, node: ast.Name) -> Optional[ast.expr]:
    """What a name of the module or function is assigned, where that is the only way it is bound, and no condition."""
    bindings = table.lookup(node.id, node)
    if len(bindings) != 1 or bindings[0].kind != VALUE:
        return None
    expression, statement = bindings[0].expression, bindings[0].node
    plain = isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is expression
    single = plain and len(getattr(statement, "targets", [node])) == 1
    outer = table.parents.get(statement)
    in_order = isinstance(outer, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef)) or (
        outer is not None and flow.is_main_guard(outer)
    )
    same = table.function(statement) in (None, table.function(node))
    return expression if single and in_order and same and not isinstance(expression, ast.Name) else None


def _is_typed(statement: Optional[ast.AST]) -> bool:
    """Whether an assignment has another annotation than int, Final and Final[int], such as Literal[15]."""
    annotation = getattr(statement, "annotation", None)
    names = {getattr(each, "id", getattr(each, "attr", "")) for each in ast.walk(annotation or ast.Pass())}
    constants = annotation is not None and any(isinstance(each, ast.Constant) for each in ast.walk(annotation))
    return constants or not names <= {"", "int", "Final", "typing", "ClassVar"}


def _other_read(case: Case, table: Table, node: ast.Name, connection: Connection) -> int:
    """The line at which a name is read for something else than this connect, or to be shown; 0 where it is not."""
    bindings = table.lookup(node.id, node)
    for load in table.loads:
        if isinstance(load, ast.Name) and load.id == node.id and table.lookup(load.id, load) is bindings:
            if load is not node and not _is_shown(table, load):
                return load.lineno
        elif isinstance(load, ast.Attribute) and load.attr == node.id:
            return load.lineno
    exported = [each for each in table.texts() if each == node.id]
    if exported and bindings is table.module.names.get(node.id):
        return connection.call.lineno
    return 0 if not case.project.is_imported(table) else connection.call.lineno


def _is_shown(table: Table, load: ast.AST) -> bool:
    """Whether a name is only printed or logged, also within a formatted text."""
    inner = load
    for outer in table.ancestors(load):
        if isinstance(outer, (ast.JoinedStr, ast.FormattedValue)):
            inner = outer
            continue
        if not isinstance(outer, ast.Call) or outer.func is inner:
            return False
        function = outer.func
        if isinstance(function, ast.Name):
            return function.id == "print"
        return isinstance(function, ast.Attribute) and function.attr in _LOGGING
    return False


def _leaves_unused(table: Table, written: ast.expr) -> bool:
    """Whether something is only imported or assigned for the expression that goes away."""
    inside: Set[ast.AST] = set(ast.walk(written))
    needed = {node.id for node in inside if isinstance(node, ast.Name) and table.lookup(node.id, node)}
    kept = {load.id for load in table.loads if isinstance(load, ast.Name) and load not in inside}
    return not needed <= kept
