"""Makes the project's modules run under mitogen's strategies, which find their imports by a scan of their own.

That scan knows no relative import and none inside of a function. It is completed here, in the worker that sends a
module, from the source of the modules. Without mitogen nothing of this happens.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

#: A package of the project, as modules name it.
_PREFIX = "ansible.module_utils."
_ROOT = Path(__file__).resolve().parents[2]
_PLANNER = "ansible_mitogen.planner"

#: (full name, path, whether it is a package), as mitogen has it.
Found = tuple[str, str, bool]


def task_vars(known: Mapping[str, Any] | None) -> dict[str, Any]:
    """The variables with which a module of ours is to be sent.

    Under mitogen it gets a process of its own: it ends itself when its time is over, and must not take mitogen's
    interpreter on the host with it.
    """
    variables = dict(known or {})
    if _PLANNER in sys.modules:
        _complete(sys.modules[_PLANNER].NewStylePlanner)
        variables["mitogen_task_isolation"] = "fork"
    return variables


def learn(modules: Iterable[Path]) -> bool:
    """Finds what modules import before workers are forked, each of which would read it anew. False: no mitogen."""
    if _PLANNER not in sys.modules:
        return False
    for each in modules:
        imports(each)
    return True


def _complete(planner: Any) -> None:
    """Has mitogen's planner add what its scan has missed of our own packages."""
    scan = planner.get_module_map
    if getattr(scan, "completed", False):
        return

    @functools.wraps(scan)
    def get_module_map(self: Any) -> dict[str, Any]:
        found: dict[str, Any] = scan(self)
        if any(name.startswith(f"{_PREFIX}ib_") for name, _path, _package in found["custom"]):
            known = {name: (name, path, package) for name, path, package in found["custom"]}
            known.update({each[0]: each for each in imports(Path(self._inv.module_path))})
            found["custom"] = sorted(known.values())
        return found

    get_module_map.completed = True  # type: ignore[attr-defined]
    planner.get_module_map = get_module_map


@functools.lru_cache(maxsize=None)
def imports(module: Path) -> tuple[Found, ...]:
    """All of our own packages that a module imports, and what that imports in turn, wherever in a file it does so."""
    found: dict[str, Found] = {}
    left = [("", module)]
    while left:
        package, path = left.pop()
        for name in _names(path, package):
            for each in _with_parents(name):
                place = _place(each)
                if place is not None and each not in found:
                    is_package = place.name == "__init__.py"
                    found[each] = (each, str(place), is_package)
                    left.append((each if is_package else each.rpartition(".")[0], place))
    return tuple(sorted(found.values()))


def _names(path: Path, package: str) -> Iterator[str]:
    """What may be the full name of a module that a file imports. package: the one that the file is in."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{each.name}" for each in node.names)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[:number]) for number in range(1, len(parts) + 1))


def _place(name: str) -> Path | None:
    """The file of one of our own modules or packages; None for any other name."""
    if not name.startswith(f"{_PREFIX}ib_"):
        return None
    inside = _ROOT.joinpath(*name.removeprefix(_PREFIX).split("."))
    return next((each for each in (inside / "__init__.py", inside.with_suffix(".py")) if each.is_file()), None)
