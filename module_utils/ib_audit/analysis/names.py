"""What a name stands for: through imports, aliases, constants, default arguments, attributes and calls. Pure.

Names are followed without regard to the order of statements: everything a name may be bound to counts. What cannot be
followed is unknown and accuses nobody. `effort` keeps what a question may cost within bounds.
"""

from __future__ import annotations

import ast
import posixpath
from dataclasses import dataclass
from typing import Dict, FrozenSet, Hashable, Iterator, List, Optional, Sequence, Tuple

from ..reading.model import KIT, LIBRARIES, Script
from .effort import Effort, Questions
from .scopes import CLASS, FUNCTION, IMPORT, VALUE, Binding, Table, TooLarge

_MOST_BASES = 40


@dataclass(frozen=True)
class Thing:
    """What an expression stands for: something of another package by its dotted name, or a class or function here."""

    dotted: str = ""
    table: Optional[Table] = None
    node: Optional[ast.AST] = None


class Names:
    """Scripts that are audited together, and the names that lead from one to another."""

    def __init__(self, scripts: Sequence[Script], effort: Optional[Effort] = None) -> None:
        self.effort = effort or Effort()
        self.questions = Questions(self.effort)
        self.tables: Dict[str, Table] = {}
        for script in scripts:
            with self.effort.of(script.path):
                try:
                    table = Table(script)
                except TooLarge as error:
                    self.effort.given_up.setdefault(script.path, str(error))
                    continue
                self.effort.allow(script.path, len(table.parents))
                self.tables[script.path] = table
        self._imports: Optional[Dict[str, List[Tuple[Table, Table]]]] = None
        self._modules: Dict[Tuple[str, str, int], Optional[Table]] = {}

    # --- modules -----------------------------------------------------------------------------------------------------

    def module(self, table: Table, name: str, level: int = 0) -> Optional[Table]:
        """The audited script that an import in another one means; None for everything else, and for the kit."""
        if name == KIT:
            return None
        key = (table.script.path, name, level)
        if key not in self._modules:
            self._modules[key] = self._module(*key)
        return self._modules[key]

    def _module(self, path: str, name: str, level: int) -> Optional[Table]:
        folder = posixpath.dirname(path)
        for _ in range(max(0, level - 1)):
            folder = posixpath.dirname(folder)
        base = posixpath.join(folder, *name.split(".")) if name else folder
        found = self.tables.get(base + ".py") or self.tables.get(posixpath.join(base, "__init__.py"))
        # A script that is named like the package it uses does not mean itself.
        return found if found is not None and found.script.path != path else None

    def is_imported(self, table: Table) -> bool:
        """Whether another script of the project imports this one."""
        return any(other is table for _one, other in self._links().get(table.script.path, ()))

    def neighbours(self, table: Table) -> List[Table]:
        """The scripts that one imports, and those that import it."""
        links = self._links().get(table.script.path, [])
        return [each for pair in links for each in pair if each is not table]

    def of_one_process(self, table: Table) -> List[Table]:
        """The scripts that a process which loads this one may have loaded, itself included.

        All that lead to it by imports, and all that any of these imports, over any number of files.
        """
        return self.questions.answer(
            ("one process", table.script.path),
            lambda: self._along_imports(self._along_imports([table], 1, 0), 0, 1),
            [table],
        )

    def _along_imports(self, tables: List[Table], start: int, end: int) -> List[Table]:
        """The tables and what their imports lead to; start and end: places in a link, of what is left and reached."""
        seen = {each.script.path: each for each in tables}
        waiting = list(tables)
        while waiting:
            one = waiting.pop()
            for link in self._links().get(one.script.path, ()):
                if link[start] is one and link[end].script.path not in seen:
                    seen[link[end].script.path] = link[end]
                    waiting.append(link[end])
        return list(seen.values())

    def _links(self) -> Dict[str, List[Tuple[Table, Table]]]:
        """By path: (who imports, what is imported) for each import that a script has a part in."""
        if self._imports is None:
            self._imports = {}
            for one in self.tables.values():
                for name, level in one.imported_modules():
                    other = self.module(one, name, level)
                    if other is not None and other is not one:
                        for path in (one.script.path, other.script.path):
                            self._imports.setdefault(path, []).append((one, other))
        return self._imports

    def libraries(self, table: Table) -> FrozenSet[str]:
        """The client libraries a script imports."""
        found = set()
        for scope_names in _all_bindings(table):
            if scope_names.kind == IMPORT and not scope_names.level:
                found.add(scope_names.target.partition(".")[0])
        return frozenset(found & set(LIBRARIES))

    # --- what a name stands for --------------------------------------------------------------------------------------

    def key(self, kind: str, table: Table, node: ast.AST) -> Hashable:
        """A question's name. All reads of a name in the same scope are one question."""
        if isinstance(node, ast.Name):
            bindings = table.lookup(node.id, node)
            return (kind, id(bindings)) if bindings else (kind, table.script.path, node.id)
        return kind, node

    def things(self, table: Table, node: ast.AST) -> FrozenSet[Thing]:
        """What an expression names: packages' members, classes and functions. Values have none."""
        if not isinstance(node, (ast.Name, ast.Attribute)):
            return frozenset()
        follow = self._name(table, node) if isinstance(node, ast.Name) else self._attribute(table, node)
        return self.questions.answer(self.key("things", table, node), lambda: frozenset(follow), frozenset())

    def dotted(self, table: Table, node: ast.AST) -> FrozenSet[str]:
        """The dotted names of the packages' members that an expression may stand for."""
        return frozenset(thing.dotted for thing in self.things(table, node) if thing.dotted)

    def _name(self, table: Table, node: ast.Name) -> Iterator[Thing]:
        bindings = table.lookup(node.id, node)
        for binding in bindings:
            yield from self._bound(table, binding)
        if not bindings:
            yield from self._from_star(table, node.id)
            yield Thing("builtins." + node.id)

    def _bound(self, table: Table, binding: Binding) -> Iterator[Thing]:
        if binding.kind == IMPORT:
            yield from self._imported(table, binding)
        elif binding.kind in (CLASS, FUNCTION):
            yield Thing(table=table, node=binding.node)
        elif binding.kind == VALUE and binding.expression is not None:
            yield from self.things(table, binding.expression)

    def _imported(self, table: Table, binding: Binding) -> Iterator[Thing]:
        """A name that an import binds: a member of a package, or of an audited script."""
        whole = self.module(table, binding.target, binding.level)
        if whole is not None:
            yield Thing(binding.target, whole)
            return
        found = self.origin(table, binding)
        if found is None:
            yield Thing(_canonical(binding.target))
        else:
            yield from self._member(*found)

    def origin(self, table: Table, binding: Binding) -> Optional[Tuple[Table, str]]:
        """(the audited script, the name in it) that an import means; None where it means a package."""
        home, _dot, name = binding.target.rpartition(".")
        other = self.module(table, home, binding.level) if home or binding.level else None
        return None if other is None else (other, name)

    def _member(self, other: Table, name: str) -> FrozenSet[Thing]:
        bindings = other.module.names.get(name, ())
        follow = (thing for binding in bindings for thing in self._bound(other, binding))
        return self.questions.answer(("things", id(bindings)), lambda: frozenset(follow), frozenset())

    def _from_star(self, table: Table, name: str) -> Iterator[Thing]:
        for star in table.star_imports:
            other = self.module(table, star.target, star.level)
            if other is not None:
                yield from self._member(other, name)
            elif star.target.partition(".")[0] in LIBRARIES:
                yield Thing(_canonical("%s.%s" % (star.target, name)))

    def _attribute(self, table: Table, node: ast.Attribute) -> Iterator[Thing]:
        for thing in self.things(table, node.value):
            if thing.table is not None and thing.node is None:
                yield from self._member(thing.table, node.attr)
            elif thing.table is not None and isinstance(thing.node, ast.ClassDef):
                yield from self._class_member(thing.table, thing.node, node.attr)
            elif thing.dotted:
                yield Thing(_canonical("%s.%s" % (thing.dotted, node.attr)))
        for thing in self.types(table, node.value):
            if thing.table is not None and isinstance(thing.node, ast.ClassDef):
                yield from self._class_member(thing.table, thing.node, node.attr)
            elif thing.dotted:
                yield Thing(_canonical("%s.%s" % (thing.dotted, node.attr)))

    def _class_member(self, table: Table, node: ast.ClassDef, name: str) -> Iterator[Thing]:
        for owner, one in self.lineage(table, node):
            for binding in owner.scope_of(one).names.get(name, ()):
                yield from self._bound(owner, binding)

    def lineage(self, table: Table, node: ast.ClassDef) -> List[Tuple[Table, ast.ClassDef]]:
        """A class and those of its bases that are here."""
        return self.questions.answer(("lineage", node), lambda: self._lineage(table, node), [(table, node)])

    def _lineage(self, table: Table, node: ast.ClassDef) -> List[Tuple[Table, ast.ClassDef]]:
        found: List[Tuple[Table, ast.ClassDef]] = []
        waiting = [(table, node)]
        while waiting and len(found) < _MOST_BASES:
            owner, one = waiting.pop(0)
            if (owner, one) in found:
                continue
            found.append((owner, one))
            for base in one.bases:
                for thing in self.things(owner, base):
                    if thing.table is not None and isinstance(thing.node, ast.ClassDef):
                        waiting.append((thing.table, thing.node))
        return found

    def bases(self, table: Table, node: ast.ClassDef) -> FrozenSet[str]:
        """The dotted names of the packages' classes that a class descends from."""
        return frozenset(
            name for owner, one in self.lineage(table, node) for base in one.bases for name in self.dotted(owner, base)
        )

    def types(self, table: Table, node: ast.AST) -> FrozenSet[Thing]:
        """The classes an expression may be an instance of; answered where calls are followed as well."""
        raise NotImplementedError


def _all_bindings(table: Table) -> Iterator[Binding]:
    yield from table.star_imports
    for scope in table.scopes():
        for bindings in scope.names.values():
            yield from bindings


def _canonical(dotted: str) -> str:
    """A name of a client library without the submodule it is defined in: ib_insync.ib.IB is ib_insync.IB."""
    package, *inner = dotted.split(".")
    if package in ("ib_insync", "ib_async") and len(inner) > 1 and inner[0] in ("ib", "client", "util", "contract"):
        return ".".join((package, *inner[1:])) if inner[0] != "util" else dotted
    return dotted
