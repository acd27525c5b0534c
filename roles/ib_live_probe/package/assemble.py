"""Writes the probe as one file, files/ib_gateway_probe.py, of its package and of the project's own modules.

    python roles/ib_live_probe/package/assemble.py

Of each module only the top-level statements go in that the command needs, unchanged but for names: what another module
calls `wire.frame` is `frame`, or `wire_frame` where the bare name stands for something else as well. A test holds the
file and its sources together.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from graphlib import TopologicalSorter

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
SINGLE_FILE = HERE.parent / "files" / "ib_gateway_probe.py"
COMMAND = "ib_live_probe.command"
#: Where modules are that are not the standard library's, by how their names begin.
FOLDERS = {"ib_live_probe.": HERE, "ansible.": PROJECT / "module_utils"}
NOTE = "# Made by roles/ib_live_probe/package/assemble.py from the project's modules: make changes there.\n"
RULE_WIDTH = 119

#: A top-level name and the module that defines it.
Symbol = tuple[str, str]


class CannotAssemble(SystemExit):
    """A source uses something that does not survive in one file."""


@dataclass(eq=False)
class Statement:
    """One top-level statement with the comments above it. uses: names of any kind that occur in it."""

    module: Module
    node: ast.stmt
    first_line: int
    defines: tuple[str, ...] = ()
    uses: set[Symbol] = field(default_factory=set)
    libraries: set[str] = field(default_factory=set)


def path_of(name: str) -> Path | None:
    """The file of a module of this project; None for any other name."""
    for start, folder in FOLDERS.items():
        if name.startswith(start):
            path = folder / (name.removeprefix("ansible.module_utils.").replace(".", "/") + ".py")
            return path if path.exists() else None
    return None


class Module:
    """One source: its imports, and its other statements."""

    def __init__(self, name: str) -> None:
        self.name, path = name, path_of(name)
        if path is None:
            raise CannotAssemble(f"no such module: {name}")
        self.where = str(path.relative_to(PROJECT))
        text = path.read_text(encoding="utf-8")
        self.lines, self.tree = text.splitlines(keepends=True), ast.parse(text)
        self.docstring = ast.get_docstring(self.tree, clean=False) or ""
        self.modules: dict[str, str] = {}
        self.symbols: dict[str, Symbol] = {}
        self.libraries: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._take_import(node)
        self.statements = list(self._statements())
        self.defines = {name for each in self.statements for name in each.defines}

    def _take_import(self, node: ast.Import | ast.ImportFrom) -> None:
        if any(each.asname for each in node.names):
            raise CannotAssemble(f"{self.where} line {node.lineno}: an import under another name cannot be assembled")
        source = self._source(node)
        for name in (each.name for each in node.names):
            if isinstance(node, ast.Import):
                self.libraries[name] = f"import {name}"
            elif path_of(f"{source}.{name}"):
                self.modules[name] = f"{source}.{name}"
            elif path_of(source):
                self.symbols[name] = (source, name)
            elif source != "__future__":
                self.libraries[name] = f"from {source} import {name}"

    def _source(self, node: ast.Import | ast.ImportFrom) -> str:
        if isinstance(node, ast.Import):
            return ""
        above = self.name.split(".")[: -node.level] if node.level else []
        return ".".join([*above, *([node.module] if node.module else [])])

    def _statements(self) -> Iterator[Statement]:
        end = 0
        for node in self.tree.body:
            first, end = end, node.end_lineno or 0
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if not docstring and not isinstance(node, (ast.Import, ast.ImportFrom)):
                yield Statement(self, node, first, tuple(_defined(node)))

    @cached_property
    def bound_locally(self) -> set[str]:
        """Names that functions of this module give to something of their own."""
        return {name for each in self.statements for name in _bound_inside(each.node)}


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]


def _bound_inside(statement: ast.AST) -> Iterator[str]:
    """The names that are bound in it, but for the one that it defines itself."""
    own = _defined(statement) if isinstance(statement, ast.stmt) else []
    for node in ast.walk(statement):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id not in own:
            yield node.id
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.ExceptHandler)) and node is not statement:
            yield node.name or ""


def _outer(node: ast.AST, hidden: frozenset[str] = frozenset()) -> Iterator[ast.AST]:
    """All nodes but the names that a function, a class or a comprehension around them has bound."""
    if isinstance(node, ast.Name) and node.id in hidden:
        return
    yield node
    inside: list[ast.AST] = []
    if isinstance(node, ast.ClassDef):
        # What a class binds is not seen by its methods.
        inside = [each for each in node.body if not isinstance(each, ast.FunctionDef)]
    elif isinstance(node, (ast.FunctionDef, ast.Lambda)):
        inside = [*node.body] if isinstance(node, ast.FunctionDef) else [node.body]
    elif isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        inside = list(ast.iter_child_nodes(node))
    bound = hidden | frozenset(_bound_inside(node)) if inside else hidden
    for child in ast.iter_child_nodes(node):
        yield from _outer(child, bound if any(child is each for each in inside) else hidden)


class Sources:
    """All modules, read when they are first needed, and the statements that the command needs."""

    def __init__(self) -> None:
        self.modules: dict[str, Module] = {}
        self.needed: list[Statement] = []
        command = self.module(COMMAND)
        waiting = list(command.statements)
        while waiting:
            statement = waiting.pop()
            if statement in self.needed:
                continue
            self._find_uses(statement)
            self.needed.append(statement)
            waiting += [self.definition(symbol) for symbol in statement.uses]

    def module(self, name: str) -> Module:
        if name not in self.modules:
            self.modules[name] = Module(name)
        return self.modules[name]

    def definition(self, symbol: Symbol) -> Statement:
        """The statement that defines a symbol."""
        module, name = symbol
        found = [each for each in self.module(module).statements if name in each.defines]
        if len(found) != 1:
            raise CannotAssemble(f"{name} is defined {len(found)} times in {module}")
        return found[0]

    def symbol(self, module: Module, node: ast.AST) -> Symbol | None:
        """What a name, or a name behind a module's, stands for; None where it is not one of the project's."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in module.modules:
            return self._origin(self.module(module.modules[node.value.id]), node.attr)
        if isinstance(node, ast.Name) and (node.id in module.defines or node.id in module.symbols):
            return self._origin(module, node.id)
        return None

    def _origin(self, module: Module, name: str) -> Symbol | None:
        if name in module.defines:
            return (module.name, name)
        source = module.symbols.get(name)
        return self._origin(self.module(source[0]), source[1]) if source else None

    def _find_uses(self, statement: Statement) -> None:
        for node in _outer(statement.node):
            symbol = self.symbol(statement.module, node)
            if symbol:
                statement.uses.add(symbol)
            elif isinstance(node, ast.Name) and node.id in statement.module.libraries:
                statement.libraries.add(node.id)


