"""Rules about one client id that several scripts, processes or workers use."""

from __future__ import annotations

import ast
from typing import Dict, FrozenSet, Iterator, List, Optional, Set, Tuple

from ..analysis import flow
from ..analysis.connections import Connection
from ..analysis.scopes import Table
from ..analysis.values import CONSTANT, Value
from ..reading.model import WARNING, Found
from .blocking import functions
from .case import Case, at, found, where

Use = Tuple[Connection, Value]
#: The hosts and the ports that a connection may lead to; empty where one of them is not written down.
Target = Tuple[FrozenSet[str], FrozenSet[int]]
_PIDS = 5
_POOLS = (
    "multiprocessing.Pool", "multiprocessing.pool.Pool",
    "multiprocessing.pool.ThreadPool", "multiprocessing.dummy.Pool",
    "concurrent.futures.ProcessPoolExecutor", "concurrent.futures.ThreadPoolExecutor",
)  # fmt: skip
_STARTERS = ("threading.Thread", "multiprocessing.Process", "joblib.delayed")
_MAPS = ("map", "imap", "imap_unordered", "map_async", "starmap", "starmap_async")
_GIVERS = (*_MAPS, "submit", "apply_async", "apply")
_SIZES = ("processes", "max_workers")


def shared_client_id(case: Case) -> Iterator[Found]:
    """One id in two scripts that may speak to the same gateway."""
    uses: Dict[int, List[Use]] = {}
    for connection in case.connections:
        for value in case.numbers(connection, "clientId"):
            uses.setdefault(value.constant, []).append((connection, value))
    targets = {connection.call: _target(case, connection) for connection in case.connections}
    active = {path for path, table in case.project.tables.items() if table.script.processes or table.script.command}
    for number, found_uses in sorted(uses.items()):
        by_target: Dict[Target, List[Use]] = {}
        for use in found_uses:
            by_target.setdefault(targets[use[0].call], []).append(use)
        for target, own in by_target.items():
            meeting = {other: theirs for other, theirs in by_target.items() if _may_meet(target, other)}
            yield from _told(number, target, own, meeting, active)


def _told(
    number: int, target: Target, own: List[Use], meeting: Dict[Target, List[Use]], active: Set[str]
) -> Iterator[Found]:
    certain = _first_by_script([use for other, uses in meeting.items() if _meet(target, other) for use in uses])
    possible = _first_by_script([use for uses in meeting.values() for use in uses])
    for connection, value in own:
        if connection.table.script.context:
            continue
        path = connection.table.script.path
        others = [places for one, places in possible.items() if one != path][:3]
        if not others:
            continue
        # That it happens is only certain of scripts that run now.
        running = [one for one in certain if one != path and one in active] if path in active else []
        summary = "client id %d%s is also used by %s: whoever connects second is turned away" % (
            number,
            ", which is used where %s gives none," % value.what if value.what else "",
            ", ".join(others),
        )
        # Said where this script connects when both take the number from one shared place.
        own_place = value.table is connection.table
        place = (value.table, value.node) if own_place else (connection.table, connection.call)
        severity = None if running and not value.what else WARNING
        yield found("shared_client_id", *place, summary, severity, [at(connection)])


def _first_by_script(uses: List[Use]) -> Dict[str, str]:
    places: Dict[str, str] = {}
    for connection, _value in uses:
        path = connection.table.script.path
        if len(places) < 5 or path in places:
            places.setdefault(path, where(connection.table, connection.call))
    return places


def id_of_several_processes(case: Case) -> Iterator[Found]:
    """One id that is written down in a script of which several processes run: they take it from one another."""
    for connection in case.connections:
        processes = connection.table.script.processes
        values = case.argument(connection, "clientId")
        if len(processes) < 2 or len(values) != 1 or values != case.numbers(connection, "clientId"):
            continue
        alike = len({each.command for each in processes}) == 1
        if not alike and len(_ports(case, connection)) != 1:
            continue  # told apart by their arguments, they may each have a gateway of their own
        pids = [str(each.pid) for each in processes]
        more = " and %d more" % (len(pids) - _PIDS) if len(pids) > _PIDS else ""
        summary = "client id %d is used by %d processes of this script (pids %s%s): only one of them gets a session" % (
            values[0].constant,
            len(pids),
            ", ".join(pids[:_PIDS]),
            more,
        )
        own = values[0].table is connection.table
        place = (values[0].table, values[0].node) if own else (connection.table, connection.call)
        yield found("shared_client_id", *place, summary, also=[at(connection)])


def id_of_several_workers(case: Case, table: Table) -> Iterator[Found]:
    """One id that is written down in what the workers of a pool run, or threads and processes started in a loop."""
    by_call = {connection.call: connection for connection in case.connections if connection.direct}
    for call in table.calls:
        for worker in _workers(case, table, call):
            for home, function in functions(case, table, worker):
                if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                    continue
                reached = flow.in_function(case.project, home, function, "connect", lambda _home, one: one in by_call)
                for _home, inner in reached[:1]:
                    number = _only(case, by_call[inner])
                    if number is not None:
                        summary = "each worker connects with client id %d: only one of them gets a session" % number
                        yield found("shared_client_id", table, call, summary, also=[at(by_call[inner])])


