"""Which values an expression may have: constants with the place they are written at, chance, or unknown. Pure."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from ..reading.model import Script
from ..reading.settings import Setting, SettingsFile
from . import fallbacks
from .names import Thing
from .project import Argument, Project, argument_of, values_in
from .scopes import ELEMENT, IMPORT, PARAMETER, VALUE, Binding, Table

CONSTANT, CHANCE, PROCESS, UNKNOWN = "constant", "chance", "process", "unknown"
_MOST = 24
_RANDOM = ("random.", "secrets.", "numpy.random.", "uuid.uuid", "os.urandom")
_CLOCK = ("time.time", "time.time_ns", "time.monotonic", "time.perf_counter", "datetime.datetime.now")
_SAFE: Dict[str, Callable[[Any], Any]] = {"int": int, "str": str, "float": float, "abs": abs, "round": round}
_OPERATORS: Dict[type, Callable[[int, int], int]] = {
    ast.Add: lambda one, other: one + other,
    ast.Sub: lambda one, other: one - other,
    ast.Mult: lambda one, other: one * other,
}


@dataclass(frozen=True)
class Value:
    """One value an expression may have. node: where it is written, or where chance comes in.

    what: chance by its name; for a constant what it stands in for, where that gives nothing.
    """

    kind: str
    table: Table
    node: ast.AST
    constant: Any = None
    what: str = ""


class Values:
    """Follows expressions to their values, in the scripts of a project."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def of(self, table: Table, node: ast.AST) -> List[Value]:
        """The values an expression may have, each once; unknown is one of them where something cannot be followed."""
        if isinstance(node, ast.Constant):
            return [Value(CONSTANT, table, node, node.value)]
        return self._project.questions.answer(
            self._project.key("values", table, node),
            lambda: _each_once(self._compound(table, node)),
            [Value(UNKNOWN, table, node)],
        )

    def constants(self, table: Table, node: ast.AST) -> List[Value]:
        """Those of the values that are written down."""
        return [value for value in self.of(table, node) if value.kind == CONSTANT]

    def _compound(self, table: Table, node: ast.AST) -> Iterator[Value]:
        handler = _HANDLERS.get(type(node))
        if handler is None:
            yield Value(UNKNOWN, table, node)
        else:
            yield from handler(self, table, node)

    def _all(self, arguments: List[Argument], table: Table, node: ast.AST) -> Iterator[Value]:
        for each in arguments:
            yield from self.of(each.table, each.expression)
        if not arguments:
            yield Value(UNKNOWN, table, node)

    # --- one kind of expression each ---------------------------------------------------------------------------------

    def _name(self, table: Table, node: ast.Name) -> Iterator[Value]:
        bindings = table.lookup(node.id, node)
        for binding in bindings:
            yield from self._bound(table, binding)
        if not bindings:
            yield from self._elsewhere(table, node, table.star_imports, node.id)

    def _bound(self, table: Table, binding: Binding) -> Iterator[Value]:
        if binding.kind == VALUE and binding.expression is not None:
            yield from self.of(table, binding.expression)
        elif binding.kind == ELEMENT and isinstance(binding.expression, (ast.Tuple, ast.List, ast.Set)):
            for each in binding.expression.elts:
                yield from self.of(table, each)
        elif binding.kind == PARAMETER and isinstance(binding.node, ast.arg):
            yield from self._parameter(table, binding.node)
        elif binding.kind == IMPORT:
            home, _dot, name = binding.target.rpartition(".")
            outer = Binding(IMPORT, binding.node, target=home, level=binding.level)
            yield from self._elsewhere(table, binding.node, [outer] if home or binding.level else [], name)
        else:
            yield Value(UNKNOWN, table, binding.node)

    def _parameter(self, table: Table, node: ast.arg) -> Iterator[Value]:
        function: Any = table.parents[table.parents[node]]
        options = fallbacks.of_parameter(self._project, table, function, node.arg)
        for each in options:
            yield from self._instead(each.table, each.expression, fallbacks.COMMAND_LINE)
        given = self._project.given(table, node)
        if given or not options:
            yield from self._all(given, table, node)

    def _instead(self, table: Table, node: Optional[ast.expr], source: str) -> Iterator[Value]:
        """The values of a fallback; what it stands in for is unknown."""
        for value in self.of(table, node) if node is not None else ():
            known = value.kind == CONSTANT and value.constant is not None
            yield replace(value, what=value.what or source) if known else value
        if source and node is not None:
            yield Value(UNKNOWN, table, node)

    def _elsewhere(self, table: Table, node: ast.AST, imports: List[Binding], name: str) -> Iterator[Value]:
        """The values of a name that another script of the project binds."""
        others = [self._project.module(table, each.target, each.level) for each in imports]
        homes = [(other, other.module.names[name]) for other in others if other and name in other.module.names]
        if not homes:
            yield Value(UNKNOWN, table, node)
        for other, bindings in homes:
            yield from self._member(other, bindings, Value(UNKNOWN, table, node))

    def _member(self, other: Table, bindings: List[Binding], unknown: Value) -> List[Value]:
        follow = (value for each in bindings for value in self._bound(other, each))
        return self._project.questions.answer(("values", id(bindings)), lambda: _each_once(follow), [unknown])

    def _attribute(self, table: Table, node: ast.Attribute) -> Iterator[Value]:
        found = list(self._project.attribute(table, node))
        options = fallbacks.of_option(self._project, table, node) if not found else []
        if options:
            for each in options:
                yield from self._instead(each.table, each.expression, fallbacks.COMMAND_LINE)
            return
        if not found and node.attr == "value":
            yield from self.of(table, node.value)  # a member of an Enum
            return
        if not found and isinstance(node.value, ast.Call):
            yield from self.of(table, node.value)  # what a number by chance is asked for, like uuid4().int
            return
        found.extend(self._fields(table, node))
        for each in found:
            home = fallbacks.home_of(each.table, each.expression)
            settings = home is not None and fallbacks.is_settings(self._project, *home)
            yield from self._instead(each.table, each.expression, fallbacks.ENVIRONMENT if settings else "")
        if not found:
            yield Value(UNKNOWN, table, node)

    def _fields(self, table: Table, node: ast.Attribute) -> List[Argument]:
        """What constructor calls give for a field of a class that has no constructor of its own, like a dataclass."""
        found = []
        for thing in self._project.types(table, node.value):
            if thing.table is None or not isinstance(thing.node, ast.ClassDef) or _has_constructor(thing):
                continue
            for other, call in self._project.sites(thing.node):
                expression = argument_of(call, node.attr, None)
                if expression is not None:
                    found.append(Argument(other, expression))
        return found

    def _written_beside(self, table: Table, keys: Sequence[str], environment: bool) -> Iterator[Value]:
        """The values that files beside the script give for a name, or for the names that lead to it."""
        wanted = tuple(key.lower() for key in keys)
        for file in table.script.settings if wanted else ():
            for setting in file.settings:
                names = tuple(key.lower() for key in setting.keys)
                if file.environment == environment and names[-len(wanted) :] == wanted:
                    yield Value(CONSTANT, *self._place_in(file, setting), setting.value, "")

    def _place_in(self, file: SettingsFile, setting: Setting) -> Tuple[Table, ast.AST]:
        """Where a setting is written, as if its file were a script without statements."""
        key = ("settings", file.path)
        home = self._project.questions.answer(
            key, lambda: Table(Script(file.path, file.text, ast.Module([], []))), None
        ) or Table(Script(file.path, file.text, ast.Module([], [])))
        node = ast.Constant(setting.value, lineno=setting.line, col_offset=0, end_lineno=setting.line, end_col_offset=0)
        return home, node

    def _subscript(self, table: Table, node: ast.Subscript) -> Iterator[Value]:
        environment = "os.environ" in self._project.dotted(table, node.value)
        beside = list(self._written_beside(table, fallbacks.keys(node), environment))
        if beside and not self.displays(table, node.value):
            yield from beside
            return
        index = node.slice.value if isinstance(node.slice, ast.Index) else node.slice  # type: ignore[attr-defined]
        keys = self.constants(table, index)
        yield from self._item(table, node, node.value, keys, None)

    def _item(
        self, table: Table, node: ast.AST, container: ast.expr, keys: List[Value], default: Optional[ast.expr]
    ) -> Iterator[Value]:
        """The members of a dictionary, list or tuple that is written down; of all keys where the key is not known."""
        found: List[Argument] = []
        for home, one in self.displays(table, container):
            found.extend(Argument(home, each) for each in _members(one, [key.constant for key in keys]))
        if default is not None:
            found.append(Argument(table, default))
        yield from self._all(found, table, node)
        if found and any(key.constant in table.stored_items for key in keys):
            yield Value(UNKNOWN, table, node)  # an item of that name is assigned somewhere: cfg["client_id"] = ...

    def displays(self, table: Table, node: ast.AST) -> List[Tuple[Table, ast.expr]]:
        """The dictionaries, lists and tuples that an expression may be, as they are written down."""
        if isinstance(node, (ast.Dict, ast.List, ast.Tuple)):
            return [(table, node)]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
            return [(table, node)]
        if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            return []
        found = (
            display for each in self._sources(table, node) for display in self.displays(each.table, each.expression)
        )
        return self._project.questions.answer(
            self._project.key("displays", table, node), lambda: list(islice(found, _MOST)), []
        )

    def _sources(self, table: Table, node: ast.AST) -> List[Argument]:
        """What a name or attribute is assigned, or which member of a display a subscript means."""
        if isinstance(node, ast.Attribute):
            return self._project.attribute(table, node)
        if isinstance(node, ast.Subscript):
            index = node.slice.value if isinstance(node.slice, ast.Index) else node.slice  # type: ignore[attr-defined]
            keys = [key.constant for key in self.constants(table, index)]
            outer = self.displays(table, node.value)
            return [Argument(home, each) for home, one in outer for each in _members(one, keys)]
        found: List[Argument] = []
        for binding in table.lookup(node.id, node) if isinstance(node, ast.Name) else ():
            if binding.kind == VALUE and binding.expression is not None:
                found.append(Argument(table, binding.expression))
            elif binding.kind == PARAMETER and isinstance(binding.node, ast.arg):
                found.extend(self._project.given(table, binding.node))
            elif binding.kind == IMPORT:
                origin = self._project.origin(table, binding)
                if origin is not None:
                    found.extend(values_in(origin[0], origin[0].module.names.get(origin[1], ())))
        return found

    def _call(self, table: Table, node: ast.Call) -> Iterator[Value]:
        names = self._project.dotted(table, node.func)
        simple = next((_SAFE[each[9:]] for each in names if each[9:] in _SAFE and each.startswith("builtins.")), None)
        if simple is not None and node.args:
            for value in self.of(table, node.args[0]):
                yield _converted(value, simple)
            return
        chance = next((each for each in names if each.startswith(_RANDOM) or each in _CLOCK), None)
        if chance is not None or _on_random(names):
            yield Value(CHANCE, table, node, what=chance or "random")
        elif "os.getpid" in names:
            yield Value(PROCESS, table, node)
        elif isinstance(node.func, ast.Attribute) and self._asks_display(table, node):
            default = node.args[1] if len(node.args) > 1 else None
            keys = self.constants(table, node.args[0])
            yield from self._item(table, node, node.func.value, keys, default)
        else:
            fallback = fallbacks.of_call(self._project, table, node)
            chain = (fallback.key,) if fallback and fallback.source == fallbacks.ENVIRONMENT else fallbacks.keys(node)
            environment = bool(fallback) and fallback is not None and fallback.source == fallbacks.ENVIRONMENT
            beside = list(self._written_beside(table, [key for key in chain if key], environment))
            if beside:
                yield from beside
                yield Value(UNKNOWN, table, node)
            elif fallback is None:
                yield from self._returned(table, node)
            elif fallback.expression is None:
                yield Value(UNKNOWN, table, node)
            else:
                yield from self._instead(table, fallback.expression, fallback.source)

    def _asks_display(self, table: Table, call: ast.Call) -> bool:
        """Whether a call is a get() of a dictionary that is written down."""
        function = call.func
        if not isinstance(function, ast.Attribute) or function.attr != "get" or not call.args:
            return False
        return bool(self.displays(table, function.value))

    def _returned(self, table: Table, node: ast.Call) -> Iterator[Value]:
        found = [
            Argument(home, value)
            for home, function in self._project.called(table, node)
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
            for value in self._project.returned(function)
        ]
        yield from self._all(found, table, node)

    def _operation(self, table: Table, node: ast.BinOp) -> Iterator[Value]:
        left, right = self.of(table, node.left), self.of(table, node.right)
        chance = next((value for value in left + right if value.kind == CHANCE), None)
        if chance is not None:
            yield Value(CHANCE, table, node, what=chance.what)
            return
        if any(value.kind == PROCESS for value in left):
            modulo = isinstance(node.op, (ast.Mod, ast.BitAnd))
            yield Value(CHANCE if modulo else PROCESS, table, node, what="a process id, cut short")
            return
        operator = _OPERATORS.get(type(node.op))
        pair = [value.constant for value in (*left, *right) if value.kind == CONSTANT]
        numbers = len(left) == len(right) == 1 and len(pair) == 2 and all(type(each) is int for each in pair)
        if operator and numbers and max(abs(each) for each in pair) < 10**9:
            yield Value(CONSTANT, table, node, operator(pair[0], pair[1]))
            return
        yield Value(UNKNOWN, table, node)

    def _negative(self, table: Table, node: ast.UnaryOp) -> Iterator[Value]:
        for value in self.of(table, node.operand):
            number = value.kind == CONSTANT and isinstance(value.constant, (int, float))
            if number and isinstance(node.op, ast.USub):
                yield Value(CONSTANT, table, node, -value.constant)
            else:
                yield Value(UNKNOWN, table, node)

    def _either(self, table: Table, node: ast.IfExp) -> Iterator[Value]:
        for branch, other in ((node.body, node.orelse), (node.orelse, node.body)):
            given = fallbacks.is_given(self._project, table, other)
            yield from self._instead(table, branch, fallbacks.COMMAND_LINE) if given else self.of(table, branch)

    def _choice(self, table: Table, node: ast.BoolOp) -> Iterator[Value]:
        unknown = False
        for each in node.values:
            for value in self.of(table, each):
                unknown = unknown or value.kind == UNKNOWN
                stands_in = unknown and isinstance(node.op, ast.Or) and value.kind == CONSTANT and not value.what
                yield replace(value, what=fallbacks.SETTINGS) if stands_in else value

    def _inner(self, table: Table, node: Any) -> Iterator[Value]:
        yield from self.of(table, node.value)


