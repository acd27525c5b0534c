"""The commands that a run gives to be run next, run as they stand: each does what it says."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from integration.desk import PROJECT, Desk, Run

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


def test_after_a_pause_its_end_is_offered_and_then_the_repair(desk: Desk) -> None:
    entry = desk.entry()
    assert desk.play("playbooks/pause.yml", "-e", "ib_repair_reason=broker maintenance", **entry).rc == 0
    run = desk.play("remediate.yml", **entry)
    assert whys(run) == ["end the pause"]
    assert follow(run).returncode == 0 and not (desk.folder / "state" / "pause.json").exists()
