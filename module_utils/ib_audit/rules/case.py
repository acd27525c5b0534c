"""What the rules are given: the scripts, their connections, and which gateways the inventory declares. Pure."""

from __future__ import annotations

import ast
import dataclasses
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ..analysis import connections
from ..analysis.connections import DEFAULTS, Connection
from ..analysis.effort import Effort
from ..analysis.project import Project
from ..analysis.scopes import Table
from ..analysis.values import CONSTANT, Value, Values
from ..reading.gateway import GATEWAY_PORTS, TWS_PORTS, GatewaySpec
from ..reading.model import Found, Place, Script

_LOOPBACK = ("127.", "localhost", "::1", "0.0.0.0")  # noqa: S104 - a host that scripts name, nothing is bound


@dataclass(frozen=True)
class Case:
    """The scripts of one host, as the rules see them."""

    project: Project
    values: Values
    connections: Tuple[Connection, ...]
    specs: Tuple[GatewaySpec, ...] = ()
    by_path: Mapping[str, Sequence[Connection]] = dataclasses.field(default_factory=dict)

    def tables(self) -> List[Table]:
        """The scripts that are audited themselves."""
        return [table for table in self.project.tables.values() if not table.script.context]

    def of(self, table: Table) -> List[Connection]:
        """The connections of one script."""
        return list(self.by_path.get(table.script.path, ()))

    def argument(self, connection: Connection, name: str) -> List[Value]:
        """The values an argument of a connection may have; the library's default where it is not given."""
        given = connection.given(name)
        if given:
            return [value for each in given for value in self.values.of(each.table, each.expression)]
        if connection.defaults:
            return [Value(CONSTANT, connection.table, connection.call, DEFAULTS.get(name))]
        return []

    def numbers(self, connection: Connection, name: str) -> List[Value]:
        """Those of the values that are whole numbers written down."""
        return [
            value for value in self.argument(connection, name) if value.kind == CONSTANT and type(value.constant) is int
        ]

    def hosts(self, connection: Connection) -> List[str]:
        """The hosts a connection may lead to, as far as they are written down; this host is the empty text."""
        texts = [str(value.constant) for value in self.argument(connection, "host") if value.kind == CONSTANT]
        return ["" if self.is_here(text) else text for text in texts]

    def is_here(self, host: str) -> bool:
        """Whether a host's name or address means this machine."""
        return host.startswith(_LOOPBACK) or not host

    def is_elsewhere(self, connection: Connection) -> bool:
        """Whether a connection leads to another host's gateway, about which the inventory of this one says nothing."""
        hosts = self.hosts(connection)
        return bool(hosts) and "" not in hosts

    def mode(self, port: int) -> Optional[str]:
        """The trading mode a port stands for: by the inventory, else by convention."""
        for spec in self.specs:
            if spec.port == port:
                return spec.trading_mode
        by_convention = {number: mode for ports in (GATEWAY_PORTS, TWS_PORTS) for mode, number in ports.items()}
        return by_convention.get(port)


def case(scripts: Sequence[Script], specs: Sequence[GatewaySpec] = (), effort: Optional[Effort] = None) -> Case:
    """Prepares scripts for the rules."""
    project = Project(scripts, effort)
    values = Values(project)
    every = connections.find(project, values)
    by_path: Dict[str, List[Connection]] = {}
    for connection in every:
        by_path.setdefault(connection.table.script.path, []).append(connection)
    return Case(project, values, tuple(every), tuple(specs), by_path)


def found(
    code: str, table: Table, node: ast.AST, summary: str, severity: Optional[str] = None, also: Sequence[Place] = ()
) -> Found:
    """A rule's verdict about a node."""
    return Found(code, Place(table.script, node), summary, severity, tuple(also))


def about(verdict: Found, connection: Connection, value: Value) -> Found:
    """A verdict that a rewrite can act on: which value of which connection it is about."""
    return dataclasses.replace(verdict, subject=(connection, value))


def at(connection: Connection) -> Place:
    """Where a connection is opened."""
    return Place(connection.table.script, connection.call)


def where(table: Table, node: ast.AST) -> str:
    """A place in words, for summaries that speak of a second one."""
    return "%s:%d" % (table.script.path, getattr(node, "lineno", 0))
