"""Makes the project's modules run under mitogen's strategies, which send them in a way of their own.

Mitogen finds what a module imports by a scan that knows no relative import and none inside of a function, sends each
file by itself, and has the host compile all of them for each call, most of which a healthy look never imports. So each
package of ours that a module names is sent as one file, ib_gateway/bundled.py with the sources of the package behind
it. Without mitogen nothing of this happens.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible import constants

from ...ib_gateway import bundled

_PLANNER = "ansible_mitogen.planner"
#: Where our packages are, and what precedes their names: in a collection something else than in a checkout.
_ROOT = Path(bundled.__file__).resolve().parents[1]
_PREFIX = bundled.__name__.removesuffix("ib_gateway.bundled")
_NAMED = re.compile(rf"\b{re.escape(_PREFIX)}(ib_\w+)")
#: What precedes the name of a file that is sent: a package that is there already.
_SENT_IN = "ansible.module_utils."

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
    """Makes what these modules need before workers are forked, each of which would make it anew. False: no mitogen."""
    if _PLANNER not in sys.modules:
        return False
    for each in modules:
        sent(each)
    return True


def sent(module: Path) -> list[Found]:
    """What is sent for a module: a file for each package of ours that its text names."""
    return [(f"{_SENT_IN}{each}_bundled", str(_bundle_file(each)), False) for each in _packages(module)]


def _packages(module: Path) -> list[str]:
    named = _NAMED.findall(module.read_text(encoding="utf-8"))
    return sorted(each for each in set(named) if (_ROOT / each / "__init__.py").is_file())


def _files(package: str) -> bundled.Files:
    """All modules of a package, packed."""
    found: bundled.Files = {}
    for path in sorted((_ROOT / package).rglob("*.py")):
        is_package = path.stem == "__init__"
        place = path.parent if is_package else path.with_suffix("")
        name = _PREFIX + ".".join(place.relative_to(_ROOT).parts)
        found[name] = (str(path), is_package, bundled.packed(path.read_bytes()))
    return found


def _complete(planner: Any) -> None:
    """Has mitogen's planner send our packages as one file each, whatever its scan has found of them."""
    scan = planner.get_module_map
    if getattr(scan, "completed", False):
        return

    @functools.wraps(scan)
    def get_module_map(self: Any) -> dict[str, Any]:
        found: dict[str, Any] = scan(self)
        module = Path(self._inv.module_path)
        inside = tuple(f"{_PREFIX}{each}." for each in _packages(module))
        others = [each for each in found["custom"] if not f"{each[0]}.".startswith(inside)]
        return {**found, "custom": [*others, *sent(module)]}

    get_module_map.completed = True  # type: ignore[attr-defined]
    planner.get_module_map = get_module_map


def _bundle_file(package: str) -> Path:
    """The file that is sent for a package, in the run's own temporary folder; made by who comes first."""
    place = Path(constants.DEFAULT_LOCAL_TMP, f"{package}_bundled.py")
    if not place.exists():
        source = Path(bundled.__file__).read_text(encoding="utf-8")
        descriptor, unfinished = tempfile.mkstemp(dir=place.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{source}\n\ninstall({_files(package)!r})\n")
        os.replace(unfinished, place)
    return place
