"""Rules about ports: the other trading mode's, or both mixed over the scripts of a host."""

from __future__ import annotations

import ast
import posixpath
import re
from typing import Dict, Iterator, List, Optional, Set, Tuple

from ..analysis.connections import Connection
from ..analysis.scopes import Table, parameters
from ..analysis.values import Value
from ..reading.gateway import LIVE, TRADING_MODES, matches_any
from ..reading.model import Found
from .case import Case, about, at, found

_WORDS = re.compile(r"[a-z]+|[A-Z][a-z]+|[A-Z]+(?![a-z])")
_MODE_NAMES = re.compile(r"^(?:trading_?mode|mode|account_?type|env|environment|profile)$", re.IGNORECASE)
_ALSO_LIVE = ("live", "prod", "production", "real")
_ALSO_PAPER = ("paper", "demo", "sim", "simulated")

#: (trading mode, why it is thought to be meant)
Intent = Tuple[str, str]


def port_contradicts_mode(case: Case, table: Table) -> Iterator[Found]:
    """A port that is written down and belongs to the other trading mode than the one that is meant."""
    for connection in case.of(table):
        values = case.numbers(connection, "port")
        modes = {case.mode(value.constant) for value in values}
        for value in values:
            stands_for = case.mode(value.constant)
            meant = _named_mode(value)
            if meant is None and len(modes) == 1:
                meant = intent(case, connection)
            if meant is None or stands_for is None or meant[0] == stands_for:
                continue
            given = "is the library's default" if value.node is connection.call else "is written down"
            summary = "port %d %s and is the %s gateway's, but %s" % (value.constant, given, stands_for, meant[1])
            verdict = found("port_contradicts_mode", value.table, value.node, summary, also=[at(connection)])
            yield about(verdict, connection, value)


def right_port(case: Case, connection: Connection, value: Value) -> Optional[int]:
    """The port that is meant where one contradicts; None where the inventory does not say a single one."""
    meant = _named_mode(value) or intent(case, connection)
    ports = [spec.port for spec in case.specs if meant and spec.trading_mode == meant[0]]
    return ports[0] if len(ports) == 1 else None


def may_rewrite(case: Case, connection: Connection, value: Value) -> bool:
    """Whether a port may be replaced: towards paper always, towards live only where the script is said to be live.

    That the inventory has nothing but live gateways says what the host is for, not what the script was written for.
    """
    meant = _named_mode(value) or intent(case, connection)
    return meant is not None and (meant[0] != LIVE or not meant[1].startswith("only "))


def intent(case: Case, connection: Connection) -> Optional[Intent]:
    """Which trading mode a script means: by the inventory's patterns, its own words, or the only mode there is."""
    script = connection.table.script
    elsewhere = case.is_elsewhere(connection)
    if not elsewhere:
        argv = script.command or ("python3", script.path)
        named = {spec.trading_mode: spec.name for spec in case.specs if _names(spec.client_patterns, argv)}
        if len(named) == 1:
            mode, name = named.popitem()
            return mode, "the inventory names the script as a client of %s (%s)" % (name, mode)
    folder, name = posixpath.split(script.path)
    for text, what in (
        (posixpath.splitext(name)[0], "the file's name"),
        (posixpath.basename(folder), "its folder's name"),
    ):
        told = _mode_in(text)
        if told:
            return told, "%s says %s" % (what, told)
    told = _own_word(connection.table)
    if told:
        return told, "the script says %s" % told
    modes = {spec.trading_mode for spec in case.specs}
    if len(modes) == 1 and not elsewhere:
        mode = modes.pop()
        return mode, "only %s gateways are declared for this host" % mode
    return None


def _names(patterns: Tuple[str, ...], argv: Tuple[str, ...]) -> bool:
    return bool(patterns) and matches_any([re.compile(pattern) for pattern in patterns], argv)


def _mode_in(text: str) -> Optional[str]:
    """The mode a name speaks of, as a word of its own; None where it speaks of both or of none."""
    words = {word.lower() for word in _WORDS.findall(text[:200])}
    told = {mode for mode, known in zip(TRADING_MODES, (_ALSO_LIVE, _ALSO_PAPER)) if words & set(known)}
    return told.pop() if len(told) == 1 else None


def _own_word(table: Table) -> Optional[str]:
    """The mode that a constant of the script says: TRADING_MODE = "live"."""
    told: Set[str] = set()
    for name, bindings in table.module.names.items():
        if _MODE_NAMES.match(name):
            for each in bindings:
                value = getattr(each.expression, "value", None)
                told.update(mode for mode in TRADING_MODES if isinstance(value, str) and value.lower() == mode)
    return told.pop() if len(told) == 1 else None


def _named_mode(value: Value) -> Optional[Intent]:
    """The mode that the name says to which a port is given: LIVE_PORT = 4002, {"live": 4002}, live_port=4002."""
    names = _names_of(value)
    told = {mode for mode in map(_mode_in, names) if mode}
    if len(told) != 1:
        return None
    mode = told.pop()
    return mode, "its name (%s) says %s" % (", ".join(names), mode)


def _names_of(value: Value) -> List[str]:
    node, parent = value.node, value.table.parents.get(value.node)
    if isinstance(parent, ast.Assign):
        return [name for target in parent.targets for name in _target_names(target)]
    if isinstance(parent, ast.AnnAssign):
        return _target_names(parent.target)
    if isinstance(parent, ast.keyword) and parent.arg:
        return [parent.arg]
    if isinstance(parent, ast.Dict):
        keys = [key for key, each in zip(parent.keys, parent.values) if each is node]
        return [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    if isinstance(parent, ast.arguments):
        function = value.table.parents[parent]
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return [argument.arg for argument, default in parameters(function) if default is node]
    return []


def _target_names(target: ast.expr) -> List[str]:
    name = getattr(target, "id", None) or getattr(target, "attr", None)
    return [name] if name else []


# --- over the scripts of a host --------------------------------------------------------------------------------------


def mixed_ports(case: Case) -> Iterator[Found]:
    """Live and paper ports over the scripts of one host. No problem where the inventory declares all of them."""
    uses: Dict[str, List[Tuple[Connection, Value]]] = {mode: [] for mode in TRADING_MODES}
    declared = {spec.port for spec in case.specs}
    for connection in case.connections:
        if case.is_elsewhere(connection):
            continue
        values = case.numbers(connection, "port")
        modes = {case.mode(value.constant) for value in values}
        if len(modes) == 1:  # a script that chooses by itself mixes nothing up
            for value in values:
                if case.mode(value.constant):
                    uses[str(case.mode(value.constant))].append((connection, value))
    live, paper = (_scripts(uses[mode]) for mode in TRADING_MODES)
    every = {value.constant for found_uses in uses.values() for _connection, value in found_uses}
    if not live or not paper or len(live | paper) < 2 or every <= declared:
        return
    # Said of those that are fewer; of the live ones, which cost more, when both are as many.
    fewer = LIVE if len(live) <= len(paper) else next(mode for mode in TRADING_MODES if mode != LIVE)
    others = sorted(paper if fewer == LIVE else live)
    for connection, value in uses[fewer]:
        summary = "this script uses the %s port %d, %d other(s) of this host the other mode's: %s" % (
            fewer,
            value.constant,
            len(others),
            ", ".join(others[:3]),
        )
        yield found("mixed_ports", value.table, value.node, summary, also=[at(connection)])


def _scripts(uses: List[Tuple[Connection, Value]]) -> Set[str]:
    return {connection.table.script.path for connection, _value in uses}


RULES = (port_contradicts_mode,)
HOST_RULES = (mixed_ports,)
