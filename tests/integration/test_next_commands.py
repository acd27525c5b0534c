"""The commands that a run gives to be run next, run as they stand: each does what it says."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from integration.desk import PROJECT, Desk, Run, alive, until

ALL_DAY = [{"name": "always", "zone": "UTC", "start": "00:00", "end": "23:59"}]
LIMIT = 170


def follow(run: Run, number: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs one of the commands as a person would paste it."""
    assert run.rc != 0, run.output
    words = shlex.split(run.report["next"][number]["command"])
    program = str(Path(sys.executable).parent / words[0])
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(
        [program, *words[1:]], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
    )


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


def test_a_plan_that_is_only_shown_is_followed_by_another_look(desk: Desk) -> None:
    run = desk.play("remediate.yml", remediation="plan_only")
    desk.gateway()
    assert follow(run).returncode == 0
