"""Rules about ports and hosts. They tell both readings of what is written; nothing here decides which one is meant.

No file name or folder counts: they speak of real time data, productions and demos. Of comments only one that stands
behind a port and says a mode and nothing else.
"""

from __future__ import annotations

import ast
import re
from typing import Dict, Iterator, List, Optional, Set, Tuple

from ..analysis import flow
from ..analysis.connections import Connection
from ..analysis.scopes import Table, parameters
from ..analysis.values import CONSTANT, Value
from ..reading.gateway import LIVE, TRADING_MODES, matches_any
from ..reading.model import WARNING, Found
from .case import Case, about, at, found
from .probing import only_probes
from .retrying import ends, goes_on, turns

_WORDS = re.compile(r"[a-z]+|[A-Z][a-z]+|[A-Z]+(?![a-z])")
#: Words that a port's name may hold beside its mode.
_PLAIN = frozenset(
    (
        *(
            "port",
            "ports",
            "ib",
            "ibkr",
            "tws",
            "gw",
            "gateway",
            "ibgw",
            "trading",
            "account",
            "acct",
            "default",
            "api",
        ),
        *("socket", "number", "no", "mode", "the", "my"),
    )
)
#: Behind a number: what closes its call, and a comment without a second one.
_COMMENT = re.compile(r"""[^#"']*#([^#]{0,80})$""")
#: Lines of so many characters are no writing of a person's.
_LONG = 1000
_DIGIT = re.compile(r"\d")
_ADDRESS = re.compile(r"^(?:\d{1,3}(?:\.\d{1,3}){3}|(?:[\w-]+\.)+[a-z]{2,})$")
_OTHER_NAMES = ("host.docker.internal",)


def port_contradicts_mode(case: Case, table: Table) -> Iterator[Found]:
    """A port that is written down, and something that says the other trading mode: its name, or the inventory."""
    for connection in case.of(table):
        values = case.numbers(connection, "port")
        for value in values:
            stands_for = case.mode(value.constant)
            said = _named_mode(value) or _remarked_mode(case, value)
            said = said or (_declared_mode(case, connection) if len(values) == 1 else None)
            if stands_for is None or said is None or said[0] == stands_for:
                continue
            given = "the library's default" if value.node is connection.call else "written down"
            summary = "port %d is %s and is the %s gateway's, but %s" % (value.constant, given, stands_for, said[1])
            summary += ": either %s is meant and the port is wrong, or %s is meant and the %s is" % (
                said[0],
                stands_for,
                said[2],
            )
            verdict = found("port_contradicts_mode", value.table, value.node, summary, also=[at(connection)])
            yield about(verdict, connection, value)


#: (trading mode, what says so, what would be wrong if it were not meant)
Said = Tuple[str, str, str]


def _declared_mode(case: Case, connection: Connection) -> Optional[Said]:
    """The mode of the gateway whose entry in the inventory names the script as its client."""
    script = connection.table.script
    if case.is_elsewhere(connection):
        return None
    argv = script.command or ("python3", script.path)
    named = {spec.trading_mode: spec.name for spec in case.specs if _names(spec.client_patterns, argv)}
    if len(named) != 1:
        return None
    mode, name = named.popitem()
    return mode, "the inventory names the script as a client of %s (%s)" % (name, mode), "inventory"


def _names(patterns: Tuple[str, ...], argv: Tuple[str, ...]) -> bool:
    return bool(patterns) and matches_any([re.compile(pattern) for pattern in patterns], argv)


def _mode_in(text: str) -> Optional[str]:
    """The mode that a port's name says; None where it says both, none, or speaks of something else as well."""
    words = {word.lower() for word in _WORDS.findall(text[:200])} - _PLAIN
    return words.pop() if len(words) == 1 and words <= set(TRADING_MODES) else None


def _named_mode(value: Value) -> Optional[Said]:
    """The mode that the name says to which a port is given: LIVE_PORT = 4002, {"live": 4002}, live_port=4002."""
    names = _names_of(value)
    told = {_mode_in(name) for name in names}
    mode = told.pop() if len(told) == 1 else None
    return (mode, "its name (%s) says %s" % (", ".join(names), mode), "name") if mode else None


def _remarked_mode(case: Case, value: Value) -> Optional[Said]:
    """The mode that a comment behind a port says, where it says nothing else: 4002)  # live (4001 for paper)."""
    script, number, column = value.table.script, _end(value.node, "lineno"), _end(value.node, "col_offset")
    nothing: List[str] = []
    lines = case.project.questions.answer(("lines of", script.path), lambda: script.text.split("\n"), nothing)
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    comment = _COMMENT.match(line.encode("utf-8")[column:].decode("utf-8", "replace")) if len(line) < _LONG else None
    said, _open, rest = (comment.group(1) if comment is not None else "").partition("(")
    if rest and not (_mode_in(_DIGIT.sub(" ", said)) and _speaks_of_the_other(said, rest)):
        return None
    if _DIGIT.search(said) or "/" in said:  # another port, or both modes
        return None
    mode = _mode_in(said)
    return (mode, "the comment behind it says %s" % mode, "comment") if mode else None


def _speaks_of_the_other(said: str, rest: str) -> bool:
    """Whether brackets behind a mode are about the other one alone: paper port (7496 is live)."""
    told = {word.lower() for word in _WORDS.findall(rest)} & set(TRADING_MODES)
    if rest.find(")") != len(rest.rstrip()) - 1:
        return False
    return len(told) == 1 and _mode_in(said) not in told


def _end(node: ast.AST, what: str) -> int:
    return int(getattr(node, "end_" + what, None) or 0)


