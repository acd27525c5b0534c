"""Modules packed beside the run: which ones, when, and that nobody waits for it for ever."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.executor import module_common
from ansible.module_utils.ib_fleet.run import packing
from ansible.module_utils.ib_gateway.base.actions import ACTIONS, Action
from ansible.plugins.loader import callback_loader

PROJECT = Path(__file__).resolve().parents[3]


class Process:
    """Stands for one that packs."""

    def __init__(self, modules: list[str]) -> None:
        self.modules = modules
        self.stopped = False


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """What the callback has had packed."""
    found: list[Process] = []

    def start(modules: list[str]) -> Process:
        found.append(Process(modules))
        return found[-1]

    monkeypatch.setattr(packing, "start", start)
    monkeypatch.setattr(packing, "stop", lambda process: setattr(process, "stopped", True))
    return found


@pytest.fixture
def callback() -> Any:
    callback_loader.add_directory(str(PROJECT / "callback_plugins"))
    found = callback_loader.get("ib_fleet_forks")
    # Neither the plugins nor the report's libraries are of interest here.
    found._loaded = found._prepared = True
    return found


def starts(callback: Any, role: str | None) -> None:
    """A task of this role starts."""
    name = SimpleNamespace(get_name=lambda: role)
    callback.v2_playbook_on_task_start(SimpleNamespace(_role=name if role else None), False)


def answers(callback: Any, *actions: str, module: str = "ib_gateway_health") -> None:
    """A host has answered, with a plan of these actions."""
    gateways = [{"plan": {"steps": [{"action": action}]}} for action in actions] or [{"plan": {"steps": []}}]
    callback.v2_runner_on_ok(SimpleNamespace(task=SimpleNamespace(action=module), result={"gateways": gateways}))


def test_the_look_is_packed_once_when_the_first_task_of_its_role_starts(callback: Any, packed: list[Process]) -> None:
    for role in (None, "somebody_s", "ib_fleet_report", "ib_gateway_diagnose", "ib_gateway_diagnose"):
        starts(callback, role)
    assert [each.modules for each in packed] == [["ib_gateway_health"]]


def test_a_repair_s_modules_are_packed_when_there_is_something_to_repair(callback: Any, packed: list[Process]) -> None:
    starts(callback, "ib_gateway_repair")  # the check of its options
    answers(callback)
    starts(callback, "ib_gateway_repair")
    assert not packed
    answers(callback, "start", "stop_client")
    answers(callback, "drop_connection", module="somebody.s.module")
    starts(callback, "ib_gateway_repair")
    starts(callback, "ib_gateway_repair")
    assert [each.modules for each in packed] == [
        ["ib_repair_begin", "ib_process_stop", "ib_gateway_start", "ib_repair_end"]
    ]


def test_what_is_still_being_packed_when_the_run_ends_is_not_waited_for(callback: Any, packed: list[Process]) -> None:
    starts(callback, "ib_gateway_diagnose")
    callback.v2_playbook_on_stats(None)
    assert [each.stopped for each in packed] == [True]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda each: each.name)
def test_what_is_packed_for_an_action_is_the_module_that_does_it(action: Action) -> None:
    assert packing.for_repair([action.name]) == ["ib_repair_begin", action.module, "ib_repair_end"]


def test_a_module_that_cannot_be_packed_is_left_to_who_sends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def modify_module(module_name: str, **_options: Any) -> None:
        (tmp_path / module_name).touch()
        if module_name == "ib_process_stop":
            raise AnsibleError("an import of it is not there")

    monkeypatch.setattr(module_common, "modify_module", modify_module)
    process = packing.start(["ib_repair_begin", "ib_process_stop", "ib_repair_end"])
    process.join(60)
    assert process.exitcode == 0 and capfd.readouterr() == ("", "")
    assert {each.name for each in tmp_path.iterdir()} == {"ib_repair_begin", "ib_process_stop"}


def test_an_ansible_that_packs_in_another_way_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr(module_common, "modify_module")
    process = packing.start(["ib_repair_end"])
    process.join(60)
    assert process.exitcode == 0 and capfd.readouterr() == ("", "")


def test_packing_that_hangs_is_ended_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LIMIT", 1)
    monkeypatch.setattr(module_common, "modify_module", lambda **_: time.sleep(60))
    process = packing.start(["ib_repair_end"])
    process.join(30)
    assert process.exitcode == -14


def test_packing_is_ended_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_common, "modify_module", lambda **_: time.sleep(60))
    process = packing.start(["ib_repair_end"])
    packing.stop(process)
    assert process.exitcode == -9
