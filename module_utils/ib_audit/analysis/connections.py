"""Finds where scripts connect to a gateway, and with what arguments. Pure."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import AbstractSet, Any, Dict, FrozenSet, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from ..reading.gateway import API_PORTS
from ..reading.model import ASYNC, INSYNC, LIBRARIES, OFFICIAL
from . import indirect
from .project import Argument, Project
from .scopes import VALUE, Table, parameters
from .values import Values

_HIGH = ("host", "port", "clientId", "timeout", "readonly", "account")
_OFFICIAL = ("host", "port", "clientId")
#: What connect() uses for an argument that is not given.
DEFAULTS: Dict[str, Any] = {"host": "127.0.0.1", "port": 7497, "clientId": 1, "timeout": 4}
_CONNECTING = {
    "ib_insync.IB": INSYNC,
    "ib_insync.Client": INSYNC,
    "ib_async.IB": ASYNC,
    "ib_async.Client": ASYNC,
    "ibapi.client.EClient": OFFICIAL,
}


_NOTHING: FrozenSet[str] = frozenset()


@dataclass(frozen=True)
class Connection:
    """A call that opens an API connection. complete: every argument is known by name or place.

    direct: it is opened where the call stands; a partial or a Watchdog opens it later, and somewhere else.
    """

    table: Table
    call: ast.Call
    library: str
    blocking: bool
    arguments: Dict[str, Argument] = field(default_factory=dict)
    complete: bool = True
    direct: bool = True
    #: What further calls give for an argument that a function of the scripts hands on.
    more: Mapping[str, Sequence[Argument]] = field(default_factory=dict)

    def given(self, name: str) -> List[Argument]:
        """What is given for an argument, in the call itself or by those who call the function it is in."""
        own = [self.arguments[name]] if name in self.arguments else []
        return [*own, *self.more.get(name, ())]

    @property
    def defaults(self) -> bool:
        """Whether the library fills in what is not given."""
        return self.complete and self.library != OFFICIAL


def find(project: Project, values: Values) -> List[Connection]:
    """The connections of all scripts, in the order in which they stand there."""
    found = []
    for table in project.tables.values():
        # A script may also import a library by a name it computes; then it still names it somewhere.
        libraries = project.libraries(table) or {name for name in LIBRARIES if name in table.script.text}
        with project.effort.of(table.script.path):
            for call in table.calls:
                connection = _connection(project, values, table, call, libraries)
                if connection is not None:
                    found.append(connection)
    return sorted(found, key=lambda each: (each.table.script.path, each.call.lineno, each.call.col_offset))


def client_classes(project: Project, table: Table, node: ast.AST) -> FrozenSet[str]:
    """The client classes an expression may be an instance of; also through a class of the scripts."""
    found: Set[str] = set()
    for thing in project.types(table, node):
        names = {thing.dotted}
        if thing.table is not None and isinstance(thing.node, ast.ClassDef):
            names = set(project.bases(thing.table, thing.node))
        found.update(name for name in names if name in _CONNECTING)
    return frozenset(found)


def is_managed(project: Project, connection: Connection) -> bool:
    """Whether a with statement ends the connection: with IB() as ib, with ib.connect(...)."""
    table, function = connection.table, connection.call.func
    if connection.library == OFFICIAL:
        return False
    inner: ast.AST = connection.call
    for outer in table.ancestors(connection.call):
        items = outer.items if isinstance(outer, (ast.With, ast.AsyncWith)) else []
        if any(inner is item or client_classes(project, table, item.context_expr) for item in items):
            return True
        if not isinstance(inner, ast.withitem):  # what is entered: IB().connect(...), also where it is awaited
            inner = outer if isinstance(outer, (ast.Await, ast.withitem)) else connection.call
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        bindings = table.lookup(function.value.id, function.value)
        return bool(bindings) and all(isinstance(each.node, ast.withitem) for each in bindings)
    return False


def _connection(
    project: Project, values: Values, table: Table, call: ast.Call, libraries: AbstractSet[str]
) -> Optional[Connection]:
    guard = indirect.watchdog(project, table, call)
    if guard is not None:
        arguments, complete = _arguments(values, table, call, indirect.WATCHDOG_ARGUMENTS, 0)
        return Connection(table, call, guard, False, arguments, complete, direct=False)
    if indirect.is_partial(project, table, call):
        return _from_partial(project, values, (table, call), None, libraries)
    prepared = indirect.prepared(project, table, call.func)
    if prepared is not None:
        return _from_partial(project, values, prepared, (table, call), libraries)
    callee = _callee(table, call.func)
    if callee is None or callee.attr not in ("connect", "connectAsync") or _overrides(project, table, callee):
        return None
    if _is_replaced(project, table, callee):
        return None
    library, skip = _library(project, table, callee, call, libraries)
    if library is None:
        return None
    names = _OFFICIAL if library == OFFICIAL else _HIGH
    arguments, complete = _arguments(values, table, call, names, skip)
    more = _handed_on(project, table, call)
    return Connection(table, call, library, callee.attr == "connect", arguments, complete or bool(more), more=more)


def _is_replaced(project: Project, table: Table, callee: ast.Attribute) -> bool:
    """Whether the script puts something else in the place of the method, as tests do: ib.connect = Mock()."""

    def stored() -> FrozenSet[str]:
        return frozenset(
            node.attr for node in table.nodes() if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        )

    return callee.attr in project.questions.answer(("stored", table.script.path), stored, _NOTHING)


def _handed_on(project: Project, table: Table, call: ast.Call) -> Dict[str, List[Argument]]:
    """What the callers of a function give, where it hands its own **options on to the connect."""
    found: Dict[str, List[Argument]] = {}
    function = table.function(call)
    rest = function.args.kwarg.arg if function is not None and function.args.kwarg is not None else None
    starred = [each.value for each in call.keywords if each.arg is None]
    if function is None or not any(isinstance(each, ast.Name) and each.id == rest for each in starred):
        return found
    own = {argument.arg for argument, _default in parameters(function)}
    for home, site in project.sites(function):
        for keyword in site.keywords:
            if keyword.arg is not None and keyword.arg not in own:
                found.setdefault(keyword.arg, []).append(Argument(home, keyword.value))
    return found


def _library(
    project: Project, table: Table, callee: ast.Attribute, call: ast.Call, libraries: AbstractSet[str]
) -> Tuple[Optional[str], int]:
    """(the library whose connect this is, how many arguments come before its own)."""
    library = next((_CONNECTING[name] for name in sorted(_classes(project, table, callee))), None)
    skip = 0
    if library is None:
        owners = {name.rpartition(".")[0] for name in project.dotted(table, callee)}
        library = next((_CONNECTING[name] for name in sorted(owners) if name in _CONNECTING), None)
        skip = 1 if library else 0  # EClient.connect(self, ...): the instance comes first
    if library is None and libraries and _looks_so(project, table, callee, call):
        library = sorted(libraries)[0]
    return library, skip


def _looks_so(project: Project, table: Table, callee: ast.Attribute, call: ast.Call) -> bool:
    """Whether a connect on an object of unknown kind is one to a gateway, by what it is given."""
    known = project.types(table, callee.value) | project.things(table, callee.value)
    if any(each.dotted or each.node is not None for each in known):
        return False
    port = (
        call.args[1] if len(call.args) > 1 else next((each.value for each in call.keywords if each.arg == "port"), None)
    )
    named = any(keyword.arg == "clientId" for keyword in call.keywords)
    return named or (isinstance(port, ast.Constant) and port.value in API_PORTS)


def _from_partial(
    project: Project,
    values: Values,
    prepared: Tuple[Table, ast.Call],
    run: Optional[Tuple[Table, ast.Call]],
    libraries: AbstractSet[str],
) -> Optional[Connection]:
    """partial(ib.connect, ...) itself, or the call that runs it, with what both of them give."""
    home, partial = prepared
    callee = partial.args[0]
    if not isinstance(callee, ast.Attribute) or _overrides(project, home, callee):
        return None
    library, skip = _library(project, home, callee, partial, libraries)
    if library is None:
        return None
    names = _OFFICIAL if library == OFFICIAL else _HIGH
    arguments, complete = _arguments(values, home, partial, names, skip + 1)
    if run is None:
        return Connection(home, partial, library, False, arguments, complete=False, direct=False)
    table, call = run
    given = len(partial.args) - skip - 1
    more, whole = _arguments(values, table, call, names[given:], 0)
    blocking = callee.attr == "connect"
    return Connection(table, call, library, blocking, {**arguments, **more}, complete and whole)


def _callee(table: Table, func: ast.AST) -> Optional[ast.Attribute]:
    """The attribute that is called, also where a name stands for it: open_it = ib.connect."""
    if isinstance(func, ast.Attribute):
        return func
    if isinstance(func, ast.Name):
        for binding in table.lookup(func.id, func):
            if binding.kind == VALUE and isinstance(binding.expression, ast.Attribute):
                return binding.expression
    return None


def _classes(project: Project, table: Table, callee: ast.Attribute) -> FrozenSet[str]:
    receiver = callee.value
    if isinstance(receiver, ast.Call) and isinstance(receiver.func, ast.Name) and receiver.func.id == "super":
        function = table.function(callee)
        owner = table.enclosing_class(function) if function is not None else None
        return frozenset(project.bases(table, owner) & set(_CONNECTING)) if owner is not None else frozenset()
    return client_classes(project, table, receiver)


def _overrides(project: Project, table: Table, callee: ast.Attribute) -> bool:
    """Whether a method of the scripts is called and not the library's."""
    return any(isinstance(each.node, (ast.FunctionDef, ast.AsyncFunctionDef)) for each in project.things(table, callee))


