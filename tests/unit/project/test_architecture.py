"""Who imports whom: what every file imports is held to one table, which docs/architecture.md shows."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

import pytest
from ansible.module_utils import ib_gateway
from unit.module_runs import PROJECT

#: By room, lowest first: the rooms that its files may import beside their own. A room is a sub-package, or a package
#: without any; a file at the top of a package is a room by the package's name.
MAY_IMPORT: Dict[str, Set[str]] = {
    "ib_gateway": set(),
    "ib_gateway.base": set(),
    "ib_gateway.observe": {"ib_gateway.base"},
    "ib_gateway.api": {"ib_gateway.base"},
    "ib_gateway.decide": {"ib_gateway.base"},
    "ib_gateway.state": {"ib_gateway.base", "ib_gateway.observe"},
    "ib_gateway.lifecycle": {"ib_gateway.base", "ib_gateway.observe"},
    "ib_gateway.module": {
        "ib_gateway.base",
        "ib_gateway.observe",
        "ib_gateway.api",
        "ib_gateway.decide",
        "ib_gateway.lifecycle",
    },
    "ib_gateway.act": {
        "ib_gateway.base",
        "ib_gateway.observe",
        "ib_gateway.decide",
        "ib_gateway.state",
        "ib_gateway.lifecycle",
        "ib_gateway.module",
    },
    "ib_audit": set(),
    "ib_audit.reading": {"ib_gateway.base", "ib_gateway.observe", "ib_gateway.decide"},
    "ib_audit.analysis": {"ib_audit.reading"},
    "ib_audit.rules": {"ib_audit.reading", "ib_audit.analysis"},
    "ib_audit.fixing": {"ib_audit.reading", "ib_audit.analysis", "ib_audit.rules"},
    "ib_audit.report": {"ib_audit.reading", "ib_audit.rules"},
    "ib_fleet": set(),
    "ib_fleet.document": {"ib_gateway.base", "ib_audit.report"},
    "ib_fleet.store": {"ib_audit.report", "ib_fleet.document"},
    "ib_fleet.render": {
        "ib_gateway.base",
        "ib_audit.reading",
        "ib_audit.report",
        "ib_fleet.document",
        "ib_fleet.store",
    },
    "ib_fleet.run": {"ib_gateway", "ib_gateway.base", "ib_fleet.document", "ib_fleet.store", "ib_fleet.render"},
    "library": {
        "ib_gateway.base",
        "ib_gateway.observe",
        "ib_gateway.api",
        "ib_gateway.decide",
        "ib_gateway.state",
        "ib_gateway.lifecycle",
        "ib_gateway.module",
        "ib_gateway.act",
        "ib_audit.reading",
        "ib_audit.analysis",
        "ib_audit.rules",
        "ib_audit.fixing",
    },
    "filter_plugins": {
        "ib_gateway.base",
        "ib_gateway.state",
        "ib_audit.report",
        "ib_fleet.document",
        "ib_fleet.run",
    },
    "callback_plugins": {"ib_fleet.render", "ib_fleet.run"},
    "action_plugins": {
        "ib_gateway.base",
        "ib_fleet.document",
        "ib_fleet.store",
        "ib_fleet.render",
        "ib_fleet.run",
    },
}
SHARED = PROJECT / "module_utils"
PLUGINS = ("library", "filter_plugins", "callback_plugins", "action_plugins", "roles/*/action_plugins")
_PREFIX = "ansible.module_utils."


def _files() -> Dict[str, Path]:
    """Every file that imports, by its dotted name: below module_utils, or below the kind of plugin it is."""
    found = {".".join(path.relative_to(SHARED).with_suffix("").parts): path for path in SHARED.rglob("*.py")}
    for pattern in PLUGINS:
        kind = pattern.rpartition("/")[2]
        found.update({"%s.%s" % (kind, path.stem): path for path in PROJECT.glob(pattern + "/*.py")})
    return {re.sub(r"\.__init__$", "", name): path for name, path in found.items()}


FILES = _files()


def room(name: str) -> str:
    """The room that a file lies in."""
    parts = name.split(".")
    if FILES[name].name == "__init__.py":
        return name
    return ".".join(parts[:-1])


def imports(source: str, package: str) -> Iterator[Tuple[str, bool]]:
    """(dotted name below module_utils, whether it was spelled relatively) of each import, wherever it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((each.name[len(_PREFIX) :], False) for each in node.names if each.name.startswith(_PREFIX))
        elif isinstance(node, ast.ImportFrom):
            base = "%s." % node.module if node.module else ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                yield from ((".".join([*above, base + each.name]), True) for each in node.names)
            elif base.startswith(_PREFIX):
                yield from ((base[len(_PREFIX) :] + each.name, False) for each in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names = [str(each.value) for each in node.args if isinstance(each, ast.Constant)]
            yield from ((each[len(_PREFIX) :], False) for each in names if each.startswith(_PREFIX))


def imported(name: str) -> Set[str]:
    """The project's files that a file imports."""
    path = FILES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for target, _relative in imports(path.read_text(encoding="utf-8"), package):
        if target.split(".")[0] in ("ib_gateway", "ib_audit", "ib_fleet"):
            # What is imported is a file, or a name in one.
            file = target if target in FILES else target.rpartition(".")[0]
            assert file in FILES, "%s imports %s, which is no file" % (path, target)
            found.add(file)
    return found


IMPORTED = {name: imported(name) for name in FILES}


def test_every_file_lies_in_a_room_of_the_table() -> None:
    assert {room(name) for name in FILES} == set(MAY_IMPORT)


@pytest.mark.parametrize("here", MAY_IMPORT)
def test_a_room_imports_what_the_table_says_and_nothing_else(here: str) -> None:
    arrows = {room(each): (name, each) for name in FILES if room(name) == here for each in IMPORTED[name]}
    arrows.pop(here, None)
    unexpected = ["%s imports %s" % arrows[each] for each in sorted(set(arrows) - MAY_IMPORT[here])]
    assert not unexpected
    assert set(arrows) == MAY_IMPORT[here], "the table allows what nobody imports"


def test_a_room_imports_only_rooms_before_it() -> None:
    order = list(MAY_IMPORT)
    for here, others in MAY_IMPORT.items():
        assert all(order.index(each) < order.index(here) for each in others), here


def test_what_lies_on_hosts_imports_nothing_of_the_controller_s() -> None:
    for here in MAY_IMPORT:
        if here.startswith(("ib_gateway", "ib_audit", "library")):
            assert not [each for each in MAY_IMPORT[here] if each.startswith("ib_fleet")]


def test_the_finder_of_the_package_knows_its_rooms_in_their_order() -> None:
    assert [each.partition(".")[2] for each in MAY_IMPORT if each.startswith("ib_gateway.")] == list(
        ib_gateway.PACKAGES
    )


def test_no_file_imports_itself_by_way_of_others() -> None:
    done: Set[str] = set()

    def follow(name: str, path: List[str]) -> None:
        assert name not in path, " imports ".join([*path[path.index(name) :], name])
        if name not in done:
            for each in sorted(IMPORTED[name] - {name}):
                follow(each, [*path, name])
            done.add(name)

    for name in FILES:
        follow(name, [])


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith(("ib_gateway", "ib_fleet"))])
def test_inside_the_packages_imports_are_relative(name: str) -> None:
    """An editor finds `..base.host` in the tree, and not ansible.module_utils, which is no folder of it."""
    spelled = imports(FILES[name].read_text(encoding="utf-8"), name.rpartition(".")[0])
    assert not [target for target, relative in spelled if target.startswith("ib_") and not relative]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from ..base import host, plan", ["ib_gateway.base.host", "ib_gateway.base.plan"]),
        ("from .context import Case", ["ib_gateway.decide.context.Case"]),
        ("from . import context", ["ib_gateway.decide.context"]),
        ("from ...ib_fleet.run import clock", ["ib_fleet.run.clock"]),
        ("def later():\n    from ..api import wire", ["ib_gateway.api.wire"]),
        ("import ansible.module_utils.ib_audit.audit as audit", ["ib_audit.audit"]),
        ("from ansible.module_utils.ib_audit import audit", ["ib_audit.audit"]),
        ("importlib.import_module('ansible.module_utils.ib_audit.audit')", ["ib_audit.audit"]),
        ("import json\nfrom os import path", []),
    ],
)
def test_imports_are_read_wherever_and_however_they_are_written(source: str, found: List[str]) -> None:
    assert [target for target, _relative in imports(source, "ib_gateway.decide")] == found


PAGE = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_page_shows_the_table() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| [^|]+ \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert [name for name, _ in rows] == list(MAY_IMPORT)
    for name, told in rows:
        assert set(re.findall(r"`([\w.]+)`", told)) == MAY_IMPORT[name], name


def test_the_page_names_files_that_are_there() -> None:
    named = set(re.findall(r"[`*]([\w./]+\.(?:py|md|yml))[`*]", PAGE))
    assert len(named) > 40
    places = ("", "module_utils/ib_gateway", "module_utils/ib_fleet")
    missing = [name for name in named if not any((PROJECT / place / name).is_file() for place in places)]
    # In a sentence about one room a file is named without it.
    assert [name for name in missing if not list(SHARED.glob("*/*/" + name))] == []
