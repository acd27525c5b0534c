"""What the workers of a run find loaded when they are forked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
#: An action that says what is loaded in the worker it runs in, in a file of the host's name.
_WITNESS = """
import json, os, sys
from pathlib import Path
from ansible.plugins.action import ActionBase
class ActionModule(ActionBase):
    _requires_connection = False
    def run(self, tmp=None, task_vars=None):
        told = {"parent": os.getppid(), "loaded": sorted(sys.modules)}
        (Path(__file__).resolve().parents[3] / task_vars["inventory_hostname"]).write_text(json.dumps(told))
        return {"changed": False}
"""
NEEDED = {
    "ansible.plugins.filter.ib_gateway",
    "ansible.plugins.filter.core",
    "ansible.plugins.test.core",
    "ansible.plugins.action.normal",
    "ansible.plugins.lookup.env",
    "ansible.parsing.yaml.dumper",
    "ansible.module_utils._internal._json._profiles._module_legacy_c2m",
    "ansible.module_utils._internal._json._profiles._module_legacy_m2c",
}
_PLAY = "[{hosts: all, gather_facts: false, tasks: [{import_role: {name: %s}}]}]"


def workers(folder: Path, role: str) -> list[set[str]]:
    """What is loaded in each worker of a play over two hosts, whose only task loads nothing."""
    (folder / "roles" / role / "action_plugins").mkdir(parents=True)
    (folder / "roles" / role / "action_plugins" / "witness.py").write_text(_WITNESS)
    (folder / "roles" / role / "tasks").mkdir()
    (folder / "roles" / role / "tasks" / "main.yml").write_text("[{witness: {}}]")
    (folder / "play.yml").write_text(_PLAY % role)
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "one,two", str(folder / "play.yml")],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    told = [json.loads((folder / host).read_text()) for host in ("one", "two")]
    assert len({each["parent"] for each in told}) == 1
    return [set(each["loaded"]) for each in told]


def test_a_worker_of_this_project_s_roles_finds_loaded_what_it_needs(tmp_path: Path) -> None:
    for loaded in workers(tmp_path, "ib_witness"):
        # Ansible adds a number of its own to the names of what it loads by file.
        assert {name for name in NEEDED if any(each.startswith(name) for each in loaded)} == NEEDED


def test_other_plays_are_left_as_they_are(tmp_path: Path) -> None:
    for loaded in workers(tmp_path, "witness"):
        assert not any(each.startswith("ansible.plugins.filter.") for each in loaded)
