"""Who binds which name where, in one script: the table that names are looked up in. Pure."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Optional, Set, Tuple, Union, cast

from ..reading.model import Script

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES = (*FUNCTIONS, ast.ClassDef)

# How a name gets its value.
VALUE, ELEMENT, CONTEXT, PARAMETER, IMPORT, FUNCTION, CLASS, OPAQUE, DECLARED = range(9)

_MOST_BINDINGS = 50
#: A file with more nodes than this was made by a program.
MOST_NODES = 200000


@dataclass(frozen=True)
class Binding:
    """One way a name is bound. expression: what is assigned, iterated over or entered; None for the others.

    target: for an import the dotted name that is meant; level: how many dots a relative import has.
    annotation: the type that is written beside it.
    """

    kind: int
    node: ast.AST
    expression: Optional[ast.expr] = None
    target: str = ""
    level: int = 0
    annotation: Optional[ast.expr] = None


class TooLarge(ValueError):
    """A script has too many nodes."""


@dataclass
class Scope:
    """The names of a module, class or function."""

    node: ast.AST
    parent: Optional[Scope] = None
    names: Dict[str, List[Binding]] = field(default_factory=dict)
    outer: Set[str] = field(default_factory=set)

    def bind(self, name: str, binding: Binding) -> None:
        """Adds one way the name is bound. After very many it is only known that there are more."""
        known = self.names.setdefault(name, [])
        if len(known) < _MOST_BINDINGS:
            known.append(binding)
        elif len(known) == _MOST_BINDINGS:
            known.append(Binding(OPAQUE, binding.node))


class Table:
    """A script's scopes, its calls, and the parent of every node."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.module = Scope(script.tree)
        self.parents: Dict[ast.AST, ast.AST] = {}
        self.calls: List[ast.Call] = []
        self.loads: List[Union[ast.Name, ast.Attribute]] = []
        #: By class: what its methods assign to attributes of their first parameter.
        self.attributes: Dict[ast.AST, Dict[str, List[ast.expr]]] = {}
        #: By class: the types that are written beside such attributes.
        self.annotations: Dict[ast.AST, Dict[str, List[ast.expr]]] = {}
        self._where: Dict[ast.AST, Scope] = {}
        self._lines = script.text.split("\n")
        self.star_imports: List[Binding] = []
        self._scopes: Dict[ast.AST, Scope] = {script.tree: self.module}
        #: What is evaluated inside of a function or class, in contrast to its head.
        self._bodies: Set[ast.AST] = set()
        self._build()

    # --- asking ------------------------------------------------------------------------------------------------------

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around a node, innermost first."""
        current = self.parents.get(node)
        while current is not None:
            yield current
            current = self.parents.get(current)

    def function(self, node: ast.AST) -> Optional[Function]:
        """The innermost function around a node; what stands in its head (defaults, decorators) is outside of it."""
        scope: Optional[Scope] = self.scope(node)
        while scope is not None and not isinstance(scope.node, FUNCTIONS):
            scope = scope.parent
        return cast("Optional[Function]", scope.node if scope is not None else None)

    def enclosing_class(self, function: ast.AST) -> Optional[ast.ClassDef]:
        """The class whose method a function is."""
        parent = self.parents.get(function)
        while isinstance(parent, (ast.If, ast.Try)):
            parent = self.parents.get(parent)
        return parent if isinstance(parent, ast.ClassDef) else None

    def scope(self, node: ast.AST) -> Scope:
        """The scope in which a node is evaluated."""
        return self._where.get(node, self.module)

    def nodes(self) -> Iterator[ast.AST]:
        """All nodes of the script."""
        return iter(self._where)

    def lookup(self, name: str, node: ast.AST) -> List[Binding]:
        """How a name is bound that is read at a node: by the innermost scope that binds it."""
        scope: Optional[Scope] = self.scope(node)
        first = True
        while scope is not None:
            if name in scope.outer and scope is not self.module:
                scope = scope.parent
                continue
            hidden = isinstance(scope.node, ast.ClassDef) and not first
            if name in scope.names and not hidden:
                return scope.names[name]
            first = False
            scope = scope.parent
        return []

    def scope_of(self, node: ast.AST) -> Scope:
        """The scope that a class or function opens."""
        return self._scopes[node]

    def scopes(self) -> List[Scope]:
        """All scopes of the script."""
        return list(self._scopes.values())

    def imported_modules(self) -> List[Tuple[str, int]]:
        """The modules that the script imports, or imports from, each with the dots of a relative import."""
        found = [(each.target, each.level) for each in self.star_imports]
        for scope in self.scopes():
            for bindings in scope.names.values():
                for each in bindings:
                    if each.kind == IMPORT:
                        found.extend([(each.target, each.level), (each.target.rpartition(".")[0], each.level)])
        return [(name, level) for name, level in dict.fromkeys(found) if name or level]

    def texts(self) -> Iterator[str]:
        """The texts that are written in the script, those of its docstrings and formatted texts included."""
        for node in self._where:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value

    def line(self, number: int) -> str:
        """A line of the script, from 1."""
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""

    def statement(self, node: ast.AST) -> ast.AST:
        """The innermost statement around a node, or the node itself."""
        if isinstance(node, ast.stmt):
            return node
        return next((outer for outer in self.ancestors(node) if isinstance(outer, ast.stmt)), node)

    # --- building ----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        """Raises TooLarge."""
        order = self._order()
        self._place(order)
        for node in reversed(order):
            self._note(node)

    def _order(self) -> List[ast.AST]:
        """All nodes, outer ones first, with their parents noted."""
        order: List[ast.AST] = []
        stack: List[ast.AST] = [self.script.tree]
        while stack:
            node = stack.pop()
            order.append(node)
            children = list(ast.iter_child_nodes(node))
            for child in children:
                # Contexts (Load, Store) and operators are shared objects and have no place.
                if not isinstance(child, (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)):
                    self.parents[child] = node
                    stack.append(child)
            if len(self.parents) > MOST_NODES:
                raise TooLarge("it has more than %d names, numbers and statements" % MOST_NODES)
        return order

    def _place(self, order: List[ast.AST]) -> None:
        """Notes in which scope each node is evaluated."""
        for node in order:
            if isinstance(node, _SCOPES):
                self._scopes[node] = Scope(node)
                self._bodies.update([node.body] if isinstance(node, ast.Lambda) else node.body)
        for node in order:
            outer = self.parents.get(node)
            if outer is None:
                self._where[node] = self.module
            elif isinstance(outer, _SCOPES) and node in self._bodies:
                self._where[node] = self._scopes[outer]
            else:
                self._where[node] = self._where[outer]
        for node, scope in self._scopes.items():
            if node is not self.script.tree:
                scope.parent = self._where[node]

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Call):
            self.calls.append(node)
        elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            self.loads.append(node)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            self._outer(node)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self._imports(node)
        elif isinstance(node, ast.arguments):
            self._parameters(node)
        else:
            self._bindings(node)

    def _outer(self, node: Union[ast.Global, ast.Nonlocal]) -> None:
        self.scope(node).outer.update(node.names)

    def _bind(self, name: str, node: ast.AST, binding: Binding) -> None:
        scope: Optional[Scope] = self.scope(node)
        while scope is not None and name in scope.outer and scope.parent is not None:
            scope = scope.parent
        (scope or self.module).bind(name, binding)

    def _bindings(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value, VALUE, node)
        elif isinstance(node, ast.NamedExpr):
            self._assign(node.target, node.value, VALUE, node)
        elif isinstance(node, ast.AnnAssign):
            self._declare(node)
        elif isinstance(node, ast.AugAssign):
            self._assign(node.target, node.value, OPAQUE, node)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            self._assign(node.target, node.iter, ELEMENT, node)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._assign(node.optional_vars, node.context_expr, CONTEXT, node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._bind(node.name, node, Binding(FUNCTION, node))
        elif isinstance(node, ast.ClassDef):
            self._bind(node.name, node, Binding(CLASS, node))

    def _declare(self, node: ast.AnnAssign) -> None:
        target = node.target
        if isinstance(target, ast.Name):
            kind = DECLARED if node.value is None else VALUE
            self._bind(target.id, node, Binding(kind, node, node.value, annotation=node.annotation))
            return
        if node.value is not None:
            self._assign(target, node.value, VALUE, node)
        owner = (
            self.owner(target.value)
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name)
            else None
        )
        if owner is not None and isinstance(target, ast.Attribute):
            self.annotations.setdefault(owner, {}).setdefault(target.attr, []).append(node.annotation)

    def _assign(self, target: ast.expr, value: ast.expr, kind: int, node: ast.AST) -> None:
        if isinstance(target, ast.Name):
            self._bind(target.id, node, Binding(kind, node, value))
        elif isinstance(target, ast.Starred):
            self._assign(target.value, value, OPAQUE, node)
        elif isinstance(target, (ast.Tuple, ast.List)):
            pairs: List[Tuple[ast.expr, ast.expr, int]] = [(each, value, OPAQUE) for each in target.elts]
            if kind == VALUE and isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts):
                pairs = [(each, value.elts[index], kind) for index, each in enumerate(target.elts)]
            for each, part, how in pairs:
                self._assign(each, part, how, node)
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and kind == VALUE:
            owner = self.owner(target.value)
            if owner is not None:
                known = self.attributes.setdefault(owner, {}).setdefault(target.attr, [])
                if len(known) <= _MOST_BINDINGS:
                    known.append(value)

    def owner(self, name: ast.Name) -> Optional[ast.ClassDef]:
        """The class whose instance (or that itself) a name is, where it is the first parameter of a method."""
        function = self.function(name)
        while function is not None:
            found = self.enclosing_class(function)
            if found is not None and not isinstance(function, ast.Lambda) and _first_parameter(function) == name.id:
                return found
            function = self.function(function)
        return None

    def _imports(self, node: Union[ast.Import, ast.ImportFrom]) -> None:
        for alias in node.names:
            if isinstance(node, ast.Import):
                name = alias.asname or alias.name.partition(".")[0]
                target = alias.name if alias.asname else name
                self._bind(name, node, Binding(IMPORT, node, target=target))
            else:
                level = node.level or 0
                target = "%s.%s" % (node.module, alias.name) if node.module else alias.name
                if alias.name == "*":
                    self.star_imports.append(Binding(IMPORT, node, target=node.module or "", level=level))
                else:
                    self._bind(alias.asname or alias.name, node, Binding(IMPORT, node, target=target, level=level))

    def _parameters(self, node: ast.arguments) -> None:
        function = self.parents[node]
        scope = self._scopes[function]
        for argument, default in parameters(cast("Function", function)):
            scope.bind(argument.arg, Binding(PARAMETER, argument, default))
        for rest in (node.vararg, node.kwarg):
            if rest is not None:
                scope.bind(rest.arg, Binding(OPAQUE, rest))


def parameters(function: Function) -> List[Tuple[ast.arg, Optional[ast.expr]]]:
    """A function's parameters with their defaults, in the order in which they are given; star parameters left out."""
    args = function.args
    positional = [*args.posonlyargs, *args.args]
    defaults: List[Optional[ast.expr]] = [None] * (len(positional) - len(args.defaults))
    defaults.extend(args.defaults)
    found = list(zip(positional, defaults))
    found.extend(zip(args.kwonlyargs, args.kw_defaults))
    return found


def _first_parameter(function: Union[ast.FunctionDef, ast.AsyncFunctionDef]) -> Optional[str]:
    if any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in function.decorator_list):
        return None
    positional = [*function.args.posonlyargs, *function.args.args]
    return positional[0].arg if positional else None
