"""The audit as a playbook: what it tells, what it writes, its exit code, and its part of the fleet's report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible.module_utils.ib_fleet.store import documents

from integration.audited_scripts import BOT, LIVE, MENDED
from integration.desk import PROJECT, Desk, Run, local


def play(desk: Desk, folder: Path, *options: str, inventory: Any = None) -> tuple[Run, dict[str, Any], dict[str, Any]]:
    """(the run, audit.json, audit.sarif)"""
    extra = json.dumps({"ib_client_audit_paths": [str(folder)]})
    run = desk.play("playbooks/audit_clients.yml", "-e", extra, *options, inventory=inventory)
    reports = desk.folder / "reports"
    read = [
        json.loads(path.read_text()) if path.exists() else {}
        for path in (reports / "audit.json", reports / "audit.sarif")
    ]
    return run, read[0], read[1]


def test_the_playbook_tells_what_it_found_and_its_exit_code_follows_the_severity(desk: Desk, folder: Path) -> None:
    desk.gateway()
    desk.script()
    run, document, log = play(desk, folder, "--check")
    assert run.rc == 2 and "live_bot.py:7:5:" in run.output, run.output
    assert run.recap()["changed"] == 0
    why = run.output.partition("\nFAILED: desk at ")[2].partition("PLAY RECAP")[0]
    assert "That fails the run (ib_audit_fail_on: warning)." in why and "problems" not in why.splitlines()[1]
    (host,) = document["hosts"]
    assert host["looked"] and {"port_contradicts_mode", "hardcoded_client_id"} <= {p["code"] for p in host["problems"]}
    assert any(each["file"].endswith("hold_session.py") for each in host["running"])
    assert len(log["runs"][0]["results"]) == len(host["problems"])
    never, _document, _log = play(desk, folder, "-e", "ib_audit_fail_on=never")
    assert never.rc == 0, never.output
    assert (folder / "live_bot.py").read_text() == BOT


def test_what_was_found_is_part_of_the_fleet_s_report_before_and_after_a_sweep(desk: Desk, folder: Path) -> None:
    desk.gateway()
    reports, options = desk.folder / "reports", ["-e", "ib_client_audit_running=false", "-e", "ib_audit_fail_on=never"]

    def report() -> dict[str, Any]:
        return documents.read(reports / "fleet.json")

    first, audit, _log = play(desk, folder, *options)
    assert first.rc == 0 and f"Report: {reports}/index.html" in first.output, first.output
    assert documents.problems(audit, documents.AUDIT) == []
    assert (report()["kind"], report()["audit"]) == ("audit", audit)
    assert "live_bot.py" in (reports / "index.html").read_text()
    assert not (reports / "history.sqlite").exists()
    swept = desk.play("playbooks/health_sweep.yml")
    assert swept.rc == 0 and swept.report["audit"] == audit and swept.report["kind"] == "sweep"
    # The desk removes the document before each run; a user's folder keeps it.
    (desk.folder / "kept.json").write_text(json.dumps(swept.report))
    extra = {"ib_client_audit_paths": [str(folder)], "ib_report_dir": str(reports)}
    (reports / "fleet.json").write_text((desk.folder / "kept.json").read_text())
    (folder / "live_bot.py").write_text("x = 1\n")
    again = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(desk.folder / "inventory.json")),
            *("playbooks/audit_clients.yml", "-e", json.dumps(extra), *options),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert again.returncode == 0, again.stdout
    assert report()["audit"]["summary"]["problems"] == {"note": 0, "warning": 0, "error": 0}
    assert {**report(), "audit": None} == {**swept.report, "audit": None}
    page = (reports / "index.html").read_text()
    assert "No problem was found." in page and ">desk</a>" in page


def test_clean_scripts_end_with_0(desk: Desk, folder: Path) -> None:
    (folder / "live_bot.py").write_text("import ib_connect\nwith ib_connect.connect('live') as ib:\n    print(ib)\n")
    run, document, _log = play(desk, folder, "-e", "ib_client_audit_running=false")
    assert run.rc == 0, run.output
    assert document["hosts"][0]["files"] == 1 and "no problems" in run.output


def test_a_sweep_that_is_asked_for_the_scripts_says_who_holds_which_session(desk: Desk, folder: Path) -> None:
    desk.gateway()
    script = desk.script()
    plain = desk.play("playbooks/health_sweep.yml")
    assert plain.rc == 0 and "audit" not in plain.report and "Audit the trading scripts" not in plain.output
    extra = json.dumps({"ib_sweep_scripts": True, "ib_client_audit_paths": [str(folder)]})
    run = desk.play("playbooks/health_sweep.yml", "-e", extra)
    told = f"pid {script.pid} ("
    assert run.rc == 0 and run.report["kind"] == "sweep", "problems in scripts do not make a gateway unhealthy"
    assert told in run.output and f"holds a session on port {desk.port}" in " ".join(run.output.split())
    (host,) = run.report["audit"]["hosts"]
    assert [(each["pid"], each["holds"]) for each in host["running"]] == [(script.pid, [desk.port])]


def test_a_host_that_could_not_be_audited_fails_the_run_and_the_other_is_audited(desk: Desk, folder: Path) -> None:
    (folder / "live_bot.py").write_text("x = 1\n")
    broken = local(ib_gateways=[desk.entry()], ansible_python_interpreter="/no/such/python")
    hosts = {"trading_hosts": {"hosts": {"broken": broken, "desk": local(ib_gateways=[desk.entry()])}}}
    run, document, log = play(desk, folder, "-e", "ib_client_audit_running=false", inventory=hosts)
    assert run.rc != 0
    assert {each["name"]: each["looked"] for each in document["hosts"]} == {"broken": False, "desk": True}
    assert [each["invocations"][0]["executionSuccessful"] for each in log["runs"]] == [False, True]
    assert run.recap("desk")["failed"] == 0


def test_the_playbook_mends_when_it_is_told_to_and_the_second_run_changes_nothing(desk: Desk, fixable: Path) -> None:
    options = ["-e", '{"ib_client_audit_fix": true, "ib_client_audit_running": false}']
    hosts = {"trading_hosts": {"hosts": {"desk": local(ib_gateways=[LIVE])}}}
    predicted, _document, _log = play(desk, fixable.parent, "--check", "--diff", *options, inventory=hosts)
    assert "+import ib_connect" in predicted.output and fixable.read_text() == BOT
    real, document, _log = play(desk, fixable.parent, *options, inventory=hosts)
    assert real.rc == 2 and "port_contradicts_mode" in real.output, "which of the two is meant, only a person knows"
    assert fixable.read_text() == MENDED and real.recap()["changed"] == 1
    assert len(document["hosts"][0]["fixed"]) == 2
    again, _document, _log = play(desk, fixable.parent, *options, inventory=hosts)
    assert again.recap()["changed"] == 0


def test_a_run_over_no_host_is_an_error(desk: Desk, folder: Path) -> None:
    run, _document, _log = play(desk, folder, inventory={"trading_hosts": {"hosts": {}}})
    assert run.rc != 0 and "No host of group trading_hosts" in run.output
