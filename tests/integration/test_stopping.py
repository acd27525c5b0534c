"""ib_process_stop and ib_gateway_start on real processes: exactly who was meant, and only then."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from ansible.module_utils.ib_gateway import linux, processes, signalling
from simulator.launch import SimulatedGateway

from integration.desk import Desk, alive, until
from integration.modules import run_module


def identity(pid: int, **changes: Any) -> dict[str, Any]:
    """A process as a plan names it, read by the module that lists gateways, or by hand."""
    stat = processes.read_stat(pid)
    assert stat is not None
    return {"pid": pid, "started_ticks": stat.started_ticks, "boot_id": processes.boot_id(), **changes}


def stop(target: dict[str, Any], **options: Any) -> dict[str, Any]:
    return run_module("ib_process_stop", processes=[target], **{"grace_period": 3, **options})


def planned(desk: Desk, gateway: SimulatedGateway) -> dict[str, Any]:
    """The target of a plan's step on this gateway."""
    found = run_module("ib_gateway_health", gateways=[desk.entry()])["gateways"][0]["plan"]["steps"]
    target: dict[str, Any] = next(step["target"] for step in found if step["target"].get("pid") == gateway.pid)
    return target


def test_a_surplus_gateway_is_stopped_as_its_plan_names_it_and_then_it_is_gone(desk: Desk) -> None:
    serving, surplus = desk.gateway(), desk.gateway("no-listener")
    target = planned(desk, surplus)
    first = stop(target)
    assert (first["changed"], [row["pid"] for row in first["stopped"]]) == (True, [surplus.pid])
    assert first["stopped"][0]["signals"] == ["SIGTERM"]
    assert not alive(surplus.pid) and alive(serving.pid)
    again = stop(target)
    assert (again["changed"], len(again["already_gone"])) == (False, 1)


def test_check_mode_names_who_would_be_stopped_and_stops_nobody(desk: Desk) -> None:
    process = desk.bystander(sys.executable, "-c", "import time; time.sleep(300)")
    found = run_module("ib_process_stop", check=True, diff=True, processes=[identity(process.pid)])
    assert found["changed"] and [row["pid"] for row in found["stopped"]] == [process.pid]
    assert str(process.pid) in found["diff"]["before"] and found["diff"]["after"] == ""
    assert process.poll() is None


def test_a_pid_that_now_belongs_to_another_process_is_left_alone(desk: Desk) -> None:
    process = desk.bystander(sys.executable, "-c", "import time; time.sleep(300)")
    target = identity(process.pid)
    found = stop({**target, "started_ticks": target["started_ticks"] - 1})
    assert (found["changed"], len(found["already_gone"])) == (False, 1)
    assert process.poll() is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"boot_id": "another-boot"}, "restarted since"),
        ({"role": "gateway"}, "no gateway any more"),
        ({"argv_digest": "0" * 16}, "another program"),
    ],
)
def test_a_process_that_is_not_what_the_plan_named_is_refused(desk: Desk, changes: dict[str, str], reason: str) -> None:
    process = desk.bystander(sys.executable, "-c", "import time; time.sleep(300)")
    found = stop(identity(process.pid, **changes))
    assert not found["changed"] and reason in found["refused"][0]["reason"]
    assert process.poll() is None


def test_a_client_that_has_become_a_gateway_is_refused(desk: Desk) -> None:
    gateway = desk.gateway()
    found = stop(identity(gateway.pid, role="client"))
    assert "has become a gateway" in found["refused"][0]["reason"] and alive(gateway.pid)


@pytest.mark.parametrize("pid", [1, os.getpid(), os.getppid()])
def test_the_first_process_and_the_run_itself_are_refused(pid: int) -> None:
    found = stop(identity(pid))
    assert not found["changed"] and len(found["refused"]) == 1


def test_a_gateway_that_ignores_sigterm_is_only_killed_with_force(desk: Desk) -> None:
    gateway = desk.gateway("ignore-sigterm")
    target = identity(gateway.pid, role="gateway")
    refused = stop(target, grace_period=0.3)
    assert "force is off" in refused["refused"][0]["reason"] and alive(gateway.pid)
    killed = stop(target, grace_period=0.3, force=True)
    assert killed["stopped"][0]["signals"] == ["SIGTERM", "SIGKILL"] and not alive(gateway.pid)


UNIT = "ibgateway.service"


