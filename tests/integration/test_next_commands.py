"""The commands that a run gives to be run next, run as they stand: each does what it says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from integration.desk import PROJECT, Desk, Run, alive, until
from integration.test_repair_limits import fleet, serving

ALL_DAY = [{"name": "always", "zone": "UTC", "start": "00:00", "end": "23:59"}]
LIMIT = 170


def follow(run: Run, number: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs one of the commands as a person would paste it."""
    assert run.rc != 0, run.output
    command = run.report["next"][number]["command"]
    assert "  %s" % command in run.output, "the terminal says the same"
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


@pytest.fixture(autouse=True)
def no_activated_venv(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell of who typed `.venv/bin/ansible-playbook ...`: its PATH does not have the program that ran."""
    own = str(Path(sys.executable).parent)
    kept = [each for each in os.environ["PATH"].split(os.pathsep) if not os.path.exists(f"{each}/ansible-playbook")]
    monkeypatch.setenv("PATH", os.pathsep.join(each for each in kept if each != own))


def whys(run: Run) -> list[str]:
    return [each["why"] for each in run.report["next"]]


def started(desk: Desk, done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == 0 and len(desk.listening()) == 1


def test_after_a_pause_its_end_is_offered_and_then_the_repair(desk: Desk) -> None:
    entry = desk.entry()
    assert desk.play("playbooks/pause.yml", "-e", "ib_repair_reason=broker maintenance", **entry).rc == 0
    run = desk.play("remediate.yml", **entry)
    assert whys(run) == ["end the pause"]
    assert follow(run).returncode == 0 and not (desk.folder / "state" / "pause.json").exists()


@pytest.mark.parametrize("why", ["blackout", "backoff"])
def test_what_holds_a_repair_up_can_be_overridden_by_the_command_that_is_given(desk: Desk, why: str) -> None:
    entry = desk.entry()
    held: tuple[str, ...] = ("-e", json.dumps({"ib_repair_blackouts": ALL_DAY}))
    if why == "backoff":
        held = ("-e", "ib_gateway_repair_backoff=600")
        assert desk.play("remediate.yml", **entry).rc == 0
        (pid,) = desk.java()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid))
    run = desk.play("remediate.yml", *held, **entry)
    assert desk.java() == [] and why in str(run.host()["repair"])
    done = follow(run)
    assert started(desk, done), done.stdout


def test_after_a_repair_that_failed_the_latch_is_lifted_and_the_repair_finished(desk: Desk) -> None:
    entry = desk.entry(start_command=["/bin/false"])
    run = desk.play("remediate.yml", **entry)
    assert len(whys(run)) == 2
    assert (
        "live is down now: no gateway process runs" in run.output and "by hand, on the host: /bin/false" in run.output
    )
    assert follow(run).returncode == 0
    mended: Any = json.loads((desk.folder / "inventory.json").read_text())
    mended["trading_hosts"]["hosts"]["desk"]["ib_gateways"][0]["start_command"] = desk.prepared().command()
    mended["trading_hosts"]["hosts"]["desk"]["ib_gateway_repair_backoff"] = 0
    (desk.folder / "inventory.json").write_text(json.dumps(mended))
    done = follow(run, 1)
    assert started(desk, done), done.stdout


@pytest.mark.timeout(400)  # three runs, two of which look a second time before they start anything
def test_after_a_frozen_run_the_first_command_repairs_one_host_and_the_second_all(desk: Desk) -> None:
    desk.settings.pop("ib_repair_state_dir")
    inventory = fleet(desk)
    run = desk.play("remediate.yml", "-e", "ib_repair_storm_fleet=3", inventory=inventory)
    assert run.report["frozen"] and serving(desk, inventory) == []
    try:
        assert follow(run).returncode == 0 and len(serving(desk, inventory)) == 1
        allowed = follow(run, 1)
        assert allowed.returncode == 0 and len(serving(desk, inventory)) == 2, allowed.stdout
    finally:
        for pid in serving(desk, inventory):
            os.kill(pid, signal.SIGKILL)


def test_a_plan_that_is_only_shown_is_done_after_the_edit_that_is_named(desk: Desk) -> None:
    run = desk.play("remediate.yml", remediation="plan_only")
    assert whys(run) == ["repair it: write remediation: auto in place of plan_only in its entry, then run"]
    inventory = desk.folder / "inventory.json"
    inventory.write_text(inventory.read_text().replace('"plan_only"', '"auto"'))
    done = follow(run)
    assert started(desk, done), done.stdout


def test_from_another_folder_the_forgotten_inventory_is_answered_by_a_command_that_works(tmp_path: Path) -> None:
    program = str(Path(sys.executable).parent / "ansible-playbook")
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "1000", "ANSIBLE_CONFIG": f"{PROJECT}/ansible.cfg"}

    def ran(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
        )

    refused = ran(program, f"{PROJECT}/playbooks/health_sweep.yml")
    told = refused.stdout.partition("can write their inventory: ")[2].partition("\n")[0].strip()
    assert refused.returncode != 0 and told.endswith("playbooks/doctor.yml"), refused.stdout
    listed = ran("/bin/sh", "-c", told + " --list-tasks")
    assert listed.returncode == 0 and "Look" in listed.stdout, listed.stderr