class Writer:
    """The needed statements under names that are the only ones of their kind."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.names = self._names()

    def _names(self) -> dict[Symbol, str]:
        symbols = [(each.module.name, name) for each in self.sources.needed for name in each.defines]
        times = Counter(name for _, name in symbols)
        taken = {name for each in self.sources.modules.values() for name in [*each.bound_locally, *each.libraries]}
        names = {}
        for module, name in symbols:
            short = module.rpartition(".")[2]
            bare = times[name] == 1 and name not in taken and name not in dir(builtins)
            names[module, name] = name if bare else f"{'_' * name.startswith('_')}{short}_{name.lstrip('_')}"
        if len(set(names.values())) < len(names):
            raise CannotAssemble("two modules of the same name define the same name")
        return names

    def text(self) -> str:
        command = self.sources.module(COMMAND)
        parts = [f'#!/usr/bin/env python3\n"""{command.docstring}"""\n\n{NOTE}\nfrom __future__ import annotations\n']
        parts.append("\n".join(self._imports()))
        gap = "\n"
        for name in self._order():
            module = self.sources.module(name)
            parts.append(f"{gap}{f'# --- {module.where} ':-<{RULE_WIDTH}}")
            parts += [self._statement(each) for each in module.statements if each in self.sources.needed]
            gap = "\n\n"
        return re.sub(r"\n{4,}", "\n\n\n", "\n".join(parts)).rstrip("\n") + "\n"

    def _imports(self) -> list[str]:
        found = {each.module.libraries[name] for each in self.sources.needed for name in each.libraries}
        plain = sorted(line for line in found if line.startswith("import "))
        named: dict[str, list[str]] = {}
        for line in sorted(found - set(plain)):
            _, module, _, name = line.split()
            named.setdefault(module, []).append(name)
        for module, names in named.items():
            line = f"from {module} import {', '.join(names)}"
            rows = "".join(f"    {name},\n" for name in names)
            plain.append(line if len(line) <= RULE_WIDTH else f"from {module} import (\n{rows})")
        return plain

    def _order(self) -> Iterable[str]:
        needs: dict[str, set[str]] = {}
        for each in self.sources.needed:
            others = {module for module, _ in each.uses if module != each.module.name}
            needs.setdefault(each.module.name, set()).update(others)
        return TopologicalSorter({name: sorted(needs[name]) for name in sorted(needs)}).static_order()

    def _statement(self, statement: Statement) -> str:
        module = statement.module
        lines = [line.encode() for line in module.lines[: statement.node.end_lineno]]
        for node in sorted(_outer(statement.node), key=_place, reverse=True):
            symbol = self.sources.symbol(module, node)
            if symbol:
                _rename(lines, node, self.names[symbol], module)
            elif isinstance(node, ast.ImportFrom) and node.level:
                after = node.end_lineno or node.lineno
                del lines[node.lineno - 1 : after + (not lines[after].strip())]
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node is statement.node:
                new = self.names[module.name, node.name]
                row = node.lineno - 1
                lines[row] = re.sub(rb"^(class|def) \w+", rf"\1 {new}".encode(), lines[row])
        return b"".join(lines[statement.first_line :]).decode().rstrip("\n")


def _place(node: ast.AST) -> tuple[int, int]:
    return (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))


def _rename(lines: list[bytes], node: ast.AST, new: str, module: Module) -> None:
    assert isinstance(node, (ast.Name, ast.Attribute))
    old = node.id if isinstance(node, ast.Name) else f"{ast.unparse(node.value)}.{node.attr}"
    if old == new:
        return
    row, start, end = node.lineno - 1, node.col_offset, node.end_col_offset
    if lines[row][start:end] != old.encode():
        # Before Python 3.12 the places inside of an f-string are not those in the file.
        raise CannotAssemble(f"{module.where} line {node.lineno}: {old} cannot be renamed there")
    lines[row] = lines[row][:start] + new.encode() + lines[row][end:]


def assembled() -> str:
    """The text of the single file."""
    return Writer(Sources()).text()


if __name__ == "__main__":
    SINGLE_FILE.write_text(assembled(), encoding="utf-8")
    SINGLE_FILE.chmod(0o755)
    print(SINGLE_FILE, file=sys.stderr)
