"""What is sent of the project's packages under mitogen's strategy, and how it is imported there."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.ib_fleet.run import mitogen
from unit.module_runs import MODULES, PROJECT

PREFIX = "ansible.module_utils."
#: Like a host: it has what was sent, and no folder of the project. Prints what of ours was loaded by the named imports.
_HOST = """
import importlib, json, sys
import ansible.module_utils
sent, names = json.loads(sys.argv[1])
for path in sent:
    exec(compile(open(path).read(), path, "exec"), {})
for name in names:
    importlib.import_module(name)
print(json.dumps(sorted(each for each in sys.modules if each.startswith("ansible.module_utils.ib_"))))
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of a run."""
    monkeypatch.setattr("ansible.constants.DEFAULT_LOCAL_TMP", str(tmp_path))
    return tmp_path


def library(module: str) -> Path:
    """The file of a module."""
    return PROJECT / "library" / f"{module}.py"


def on_a_host(module: str, names: list[str], program: str = _HOST) -> subprocess.CompletedProcess[str]:
    """Imports these there with what is sent for a module."""
    sent = [path for _name, path, _package in mitogen.sent(library(module))]
    argv = [sys.executable, "-c", program, json.dumps([sent, names])]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, cwd="/")


def in_folder(package: str) -> list[str]:
    """The full names of all modules that the folder of a package has."""
    root = PROJECT / "module_utils"
    parts = (each.relative_to(root).with_suffix("").parts for each in (root / package).rglob("*.py"))
    return sorted(PREFIX + ".".join(each).removesuffix(".__init__") for each in parts)


def named_by(module: str) -> Iterator[str]:
    """The modules of ours that a module imports, wherever it does so; a name may be of what is in one."""
    for node in ast.walk(ast.parse(library(module).read_bytes())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PREFIX}ib_"):
            yield str(node.module)


@pytest.mark.parametrize("module", ["ib_gateway_health", "ib_client_audit"])
def test_what_is_sent_for_a_module_is_all_of_the_packages_and_needs_nothing_else_of_the_project(module: str) -> None:
    names = in_folder("ib_gateway") + (in_folder("ib_audit") if module == "ib_client_audit" else [])
    done = on_a_host(module, names)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == sorted(names)


@pytest.mark.parametrize("module", MODULES)
def test_each_package_that_a_module_imports_is_sent_with_it(module: str) -> None:
    sent = {
        name.removeprefix(PREFIX).removesuffix("_bundled") for name, _path, _package in mitogen.sent(library(module))
    }
    assert {name.split(".")[2] for name in named_by(module)} == sent != set()


def test_only_what_is_asked_for_is_imported_of_it() -> None:
    done = on_a_host("ib_gateway_health", [f"{PREFIX}ib_gateway.base.record"])
    assert json.loads(done.stdout) == [f"{PREFIX}ib_gateway{each}" for each in ("", ".base", ".base.record")]


def test_a_traceback_names_the_file_and_its_line_and_shows_it() -> None:
    program = _HOST.replace(
        "print(", "import ansible.module_utils.ib_gateway.base.words as words\nwords.basename(0)\n#"
    )
    done = on_a_host("ib_gateway_health", [], program)
    words = PROJECT / "module_utils" / "ib_gateway" / "base" / "words.py"
    told = done.stderr.splitlines()
    place = next(number for number, line in enumerate(told) if line.startswith(f'  File "{words}", line '))
    number = int(told[place].split("line ")[1].split(",")[0])
    assert told[place + 1].strip() == words.read_text().splitlines()[number - 1].strip() != ""


def test_it_is_made_once_for_a_run(temporary: Path) -> None:
    first = mitogen.sent(library("ib_gateway_health"))
    made = [(each.name, each.stat().st_mtime_ns) for each in temporary.iterdir()]
    assert mitogen.sent(library("ib_gateway_info")) == first
    assert [(each.name, each.stat().st_mtime_ns) for each in temporary.iterdir()] == made
    assert [name for name, _time in made] == ["ib_gateway_bundled.py"]


def test_it_is_made_before_workers_are_forked_and_only_under_mitogen(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "ansible_mitogen.planner", raising=False)
    assert not mitogen.learn([library("ib_gateway_health")]) and not list(temporary.iterdir())
    assert mitogen.task_vars({"a": 1}) == {"a": 1}
    monkeypatch.setitem(sys.modules, "ansible_mitogen.planner", sys)
    assert mitogen.learn([library("ib_gateway_health")]) and list(temporary.iterdir())


class Planner:
    """Stands for mitogen's, which keeps what its scan has found."""

    def __init__(self, path: Path, custom: list[mitogen.Found]) -> None:
        self._inv = SimpleNamespace(module_path=str(path))
        self._found = {"custom": custom, "builtin": [f"{PREFIX}basic"]}

    def get_module_map(self) -> dict[str, Any]:
        """As mitogen's."""
        return self._found


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> type[Planner]:
    """One that this project has completed, as often as there were tasks."""

    class Completed(Planner):
        get_module_map = Planner.get_module_map

    monkeypatch.setitem(sys.modules, "ansible_mitogen.planner", SimpleNamespace(NewStylePlanner=Completed))
    for _task in range(2):
        assert mitogen.task_vars({"a": 1}) == {"a": 1, "mitogen_task_isolation": "fork"}
    return Completed


def test_what_the_scan_has_found_of_our_packages_is_sent_in_their_one_file(planner: type[Planner]) -> None:
    health, foreign = library("ib_gateway_health"), (f"{PREFIX}ib_gatewayish", "/other.py", False)
    scanned = [(f"{PREFIX}ib_gateway", "/a.py", True), (f"{PREFIX}ib_gateway.base", "/b.py", True), foreign]
    one = planner(health, scanned)
    wanted = {"custom": [foreign, *mitogen.sent(health)], "builtin": [f"{PREFIX}basic"]}
    assert [one.get_module_map() for _call in range(3)] == [wanted] * 3


def test_other_modules_are_sent_as_mitogen_sends_them(planner: type[Planner], tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text("from ansible.module_utils.basic import AnsibleModule\n")
    scanned = [(f"{PREFIX}theirs", "/theirs.py", False)]
    assert planner(other, scanned).get_module_map()["custom"] == scanned
