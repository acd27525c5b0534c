"""A run that is killed in the midst of a step: the next one says who holds the host, what was left, and finishes it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from simulator.launch import connect_once

from integration.desk import PROJECT, Desk, alive, local, until


def records(desk: Desk) -> list[dict[str, Any]]:
    path = desk.folder / "state" / "journal.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def begun(desk: Desk) -> bool:
    """Whether the start is on disk as meant, and not yet as done."""
    return [each["kind"] for each in records(desk) if each["kind"] in ("intent", "outcome")] == ["intent"]


def repairing(desk: Desk, entry: dict[str, Any]) -> subprocess.Popen[bytes]:
    """A repair under way, in a session of its own."""
    path = desk.folder / "first.json"
    path.write_text(json.dumps({"trading_hosts": {"hosts": {"desk": local(ib_gateways=[entry])}}}))
    program = str(Path(sys.executable).parent / "ansible-playbook")
    settings = json.dumps({"ib_report_dir": str(desk.folder / "reports"), **desk.settings})
    return subprocess.Popen(
        [program, "-i", str(path), "remediate.yml", "-e", settings],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def killed_while_it_starts(desk: Desk, entry: dict[str, Any], whom: str) -> None:
    """Runs a repair and kills it with SIGKILL while it starts the gateway: the module alone, or all of the run."""
    with repairing(desk, entry) as run:
        until(lambda: begun(desk) or run.poll() is not None, 90)
        assert begun(desk), "the repair never came to its start"
        # A module comes to its interpreter through a pipe: an interpreter without any argument.
        below = psutil.Process(run.pid).children(recursive=True)
        modules = [each for each in below if each.cmdline() == [sys.executable]]
        assert modules, [each.cmdline() for each in below]
        for each in modules:
            each.send_signal(signal.SIGKILL)
        if whom == "controller":
            os.killpg(run.pid, signal.SIGKILL)
        run.wait(120)


@pytest.mark.parametrize("whom", ["module", "controller"])
def test_after_a_run_that_was_killed_while_it_started_a_gateway_the_next_finishes_it(desk: Desk, whom: str) -> None:
    # It fails only after its second of grace, so that the kill meets the module within the step.
    waits = desk.entry(start_command=["/bin/sh", "-c", "sleep 0.9; exit 1"])
    killed_while_it_starts(desk, waits, whom)
    if whom == "controller":
        swept = desk.play("playbooks/health_sweep.yml")
        assert "start of live was begun" in swept.output and "its end is not known" in swept.output
    else:
        released = desk.play("playbooks/release.yml", "-e", "ib_repair_reason=the run was killed")
        assert released.rc == 0, released.output
    run = desk.play("remediate.yml", "-e", "ib_gateway_repair_backoff=0")
    assert run.rc == 0 and len(desk.listening()) == 1, run.output
    taken = "its run has ended without giving it back"
    assert any(taken in str(each.get("reason")) for each in records(desk)) is (whom == "controller")
    told = [(each["kind"], each.get("result")) for each in records(desk) if each.get("action") == "start"]
    assert told[0][0] == "intent" and ("outcome", "unknown") in told and told[-1] == ("outcome", "done")


def taken(desk: Desk) -> list[str]:
    """The steps that are on disk as done."""
    return [each["action"] for each in records(desk) if each["kind"] == "outcome"]


#: The steps of the seed's incident: its script, three gateways of which none serves, and one that is started anew. What
#: is of one kind is done by one module, so that a kill between two of them may come behind the second.
STEPS = ["stop_client", "stop_gateway", "stop_gateway", "stop_gateway", "start"]


@pytest.mark.timeout(400)  # two of its runs give a closed port half a minute
@pytest.mark.parametrize("steps", range(len(STEPS) + 1))
def test_a_repair_whose_run_is_killed_between_any_two_of_its_steps_is_finished_by_the_next(
    desk: Desk, steps: int
) -> None:
    """By SIGKILL, the controller and its modules: before the first step, behind each, and behind the last."""
    gateways = [desk.gateway("close-listener-on-second"), desk.gateway("no-listener"), desk.gateway("no-listener")]
    script = desk.script()
    connect_once(desk.port, client_id=9)
    until(lambda: not desk.listening())
    with repairing(desk, desk.entry()) as run:
        until(lambda: bool(records(desk)) and len(taken(desk)) >= steps, 120)
        below = psutil.Process(run.pid).children(recursive=True)
        os.killpg(run.pid, signal.SIGKILL)
        for each in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGKILL)
        run.wait(30)
    done = taken(desk)
    assert done == STEPS[: len(done)] and len(done) >= steps, "it was killed elsewhere"
    after = desk.play("remediate.yml", "-e", "ib_gateway_repair_backoff=0")
    assert after.rc == 0 and len(desk.listening()) == 1, after.output
    assert not alive(script.pid) and not any(alive(each.pid) for each in gateways)
    meant = sum(each["kind"] == "intent" for each in records(desk))
    assert meant == sum(each["kind"] == "outcome" for each in records(desk)), "what was left undone is told"
    again = desk.play("remediate.yml")
    assert again.rc == 0 and again.recap()["changed"] == 0, again.output
