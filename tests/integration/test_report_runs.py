"""The report of real runs: whole, valid, the same facts in every format, and written whatever the run came to."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ib_fleet.run import write_report
from ansible.module_utils.ib_fleet.store import documents
from junitparser import Error, Failure, JUnitXml
from prometheus_client.parser import text_string_to_metric_families
from simulator.launch import free_port
from unit import fleets

from integration.desk import PROJECT, Desk, Run, local

NAMES = ["fleet.json", "history.sqlite", "ib_gateway.prom", "index.html", "junit.xml"]
SWEEP = "playbooks/health_sweep.yml"


def hosts(**found: Any) -> dict[str, Any]:
    return {"trading_hosts": {"hosts": found}}


def reports(desk: Desk) -> Path:
    return desk.folder / "reports"


def require_whole(desk: Desk, run: Run) -> None:
    """Every file is there and parses, and the document is what the schema says."""
    assert sorted(path.name for path in reports(desk).iterdir()) == NAMES
    assert documents.problems(run.report) == []
    assert (reports(desk) / "fleet.json").read_text() == documents.text(run.report)
    suites = [suite.name for suite in JUnitXml.fromfile(str(reports(desk) / "junit.xml"))]
    assert suites == run.report["declared"] == [each["name"] for each in run.report["hosts"]]
    found = list(text_string_to_metric_families((reports(desk) / "ib_gateway.prom").read_text()))
    assert {each.name for each in found} >= {"ib_fleet_hosts", "ib_host_status", "ib_fleet_report_time_seconds"}
    page = (reports(desk) / "index.html").read_text()
    assert all(f">{name}</a>" in page for name in suites) and page.endswith("</html>")
    assert not any(run.recap(name)["changed"] for name in suites if not run.host(name)["done"])


def empty(desk: Desk) -> Path:
    """A settings folder in which no gateway has ever run."""
    folder = desk.folder / "none"
    folder.mkdir(exist_ok=True)
    return folder


def down_entry(desk: Desk) -> dict[str, Any]:
    """An entry whose gateway has never run."""
    start = desk.prepared(config_dir=empty(desk)).command()
    return desk.entry(config_dir=str(empty(desk)), start_command=start)


def test_the_report_of_a_sweep_over_a_healthy_a_broken_an_unreachable_and_an_unjudged_host(desk: Desk) -> None:
    desk.gateway()
    away = {"ansible_host": "127.0.0.1", "ansible_port": free_port(), "ansible_connection": "ssh"}
    unjudged = local(ib_gateways=[desk.entry()])
    unjudged["ansible_python_interpreter"] = "/no/such/python"
    inventory = hosts(
        healthy=local(ib_gateways=[desk.entry()]),
        broken=local(ib_gateways=[{**desk.entry(), "port": free_port(), "config_dir": str(empty(desk))}]),
        away={**away, "ib_gateways": [desk.entry()]},
        unjudged=unjudged,
    )
    run = desk.play(SWEEP, inventory=inventory)
    require_whole(desk, run)
    assert run.rc != 0
    assert {each["name"]: (each["status"], each["verdict"]) for each in run.report["hosts"]} == {
        "away": ("unreachable", "unreachable"),
        "broken": ("unhealthy", "gateway_not_running"),
        "healthy": ("healthy", "healthy"),
        "unjudged": ("unknown", "not_judged"),
    }
    assert run.report["summary"]["declared"] == 4
    assert all(each["groups"] == ["trading_hosts"] for each in run.report["hosts"])
    kinds = {
        suite.name: {type(one) for case in suite for one in case.result}
        for suite in JUnitXml.fromfile(str(reports(desk) / "junit.xml"))
    }
    assert kinds == {"away": {Error}, "unjudged": {Error}, "broken": {Failure}, "healthy": set()}
    healthy = run.host("healthy")["timings"]
    assert healthy["looked_at"] and healthy["look_ms"] > 0 and healthy["proof_ms"] is None
    assert "FLEET: " in run.output and "not whole" not in run.output


def test_a_repair_ends_with_the_same_report_and_check_mode_writes_it_too(desk: Desk) -> None:
    desk.gateway("stall")
    predicted = desk.play("remediate.yml", "--check")
    require_whole(desk, predicted)
    assert predicted.report["check_mode"] is True and predicted.host()["done"]
    assert "check mode: nothing was done" in (reports(desk) / "index.html").read_text()
    real = desk.play("remediate.yml")
    require_whole(desk, real)
    assert real.rc == 0 and real.report["kind"] == "remediate"
    host, page = real.host(), (reports(desk) / "index.html").read_text()
    assert host["before"]["status"] == "unhealthy" and host["done"] and host["after"]["status"] == "healthy"
    for told in (
        "What was found",
        "handshake_stalled",
        "What was done",
        "What was proven",
        "was unhealthy",
        "1</b> Fixed",
    ):
        assert told in page, told
    assert "1 fixed" in real.output


def test_a_declared_host_that_the_run_leaves_out_is_an_error_and_a_limit_is_not(desk: Desk) -> None:
    desk.gateway()
    inventory = hosts(a=local(ib_gateways=[desk.entry()]), b=local(ib_gateways=[desk.entry()]))
    run = desk.play(SWEEP, "-e", '{"__ib_fleet_report_declared": ["a", "b", "c"]}', inventory=inventory)
    assert run.rc != 0 and "declared and not in the report: c" in run.output
    assert run.report["summary"] == {**run.report["summary"], "declared": 3, "hosts": 2}
    limited = desk.play(SWEEP, "--limit", "a", inventory=inventory)
    assert limited.rc == 0 and limited.report["declared"] == ["a"], limited.output


def test_slices_are_merged_and_a_missing_one_and_another_version_are_refused(desk: Desk) -> None:
    desk.gateway()
    inventory = hosts(a=local(ib_gateways=[desk.entry()]), b=local(ib_gateways=[desk.entry()]))
    for name in ("a", "b"):
        desk.play(SWEEP, "--limit", name, inventory=inventory)
        (desk.folder / name).mkdir()
        (reports(desk) / "fleet.json").rename(desk.folder / name / "fleet.json")

    def merged(*names: str) -> Run:
        sources = json.dumps({"ib_merge_from": [str(desk.folder / name) for name in names]})
        return desk.play("playbooks/merge_reports.yml", "-e", sources, inventory=inventory)

    both = merged("a", "b")
    require_merged = [each["name"] for each in both.report["hosts"]]
    assert both.rc == 0 and require_merged == ["a", "b"] and documents.problems(both.report) == [], both.output
    one = merged("a")
    assert one.rc != 0 and "declared and not in the report: b" in one.output
    path = desk.folder / "b" / "fleet.json"
    path.write_text(path.read_text().replace("ib-fleet/1", "ib-fleet/2"))
    other = merged("a", "b")
    assert other.rc != 0 and "ib-fleet/2" in other.output and other.report == {}


def test_a_run_is_compared_with_the_sweep_that_is_asked_for(desk: Desk) -> None:
    desk.play(SWEEP)
    (reports(desk) / "fleet.json").rename(desk.folder / "monday.json")
    desk.gateway()
    run = desk.play(SWEEP, "-e", f"ib_compare_with={desk.folder / 'monday.json'}")
    assert run.rc == 0 and "1 fixed" in run.output
    lost = desk.play(SWEEP, "-e", "ib_compare_with=1999-12-31")
    assert lost.rc != 0 and "no sweep of the history fits '1999-12-31'" in lost.output


def test_a_report_that_cannot_be_written_fails_the_run_after_it_has_told_what_was_found(desk: Desk) -> None:
    desk.gateway()
    (desk.folder / "file").write_text("in the way")
    run = desk.play(SWEEP, "-e", f"ib_report_dir={desk.folder}/file/reports")
    assert run.rc != 0 and run.report == {}
    assert "1 host: 1 healthy" in run.output and "The report is not whole" in run.output
    assert f"the report folder {desk.folder}/file/reports could not be made" in " ".join(run.output.split())


def test_without_a_terminal_progress_and_the_end_come_as_plain_lines(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_CALLBACK_PLUGINS", str(PROJECT / "callback_plugins"))
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "ib_fleet_progress")
    down = down_entry(desk)
    run = desk.play(SWEEP, "-v", inventory=hosts(**{f"desk{each}": local(ib_gateways=[down]) for each in range(5)}))
    lines = run.output.splitlines()
    assert "look: 5 of 5 hosts done, 5 not healthy" in lines
    end = lines.index("FLEET: 5 hosts: 5 unhealthy")
    assert "gateway_not_running   5 hosts: desk0, desk1, desk2, desk3, desk4" in lines[end + 1]
    assert lines[-2] == "NEXT, to see what a repair would do:"
    assert re.match(r"  \S*ansible-playbook remediate\.yml ", lines[-1]) and lines[-1].endswith("--check --diff")
    assert f"PAGE: {reports(desk) / 'index.html'}" in lines
    assert run.recap("desk0")["failed"] == 1 and "\x1b" not in run.output
    assert run.report["started_at"] and run.report["started_at"] <= run.report["generated_at"]


def test_on_a_terminal_a_bar_is_drawn_and_nothing_else_is_lost_or_broken(desk: Desk) -> None:
    down = down_entry(desk)
    names = [f"desk{each}" for each in range(6)]
    (desk.folder / "inventory.json").write_text(
        json.dumps(hosts(**{name: local(ib_gateways=[down]) for name in names}))
    )
    callback = {
        "ANSIBLE_CALLBACK_PLUGINS": str(PROJECT / "callback_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "ib_fleet_progress",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    command = f"{Path(sys.executable).parent}/ansible-playbook {SWEEP} -v -i inventory.json -e ib_report_dir=reports"
    command = command.replace("inventory.json", str(desk.folder / "inventory.json"))
    run = subprocess.run(
        ["script", "-qec", f"stty cols 90; {command.replace('=reports', f'={reports(desk)}')}", "/dev/null"],
        cwd=PROJECT,
        env={**os.environ, **callback, "ANSIBLE_NOCOLOR": "1", "TERM": "xterm", "COLUMNS": ""},  # the terminal says it
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", run.stdout)
    assert run.returncode == 2 and "6/6" in shown, shown
    for name in names:
        told = [line for line in shown.splitlines() if f"ok: [{name}] => " in line and '"elapsed_ms"' in line]
        assert json.loads(told[0].partition(" => ")[2])["status"] == "unhealthy"
    end = shown[shown.index("PLAY RECAP") :]
    assert "FLEET: 6 hosts: 6 unhealthy" in end and "desk0, desk1, desk2, desk3, desk4, desk5" in end
    assert end.rstrip().endswith("--check --diff")


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own that has a report, and no room for another one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], check=False)
    if os.geteuid() or mounted.returncode:
        pytest.skip("a disk of its own cannot be mounted here")
    try:
        assert write_report.write_all(fleets.some(2), folder).problems == []
        with open(folder / "filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(b"x" * 4096):
                pass
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.root
def test_a_disk_that_is_full_is_said_and_the_report_from_before_stays_whole(full_disk: Path) -> None:
    before = {name: (full_disk / name).read_bytes() for name in NAMES if name != "history.sqlite"}
    done = write_report.write_all(fleets.some(300, at="2026-11-23T09:00:00Z"), full_disk)
    assert done.files == [] and len(done.problems) == 5
    assert all("disk is full" in each for each in done.problems), done.problems
    assert {name: (full_disk / name).read_bytes() for name in before} == before
    assert sorted(path.name for path in full_disk.iterdir()) == sorted([*NAMES, "filler"])