def systemctl(folder: Path, monkeypatch: pytest.MonkeyPatch, main_pid: int, *others: int) -> Path:
    """A systemctl that knows one unit, ends its main process when told to stop it, and notes what it was told."""
    program, notes = folder / "systemctl", folder / "told"
    program.write_text(
        f'#!/bin/sh\necho "$*" >> {notes}\ncase "$*" in *show*) echo {main_pid};; *stop*) kill {main_pid};; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setattr(processes, "read_unit", lambda pid: UNIT if pid in (main_pid, *others) else None)
    return notes


def test_a_gateway_with_a_unit_of_its_own_is_stopped_through_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = desk.gateway()
    notes = systemctl(desk.folder, monkeypatch, gateway.pid)
    found = stop(identity(gateway.pid, role="gateway", unit=UNIT))
    assert (found["stopped"][0]["unit"], found["stopped"][0]["signals"]) == (UNIT, [])
    assert not alive(gateway.pid)
    assert notes.read_text().splitlines()[-1].endswith(f"stop -- {UNIT}")


def test_a_gateway_inside_the_unit_of_another_service_is_signalled_and_the_service_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = desk.gateway()
    service = desk.bystander("sleep", "300")
    notes = systemctl(desk.folder, monkeypatch, service.pid, gateway.pid)
    found = stop(identity(gateway.pid, role="gateway", unit=UNIT))
    assert (found["stopped"][0]["unit"], found["stopped"][0]["signals"]) == (None, ["SIGTERM"])
    assert service.poll() is None and "stop" not in notes.read_text()


def test_a_unit_that_carries_somebody_else_as_well_is_not_stopped_for_one_gateway(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = desk.gateway()
    neighbour = desk.bystander("sleep", "300")
    notes = systemctl(desk.folder, monkeypatch, gateway.pid, neighbour.pid)
    found = stop(identity(gateway.pid, role="gateway", unit=UNIT))
    assert found["stopped"][0]["signals"] == ["SIGTERM"] and not alive(gateway.pid)
    assert neighbour.poll() is None and "stop" not in notes.read_text()


def test_a_gateway_that_has_left_its_unit_is_refused(desk: Desk) -> None:
    gateway = desk.gateway()
    found = stop(identity(gateway.pid, role="gateway", unit=UNIT))
    assert "no longer belongs" in found["refused"][0]["reason"] and alive(gateway.pid)


def test_without_pidfd_nothing_is_stopped(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    process = desk.bystander(sys.executable, "-c", "import time; time.sleep(300)")
    monkeypatch.delattr(os, "pidfd_open")
    found = stop(identity(process.pid))
    assert "pidfd" in found["refused"][0]["reason"] and process.poll() is None


def test_no_file_of_the_run_stays_open_after_a_stop(desk: Desk) -> None:
    process = desk.bystander(sys.executable, "-c", "import time; time.sleep(300)")
    before = os.listdir("/proc/self/fd")
    signalling.stop([signalling.Target(**identity(process.pid))], 3, force=False)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_start_command_runs_once_detached_and_is_not_started_again(desk: Desk) -> None:
    entry = desk.entry()
    predicted = run_module("ib_gateway_start", check=True, gateways=[entry], only=["live"])
    assert predicted["changed"] and desk.java() == []
    first = run_module("ib_gateway_start", gateways=[entry], only=["live"])
    assert first["changed"]
    waited = run_module("ib_gateway_wait", gateways=[entry], only=["live"], timeout=10)
    assert waited["gateways"] == [{"name": "live", "answer": "listening"}]
    pid = first["started"][0]["pid"]
    assert desk.listening() == [pid]
    assert os.getsid(pid) == pid
    assert {os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)} == {"/dev/null"}
    again = run_module("ib_gateway_start", gateways=[entry], only=["live"])
    assert (again["changed"], again["already_running"]) == (False, [{"name": "live", "pids": [pid]}])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_gateway_is_started_as_its_own_user(desk: Desk) -> None:
    command = ["/bin/sh", "-c", "exec sleep 300"]
    found = run_module("ib_gateway_start", gateways=[desk.entry(user="nobody", start_command=command)], only=["live"])
    process = psutil.Process(found["started"][0]["pid"])
    try:
        assert process.username() == "nobody"
        assert process.gids().real == process.gids().effective != 0
        assert process.environ()["USER"] == "nobody"
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["/no/such/program"], "cannot be run"),
        (["/bin/sh", "-c", "exit 7"], "status 7"),
    ],
)
def test_a_start_command_that_fails_says_why_and_never_what_it_was(desk: Desk, command: list[str], reason: str) -> None:
    found = run_module("ib_gateway_start", gateways=[desk.entry(start_command=[*command, "hunter2"])], only=["live"])
    assert found["failed"] and reason in found["msg"]
    assert "hunter2" not in str(found) and command[0] not in str(found)


def test_waiting_ends_when_the_gateway_that_was_coming_up_has_gone(desk: Desk) -> None:
    gateway = desk.gateway("no-listener")
    entry = desk.entry(start_timeout=600)
    reading = linux.read
    looked: list[bool] = []

    def read_then_end(*arguments: Any) -> Any:
        found = reading(*arguments)
        if not looked:
            gateway.kill()
        looked.append(True)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linux, "read", read_then_end)
        waited = run_module("ib_gateway_wait", gateways=[entry], only=["live"])
    assert waited["gateways"] == [{"name": "live", "answer": "ended"}]
    until(lambda: not desk.java())
