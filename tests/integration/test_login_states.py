"""The state of a login, seen on real processes with the log that IBC writes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from simulator.launch import SimulatedGateway

from integration.desk import Desk, until
from integration.modules import run_module

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="IBC's log is found by procfs"),
]


def look(desk: Desk, **entry: Any) -> dict[str, Any]:
    """What the health module returns of the desk's gateway."""
    declared = [desk.entry(start_timeout=1, **entry)]
    found = run_module("ib_gateway_health", gateways=declared, probe="never")
    result: dict[str, Any] = found["gateways"][0]
    return result


def codes(found: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in found["findings"]]


def under_ibc(desk: Desk, *faults: str, **options: Any) -> tuple[SimulatedGateway, Path]:
    """A gateway under IBC that is not started, and the log that it will write."""
    log = desk.folder / "ibc.log"
    settings = {"ibc-log": str(log), **options}
    return desk.prepared(*faults, launcher="ibc", settings=settings), log


def wait_for(log: Path, line: str) -> None:
    until(lambda: log.exists() and line in log.read_text(encoding="utf-8"))


def test_a_second_factor_that_nobody_gives_is_told_and_waited_for(desk: Desk) -> None:
    gateway, log = under_ibc(desk, **{"second-factor": 200, "second-factor-limit": 0.2})
    started = desk.bystander(*gateway.command())
    until(lambda: log.exists() and log.read_text(encoding="utf-8").count("Second Factor Authentication initiated") > 1)
    found = look(desk)
    assert codes(found) == ["login_pending"]
    evidence = found["findings"][0]["evidence"]
    assert evidence["pid"] == started.pid
    assert evidence["state"] == "second_factor_pending"
    assert evidence["log"] == str(log)
    assert evidence["asked"] > 1
    assert [step["action"] for step in found["plan"]["steps"]] == ["wait"]


def test_a_session_that_was_taken_over_is_told_and_not_taken_back(desk: Desk) -> None:
    gateway, log = under_ibc(desk, event="displaced")
    gateway.start()
    try:
        assert look(desk)["status"] == "healthy"
        os.kill(gateway.pid, signal.SIGUSR1)
        wait_for(log, "scenario 2")
        until(lambda: codes(look(desk)) != [])
        found = look(desk)
        assert codes(found) == ["login_taken_over"]
        assert not found["plan"]["steps"]
        assert found["plan"]["withheld"]
    finally:
        gateway.stop(timeout=0.5)


def test_a_gateway_that_completed_its_login_and_never_listens_is_restarted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible.module_utils.ib_gateway.decide import login

    monkeypatch.setattr(login, "OPENS_WITHIN", -1.0)
    gateway, log = under_ibc(desk, "no-listener")
    desk.bystander(*gateway.command())
    wait_for(log, "Login has completed")
    found = look(desk)
    assert codes(found) == ["not_listening"]
    assert found["findings"][0]["evidence"]["processes"][0]["served_before"] is True
    assert [step["action"] for step in found["plan"]["steps"]] == ["wait", "restart"]


def test_a_restarted_session_is_told_as_coming_up(desk: Desk) -> None:
    gateway, log = under_ibc(desk, **{"listen-after": 200})
    command = gateway.command()
    main = command.index("ibcalpha.ibc.IbcGateway")
    desk.bystander(*command[:main], "-Drestart=abcdefgh", *command[main:])
    wait_for(log, "Re-starting session")
    found = look(
        desk,
    )
    assert codes(found) == ["gateway_coming_up"]
    assert found["findings"][0]["evidence"]["line"] == "Re-starting session"


def start_script(desk: Desk, text: str) -> Path:
    """Runs a script of IBC's name with its output in a log, as IBC's own scripts do; returns the log."""
    script, log = desk.folder / "ibcstart.sh", desk.folder / "ibc-3.23.0_GATEWAY-1045_Sunday.txt"
    script.write_text(text + "\nmkfifo $0.wait; exec 3<>$0.wait; read -t 200 -u 3\n", encoding="utf-8")
    with open(log, "ab") as output:
        desk.bystander("bash", str(script), "1045", "-g", "--mode=live", output=output)
    return log


def test_the_gap_of_a_nightly_restart_is_told_by_the_start_script_s_log(desk: Desk) -> None:
    log = start_script(
        desk,
        "echo 'Starting Gateway with this command:'; echo 'IBC returned exit status 0'\n"
        "echo 'autorestart file found at /x/autorestart: authentication will not be required'\n"
        "echo 'IBC will restart shortly'",
    )
    wait_for(log, "shortly")
    found = look(desk)
    assert codes(found) == ["gateway_coming_up"]
    assert found["findings"][0]["evidence"]["line"] == "IBC will restart shortly"
    assert [step["action"] for step in found["plan"]["steps"]] == ["wait"]


def test_a_gateway_that_ends_start_after_start_is_not_started_once_more(desk: Desk) -> None:
    once = "echo 'Starting Gateway with this command:'; echo 'IBC returned exit status 88'\n"
    wait_for(start_script(desk, once * 3 + "echo 'IBC will restart shortly'"), "shortly")
    found = look(desk)
    assert codes(found) == ["crash_loop"]
    assert found["findings"][0]["evidence"]["exits"] == [88, 88, 88]
    assert not found["plan"]["steps"]


def test_a_log_that_is_no_log_changes_nothing(desk: Desk) -> None:
    gateway, log = under_ibc(desk, "no-listener")
    log.write_bytes(b"\0" * (1 << 20))
    desk.bystander(*gateway.command())
    until(lambda: "login_pending" in codes(look(desk)))


def test_a_gateway_that_serves_costs_no_look_at_a_log(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible.module_utils.ib_gateway.module import look as looking

    gateway, _ = under_ibc(desk)
    gateway.start()
    try:
        monkeypatch.setitem(sys.modules, looking.__package__ + ".logins", None)  # to import it is an error
        assert look(desk)["status"] == "healthy"
    finally:
        gateway.stop(timeout=0.5)
