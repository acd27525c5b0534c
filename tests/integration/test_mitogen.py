"""The playbooks under mitogen's strategy, which sends modules in its own way."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import ansible_mitogen
import pytest
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


def test_check_mode_says_what_would_be_done_and_does_nothing(desk: Desk) -> None:
    gateway = desk.gateway("stall").pid
    run = desk.play("remediate.yml", "--check")
    assert desk.java() == [gateway] and run.recap()["changed"], run.output
    assert [step["action"] for step in run.host()["before"]["gateways"][0]["plan"]["steps"]] == ["restart"]


#: A module that tells what of ours it has loaded, and where it is asked to, fails in it or ends its process.
_MODULE = """
import os, sys
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ib_gateway.base import words
def main():
    module = AnsibleModule({"fail": {"type": "bool"}, "end": {"type": "bool"}})
    if module.params["fail"]:
        words.basename(0)
    if module.params["end"]:
        os._exit(3)
    module.exit_json(loaded=sorted(each for each in sys.modules if each.startswith("ansible.module_utils.ib_")))
main()
"""
#: Sends it as the project's own are sent.
_ACTION = """
from ansible.plugins.action.normal import ActionModule as Sending
from ansible.module_utils.ib_fleet.run import mitogen
class ActionModule(Sending):
    def run(self, tmp=None, task_vars=None):
        return super().run(tmp, mitogen.task_vars(task_vars))
"""


def _told(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> dict[str, Any]:
    """What that module answers in a play of its own."""
    for kind, text in (("library", _MODULE), ("action_plugins", _ACTION)):
        (folder / kind).mkdir()
        (folder / kind / "ib_told.py").write_text(text)
    kept = {"content": "{{ told | to_json }}", "dest": str(folder / "told.json"), "mode": "0600"}
    tasks = [{"ib_told": options, "register": "told", "ignore_errors": True}, {"ansible.builtin.copy": kept}]
    (folder / "play.json").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    monkeypatch.setenv("ANSIBLE_LIBRARY", str(folder / "library"))
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local"]
    python = json.dumps({"ansible_python_interpreter": sys.executable})
    done = subprocess.run(
        [*argv, str(folder / "play.json"), "-e", python], cwd=PROJECT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads((folder / "told.json").read_text())
    return result


def test_a_host_imports_only_what_a_module_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [each.removeprefix("ansible.module_utils.") for each in _told(tmp_path, monkeypatch)["loaded"]]
    base = ["ib_gateway.base", "ib_gateway.base.record", "ib_gateway.base.words"]
    assert found == ["ib_gateway", *base, "ib_gateway_bundled"]


def test_a_failure_names_the_file_and_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.dumps(_told(tmp_path, monkeypatch, fail=True))
    assert re.search(r"module_utils/ib_gateway/base/words\.py\W+, line \d+, in basename", told), told


def test_a_module_that_ends_its_process_ends_nothing_else_on_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What was told is written by another module, in mitogen's interpreter.
    assert _told(tmp_path, monkeypatch, end=True)["failed"]
