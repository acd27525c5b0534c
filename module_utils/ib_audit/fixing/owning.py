"""What else is done with a script's connection: orders, which belong to its client id, and who else gets it. Pure.

What cannot be followed counts as if it placed orders.
"""

from __future__ import annotations

import ast
from typing import List, Tuple

from ..analysis.connections import client_classes
from ..analysis.library import ORDER_CALLBACKS, ORDER_EVENTS, ORDERING
from ..analysis.scopes import FUNCTIONS, Table
from ..reading.model import LIBRARIES
from ..rules.case import Case

#: Functions that only show what they are given.
_SHOWING = frozenset(("print", "str", "repr", "len", "id", "isinstance", "type", "bool", "hasattr", "getattr"))
#: What runs a text or a file, or opens a prompt, in which the names of the script can be used.
_RUNS_TEXT = frozenset(
    ("builtins.exec", "builtins.eval", "runpy.run_path", "runpy.run_module", "code.interact", "IPython.embed")
)
#: Hands out all names of a script.
_NAMES = frozenset(("builtins.globals", "builtins.locals"))
#: Methods that send a message as it is given.
_RAW = frozenset(("send", "sendMsg"))
#: Where the bases of a client's class may come from that are not audited; nothing there knows of orders.
_PLAIN_BASES = frozenset(("builtins", "abc", "typing", "threading", "multiprocessing", "logging", "contextlib"))
#: What an expression is part of without going anywhere else.
_PASSES = (ast.IfExp, ast.BoolOp, ast.NamedExpr, ast.Await, ast.Starred, ast.keyword)
_ENDS = (ast.Attribute, ast.Compare, ast.UnaryOp, ast.FormattedValue, ast.Expr, ast.If, ast.While, ast.Assert)


def connected(case: Case, table: Table) -> List[Table]:
    """The script, and all that imports connect with it."""
    found: List[Table] = [table]
    for one in found:
        found.extend(other for other in case.project.neighbours(one) if other not in found)
    return found


def other_use(case: Case, table: Table) -> str:
    """Why the id of a script's connections belongs to what it does, or to somebody else; empty where neither is so."""
    return next(
        (
            reason
            for one in connected(case, table)
            for rule in (_of_orders, _of_text, _of_classes, _of_uses)
            for reason in [rule(case, one, "" if one is table else one.script.path + ", ")]
            if reason
        ),
        "",
    )


def _of_orders(case: Case, one: Table, file: str) -> str:
    """The gateway gives orders only to the id that made them, in this run and in later ones."""
    for node in one.loads:
        if isinstance(node, ast.Attribute) and (node.attr in ORDERING or node.attr in ORDER_EVENTS or _is_raw(node)):
            where = "%sline %d" % (file, node.lineno)
            return "the script places, finds or cancels orders (%s): its id must stay the same" % where
    for event in (node.target for node in one.nodes() if isinstance(node, ast.AugAssign)):
        if getattr(event, "attr", "") in ORDER_EVENTS:
            where = "%sline %d" % (file, event.lineno)
            return "the script hears of its orders (%s): its id must stay the same" % where
    for scope in one.scopes():
        if getattr(scope.node, "name", "") in ORDER_CALLBACKS and isinstance(scope.node, FUNCTIONS):
            owner = one.enclosing_class(scope.node)
            if owner is not None and "ibapi.wrapper.EWrapper" in case.project.bases(one, owner):
                where = "%sline %d" % (file, getattr(scope.node, "lineno", 0))
                return "the script hears of its orders (%s): its id must stay the same" % where
    for text in one.texts():
        if text in ORDERING or text in ORDER_EVENTS:
            return "the script names %s in a text: its id must stay the same" % text
    return ""


def _is_raw(node: ast.Attribute) -> bool:
    """Whether a message is sent past the client's methods: ib.client.send(...)."""
    return node.attr in _RAW and getattr(node.value, "attr", "") in ("client", "conn")


def _of_text(case: Case, one: Table, file: str) -> str:
    """A text that is run may use the connection, whatever it says."""
    for call in one.calls:
        names = case.project.dotted(one, call.func)
        if names & _RUNS_TEXT or (names & _NAMES and not call.args):
            where = "%sline %d" % (file, call.lineno)
            return "what %s() is used for cannot be followed (%s)" % (min(names).rpartition(".")[2], where)
        by_name = "builtins.getattr" in names and len(call.args) > 1 and not isinstance(call.args[1], ast.Constant)
        if by_name and client_classes(case.project, one, call.args[0]):
            return "the name of a method is only known when it runs (%sline %d)" % (file, call.lineno)
    return ""


