"""ib_process_stop and ib_gateway_start on real processes: exactly who was meant, and only then."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from ansible.module_utils.ib_gateway.act import held_process, stop_process
from ansible.module_utils.ib_gateway.lifecycle import systemctl as systemctl_program
from ansible.module_utils.ib_gateway.observe import linux, processes, stopped
from simulator.launch import SimulatedGateway, free_port

from integration import repair
from integration.desk import Desk, alive, halt, until
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
    found = run_module("ib_gateway_health", gateways=[desk.entry(start_timeout=1)])["gateways"][0]["plan"]["steps"]
    target: dict[str, Any] = next(step["target"] for step in found if step["target"].get("pid") == gateway.pid)
    return target


def test_a_surplus_gateway_is_stopped_as_its_plan_names_it_and_then_it_is_gone(desk: Desk) -> None:
    serving, surplus = desk.gateway(), desk.gateway("no-listener", launcher="ibc")
    repair.past_its_start(surplus.pid)
    target = planned(desk, surplus)
    first = stop(target)
    assert (first["changed"], [row["pid"] for row in first["stopped"]]) == (True, [surplus.pid])
    assert first["stopped"][0]["signals"] == ["SIGTERM"]
    assert not alive(surplus.pid) and alive(serving.pid)
    again = stop(target)
    assert (again["changed"], len(again["already_gone"])) == (False, 1)


def test_a_login_that_says_neither_its_mode_nor_what_it_serves_is_no_surplus(desk: Desk) -> None:
    desk.gateway()
    other = desk.gateway("no-listener")
    repair.past_its_start(other.pid)
    (found,) = run_module("ib_gateway_health", gateways=[desk.entry(start_timeout=1)])["gateways"]
    assert (found["status"], found["plan"]["steps"]) == ("healthy", [])
    (told,) = found["findings"]
    assert (told["code"], told["severity"]) == ("duplicate_gateways", "info")
    assert f"the login of pid {other.pid}, which may be meant for another mode or for FIX" in told["summary"]


@pytest.mark.parametrize("port", [None, "its own"], ids=["another file", "another port"])
def test_the_login_of_a_second_user_beside_the_declared_gateway_is_left_alone(desk: Desk, port: str | None) -> None:
    serving = desk.gateway(launcher="ibc")
    second = desk.prepared("no-listener", launcher="ibc", port=free_port())
    command = second.command()
    ini = desk.config_dir / "config.ini_second"
    sets = f"OverrideTwsApiPort={second.port}\n" if port else ""
    ini.write_text(f"IbLoginId=second\nTradingMode=live\n{sets}", encoding="utf-8")
    login = desk.bystander(*[str(ini) if word.endswith("/config.ini") else word for word in command])
    repair.past_its_start(login.pid)
    look = run_module("ib_gateway_health", gateways=[desk.entry(start_timeout=1)])
    (found,) = look["gateways"]
    assert (found["status"], found["plan"]["steps"]) == ("healthy", [])
    assert [each["code"] for each in found["findings"]] == ([] if port else ["duplicate_gateways"])
    assert (login.pid in [each["pid"] for each in look["undeclared"]]) is (port is not None)
    assert alive(serving.pid) and alive(login.pid)


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


@pytest.mark.parametrize("pid", [1, os.getpid(), os.getppid()], ids=["first", "self", "parent"])
def test_the_first_process_and_the_run_itself_are_refused(pid: int) -> None:
    found = stop(identity(pid))
    assert not found["changed"] and len(found["refused"]) == 1


@pytest.mark.parametrize("more", [{"force": True}, {"allow_kill": True}], ids=str)
def test_a_gateway_that_ignores_sigterm_is_only_killed_where_that_is_allowed(desk: Desk, more: dict[str, bool]) -> None:
    gateway = desk.gateway("ignore-sigterm")
    target = identity(gateway.pid, role="gateway")
    refused = stop(target, grace_period=0.3)
    assert "allow_kill is off" in refused["refused"][0]["reason"] and alive(gateway.pid)
    options = {key: value for key, value in more.items() if key == "force"}
    killed = stop({**target, **({} if options else more)}, grace_period=0.3, **options)
    assert killed["stopped"][0]["signals"] == ["SIGTERM", "SIGKILL"] and not alive(gateway.pid)


def test_of_two_that_ignore_sigterm_only_the_one_that_may_be_is_killed(desk: Desk) -> None:
    spared, killed = desk.gateway("ignore-sigterm"), desk.gateway("no-listener", "ignore-sigterm")
    both = [identity(spared.pid), identity(killed.pid, allow_kill=True)]
    found = run_module("ib_process_stop", processes=both, grace_period=0.3)
    assert [[row["pid"] for row in found[key]] for key in ("stopped", "refused")] == [[killed.pid], [spared.pid]]
    assert alive(spared.pid) and not alive(killed.pid)


UNIT = "ibgateway.service"


def systemctl(
    folder: Path, monkeypatch: pytest.MonkeyPatch, main_pid: int, *others: int, shows: tuple[str, ...] = ("Type=exec",)
) -> Path:
    """A systemctl that knows one unit, ends its main process when told to stop it, and notes what it was told."""
    notes = repair.systemctl(folder, monkeypatch, main_pid, f"kill {main_pid}", *others, shows=shows)
    monkeypatch.setattr(processes, "read_unit", lambda pid: UNIT if pid in (main_pid, *others) else None)
    return notes


@pytest.mark.parametrize("stubborn", [False, True])
def test_what_systemd_would_kill_is_asked_to_end_and_its_unit_stopped_only_when_it_has(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, stubborn: bool
) -> None:
    gateway = desk.gateway(*(["ignore-sigterm"] if stubborn else []))
    notes = systemctl(desk.folder, monkeypatch, gateway.pid, shows=repair.KILLS)
    found = stop(identity(gateway.pid, role="gateway", unit=UNIT), grace_period=0.5 if stubborn else 5)
    row = found["refused" if stubborn else "stopped"][0]
    assert (row["signals"], row["unit"]) == (["SIGTERM"], None if stubborn else UNIT)
    assert alive(gateway.pid) is stubborn and repair.verbs(notes) == ([] if stubborn else ["stop"])
    assert not stubborn or "nothing was killed" in row["reason"]


def test_a_unit_that_has_brought_something_since_is_not_stopped_for_what_has_ended(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = desk.gateway()
    notes = systemctl(desk.folder, monkeypatch, gateway.pid, shows=repair.KILLS)
    next_one = desk.bystander("sleep", "300")
    monkeypatch.setattr(systemctl_program, "main_pid", lambda _unit, _account: next_one.pid)
    (row,) = stop(identity(gateway.pid, role="gateway", unit=UNIT))["refused"]
    assert row["reason"] == f"ended after SIGTERM, but may come back: {UNIT} has started another process"
    assert not alive(gateway.pid) and next_one.poll() is None and repair.verbs(notes) == []


def test_a_unit_that_goes_with_its_process_needs_no_stop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = desk.gateway()
    systemctl(desk.folder, monkeypatch, gateway.pid, shows=repair.KILLS)
    shown = systemctl_program.show

    def show(units: list[str], account: None = None) -> list[dict[str, str]]:
        assert account is None
        return shown(units) if alive(gateway.pid) else [{"LoadState": "not-found"}]

    def unloaded(unit: str, _account: None) -> None:
        raise systemctl_program.UnitError(f"Unit {unit} not loaded.")

    monkeypatch.setattr(systemctl_program, "show", show)
    monkeypatch.setattr(systemctl_program, "stop", unloaded)
    found = stop(identity(gateway.pid, role="gateway", unit=UNIT))
    assert [row["pid"] for row in found["stopped"]] == [gateway.pid] and found["refused"] == []


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


def lets_go_on(pid: int) -> None:
    """A signal that had been kept waiting would end it now."""
    os.kill(pid, signal.SIGCONT)
    until(lambda: stopped.state_of(pid) != "T")
    assert stopped.kept_stopped(pid) == "" and alive(pid)


@pytest.mark.parametrize("may", [{}, {"allow_kill": True}], ids=["asked", "killed"])
def test_a_gateway_that_a_signal_stops_after_the_plan_is_sent_nothing(desk: Desk, may: dict[str, bool]) -> None:
    gateway = desk.gateway("silent")
    target = identity(gateway.pid, role="gateway", **may)
    halt(gateway.pid)
    for check in (True, False):
        found = run_module("ib_process_stop", check=check, processes=[target], grace_period=0.3)
        reason = found["refused"][0]["reason"]
        assert not found["changed"] and "is stopped by a signal" in reason and "next run lets it go on" in reason
    lets_go_on(gateway.pid)


def test_a_gateway_that_a_signal_stops_while_its_end_is_written_down_is_sent_nothing(desk: Desk) -> None:
    gateway = desk.gateway("silent")
    target = held_process.Target.named(identity(gateway.pid, role="gateway"))
    (ending,) = stop_process.stop([target], 0.3, False, announce=lambda _target: halt(gateway.pid))
    assert (ending.result, ending.signals) == ("refused", ()) and "is stopped by a signal" in ending.reason
    lets_go_on(gateway.pid)


def test_a_stopped_script_ends_only_where_it_may_be_killed(desk: Desk) -> None:
    desk.gateway()
    script = desk.script()
    halt(script.pid)
    refused = stop(identity(script.pid, role="client"), grace_period=0.3)
    assert not refused["changed"] and "is stopped by a signal" in refused["refused"][0]["reason"]
    assert stop(identity(script.pid, role="client", allow_kill=True), grace_period=0.3)["changed"]


def test_without_pidfd_nothing_is_stopped(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    process = desk.bystander(sys.executable, "-c", "import time; time.sleep(300)")
    monkeypatch.delattr(os, "pidfd_open")
    found = stop(identity(process.pid))
    assert "pidfd" in found["refused"][0]["reason"] and process.poll() is None


def test_no_file_of_the_run_stays_open_after_a_stop(desk: Desk) -> None:
    process = desk.bystander(sys.executable, "-c", "import time; time.sleep(300)")
    before = os.listdir("/proc/self/fd")
    stop_process.stop([held_process.Target(**identity(process.pid))], 3, force=False)
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
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    assert {os.readlink(f"/proc/{pid}/fd/{number}") for number in (1, 2)} == {first["started"][0]["log"]}
    again = run_module("ib_gateway_start", gateways=[entry], only=["live"])
    assert (again["changed"], again["already_running"]) == (False, [{"name": "live", "pids": [pid]}])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_gateway_is_started_as_its_own_user(desk: Desk) -> None:
    command = ["/bin/sh", "-c", "exec sleep 300"]
    entry = desk.entry(user="nobody", start_command=command, config_dir=None)
    found = run_module("ib_gateway_start", gateways=[entry], only=["live"])
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
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("service", ["ibgateway", UNIT])
def test_a_gateway_with_a_unit_is_started_by_it(desk: Desk, monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    notes = repair.systemctl(desk.folder, monkeypatch, 0, ":")
    entry = desk.entry(service=service, start_command=None)
    predicted = run_module("ib_gateway_start", check=True, gateways=[entry], only=["live"])
    assert predicted["changed"] and repair.verbs(notes) == []
    found = run_module("ib_gateway_start", gateways=[entry], only=["live"])
    started = {"name": "live", "pid": None, "unit": UNIT, "log": f"journalctl -u {UNIT}"}
    started["by_hand"] = f"systemctl start {UNIT}"
    assert found["changed"] and found["started"] == [started]
    assert repair.verbs(notes) == ["start"] and desk.java() == []


def test_a_unit_that_does_not_start_is_a_failure_with_its_reason(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    repair.systemctl(desk.folder, monkeypatch, 0, "echo 'Unit not found.' >&2; exit 5")
    found = run_module("ib_gateway_start", gateways=[desk.entry(service=UNIT, start_command=None)], only=["live"])
    assert found["failed"] and "Unit not found." in found["msg"] and not found["changed"]


def test_one_gateway_that_does_not_start_does_not_keep_the_others_down(desk: Desk) -> None:
    port = free_port()
    paper = {"mode": "paper", "config_dir": desk.folder / "paper", "port": port}
    entries = [
        desk.entry(start_command=["/no/such/program"]),
        {
            **desk.entry(),
            "name": "paper",
            "trading_mode": "paper",
            "port": port,
            "config_dir": str(desk.folder / "paper"),
            "start_command": desk.prepared(**paper).command(),
        },
    ]
    found = run_module("ib_gateway_start", gateways=entries, only=["live", "paper"])
    try:
        assert not found.get("failed") and [row["name"] for row in found["started"]] == ["paper"]
        assert [row["name"] for row in found["not_started"]] == ["live"]
    finally:
        psutil.Process(found["started"][0]["pid"]).kill()


# --- under an authorization ------------------------------------------------------------------------------------------


def test_a_stop_is_written_down_before_and_after(desk: Desk) -> None:
    desk.gateway()
    surplus = desk.gateway("no-listener", launcher="ibc")
    repair.past_its_start(surplus.pid)
    run = repair.Repair(desk, desk.entry(start_timeout=1)).begin()
    found = run.act("ib_process_stop", processes=run.targets("stop_gateway"), grace_period=3)
    assert [row["gateway"] for row in found["stopped"]] == ["live"] and not alive(surplus.pid)
    assert run.told() == [("intent", "stop_gateway"), ("outcome", "stop_gateway", "done")]
    assert run.journal()[0]["target"]["pid"] == surplus.pid


def test_a_check_under_an_authorization_writes_nothing(desk: Desk) -> None:
    desk.gateway()
    surplus = desk.gateway("no-listener", launcher="ibc")
    repair.past_its_start(surplus.pid)
    run = repair.Repair(desk, desk.entry(start_timeout=1)).begin()
    found = run.act("ib_process_stop", check=True, processes=run.targets("stop_gateway"))
    assert found["changed"] and alive(surplus.pid) and run.told() == []


def test_a_process_that_refuses_to_end_is_a_failed_act(desk: Desk) -> None:
    desk.gateway()
    surplus = desk.gateway("no-listener", "ignore-sigterm", launcher="ibc")
    repair.past_its_start(surplus.pid)
    run = repair.Repair(desk, desk.entry(start_timeout=1)).begin()
    found = run.act("ib_process_stop", processes=run.targets("stop_gateway"), grace_period=0.3)
    assert len(found["refused"]) == 1 and alive(surplus.pid)
    assert run.told() == [("intent", "stop_gateway"), ("outcome", "stop_gateway", "failed")]


def test_a_stop_on_a_host_that_has_changed_is_withheld(desk: Desk) -> None:
    desk.gateway()
    surplus = desk.gateway("no-listener", launcher="ibc")
    repair.past_its_start(surplus.pid)
    run = repair.Repair(desk, desk.entry(start_timeout=1)).begin()
    third = desk.gateway("no-listener")
    found = run.act("ib_process_stop", processes=run.targets("stop_gateway"))
    assert not found["changed"] and alive(surplus.pid) and alive(third.pid)
    assert [each["action"] for each in found["withheld"]] == ["stop_gateway"] and found["refused"] == []


def test_a_start_is_written_down_and_only_done_for_the_host_of_the_plan(desk: Desk) -> None:
    run = repair.Repair(desk).begin()
    first = run.act("ib_gateway_start", only=["live"])
    assert first["changed"] and run.told() == [("intent", "start"), ("outcome", "start", "done")]
    psutil.Process(first["started"][0]["pid"]).kill()
    until(lambda: not desk.java())
    gateway = desk.gateway()
    found = run.act("ib_gateway_start", only=["live"])
    assert not found["changed"] and len(found["withheld"]) == 1 and desk.java() == [gateway.pid]


def test_a_module_that_is_cut_short_in_an_act_leaves_a_failed_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.gateway()
    repair.past_its_start(desk.gateway("no-listener", launcher="ibc").pid)
    run = repair.Repair(desk, desk.entry(start_timeout=1)).begin()

    def burst(*_arguments: Any) -> list[int]:
        raise RuntimeError("the floor gave way")

    monkeypatch.setattr(stop_process, "await_ends", burst)
    with pytest.raises(RuntimeError):
        run.act("ib_process_stop", processes=run.targets("stop_gateway"))
    assert run.told() == [("intent", "stop_gateway"), ("outcome", "stop_gateway", "failed")]


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
