"""ib_gateway_soft_restart and STOP on real processes: IBC's command server, and never anybody else's."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import psutil
import pytest
from ansible.module_utils.ib_gateway.lifecycle import environment, ibc, places
from ansible.module_utils.ib_gateway.observe import way_out
from simulator.keepers import KeptGateway
from simulator.launch import SimulatedGateway, free_port

from integration.desk import Desk, alive, until
from integration.modules import run_module
from integration.repair import Repair, past_its_start

#: A fault of the API that a new process ends.
FAULT = "stall"
Keep = Callable[..., KeptGateway]


@pytest.fixture
def keep(desk: Desk) -> Iterator[Keep]:
    """Starts a gateway of the desk under IBC's scripts, or another keeper."""
    with ExitStack() as stack:

        def kept(*faults: str, keeper: str = "ibcstart", ini: str = "", **settings: Any) -> KeptGateway:
            folder = desk.folder / "kept"
            told = {"ibc-log": "-", "command-port": free_port(), "restart-delay": 0.1, **settings}
            gateway = SimulatedGateway(
                folder / "gateway",
                port=desk.port,
                config_dir=desk.config_dir,
                mode="live",
                launcher="ibc-java",
                bind="127.0.0.1",
                faults=faults,
                settings=told,
            )
            found = stack.enter_context(KeptGateway(folder, gateway=gateway, keeper=keeper))
            port = found.ready_state()["command_port"]
            (desk.config_dir / "config.ini").write_text("TradingMode=live\nCommandServerPort=%d\n%s" % (port, ini))
            past_its_start(found.gateway_pid)
            return found

        yield kept


def entry(desk: Desk, **more: Any) -> dict[str, Any]:
    return desk.entry(**{"start_timeout": 1, **more})


def planned(desk: Desk, **more: Any) -> Repair:
    """A plan after a handshake, which alone shows that the API stalls."""
    repair = Repair(desk, entry(desk, **more))
    repair.health = run_module("ib_gateway_health", gateways=repair.entries, probe="always", probe_timeout=0.5)
    return repair


def actions(repair: Repair) -> list[str]:
    return [step["action"] for each in repair.health["gateways"] for step in each["plan"]["steps"]]


def soften(
    repair: Repair, check: bool = False, target: Mapping[str, Any] | None = None, **options: Any
) -> dict[str, Any]:
    steps = repair.steps("soft_restart")
    assert steps, repair.health
    steps = [{**each, "target": {**each["target"], **(target or {})}} for each in steps]
    return run_module("ib_gateway_soft_restart", check, steps=steps, gateways=repair.entries, **options)


def test_one_whose_display_cannot_be_kept_is_not_told_to_restart_as_nothing_may_come_in_its_place(
    desk: Desk, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":77")
    monkeypatch.setattr(environment, "cannot_keep", lambda: None)  # as only the act finds out
    (desk.folder / "others").mkdir()
    (desk.folder / "others").chmod(0o775)
    monkeypatch.setattr(places, "environment_folder", lambda: str(desk.folder / "others"))
    kept = keep(FAULT)
    (outcome,) = soften(planned(desk))["outcomes"]
    assert outcome["result"] == "refused" and "would lack DISPLAY" in outcome["reason"]
    assert "RESTART" not in kept.ibc_log.read_text() and alive(kept.gateway_pid)


def test_a_gateway_under_ibc_is_restarted_with_its_login_kept(desk: Desk, keep: Keep) -> None:
    kept = keep(FAULT)
    old = kept.gateway_pid
    repair = planned(desk)
    assert actions(repair) == ["soft_restart", "stop_gateway", "start"]
    assert repair.steps("stop_gateway")[0]["only_if_persists"]
    predicted = soften(repair, check=True)
    assert predicted["outcomes"][0]["result"] == "would" and predicted["changed"] and alive(old)
    found = soften(repair, target={"timeout": None})
    outcome = found["outcomes"][0]
    assert (outcome["result"], outcome["ended"]) == ("done", old), found
    assert any(word.startswith("-Drestart=") for word in psutil.Process(outcome["pid"]).cmdline())
    assert kept.ibc_log.read_text().count("CommandServer received command: RESTART") == 1


def test_a_restart_that_ibc_refuses_is_told_and_leaves_the_gateway_as_it_was(desk: Desk, keep: Keep) -> None:
    old = keep(FAULT, **{"restart-command": "refused"}).gateway_pid
    found = soften(planned(desk))
    outcome = found["outcomes"][0]
    assert outcome["result"] == "failed" and "already in progress" in outcome["reason"]
    assert not found.get("failed") and not found["changed"] and alive(old)


