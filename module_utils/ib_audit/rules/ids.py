"""Rules about client ids: written down, left to chance, or the same in two scripts."""

from __future__ import annotations

import ast
from typing import Dict, FrozenSet, Iterator, List, Tuple

from ..analysis.connections import Connection
from ..analysis.scopes import Table
from ..analysis.values import CHANCE, CONSTANT, Value
from ..reading.model import NOTE, Found
from .case import Case, about, at, found, where


def hardcoded_client_id(case: Case, table: Table) -> Iterator[Found]:
    """An id that is written down: in the call, as a constant, as a default argument, or by leaving it out."""
    for connection in case.of(table):
        for value in case.numbers(connection, "clientId"):
            number = value.constant
            if value.node is connection.call:
                summary = "no client id is given: the library uses %d, as every other script that gives none" % number
            elif number == 0:
                summary = "client id 0 is written down; it also takes over orders that are entered by hand"
            else:
                summary = "client id %d is written down%s" % (number, _as_default(value))
            verdict = found("hardcoded_client_id", value.table, value.node, summary, also=[at(connection)])
            yield about(verdict, connection, value)


def _as_default(value: Value) -> str:
    parent = value.table.parents.get(value.node)
    return " as a default argument" if isinstance(parent, ast.arguments) else ""


def random_client_id(case: Case, table: Table) -> Iterator[Found]:
    """An id by chance: two scripts may draw the same."""
    for connection in case.of(table):
        for value in case.argument(connection, "clientId"):
            if value.kind != CHANCE:
                continue
            by_time = _uses(value.node, "time") and _uses(value.node, "random")
            summary = "the client id comes from %s: two scripts may get the same one" % (
                "the clock and chance" if by_time else value.what
            )
            also = [at(connection)]
            verdict = found("random_client_id", value.table, value.node, summary, NOTE if by_time else None, also)
            yield about(verdict, connection, value)


def _uses(node: ast.AST, word: str) -> bool:
    return any(word in (getattr(each, "id", ""), getattr(each, "attr", "")) for each in ast.walk(node))


# --- over the scripts of a host --------------------------------------------------------------------------------------

Use = Tuple[Connection, Value]
_PIDS = 5


def shared_client_id(case: Case) -> Iterator[Found]:
    """One id in two scripts that may speak to the same gateway."""
    uses: Dict[int, List[Use]] = {}
    targets = {connection.call: _target(case, connection) for connection in case.connections}
    for connection in case.connections:
        for value in case.numbers(connection, "clientId"):
            uses.setdefault(value.constant, []).append((connection, value))
    for number, found_uses in sorted(uses.items()):
        for connection, value in found_uses:
            if connection.table.script.context:
                continue
            others = [
                one
                for one, _value in found_uses
                if one.table is not connection.table and _may_meet(targets[connection.call], targets[one.call])
            ]
            if others:
                names = ", ".join(sorted({where(one.table, one.call) for one in others})[:3])
                summary = "client id %d is also used by %s: the second one that connects is turned away" % (
                    number,
                    names,
                )
                also = [at(connection)]
                # Said where this script connects when both take the number from one shared place.
                place = (
                    (value.table, value.node)
                    if value.table is connection.table
                    else (connection.table, connection.call)
                )
                yield found("shared_client_id", *place, summary, also=also)


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


#: The hosts and the ports that a connection may lead to; empty where one of them is not written down.
Target = Tuple[FrozenSet[str], FrozenSet[int]]


def _target(case: Case, connection: Connection) -> Target:
    return frozenset(case.hosts(connection)), frozenset(_ports(case, connection))


def _may_meet(one: Target, other: Target) -> bool:
    """Whether two connections may lead to the same gateway; what is not written down may be anything."""
    return all(not mine or not theirs or bool(mine & theirs) for mine, theirs in zip(one, other))


def _ports(case: Case, connection: Connection) -> List[int]:
    """The ports that are written down; none when one of them is not."""
    values = case.argument(connection, "port")
    known = [value.constant for value in values if value.kind == CONSTANT]
    return known if len(known) == len(values) else []


RULES = (hardcoded_client_id, random_client_id)
HOST_RULES = (shared_client_id, id_of_several_processes)
