"""Writes the package as one importable file, files/ib_connect.py, for hosts on which nothing is installed.

    python roles/ib_client_kit/package/assemble.py

The modules follow each other in the order of their imports, each without its own docstring and imports; the standard
library's imports stand once at the top. So no module may rename what it imports from another, and no two may define
the same name. A test holds the file and the package together.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from graphlib import TopologicalSorter

HERE = Path(__file__).resolve().parent
PACKAGE, SINGLE_FILE = HERE / "ib_connect", HERE.parent / "files" / "ib_connect.py"
WIDTH = 120
NOTE = "# Made by package/assemble.py from the modules in package/ib_connect: make changes there.\n"


class Module:
    """A module's text, cut into its docstring, its imports and the rest."""

    def __init__(self, path: Path) -> None:
        self.name, text = path.stem, path.read_text(encoding="utf-8")
        tree, lines = ast.parse(text), text.splitlines(keepends=True)
        self.docstring = ast.get_docstring(tree, clean=False) or ""
        self.plain: list[str] = []
        self.named: list[tuple[str, str]] = []
        self.needs: set[str] = set()
        self.defines: list[str] = []
        dropped: set[int] = {0} if self.docstring else set()
        for number, node in enumerate(tree.body):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._take_import(node)
                dropped.add(number)
            else:
                self.defines += _names(node)
        kept = [each for number, each in enumerate(tree.body) if number not in dropped]
        start = max(
            (tree.body[number].end_lineno or 0 for number in dropped if tree.body[number] not in kept), default=0
        )
        self.body = "".join(lines[start:]).strip("\n")

    def _take_import(self, node: ast.Import | ast.ImportFrom) -> None:
        if any(each.asname for each in node.names):
            raise SystemExit(f"{self.name}.py line {node.lineno}: an import under another name cannot be assembled")
        names = [each.name for each in node.names]
        if isinstance(node, ast.Import):
            self.plain += names
        elif node.level:
            self.needs.add(node.module or "")
        elif node.module != "__future__":
            self.named += [(node.module or "", name) for name in names]


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]


def assembled() -> str:
    """The text of the single file."""
    modules = {path.stem: Module(path) for path in sorted(PACKAGE.glob("*.py"))}
    front = modules.pop("__init__")
    twice = [
        name for name, times in Counter(each for one in modules.values() for each in one.defines).items() if times > 1
    ]
    if twice:
        raise SystemExit(f"defined in more than one module: {', '.join(sorted(twice))}")
    order = TopologicalSorter({name: sorted(one.needs) for name, one in modules.items()}).static_order()
    parts = [f'"""{front.docstring}"""\n\n{NOTE}\nfrom __future__ import annotations\n\n{_imports(modules.values())}']
    parts.append(f"\n{front.body}")
    for one in (modules[name] for name in order):
        gap = "\n\n" if one.body.startswith(("class ", "def ", "async def ", "@")) else "\n"
        parts.append(f"\n\n{f'# --- {one.name} ':-<{WIDTH - 1}}\n# {one.docstring.splitlines()[0]}\n{gap}{one.body}")
    return "\n".join(parts) + "\n"


def _imports(modules: Iterable[Module]) -> str:
    modules = list(modules)
    plain = {name for one in modules for name in one.plain}
    named: dict[str, set[str]] = {}
    for one in modules:
        for module, name in one.named:
            named.setdefault(module, set()).add(name)
    lines = [f"import {name}" for name in sorted(plain)]
    for module in sorted(named):
        line = f"from {module} import {', '.join(sorted(named[module], key=_import_order))}"
        if len(line) > WIDTH:
            names = "".join(f"    {name},\n" for name in sorted(named[module], key=_import_order))
            line = f"from {module} import (\n{names})"
        lines.append(line)
    return "\n".join(lines)


def _import_order(name: str) -> tuple[int, str]:
    """Constants, classes, functions: as the style checker sorts them."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)


if __name__ == "__main__":
    SINGLE_FILE.write_text(assembled(), encoding="utf-8")
    print(SINGLE_FILE, file=sys.stderr)