def _each_once(values: Iterable[Value]) -> List[Value]:
    found: List[Value] = []
    for value in values:
        if value not in found:
            found.append(value)
        if len(found) >= _MOST:
            break
    return found


_HANDLERS: Dict[type, Callable[..., Iterator[Value]]] = {
    ast.Name: Values._name,
    ast.Attribute: Values._attribute,
    ast.Subscript: Values._subscript,
    ast.Call: Values._call,
    ast.BinOp: Values._operation,
    ast.UnaryOp: Values._negative,
    ast.IfExp: Values._either,
    ast.BoolOp: Values._choice,
    ast.NamedExpr: Values._inner,
    ast.Await: Values._inner,
}


def _converted(value: Value, convert: Callable[[Any], Any]) -> Value:
    if value.kind != CONSTANT:
        return value
    try:
        # Only short texts and numbers of a sane size: int() of a long one takes quadratic time.
        small = isinstance(value.constant, (int, float, str)) and len(str(value.constant)[:40]) < 40
        return Value(CONSTANT, value.table, value.node, convert(value.constant) if small else None, value.what)
    except (ValueError, TypeError, OverflowError):
        return Value(UNKNOWN, value.table, value.node)


def _members(display: ast.expr, keys: List[Any]) -> List[ast.expr]:
    """The members of a display for these keys; all of them where no key is known."""
    if isinstance(display, ast.Dict):
        pairs = [
            (key.value if isinstance(key, ast.Constant) else None, each)
            for key, each in zip(display.keys, display.values)
        ]
    elif isinstance(display, ast.Call):
        pairs = [(keyword.arg, keyword.value) for keyword in display.keywords]
    else:
        pairs = list(enumerate(getattr(display, "elts", [])))
    return [each for key, each in pairs if not keys or key in keys]


def _has_constructor(thing: Thing) -> bool:
    names = thing.table.scope_of(thing.node).names if thing.table is not None and thing.node is not None else {}
    return "__init__" in names


def _on_random(names: Any) -> bool:
    return any(each.startswith(("random.Random", "random.SystemRandom", "numpy.random")) for each in names)