def test_a_restart_that_hangs_is_told_and_falls_back_to_a_restart_once(desk: Desk, keep: Keep) -> None:
    old = keep(FAULT, **{"restart-command": "never"}).gateway_pid
    repair = planned(desk).begin()
    plan = repair.health["gateways"][0]["plan"]["steps"]
    found = soften(repair, target={"timeout": 1}, authorization=repair.authorization)
    assert "still runs" in found["outcomes"][0]["reason"] and found["outcomes"][0]["result"] == "failed"
    again = soften(repair, target={"timeout": 1}, authorization=repair.authorization)
    assert "once" in again["withheld"][0]["reason"]
    steps = [each for each in plan if each["action"] == "stop_gateway"]
    done = repair.act("ib_process_stop", steps=steps, grace_period=5)
    assert done["outcomes"][0]["result"] == "done" and not alive(old), done
    assert [each for each in repair.told() if each[0] == "outcome"] == [
        ("outcome", "soft_restart", "failed"),
        ("outcome", "stop_gateway", "done"),
    ]


def test_a_silent_command_server_costs_no_more_than_its_answer(
    desk: Desk, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = keep(FAULT, **{"restart-command": "silent"}).gateway_pid
    monkeypatch.setattr("ansible.module_utils.ib_gateway.act.ibc_commands.ANSWERS_WITHIN", 0.5)
    outcome = soften(planned(desk))["outcomes"][0]
    assert outcome["result"] == "failed" and "did not answer" in outcome["reason"] and alive(old)


@pytest.mark.parametrize("keeper", ["loop", "supervisord"])
def test_what_brings_a_gateway_back_without_its_login_gets_no_soft_restart(desk: Desk, keep: Keep, keeper: str) -> None:
    keep(FAULT, keeper=keeper)
    assert actions(planned(desk)) == ["stop_gateway", "start"]


def test_another_program_on_the_command_server_s_address_gets_no_command(desk: Desk, keep: Keep) -> None:
    kept = keep(FAULT)
    repair = planned(desk)
    port = kept.ready_state()["command_port"]
    step = repair.steps("soft_restart")[0]
    other = {**step["target"]["command_server"], "inode": 1}
    steps = [{**step, "target": {**step["target"], "command_server": other}}]
    found = run_module("ib_gateway_soft_restart", steps=steps, gateways=repair.entries)
    assert found["outcomes"][0]["result"] == "refused" and "no longer listens alone" in found["outcomes"][0]["reason"]
    assert port == other["port"] and "received command" not in kept.ibc_log.read_text()


def test_a_port_that_another_program_listens_on_is_no_command_server(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        gateway = desk.gateway(FAULT, launcher="ibc-java")
        past_its_start(gateway.pid)
        assert actions(planned(desk, ibc_command_port=stranger.getsockname()[1])) == ["restart"]


def test_a_login_from_before_the_broker_s_reset_is_not_restarted_for_its_sake(desk: Desk, keep: Keep) -> None:
    kept = keep(FAULT)
    later = psutil.Process(kept.gateway_pid).create_time() + 3600
    options: dict[str, Any] = {"probe": "always", "probe_timeout": 0.5, "login_reset": later}
    steps = run_module("ib_gateway_health", gateways=[entry(desk)], **options)["gateways"][0]["plan"]["steps"]
    assert [each["action"] for each in steps] == ["stop_gateway", "start"]
    assert "a person has to give" in steps[0]["reason"]


@pytest.mark.parametrize(
    ("ini", "told"), [("", "do not set AutoRestartTime"), ("AutoRestartTime=11:45 PM\n", ""), (None, "not be read")]
)
def test_plan_check_mode_and_report_tell_whether_the_daily_restart_moves(
    desk: Desk, keep: Keep, ini: str | None, told: str
) -> None:
    kept = keep(FAULT, ini=ini or "")
    if ini is None:
        (desk.config_dir / "config.ini").unlink()
    repair = planned(desk, ibc_command_port=kept.ready_state()["command_port"])
    texts = [repair.steps("soft_restart")[0]["costs"]]
    texts += [soften(repair, check=check)["outcomes"][0]["reason"] for check in (True, False)]
    for text in texts:
        assert ("daily restart" in text) is bool(told) and told in text, text
    if told:
        at = [line for line in kept.ibc_log.read_text().splitlines() if "Setting auto-restart time to" in line][-1]
        assert at.rpartition(" to ")[2] in texts[-1]


def test_a_displaced_gateway_is_told_no_command(desk: Desk, keep: Keep) -> None:
    kept = keep(event="displaced")
    kept.gateway.happen()
    until(lambda: not desk.listening())
    repair = planned(desk)
    assert "login_taken_over" in {each["code"] for each in repair.health["gateways"][0]["findings"]}
    assert actions(repair) == []


@pytest.mark.parametrize(("command", "last"), [("works", "soft_restart"), ("refused", "start")])
def test_a_whole_run_keeps_the_login_or_falls_back_once(desk: Desk, keep: Keep, command: str, last: str) -> None:
    kept = keep(event="hang", **{"restart-command": command})
    old = kept.gateway_pid
    kept.gateway.happen()
    desk.settings.update(ib_gateway_repair_probe="always", ib_gateway_diagnose_probe="always")
    desk.settings.update(ib_gateway_diagnose_probe_timeout=1, ib_gateway_repair_probe_timeout=1)
    run = desk.play("remediate.yml", start_timeout=5)
    assert run.rc == 0 and not alive(old), run.output
    outcomes = [each for part in run.host()["done"] for each in part["outcomes"]]
    assert outcomes[0]["action"] == "soft_restart" and outcomes[-1]["action"] == last, outcomes
    assert len(desk.java()) == 1


# --- reconnect -------------------------------------------------------------------------------------------------------


@pytest.fixture
def way_to_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way_out, "exists", lambda: True)


@pytest.mark.usefixtures("way_to_the_broker")
def test_a_link_that_hangs_is_made_anew(desk: Desk, keep: Keep) -> None:
    keep("upstream-lost")
    repair = planned(desk)
    assert actions(repair) == ["wait", "reconnect", "soft_restart"]
    look = {"probe": "always", "probe_timeout": 1.0}
    steps = repair.steps("reconnect")
    found = run_module("ib_gateway_reconnect", steps=steps, gateways=repair.entries, settle=0, then_look=look)
    assert found["outcomes"][0]["result"] == "done" and found["health"]["status"] == "healthy", found


def test_a_host_without_a_way_to_the_broker_only_waits(desk: Desk, keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way_out, "exists", lambda: False)
    keep("upstream-lost")
    assert actions(planned(desk)) == ["wait"]


@pytest.mark.usefixtures("way_to_the_broker")
def test_while_the_broker_resets_its_servers_a_lost_link_is_only_waited_for(desk: Desk, keep: Keep) -> None:
    keep("upstream-lost")
    options: dict[str, Any] = {"probe": "always", "probe_timeout": 0.5, "reset_window": "reset of Europe until 06:45"}
    steps = run_module("ib_gateway_health", gateways=[entry(desk)], **options)["gateways"][0]["plan"]["steps"]
    assert [each["action"] for each in steps] == ["wait"]


# --- STOP ------------------------------------------------------------------------------------------------------------


def stopped(kept: KeptGateway, repair: Repair, **options: Any) -> dict[str, Any]:
    step = repair.steps("stop_gateway")[0]
    assert step["target"]["pid"] == kept.gateway_pid and step["target"]["command_server"]
    return run_module("ib_process_stop", steps=[step], gateways=repair.entries, **options)


def test_a_gateway_with_a_command_server_is_ended_by_stop_and_without_a_signal(desk: Desk, keep: Keep) -> None:
    kept = keep(FAULT)
    found = stopped(kept, planned(desk), grace_period=5)["outcomes"][0]
    assert (found["result"], found["signals"]) == ("done", []) and "STOP" in found["reason"], found
    assert "CommandServer received command: STOP" in kept.ibc_log.read_text()


def test_a_gateway_that_does_not_end_by_stop_gets_sigterm(
    desk: Desk, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep(FAULT)
    repair = planned(desk)
    monkeypatch.setattr(ibc, "ask", lambda *_arguments: "Shutting down")
    found = stopped(kept, repair, grace_period=0.3)["outcomes"][0]
    assert (found["result"], found["signals"]) == ("done", ["SIGTERM"]) and "still ran" in found["reason"], found


def test_a_gateway_whose_command_server_does_not_answer_gets_sigterm_at_once(
    desk: Desk, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep(FAULT)
    repair = planned(desk)

    def broken(*_arguments: Any) -> str:
        raise ibc.CommandFailed("no answer", sent=True)

    monkeypatch.setattr(ibc, "ask", broken)
    found = stopped(kept, repair, grace_period=5)["outcomes"][0]
    assert (found["result"], found["signals"], found["reason"]) == ("done", ["SIGTERM"], "ended after SIGTERM")


def test_our_own_stop_does_not_read_as_somebody_s(desk: Desk, keep: Keep) -> None:
    kept = keep(FAULT)
    found = stopped(kept, planned(desk), grace_period=5, then_look={"probe": "never"})
    codes = {each["code"] for each in found["health"]["gateways"][0]["findings"]}
    assert "gateway_stopped" not in codes and codes, found["health"]
