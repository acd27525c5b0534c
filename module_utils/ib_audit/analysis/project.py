"""Instances, attributes and calls: what flows between the functions and classes of a project's scripts. Pure."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, Iterator, List, Optional, Sequence, Tuple

from ..reading.model import Script
from .names import Names, Thing
from .scopes import CONTEXT, IMPORT, PARAMETER, VALUE, Binding, Function, Table, parameters

_IMPORTERS = ("importlib.import_module", "builtins.__import__")


@dataclass(frozen=True)
class Argument:
    """An expression given for a parameter, and the table of the script it stands in."""

    table: Table
    expression: ast.expr


class Project(Names):
    """Scripts that are audited together."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        super().__init__(scripts)
        self._sites: Optional[Dict[ast.AST, List[Tuple[Table, ast.Call]]]] = None
        self._types: Dict[ast.AST, FrozenSet[Thing]] = {}

    # --- types -------------------------------------------------------------------------------------------------------

    def types(self, table: Table, node: ast.AST) -> FrozenSet[Thing]:
        """The classes an expression may be an instance of."""
        if node in self._types:
            return self._types[node]
        outermost = not self._active
        if not self.enter("types", node):
            return frozenset()
        try:
            found = frozenset(self._types_of(table, node))
        finally:
            self.leave("types", node)
        if outermost and self._sites is not None:
            self._types[node] = found
        return found

    def _types_of(self, table: Table, node: ast.AST) -> Iterator[Thing]:
        if isinstance(node, ast.Name):
            owner = table.owner(node)
            if owner is not None and any(each.kind == PARAMETER for each in table.lookup(node.id, node)):
                yield Thing(table=table, node=owner)
                return
            for binding in table.lookup(node.id, node):
                yield from self._type_of_binding(table, binding)
        elif isinstance(node, ast.Attribute):
            yield from self._type_of_attribute(table, node)
        elif isinstance(node, ast.Call):
            yield from self._type_of_call(table, node)
        else:
            for part in _alternatives(node):
                yield from self.types(table, part)

    def _type_of_binding(self, table: Table, binding: Binding) -> Iterator[Thing]:
        if binding.kind in (VALUE, CONTEXT) and binding.expression is not None:
            yield from self.types(table, binding.expression)
        elif binding.kind == IMPORT:
            found = self.origin(table, binding)
            if found is not None and self.enter("type " + found[1], binding.node):
                try:
                    for inner in found[0].module.names.get(found[1], ()):
                        yield from list(self._type_of_binding(found[0], inner))
                finally:
                    self.leave("type " + found[1], binding.node)
        elif binding.kind == PARAMETER and isinstance(binding.node, ast.arg):
            yield from self._annotated(table, binding.node.annotation)
            for given in self.given(table, binding.node):
                yield from self.types(given.table, given.expression)

    def _annotated(self, table: Table, annotation: Optional[ast.expr]) -> Iterator[Thing]:
        """The classes an annotation names; also a quoted one, and inside of Optional and unions."""
        for node in ast.walk(annotation) if annotation is not None else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                name = ast.copy_location(ast.Name(node.value.rpartition(".")[2], ast.Load()), node)
                table.parents[name] = table.parents[node]
                yield from self.things(table, name)
            yield from self.things(table, node)

    def _type_of_attribute(self, table: Table, node: ast.Attribute) -> Iterator[Thing]:
        for given in self.attribute(table, node):
            yield from self.types(given.table, given.expression)

    def attribute(self, table: Table, node: ast.Attribute) -> List[Argument]:
        """What an attribute may have been assigned: of an instance or class here, or of an audited script."""
        found: List[Argument] = []
        owners = {(each.table, each.node) for each in self.types(table, node.value) | self.things(table, node.value)}
        for other, one in owners:
            if other is None:
                continue
            if one is None:
                found.extend(values_in(other, other.module.names.get(node.attr, ())))
            elif isinstance(one, ast.ClassDef):
                for home, each in self.lineage(other, one):
                    found.extend(Argument(home, value) for value in home.attributes.get(each, {}).get(node.attr, ()))
                    found.extend(values_in(home, home.scope_of(each).names.get(node.attr, ())))
        return found

    def _type_of_call(self, table: Table, node: ast.Call) -> Iterator[Thing]:
        for thing in self.things(table, node.func):
            if thing.dotted in _IMPORTERS:
                continue  # what they return is named at run time
            if (thing.dotted and thing.table is None) or isinstance(thing.node, ast.ClassDef):
                yield thing
            elif thing.table is not None and isinstance(thing.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from self._annotated(thing.table, thing.node.returns)
                for value in returns(thing.node):
                    yield from self.types(thing.table, value)
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("connect", "connectAsync", "__enter__"):
            yield from self.types(table, node.func.value)  # both return the object itself

    # --- calls -------------------------------------------------------------------------------------------------------

    def called(self, table: Table, call: ast.Call) -> List[Tuple[Table, ast.AST]]:
        """The functions and classes here that a call may run."""
        return [(each.table, each.node) for each in self.things(table, call.func) if each.table and each.node]

    def sites(self, node: ast.AST) -> List[Tuple[Table, ast.Call]]:
        """The calls of a function or class of these scripts."""
        if self._sites is None:
            self._sites = {}
            sites: Dict[ast.AST, List[Tuple[Table, ast.Call]]] = {}
            for table in self.tables.values():
                for call in table.calls:
                    self._active, active = set(), self._active
                    for _home, function in self.called(table, call):
                        sites.setdefault(function, []).append((table, call))
                    self._active = active
            self._sites = sites
        return self._sites.get(node, [])

    def given(self, table: Table, parameter: ast.arg) -> List[Argument]:
        """What a parameter may be: its default, and what calls here give for it."""
        function: Any = table.parents[table.parents[parameter]]
        names = [argument.arg for argument, _default in parameters(function)]
        found = [
            Argument(table, default)
            for argument, default in parameters(function)
            if argument is parameter and default is not None
        ]
        owner = table.enclosing_class(function)
        shift = 1 if owner is not None and not _is_static(function) else 0
        index = names.index(parameter.arg) - shift if parameter in _positional(function) else None
        callee = owner if owner is not None and getattr(function, "name", "") == "__init__" else function
        for other, call in self.sites(callee):
            expression = argument_of(call, parameter.arg, index)
            if expression is not None:
                found.append(Argument(other, expression))
        return found


def argument_of(call: ast.Call, name: str, index: Optional[int]) -> Optional[ast.expr]:
    """What a call gives for a parameter, by its name or its place."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    before = call.args[: index + 1] if index is not None and index >= 0 else []
    if index is not None and 0 <= index < len(call.args) and not any(isinstance(each, ast.Starred) for each in before):
        return call.args[index]
    return None


def returns(function: ast.AST) -> List[ast.expr]:
    """What a function may return."""
    found = []
    stack = list(ast.iter_child_nodes(function))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Return) and node.value is not None:
            found.append(node.value)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            stack.extend(ast.iter_child_nodes(node))
    return found


def _alternatives(node: ast.AST) -> List[ast.expr]:
    """The expressions one of which an expression is."""
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    if isinstance(node, ast.BoolOp):
        return list(node.values)
    if isinstance(node, (ast.Await, ast.NamedExpr)):
        return [node.value]
    return []


def values_in(table: Table, bindings: Sequence[Binding]) -> List[Argument]:
    """What plain assignments bind a name to."""
    return [Argument(table, each.expression) for each in bindings if each.kind == VALUE and each.expression is not None]


def _positional(function: Function) -> List[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args]


def _is_static(function: ast.AST) -> bool:
    decorators = getattr(function, "decorator_list", [])
    return any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in decorators)