def _only(case: Case, connection: Connection) -> Optional[int]:
    """The id of a connection, where it is written down and the same in each call."""
    values = case.argument(connection, "clientId")
    if len(values) != 1 or values[0].kind != CONSTANT or type(values[0].constant) is not int or values[0].what:
        return None
    # A default of a parameter may be replaced by what the worker is given.
    default = isinstance(values[0].table.parents.get(values[0].node), ast.arguments)
    return None if default else int(values[0].constant)


def _workers(case: Case, table: Table, call: ast.Call) -> List[ast.expr]:
    """What a call gives several workers to run."""
    names = case.project.dotted(table, call.func)
    if names & set(_STARTERS):
        targets = [keyword.value for keyword in call.keywords if keyword.arg == "target"]
        given = targets or (call.args[:1] if "joblib.delayed" in names else [])
        return given if "joblib.delayed" in names or _is_repeated(case, table, call) else []
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in _GIVERS or not call.args:
        return []
    if function.attr not in _MAPS and not _is_repeated(case, table, call):
        return []
    pools = {thing.dotted for thing in case.project.types(table, function.value)} & set(_POOLS)
    return call.args[:1] if pools and not _is_single(table, function.value) else []


def _is_repeated(case: Case, table: Table, call: ast.Call) -> bool:
    """Whether a call is made several times, and what it starts then may run beside what it started before."""
    loop = flow.loop(table, call)
    if loop is not None and _at_once(case, table, call, loop):
        return True
    return any(isinstance(outer, (ast.ListComp, ast.GeneratorExp, ast.SetComp)) for outer in table.ancestors(call))


def _at_once(case: Case, table: Table, call: ast.Call, loop: flow.Loop) -> bool:
    """Not where a turn waits for its end, and not where it takes the place of another one, which has ended."""
    outer = table.parents.get(call)
    names = [_name_of(target) for target in outer.targets] if isinstance(outer, ast.Assign) else []
    nothing: Tuple[FrozenSet[str], FrozenSet[str]] = (frozenset(), frozenset())
    ended, kept = case.project.questions.answer(("workers of", loop), lambda: _ended_and_kept(table, loop), nothing)
    given = set(filter(None, names))
    return not given & ended and (not isinstance(loop, ast.While) or given <= kept)


def _ended_and_kept(table: Table, loop: flow.Loop) -> Tuple[FrozenSet[str], FrozenSet[str]]:
    """(names whose join() a turn of a loop waits for, names that it hands on, to a list or a function)."""
    ended: Set[str] = set()
    kept: Set[str] = set()
    for node in (each for statement in loop.body for each in flow.below(statement)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join":
            ended.add(_name_of(node.func.value))
        loaded = isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load)
        if loaded and not isinstance(table.parents.get(node), ast.Attribute):
            kept.add(_name_of(node))
    return frozenset(ended), frozenset(kept)


def _name_of(node: ast.AST) -> str:
    """A name, or an attribute of a name such as self.worker; empty for anything else."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return "%s.%s" % (node.value.id, node.attr)
    return str(getattr(node, "id", ""))


def _is_single(table: Table, receiver: ast.expr) -> bool:
    """Whether a pool is made with one worker."""
    bindings = table.lookup(receiver.id, receiver) if isinstance(receiver, ast.Name) else []
    made = [each.expression for each in bindings] or [receiver]
    for each in made:
        if isinstance(each, ast.Call):
            sizes = [*each.args[:1], *[keyword.value for keyword in each.keywords if keyword.arg in _SIZES]]
            if any(isinstance(size, ast.Constant) and size.value == 1 for size in sizes):
                return True
    return False


# --- which gateway ---------------------------------------------------------------------------------------------------


def _target(case: Case, connection: Connection) -> Target:
    return frozenset(case.hosts(connection)), frozenset(_ports(case, connection))


def _may_meet(one: Target, other: Target) -> bool:
    """Whether two connections may lead to the same gateway; what is not written down may be anything."""
    return all(not mine or not theirs or bool(mine & theirs) for mine, theirs in zip(one, other))


def _meet(one: Target, other: Target) -> bool:
    """Whether two connections lead to the same gateway for certain."""
    return all(len(mine) == 1 and mine == theirs for mine, theirs in zip(one, other))


def _ports(case: Case, connection: Connection) -> List[int]:
    """The ports that are written down; none when one of them is not."""
    values = case.argument(connection, "port")
    known = [value.constant for value in values if value.kind == CONSTANT]
    return known if len(known) == len(values) else []


RULES = (id_of_several_workers,)
HOST_RULES = (shared_client_id, id_of_several_processes)