def _names_of(value: Value) -> List[str]:
    names = _own_names(value, value.node)
    outer = value.table.parents.get(value.node)
    if isinstance(outer, ast.Dict) and not any(_mode_in(name) for name in names):
        return _own_names(value, outer)  # live_ports = {"tws": 7497}
    return names


def _own_names(value: Value, node: ast.AST) -> List[str]:
    parent = value.table.parents.get(node)
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


# --- several ports in one script -------------------------------------------------------------------------------------


def live_port_in_turn(case: Case, table: Table) -> Iterator[Found]:
    """Ports that are tried one after another until one answers, paper and live among them."""
    for connection, call, loop in turns(case, table):
        # Who goes on after a success uses them all, and knows which one it is.
        ports = _tried(case, table, call, connection, loop) if ends(loop) else []
        if connection.call is call and only_probes(case, table, call, loop):
            continue
        if {LIVE, "paper"} <= {case.mode(port) for port in ports} and goes_on(case, table, connection, call, loop):
            yield found("live_port_in_turn", table, call, _in_turn(ports), _severity(case, connection))
    for connection in case.of(table):
        first = _before(case, table, connection)
        ports = [*_written(case, first), *_written(case, connection)] if first is not None else []
        if len({case.mode(port) for port in ports} & set(TRADING_MODES)) == 2:
            yield found("live_port_in_turn", table, connection.call, _in_turn(ports), _severity(case, connection))


def _severity(case: Case, connection: Connection) -> Optional[str]:
    """Less than usual for a connection that can only read."""
    values = case.argument(connection, "readonly")
    return WARNING if values and all(value.kind == CONSTANT and value.constant is True for value in values) else None


def _in_turn(ports: List[int]) -> str:
    return "ports %s are tried in turn, and a live one is among them: which account is used depends on what runs" % (
        ", ".join(map(str, ports))
    )


def _tried(case: Case, table: Table, call: ast.Call, connection: Connection, loop: flow.Loop) -> List[int]:
    """The ports that the turns of a loop give: what the loop goes over, where the port comes from it."""
    names = {name.id for name in ast.walk(getattr(loop, "target", ast.Pass())) if isinstance(name, ast.Name)}
    given = [connection.arguments["port"].expression] if "port" in connection.arguments else []
    if connection.call is not call:
        given = [*call.args, *[keyword.value for keyword in call.keywords]]
    if not any(isinstance(each, ast.Name) and each.id in names for part in given for each in ast.walk(part)):
        return []
    over = getattr(loop, "iter", None)
    displays = case.values.displays(table, over) if over is not None else []
    constants = [
        each.value
        for _home, display in displays
        for each in ast.walk(display)
        if isinstance(each, ast.Constant) and type(each.value) is int
    ]
    return [port for port in constants if case.mode(port)]


def _before(case: Case, table: Table, connection: Connection) -> Optional[Connection]:
    """The connection whose failure leads to this one: it stands in the try whose handler this one is in."""
    inner: ast.AST = connection.call
    for outer in table.ancestors(connection.call):
        if isinstance(outer, flow.TRIES) and isinstance(inner, ast.ExceptHandler):
            body = [call for each in getattr(outer, "body", ()) for call in flow.calls_in(each)]
            return next((one for one in case.of(table) if one.call in body), None)
        inner = outer
    return None


def _written(case: Case, connection: Connection) -> List[int]:
    values = case.argument(connection, "port")
    return [value.constant for value in values if value.kind == CONSTANT and type(value.constant) is int]


# --- where it leads --------------------------------------------------------------------------------------------------


def remote_host(case: Case, table: Table) -> Iterator[Found]:
    """The address of another machine, written down."""
    for connection in case.of(table):
        for value in case.argument(connection, "host"):
            text = value.constant if value.kind == CONSTANT and isinstance(value.constant, str) else ""
            if _ADDRESS.match(text) and text not in _OTHER_NAMES and not case.is_here(text):
                summary = "the address %s of another machine is written down" % text
                yield found("remote_host", value.table, value.node, summary, also=[at(connection)])


def undeclared_port(case: Case, table: Table) -> Iterator[Found]:
    """A port of this host that is written down and that no entry of the inventory has."""
    declared = {spec.port for spec in case.specs}
    for connection in case.of(table):
        values = case.numbers(connection, "port")
        if not declared or case.is_elsewhere(connection) or len(values) != 1 or values[0].constant in declared:
            continue
        if not 0 < values[0].constant < 65536:  # no port: it stands for one that is chosen later
            continue
        summary = "port %d is not among the ports declared for this host (%s)" % (
            values[0].constant,
            ", ".join(str(port) for port in sorted(declared)),
        )
        yield found("undeclared_port", values[0].table, values[0].node, summary, also=[at(connection)])


# --- over the scripts of a host --------------------------------------------------------------------------------------


def mixed_ports(case: Case) -> Iterator[Found]:
    """Live and paper ports over the scripts of one host. No problem where the inventory declares all of them."""
    uses: Dict[str, List[Tuple[Connection, Value]]] = {mode: [] for mode in TRADING_MODES}
    declared = {spec.port for spec in case.specs}
    for connection in case.connections:
        if case.is_elsewhere(connection):
            continue
        values = [value for value in case.numbers(connection, "port") if not value.what]
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
        summary = "this script uses the %s port %d, and %d other script%s of this host the other mode's: %s" % (
            fewer,
            value.constant,
            len(others),
            "" if len(others) == 1 else "s",
            ", ".join(others[:3]),
        )
        yield found("mixed_ports", value.table, value.node, summary, also=[at(connection)])


def _scripts(uses: List[Tuple[Connection, Value]]) -> Set[str]:
    return {connection.table.script.path for connection, _value in uses}


RULES = (port_contradicts_mode, live_port_in_turn, remote_host, undeclared_port)
HOST_RULES = (mixed_ports,)
