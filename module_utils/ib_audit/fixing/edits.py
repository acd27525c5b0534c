"""Decides for each problem how it can be rewritten safely, or why it is left. Pure; nothing is rewritten here.

What is rewritten is the client id and where the event loop is patched. A port, a host, an account or a mode never is.
"""

from __future__ import annotations

import ast
from typing import Callable, Dict, List, Sequence, Tuple

from ..analysis.scopes import Table
from ..reading.model import Found, Problem
from ..rules.audit import Audit
from ..rules.case import Case
from ..rules.problems import printable
from . import ids, loops
from .edit import Decision, Edit, Left

#: The problems that may be rewritten.
FIXABLE = (*ids.CODES, *loops.CODES)

Importable = Callable[[str], bool]


def plan(found: Audit, codes: Sequence[str], kit_importable: Importable) -> Tuple[Dict[str, List[Edit]], List[Left]]:
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


def _decided(case: Case, verdict: Found, problem: Problem, kit_importable: Importable) -> Tuple[Table, Decision]:
    table = case.project.tables.get(verdict.place.script.path)
    if table is None:
        return verdict.subject[0].table, "it is written in %s" % printable(verdict.place.script.path)
    if table.script.notebook:
        return table, "it is a notebook"
    if verdict.code in loops.CODES:
        return table, loops.decide(case, table, verdict, problem)
    if table.script.context:
        return table, "it is written in %s, which is not audited itself" % printable(table.script.path)
    connection, _value = verdict.subject
    table = connection.table
    if not kit_importable(table.script.path):
        return table, "the kit is not there: no ib_connect.py is beside the script, and kit_importable is false"
    return table, ids.decide(case, connection, problem)


def own_modules(found: Audit, path: str) -> List[str]:
    """The modules that a script imports from beside it."""
    case = found.case
    table = case.project.tables.get(path) if case is not None else None
    if case is None or table is None:
        return []
    names = [
        (node.module or "", node.level) if isinstance(node, ast.ImportFrom) else (node.names[0].name, 0)
        for node in table.script.tree.body
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    return [name for name, level in names if level or case.project.module(table, name, level) is not None]
