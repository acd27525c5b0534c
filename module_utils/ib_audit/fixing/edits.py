"""Decides for each problem how it can be rewritten safely, or why it is left. Pure; nothing is rewritten here."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from ..analysis import flow
from ..analysis.connections import Connection
from ..analysis.scopes import IMPORT, VALUE, Table
from ..analysis.values import CHANCE, CONSTANT, Value
from ..reading.model import KIT, Found, Problem
from ..rules.audit import Audit, printable
from ..rules.case import Case
from ..rules.loop import starts
from ..rules.ports import may_rewrite, right_port

LOOPS = ("loop_in_function", "loop_started_twice", "loop_at_import")
IDS = ("hardcoded_client_id", "random_client_id")
#: The problems that may be rewritten.
FIXABLE = ("port_contradicts_mode", *IDS, *LOOPS)

# What an edit does with the node at its place.
NUMBER, REPLACE, ARGUMENT, REMOVE, MOVE, KEEP = "number", "replace", "argument", "remove", "move", "keep"


class Left(NamedTuple):
    """A problem that is left, and why."""

    code: str
    file: str
    line: int
    reason: str


@dataclass(frozen=True)
class Edit:
    """One change of a script. The place is that of the node: lines from 1, columns from 0, in characters."""

    action: str
    start: Tuple[int, int]
    end: Tuple[int, int]
    problem: Problem
    text: str = ""


Decision = Union[Edit, str]
Decide = Callable[[Case, Table, Found, Problem], Decision]


def plan(
    found: Audit, codes: Sequence[str], kit_importable: Callable[[str], bool]
) -> Tuple[Dict[str, List[Edit]], List[Left]]:
    """(edits by the path of the script, what is left). codes: the problems that may be rewritten."""
    case = found.case
    edits: Dict[str, List[Edit]] = {}
    left: List[Left] = []
    if case is None:
        return edits, left
    for problem, verdicts in found.verdicts:
        if problem.code not in codes or problem.code not in FIXABLE:
            continue
        for verdict in verdicts:
            table, decision = _decided(case, verdict, problem, kit_importable)
            if isinstance(decision, str):
                left.append(Left(problem.code, problem.file, problem.line, decision))
            elif decision not in edits.setdefault(table.script.path, []):
                edits[table.script.path].append(decision)
    return edits, list(dict.fromkeys(left))


def _decided(
    case: Case, verdict: Found, problem: Problem, kit_importable: Callable[[str], bool]
) -> Tuple[Table, Decision]:
    table = case.project.tables[verdict.place.script.path]
    if verdict.code in LOOPS:
        return table, _loop(case, table, verdict, problem)
    if table.script.context:
        return table, "it is written in %s, which is not audited itself" % printable(table.script.path)
    connection, value = verdict.subject
    if verdict.code == "port_contradicts_mode":
        return table, _port(case, table, connection, value, problem)
    table = connection.table
    if not kit_importable(table.script.path):
        return table, "the kit is not there: no ib_connect.py is beside the script, and kit_importable is false"
    return _client_id(case, connection, problem)


# --- ports -----------------------------------------------------------------------------------------------------------


def _port(case: Case, table: Table, connection: Connection, value: Value, problem: Problem) -> Decision:
    node = value.node
    if not isinstance(node, ast.Constant) or type(node.value) is not int:
        return "the port is no plain number in the script"
    port = right_port(case, connection, value)
    if port is None:
        return "the inventory does not declare exactly one gateway of the mode that is meant"
    if not may_rewrite(case, connection, value):
        return "only the inventory's only mode says live: name the script in client_patterns before it may trade live"
    return Edit(NUMBER, *_place(table, node), problem, str(port))


# --- client ids ------------------------------------------------------------------------------------------------------


def _client_id(case: Case, connection: Connection, problem: Problem) -> Tuple[Table, Decision]:
    table, call = connection.table, connection.call
    bound = table.module.names.get(KIT, [])
    if any(each.kind != IMPORT or each.target != KIT for each in bound):
        return table, "the name ib_connect means something else in the script"
    given = connection.arguments.get("clientId")
    if given is None:
        return table, Edit(ARGUMENT, *_place(table, call), problem, "clientId=%s.client_id()" % KIT)
    if given.table is not table or not _stands_in(table, given.expression, call):
        return table, "the argument is not given in the call itself"
    if any(each.kind not in (CONSTANT, CHANCE) for each in case.argument(connection, "clientId")):
        return table, "the id may also come from elsewhere"
    text = "%s.client_id()" % KIT
    others = _other_reads(case, table, given.expression)
    if not others:
        return table, Edit(REPLACE, *_place(table, given.expression), problem, text)
    written = _only_assignment(table, given.expression)
    if written is None or (case.project.is_imported(table) and table.function(written) is None):
        return table, "its name is read elsewhere as well, at line %d" % others[0]
    return table, Edit(REPLACE, *_place(table, written), problem, text)


def _stands_in(table: Table, node: ast.AST, call: ast.Call) -> bool:
    parent = table.parents.get(node)
    return parent is call or (isinstance(parent, ast.keyword) and table.parents.get(parent) is call)


def _other_reads(case: Case, table: Table, node: ast.expr) -> List[int]:
    """The lines at which the name behind an argument is read for something else than a client id."""
    name = getattr(node, "id", getattr(node, "attr", None))
    if not isinstance(node, (ast.Name, ast.Attribute)) or name is None:
        return []
    ids = {one.arguments["clientId"].expression for one in case.connections if "clientId" in one.arguments}
    found = []
    for other in case.project.tables.values():
        for load in other.loads:
            same = getattr(load, "id", getattr(load, "attr", None)) == name and load not in ids
            if same and not _only_kept(other, load, name) and (other is table or isinstance(load, ast.Attribute)):
                found.append(getattr(load, "lineno", 0))
    return found


def _only_kept(table: Table, load: ast.AST, name: str) -> bool:
    """Whether a read only hands the value on to an attribute of the same name: self.client_id = client_id."""
    parent = table.parents.get(load)
    return isinstance(parent, ast.Assign) and all(
        isinstance(target, ast.Attribute) and target.attr == name for target in parent.targets
    )


def _only_assignment(table: Table, node: ast.expr) -> Optional[ast.expr]:
    """What a name of the module or function is assigned, where that is the only way it is bound, and no condition."""
    bindings = table.lookup(node.id, node) if isinstance(node, ast.Name) else []
    if len(bindings) != 1 or bindings[0].kind != VALUE:
        return None
    expression, statement = bindings[0].expression, bindings[0].node
    plain = isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is expression
    outer = table.parents.get(statement)
    return expression if plain and isinstance(outer, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef)) else None


# --- the event loop --------------------------------------------------------------------------------------------------


def _loop(case: Case, table: Table, verdict: Found, problem: Problem) -> Decision:
    call = verdict.place.node
    statement = table.parents.get(call)
    guard = flow.main_guard(table)
    if not isinstance(call, ast.Call) or not isinstance(statement, ast.Expr) or call.args or call.keywords:
        return "the call is part of a larger statement"
    if guard is None:
        return "the script has no main guard to move the call to"
    if guard.body[0].lineno == guard.lineno:
        return "the main guard has its statement on its own line"
    reason = _why_not_move(case, table, statement)
    if reason:
        return reason
    return Edit(_loop_action(case, table, guard, call), *_place(table, statement), problem)


def _why_not_move(case: Case, table: Table, statement: ast.Expr) -> Optional[str]:
    if case.project.is_imported(table):
        return "another audited script imports this one and may rely on it"
    root: ast.AST = statement.value
    while isinstance(root, (ast.Call, ast.Attribute)):
        root = root.func if isinstance(root, ast.Call) else root.value
    if isinstance(root, ast.Name) and table.lookup(root.id, root) != table.module.names.get(root.id, []):
        return "its name is only known in the function"
    parent = table.parents.get(statement)
    if not isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)) and not flow.is_main_guard(
        parent or statement
    ):
        return "it depends on a condition or a loop"
    if isinstance(parent, ast.Module) and any(
        table.function(each.call) is None and not flow.under_guard(table, each.call) for each in case.of(table)
    ):
        return "the module connects when it is imported, and the order would change"
    return None


def _loop_action(case: Case, table: Table, guard: ast.If, call: ast.Call) -> str:
    """One call is left over, in the main guard: its own first one stays, else the script's first one moves there."""
    calls = starts(case, table)
    own = [each for each in calls if table.parents.get(table.statement(each)) is guard]
    if own:
        return KEEP if own[0] is call else REMOVE
    return MOVE if calls[0] is call else REMOVE


def _place(table: Table, node: ast.AST) -> Tuple[Tuple[int, int], Tuple[int, int]]:
    """Start and end of a node, columns in characters."""
    lines = table.script.text.split("\n")

    def characters(line: int, offset: int) -> Tuple[int, int]:
        return line, len(lines[line - 1].encode("utf-8")[:offset].decode("utf-8", "ignore"))

    return (
        characters(getattr(node, "lineno", 1), getattr(node, "col_offset", 0)),
        characters(getattr(node, "end_lineno", 1), getattr(node, "end_col_offset", 0)),
    )