def _of_classes(case: Case, one: Table, _file: str) -> str:
    """A base of the client's class that is not audited may place orders."""
    for scope in one.scopes():
        if not isinstance(scope.node, ast.ClassDef) or not _is_client(case, one, scope.node):
            continue
        for home, each in case.project.lineage(one, scope.node):
            for base in each.bases:
                packages = {name.partition(".")[0] for name in case.project.dotted(home, base)}
                audited = any(isinstance(thing.node, ast.ClassDef) for thing in case.project.things(home, base))
                if not audited and not packages & {*LIBRARIES, *_PLAIN_BASES}:
                    return "the class %s has a base that is not among the audited scripts" % each.name
    return ""


def _is_client(case: Case, one: Table, node: ast.ClassDef) -> bool:
    return any(name.partition(".")[0] in LIBRARIES for name in case.project.bases(one, node))


def _of_uses(case: Case, one: Table, file: str) -> str:
    """Who gets the connection and is not among the audited scripts may place orders with it."""
    for load in one.loads:
        if client_classes(case.project, one, load):
            reason = _goes_on(case, one, load)
            if reason:
                return reason % ("%sline %d" % (file, getattr(load, "lineno", 0)))
    return ""


def _goes_on(case: Case, one: Table, load: ast.AST) -> str:
    """Where an expression that is a client goes to, if that cannot be followed: a text with a place in it."""
    inner, outer = load, one.parents.get(load)
    while isinstance(outer, _PASSES):
        inner, outer = outer, one.parents.get(outer)
    if isinstance(outer, ast.Call):
        if inner is outer.func or _may_be_given(case, one, outer):
            return ""
        return "the connection is handed to %s(), which is not among the audited scripts (%%s)" % _name(outer.func)
    if isinstance(outer, ast.Assign):
        return "" if all(_is_own(case, one, each) for each in outer.targets) else _KEPT
    if isinstance(outer, (ast.Return, ast.Yield)):
        function = one.function(outer)
        mentioned = function is not None and _is_handed_over(case, one, getattr(function, "name", ""))
        return "the connection is returned by a function that others are given (%s)" if mentioned else ""
    if isinstance(outer, (ast.AnnAssign, ast.withitem, *_ENDS)):
        return ""
    if isinstance(outer, (ast.Tuple, ast.List)) and _is_for_thread(case, one, outer):
        return ""
    return _KEPT


_KEPT = "the connection is kept where it cannot be followed (%s)"


def _may_be_given(case: Case, one: Table, call: ast.Call) -> bool:
    """Whether a call is of a function here, of the libraries, or of one that only shows what it is given."""
    own = any(each.partition(".")[0] in LIBRARIES for each in case.project.dotted(one, call.func))
    name = _name(call.func)
    return name in _SHOWING or name == "__init__" or own or bool(case.project.called(one, call))


def _is_own(case: Case, one: Table, target: ast.expr) -> bool:
    """Whether a target is a name here, or an attribute of an object whose class is here."""
    if isinstance(target, ast.Attribute):
        owners = case.project.types(one, target.value) | case.project.things(one, target.value)
        return bool(owners) and all(owner.table is not None for owner in owners)
    return isinstance(target, ast.Name)


def _is_handed_over(case: Case, one: Table, name: str) -> bool:
    """Whether a function is given to a call that is not of a function here."""
    for load in one.loads:
        if getattr(load, "id", getattr(load, "attr", "")) == name:
            inner: ast.AST = load
            outer = one.parents.get(load)
            while isinstance(outer, _PASSES):
                inner, outer = outer, one.parents.get(outer)
            if isinstance(outer, ast.Call) and inner is not outer.func and not case.project.called(one, outer):
                return True
    return False


def _is_for_thread(case: Case, one: Table, arguments: ast.AST) -> bool:
    """Whether a tuple is what a thread gives to a function here: Thread(target=work, args=(client,))."""
    keyword = one.parents.get(arguments)
    call = one.parents.get(keyword) if isinstance(keyword, ast.keyword) and keyword.arg == "args" else None
    targets: Tuple[ast.expr, ...] = tuple(
        each.value for each in getattr(call, "keywords", ()) if each.arg in ("target", "func")
    )
    return any(thing.table is not None for each in targets for thing in case.project.things(one, each))


def _name(node: ast.AST) -> str:
    return str(getattr(node, "id", getattr(node, "attr", "")))