def _arguments(
    values: Values, table: Table, call: ast.Call, names: Tuple[str, ...], skip: int
) -> Tuple[Dict[str, Argument], bool]:
    found: Dict[str, Argument] = {}
    complete = True
    positional: List[Argument] = []
    for each in call.args[skip:]:
        expanded = list(_expanded(values, table, each)) if isinstance(each, ast.Starred) else [Argument(table, each)]
        if isinstance(each, ast.Starred) and not expanded:
            complete = False
            break
        positional.extend(expanded)
    found.update(zip(names, positional))
    for keyword in call.keywords:
        if keyword.arg is not None:
            found[keyword.arg] = Argument(table, keyword.value)
            continue
        displays = values.displays(table, keyword.value)
        complete = complete and bool(displays)
        for home, display in displays:
            found.update(_named(home, display))
    return found, complete


def _expanded(values: Values, table: Table, starred: ast.Starred) -> Iterator[Argument]:
    for home, display in values.displays(table, starred.value)[:1]:
        for each in getattr(display, "elts", []):
            yield Argument(home, each)


def _named(table: Table, display: ast.expr) -> Iterator[Tuple[str, Argument]]:
    if isinstance(display, ast.Dict):
        for key, value in zip(display.keys, display.values):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, Argument(table, value)
    for keyword in getattr(display, "keywords", []):
        if keyword.arg is not None:
            yield keyword.arg, Argument(table, keyword.value)
