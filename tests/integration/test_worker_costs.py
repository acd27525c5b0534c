"""What the workers of a run find loaded when they are forked."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from integration.desk import Desk

PROJECT = Path(__file__).resolve().parent.parent.parent
#: An action that says what is loaded in the worker it runs in, in a file of the host's name.
_WITNESS = """
import gc, json, os, sys
from pathlib import Path
from ansible.plugins.action import ActionBase
class ActionModule(ActionBase):
    _requires_connection = False
    def run(self, tmp=None, task_vars=None):
        page = sys.modules.get("ansible.module_utils.ib_fleet.render.page")
        compiled = page.template.cache_info().currsize if page else 0
        told = {"parent": os.getppid(), "loaded": sorted(sys.modules), "page": compiled}
        told["frozen"], told["threshold"] = gc.get_freeze_count(), gc.get_threshold()[0]
        (Path(__file__).resolve().parents[3] / task_vars["inventory_hostname"]).write_text(json.dumps(told))
        return {"changed": False}
"""
#: An action that sends nothing. It tells which module has been packed meanwhile, and whether who sends it takes that.
_PACKED = """
import json, os, time
from pathlib import Path
from ansible import constants
from ansible.plugins.action import ActionBase
class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        folder = Path(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache")
        packed = folder / "ansible.legacy.ib_gateway_health-ZIP_DEFLATED-none"
        deadline = time.monotonic() + 60
        while not packed.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        told = {"parent": os.getppid(), "packed": packed.exists()}
        if told["packed"]:
            before = packed.stat()
            self._configure_module("ib_gateway_health", {}, task_vars)
            after = packed.stat()
            told["taken"] = (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
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


def play(folder: Path, *roles: str, witness: str = _WITNESS) -> None:
    """Writes play.yml, a play of some roles; the last one is made as well, and its only task is the witness."""
    (folder / "roles" / roles[-1] / "action_plugins").mkdir(parents=True)
    (folder / "roles" / roles[-1] / "action_plugins" / "witness.py").write_text(witness)
    (folder / "roles" / roles[-1] / "tasks").mkdir()
    (folder / "roles" / roles[-1] / "tasks" / "main.yml").write_text("[{witness: {}}]")
    tasks = [{"import_role": {"name": role}} for role in roles]
    (folder / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))


def workers(folder: Path, role: str, witness: str = _WITNESS) -> list[dict[str, Any]]:
    """What each worker of a play over two hosts tells, whose only task loads nothing."""
    play(folder, role, witness=witness)
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            "one,two",
            "-c",
            "local",
            "-e",
            f"ansible_python_interpreter={sys.executable}",
            str(folder / "play.yml"),
        ],
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
    return told


def test_a_worker_of_this_project_s_roles_finds_loaded_what_it_needs(tmp_path: Path) -> None:
    for told in workers(tmp_path, "ib_witness"):
        # Ansible adds a number of its own to the names of what it loads by file.
        assert {name for name in NEEDED if any(each.startswith(name) for each in told["loaded"])} == NEEDED
        assert told["frozen"] > 0 and told["threshold"] > gc.get_threshold()[0] > 0


def test_the_look_is_packed_before_a_worker_sends_it(tmp_path: Path) -> None:
    for told in workers(tmp_path, "ib_gateway_diagnose", _PACKED):
        assert told["packed"] and told["taken"]


def test_who_writes_the_report_finds_loaded_what_that_takes(desk: Desk) -> None:
    desk.gateway()
    play(desk.folder, "ib_gateway_diagnose", "ib_witness")
    run = desk.play(str(desk.folder / "play.yml"))
    assert run.rc == 0, run.output
    told = json.loads((desk.folder / "desk").read_text())
    assert {f"ansible.module_utils.ib_fleet.render.{name}" for name in ("page", "junit", "metrics")} <= set(
        told["loaded"]
    )
    assert {"prometheus_client", "junitparser"} <= set(told["loaded"])
    assert told["page"] == 1


def test_other_plays_are_left_as_they_are(tmp_path: Path) -> None:
    for told in workers(tmp_path, "witness"):
        assert not any(each.startswith("ansible.plugins.filter.") for each in told["loaded"])
        assert (told["frozen"], told["threshold"]) == (0, gc.get_threshold()[0])
