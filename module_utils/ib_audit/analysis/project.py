"""Instances, attributes and calls: what flows between the functions and classes of a project's scripts. Pure."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, Iterator, List, Optional, Sequence, Tuple

from ..reading.model import Script
from .effort import Effort
from .names import Names, Thing
from .scopes import CONTEXT, DECLARED, IMPORT, PARAMETER, VALUE, Binding, Function, Table, parameters

#: So many calls of one function are followed.
_MOST_SITES = 50
_WORD = re.compile(r"\w+")
_IMPORTERS = ("importlib.import_module", "builtins.__import__")


@dataclass(frozen=True)
class Argument:
    """An expression given for a parameter, and the table of the script it stands in."""

    table: Table
    expression: ast.expr


class Project(Names):
    """Scripts that are audited together."""

    def __init__(self, scripts: Sequence[Script], effort: Optional[Effort] = None) -> None:
        super().__init__(scripts, effort)
        self._sites: Dict[ast.AST, List[Tuple[Table, ast.Call]]] = {}
        self._returns: Dict[ast.AST, List[ast.expr]] = {}
        # Twice: what a parameter is given tells of which class it is, and that which methods are called on it.
        for _ in range(2):
            self._sites = self._all_sites()
            self.questions.forget()

    def _all_sites(self) -> Dict[ast.AST, List[Tuple[Table, ast.Call]]]:
        sites: Dict[ast.AST, List[Tuple[Table, ast.Call]]] = {}
        for table in self.tables.values():
            with self.effort.of(table.script.path):
                for call in table.calls:
                    for _home, function in self.called(table, call):
                        known = sites.setdefault(function, [])
                        if len(known) < _MOST_SITES:
                            known.append((table, call))
        return sites

    # --- types -------------------------------------------------------------------------------------------------------

    def types(self, table: Table, node: ast.AST) -> FrozenSet[Thing]:
        """The classes an expression may be an instance of."""
        if isinstance(node, (ast.Constant, ast.JoinedStr)):
            return frozenset()
        follow = self._types_of(table, node)
        return self.questions.answer(self.key("types", table, node), lambda: frozenset(follow), frozenset())

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
        if binding.kind in (VALUE, DECLARED):
            yield from self._annotated(table, binding.annotation)
        if binding.kind in (VALUE, CONTEXT) and binding.expression is not None:
            yield from self.types(table, binding.expression)
        elif binding.kind == IMPORT:
            found = self.origin(table, binding)
            if found is not None:
                yield from self._type_of_member(*found)
        elif binding.kind == PARAMETER and isinstance(binding.node, ast.arg):
            yield from self._annotated(table, binding.node.annotation)
            for given in self.given(table, binding.node):
                yield from self.types(given.table, given.expression)

    def _type_of_member(self, other: Table, name: str) -> FrozenSet[Thing]:
        bindings = other.module.names.get(name, ())
        follow = (thing for each in bindings for thing in self._type_of_binding(other, each))
        return self.questions.answer(("types", id(bindings)), lambda: frozenset(follow), frozenset())

    def _annotated(self, table: Table, annotation: Optional[ast.expr]) -> Iterator[Thing]:
        """The classes an annotation names; also a quoted one, and inside of Optional and unions."""
        for node in ast.walk(annotation) if annotation is not None else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for word in _WORD.findall(node.value[:200]):
                    for binding in table.module.names.get(word, ()):
                        yield from self._bound(table, binding)
                    if word not in table.module.names:
                        yield from self._from_star(table, word)
            yield from self.things(table, node)

    def _type_of_attribute(self, table: Table, node: ast.Attribute) -> Iterator[Thing]:
        for given in self.attribute(table, node):
            yield from self.types(given.table, given.expression)
        for thing in self.types(table, node.value):
            if thing.table is not None and isinstance(thing.node, ast.ClassDef):
                for home, each in self.lineage(thing.table, thing.node):
                    for annotation in home.annotations.get(each, {}).get(node.attr, ()):
                        yield from self._annotated(home, annotation)
                    for binding in home.scope_of(each).names.get(node.attr, ()):
                        yield from self._annotated(home, binding.annotation)

    def attribute(self, table: Table, node: ast.Attribute) -> List[Argument]:
        """What an attribute may have been assigned: of an instance or class here, or of an audited script."""
        return self.questions.answer(("attribute", node), lambda: self._attribute_values(table, node), [])

    def _attribute_values(self, table: Table, node: ast.Attribute) -> List[Argument]:
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
                for value in self.returned(thing.node):
                    yield from self.types(thing.table, value)
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("connect", "connectAsync", "__enter__"):
            yield from self.types(table, node.func.value)  # both return the object itself

    def returned(self, function: ast.AST) -> List[ast.expr]:
        """What a function may return; of very many statements the first."""
        found = self._returns.get(function)
        if found is None:
            found = self._returns[function] = returns(function)[:_MOST_SITES]
        return found

    # --- calls -------------------------------------------------------------------------------------------------------

    def called(self, table: Table, call: ast.Call) -> List[Tuple[Table, ast.AST]]:
        """The functions and classes here that a call may run."""
        return [(each.table, each.node) for each in self.things(table, call.func) if each.table and each.node]

    def sites(self, node: ast.AST) -> List[Tuple[Table, ast.Call]]:
        """The calls of a function or class of these scripts."""
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
