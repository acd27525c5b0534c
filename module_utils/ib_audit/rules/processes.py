"""Joins what the audit reads in scripts with the processes that run them: who holds which session, with which id. Pure.

The processes come as plain facts; where they are looked up is somebody else's business.
"""

from __future__ import annotations

import ast
import posixpath
from dataclasses import asdict, dataclass, replace
from typing import Any, Dict, List, Sequence, Set, Tuple

from ..analysis.commandline import follow, given
from ..analysis.connections import Connection
from ..analysis.fallbacks import COMMAND_LINE
from ..analysis.scopes import Table
from ..analysis.values import CHANCE, CONSTANT, Value
from ..reading.model import KIT, RunningScript
from .case import Case
from .problems import printable

#: Where an id comes from.
SCRIPT, GIVEN, DEFAULT, BY_KIT, BY_CHANCE, UNKNOWN = "script", "command line", "default", "kit", "chance", "unknown"


@dataclass(frozen=True)
class Joined:
    """A process with its script and its sessions. ports: where it is connected now; holds: where it has a session.

    written_ports, client_ids: what the script and the command line say; id_from: one of the words above.
    """

    pid: int
    user: str
    file: str
    ports: Tuple[int, ...] = ()
    holds: Tuple[int, ...] = ()
    written_ports: Tuple[int, ...] = ()
    client_ids: Tuple[int, ...] = ()
    id_from: str = UNKNOWN
    shares_with: Tuple[int, ...] = ()
    told: str = ""


def join(case: Case, processes: Sequence[RunningScript]) -> List[Joined]:
    """The processes, in the order of their pids, each with what its script says and what it holds."""
    found = [_joined(case, each) for each in sorted(processes, key=lambda one: one.pid)]
    shared = [replace(each, shares_with=tuple(other.pid for other in found if _share(each, other))) for each in found]
    return [replace(each, told=printable(_told(each))) for each in shared]


def as_running(joined: Joined) -> Dict[str, Any]:
    """A process as modules return it."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in {**asdict(joined), "file": printable(joined.file)}.items()
    }


def _joined(case: Case, process: RunningScript) -> Joined:
    connections = _connections(case, process.script)
    ids, origins = _said(case, connections, "clientId", process)
    ports, _origins = _said(case, connections, "port", process)
    return Joined(
        pid=process.pid,
        user=process.user,
        file=process.script,
        ports=tuple(sorted({link.port for link in process.links})),
        holds=tuple(sorted({link.port for link in process.links if link.served})),
        written_ports=tuple(sorted(ports)),
        client_ids=tuple(sorted(ids)),
        id_from=next(iter(origins)) if len(origins) == 1 else UNKNOWN,
    )


def _connections(case: Case, path: str) -> List[Connection]:
    """The connections of a script, or else those of the scripts it imports."""
    table = case.project.tables.get(path) or case.project.tables.get(posixpath.normpath(path))
    reached: List[Table] = [table] if table is not None else []
    for one in reached:
        own = [connection for each in reached for connection in case.of(each)]
        if own:
            return own
        imported = [
            other for name, level in one.imported_modules() for other in [case.project.module(one, name, level)]
        ]
        reached.extend(other for other in imported if other is not None and other not in reached)
    return []


def _said(
    case: Case, connections: Sequence[Connection], name: str, process: RunningScript
) -> Tuple[Set[int], Set[str]]:
    """(the numbers that an argument of these connections has, where they come from)."""
    numbers: Set[int] = set()
    origins: Set[str] = set()
    for connection in connections:
        by_argv = _by_argv(case, connection, name, process)
        if by_argv is not None:
            numbers.add(by_argv)
            origins.add(GIVEN)
            continue
        values = case.argument(connection, name)
        known = [value for value in values if value.kind == CONSTANT and type(value.constant) is int]
        numbers.update(value.constant for value in known)
        origins.add(_origin(connection, values, known))
    return numbers, origins


def _by_argv(case: Case, connection: Connection, name: str, process: RunningScript) -> Any:
    for argument in connection.given(name):
        for node in follow(argument.table, argument.expression):
            number = given(case.project, argument.table, node, process.argv, process.script)
            if number is not None:
                return number
    return None


def _origin(connection: Connection, values: Sequence[Value], known: Sequence[Value]) -> str:
    if any(value.kind == CHANCE for value in values):
        return BY_CHANCE
    if known:
        # A command line that gives nothing leaves the default; what other sources give cannot be seen here.
        return DEFAULT if any(value.what not in ("", COMMAND_LINE) for value in known) else SCRIPT
    expressions = [argument.expression for argument in connection.given("clientId")]
    by_kit = any(isinstance(each, ast.Name) and each.id == KIT for one in expressions for each in ast.walk(one))
    return BY_KIT if by_kit else UNKNOWN


def _share(one: Joined, other: Joined) -> bool:
    """Whether two processes use one id at one gateway."""
    if one.pid == other.pid or len(one.client_ids) != 1 or one.client_ids != other.client_ids:
        return False
    mine, theirs = one.ports or one.written_ports, other.ports or other.written_ports
    return not mine or not theirs or bool(set(mine) & set(theirs))


def _told(one: Joined) -> str:
    parts = ["pid %d (%s) runs %s" % (one.pid, one.user, one.file)]
    if one.holds:
        parts.append("holds a session on port %s" % _listed(one.holds))
    elif one.ports:
        parts.append("waits for a session on port %s" % _listed(one.ports))
    else:
        parts.append("is not connected")
    if one.ports and one.written_ports and not set(one.ports) & set(one.written_ports):
        parts.append("although its script says port %s" % _listed(one.written_ports))
    if one.client_ids:
        otherwise = " unless its environment or a file gives another" if one.id_from == DEFAULT else ""
        parts.append("client id %s%s" % (_listed(one.client_ids), otherwise))
    elif one.id_from == BY_KIT:
        parts.append("a client id of its own")
    else:
        parts.append("client id not known")
    if one.shares_with:
        parts.append("the same as pid %s: only one of them gets a session" % _listed(one.shares_with))
    return ", ".join(parts)


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers)
