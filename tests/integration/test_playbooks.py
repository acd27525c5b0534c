"""The playbooks as an operator runs them: what they refuse, what they leave alone, what their exit code says."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import psutil
import pytest
from simulator.launch import PASSWORD_CANARY, USER_CANARY, connect_once, free_port

from integration.desk import Desk, alive, local


def hosts(**found: Any) -> dict[str, Any]:
    return {"trading_hosts": {"hosts": found}}


def test_a_healthy_host_is_looked_at_proven_and_not_changed(desk: Desk) -> None:
    gateway = desk.gateway()
    run = desk.play("remediate.yml")
    assert run.rc == 0, run.output
    assert (run.recap()["changed"], run.recap()["failed"]) == (0, 0)
    assert "Repairing" not in run.output
    assert run.host()["status"] == "healthy" and run.host()["done"] == []
    assert desk.listening() == [gateway.pid]


def test_a_sweep_says_unhealthy_and_touches_nothing(desk: Desk) -> None:
    silent = desk.gateway("stall")
    files = sorted(str(path) for path in desk.config_dir.rglob("*"))
    run = desk.play("playbooks/health_sweep.yml")
    assert run.rc != 0
    assert run.codes() == {"handshake_stalled"} and run.recap()["changed"] == 0
    assert alive(silent.pid) and sorted(str(path) for path in desk.config_dir.rglob("*")) == files
    never = desk.play("playbooks/health_sweep.yml", "-e", "ib_sweep_fail_on=never")
    assert never.rc == 0, never.output


def test_check_mode_shows_the_plan_that_the_real_run_carries_out(desk: Desk) -> None:
    old = desk.gateway("close-listener-on-second", "ignore-sigterm")
    named = desk.script()
    connect_once(desk.port, client_id=16, timeout=1)
    patterns = {"client_patterns": [desk.scripts], "allow_kill": True}
    before = {each.pid for each in psutil.process_iter()}
    predicted = desk.play("remediate.yml", "--check", "--diff", **patterns)
    assert predicted.rc != 0 and "check mode: nothing was done" in predicted.output
    assert alive(old.pid) and alive(named.pid) and {old.pid, named.pid} <= before
    assert desk.java() == [old.pid]
    assert f"-pid {named.pid} of" in predicted.output
    real = desk.play("remediate.yml", "-e", "ib_gateway_repair_grace_period=1", **patterns)
    assert real.rc == 0, real.output
    assert not alive(old.pid) and not alive(named.pid)
    told = [each["action"] for each in predicted.host()["done"]], [each["action"] for each in real.host()["done"]]
    assert told[0] == told[1]
    assert predicted.recap()["changed"] == real.recap()["changed"]


def test_plan_only_shows_the_plan_and_touches_nothing(desk: Desk) -> None:
    stalled = desk.gateway("stall")
    run = desk.play("remediate.yml", remediation="plan_only")
    assert run.rc != 0 and run.recap()["changed"] == 0
    assert [step["action"] for step in run.host()["before"]["gateways"][0]["plan"]["steps"]] == ["restart"]
    assert alive(stalled.pid) and desk.listening() == [stalled.pid]


def test_a_gateway_that_ignores_sigterm_is_not_joined_by_a_second_one(desk: Desk) -> None:
    stubborn = desk.gateway("stall", "ignore-sigterm")
    run = desk.play("remediate.yml", "-e", "ib_gateway_repair_grace_period=0.5")
    assert run.rc != 0
    assert desk.java() == [stubborn.pid]
    assert "allow_kill is off" in run.output


@pytest.mark.parametrize("fault", ["silent", "never-accept"])
def test_a_gateway_that_no_longer_serves_is_restarted_once_and_then_serves(desk: Desk, fault: str) -> None:
    broken = desk.gateway(fault)
    with subprocess.Popen([sys.executable, "-c", _KNOCK % desk.port], stdin=subprocess.PIPE) as knocking:
        try:
            run = desk.play("remediate.yml", start_timeout=10)
        finally:
            knocking.kill()
    assert run.rc == 0, run.output
    assert not alive(broken.pid) and len(desk.listening()) == 1
    outcomes = [outcome for each in run.host()["done"] for outcome in each["outcomes"]]
    assert [(each["action"], each["result"]) for each in outcomes] == [("restart", "done")]


_KNOCK = "import socket, sys; s = socket.create_connection(('127.0.0.1', %d)); sys.stdin.read()"


def test_the_live_gateway_is_repaired_and_the_paper_one_and_its_script_are_left_alone(desk: Desk) -> None:
    live = desk.gateway("stall")
    paper_port = free_port()
    paper = desk.gateway(mode="paper", config_dir=desk.folder / "paper", port=paper_port)
    script = desk.script(port=paper_port)
    entries = [
        desk.entry(),
        {
            **desk.entry(),
            "name": "paper",
            "trading_mode": "paper",
            "port": paper_port,
            "config_dir": str(paper.config_dir),
        },
    ]
    run = desk.play("remediate.yml", inventory=hosts(desk=local(ib_gateways=entries)))
    assert run.rc == 0, run.output
    assert not alive(live.pid) and alive(paper.pid) and alive(script.pid)


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([], ["desk", "ib_gateways", "empty"]),
        ([{"name": "live", "trading_mode": "live", "prot": 4001}], ["desk", "live", "prot"]),
        ([{"name": "live", "trading_mode": "life"}], ["desk", "live", "trading_mode", "life"]),
        ([{"name": "live", "trading_mode": "live", "port": 70000}], ["desk", "live", "port", "70000"]),
        ([{"name": "a", "trading_mode": "live"}, {"name": "a", "trading_mode": "paper"}], ["desk", "'a'", "name"]),
        (
            [{"name": "a", "trading_mode": "live"}, {"name": "b", "trading_mode": "live", "port": 4003}],
            ["desk", "a and b", "same process", "config_dir"],
        ),
    ],
)
def test_an_inventory_that_cannot_be_right_is_rejected_by_host_entry_and_key(
    desk: Desk, entries: list[dict[str, Any]], told: list[str]
) -> None:
    run = desk.play("remediate.yml", inventory=hosts(desk=local(ib_gateways=entries)))
    assert run.rc != 0
    assert all(word in run.output for word in told), run.output
    assert "Looking at" not in run.output


@pytest.mark.parametrize(
    "inventory", [{"trading_hosts": {"hosts": {}}}, {"webservers": {"hosts": {"web": local()}}}, {}]
)
@pytest.mark.parametrize("playbook", ["remediate.yml", "playbooks/health_sweep.yml"])
def test_a_run_over_no_host_is_an_error(desk: Desk, inventory: dict[str, Any], playbook: str) -> None:
    run = desk.play(playbook, inventory=inventory)
    assert run.rc != 0
    assert "No host of group trading_hosts" in run.output


def test_an_unreachable_host_is_in_the_report_and_the_other_one_is_served(desk: Desk) -> None:
    broken = desk.gateway("stall")
    away = {"ansible_host": "127.0.0.1", "ansible_port": free_port(), "ansible_connection": "ssh"}
    inventory = hosts(away={**away, "ib_gateways": [desk.entry()]}, desk=local(ib_gateways=[desk.entry()]))
    # Two of two hosts are broken, which would otherwise be a storm.
    wide = ("-e", "ib_repair_storm_share=1", "-e", "ib_repair_storm_same=1")
    run = desk.play("remediate.yml", *wide, inventory=inventory)
    assert run.rc != 0
    assert (run.host("away")["status"], run.host("away")["reached"]) == ("unreachable", False)
    assert run.host("desk")["status"] == "healthy" and not alive(broken.pid)
    assert run.recap("desk")["failed"] == 0


def test_a_host_whose_look_fails_is_unknown_and_the_other_one_is_served(desk: Desk) -> None:
    desk.gateway()
    broken = local(ib_gateways=[desk.entry()])
    broken["ansible_python_interpreter"] = "/no/such/python"
    run = desk.play(
        "playbooks/health_sweep.yml", inventory=hosts(broken=broken, desk=local(ib_gateways=[desk.entry()]))
    )
    assert run.rc != 0
    assert (run.host("broken")["status"], run.host("desk")["status"]) == ("unknown", "healthy")
    assert run.host("broken")["reason"]


def test_without_a_client_library_the_socket_engine_judges_and_the_missing_proof_is_named(desk: Desk) -> None:
    desk.gateway()
    bare = desk.folder / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    host = local(ib_gateways=[desk.entry()])
    host["ansible_python_interpreter"] = str(bare / "bin" / "python")
    run = desk.play("remediate.yml", inventory=hosts(desk=host))
    assert run.rc == 0, run.output
    proof = run.host()["after"]["proof"]
    assert (proof["wanted"], proof["used"]) == ("ib_insync", "socket")
    assert "pip install ib_insync" in proof["missing"]
    assert "pip install ib_insync" in " ".join(run.output.split())


def test_passwords_and_account_numbers_appear_nowhere_not_even_with_vvv(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IB_PASSWORD", "canary-environment")
    desk.gateway("close-listener-on-second", launcher="ibc")
    desk.gateway("no-listener", launcher="ibc", accounts=["U7654321"])
    desk.script(extra=("--password", "s3cr3t-pw"))
    connect_once(desk.port, client_id=16, timeout=1)
    with (desk.config_dir / "config.ini").open("a", encoding="utf-8") as settings:
        settings.write("IbPassword=canary-ini\n")
    command = [*desk.prepared(accounts=["U7654321"]).command(), "hunter2-bare"]
    run = desk.play(
        "remediate.yml", "-vvv", "--diff", start_command=command, start_timeout=1, client_patterns=[desk.scripts]
    )
    assert run.rc == 0, run.output
    journal = (desk.folder / "state" / "journal.jsonl").read_bytes()
    assert {b"stop_client", b"stop_gateway"} <= set(re.findall(rb'"action": ?"(\w+)"', journal))
    written = journal + b"".join(path.read_bytes() for path in (desk.folder / "reports").iterdir())
    canaries = (
        USER_CANARY,
        PASSWORD_CANARY,
        "7654321",
        "s3cr3t-pw",
        "hunter2-bare",
        "canary-environment",
        "canary-ini",
    )
    for secret in canaries:
        assert secret not in run.output, secret
        assert secret.encode() not in written, secret


def test_a_report_folder_that_cannot_be_made_is_named(desk: Desk) -> None:
    desk.gateway()
    (desk.folder / "file").write_text("in the way")
    run = desk.play("playbooks/health_sweep.yml", "-e", f"ib_report_dir={desk.folder}/file/reports")
    assert run.rc != 0
    assert str(desk.folder / "file") in run.output


def test_every_file_the_run_writes_is_in_the_report_folder(desk: Desk) -> None:
    desk.gateway()
    desk.play("playbooks/health_sweep.yml")
    names = sorted(path.name for path in (desk.folder / "reports").iterdir())
    assert names == ["fleet.json", "history.sqlite", "ib_gateway.prom", "index.html", "junit.xml"]
