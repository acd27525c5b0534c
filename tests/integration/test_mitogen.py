"""The playbooks under mitogen's strategy, which sends modules in its own way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ansible_mitogen
import pytest
from ansible.module_utils.ib_fleet.run.mitogen import imports, learn
from unit.module_runs import PROJECT

from integration.desk import Desk

SWEEP = "playbooks/health_sweep.yml"


@pytest.fixture(autouse=True)
def strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible takes mitogen's."""
    plugins = Path(ansible_mitogen.__file__).parent / "plugins" / "strategy"
    monkeypatch.setenv("ANSIBLE_STRATEGY_PLUGINS", str(plugins))
    monkeypatch.setenv("ANSIBLE_STRATEGY", "mitogen_linear")


def test_a_desk_is_repaired_and_the_second_run_changes_nothing(desk: Desk) -> None:
    before = {desk.gateway("stall").pid}
    run = desk.play("remediate.yml")
    assert run.rc == 0, run.output
    assert run.host()["before"]["status"] == "unhealthy" and run.host()["after"]["status"] == "healthy"
    left = desk.java()
    assert run.recap()["changed"] and len(left) == 1 and not before & set(left)
    again = desk.play("remediate.yml")
    assert again.rc == 0 and again.recap()["changed"] == 0 and desk.java() == left


def test_a_sweep_says_the_same_as_without_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.gateway("stall")
    told = desk.play(SWEEP)
    monkeypatch.delenv("ANSIBLE_STRATEGY")
    assert desk.play(SWEEP).codes() == told.codes() != set()


def test_what_a_module_imports_is_found_before_workers_are_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    path = PROJECT / "library" / "ib_gateway_health.py"
    imports.cache_clear()
    monkeypatch.delitem(sys.modules, "ansible_mitogen.planner", raising=False)
    assert not learn([path]) and imports.cache_info().currsize == 0
    monkeypatch.setitem(sys.modules, "ansible_mitogen.planner", sys)
    assert learn([path]) and imports.cache_info().currsize == 1


@pytest.mark.parametrize("module", sorted(each.stem for each in (PROJECT / "library").glob("*.py")))
def test_what_is_found_of_a_module_s_imports_needs_nothing_else_of_the_project(module: str) -> None:
    names = [name for name, _path, _package in imports(PROJECT / "library" / f"{module}.py")]
    done = subprocess.run([sys.executable, "-c", _ONLY_THESE, str(PROJECT), *names], check=False, capture_output=True)
    assert names and done.returncode == 0, done.stderr.decode()


#: Imports modules of the project, each of which may import only the others that are named.
_ONLY_THESE = """
import importlib, sys
import ansible.module_utils
ansible.module_utils.__path__.append(sys.argv[1] + "/module_utils")
class Only:
    def find_spec(self, name, path, target=None):
        if name.startswith("ansible.module_utils.ib_") and name not in sys.argv[2:]:
            raise ImportError(name)
sys.meta_path.insert(0, Only())
for name in sys.argv[2:]:
    importlib.import_module(name)
"""
