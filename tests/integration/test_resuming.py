"""A gateway that a signal has stopped goes on by SIGCONT, and only where nobody else wants it stopped."""

from __future__ import annotations

import os
import pty
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ib_gateway.act import resume_process
from ansible.module_utils.ib_gateway.act.held_process import Refused
from ansible.module_utils.ib_gateway.observe import processes, stopped

from integration.desk import Desk, alive, halt, until
from integration.modules import run_module


def look(desk: Desk) -> dict[str, Any]:
    found = run_module("ib_gateway_health", gateways=[desk.entry()], probe="auto", probe_timeout=1.0)["gateways"][0]
    return dict(found)


def act(desk: Desk, steps: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    return run_module("ib_gateway_resume", gateways=[desk.entry()], steps=steps, **options)


def test_a_stopped_gateway_goes_on_and_serves_the_script_that_it_served_before(desk: Desk) -> None:
    gateway = desk.gateway()
    script = desk.script()
    halt(gateway.pid)
    steps = look(desk)["plan"]["steps"]
    found = act(desk, steps, settle=0.0, then_look={"probe_timeout": 1.0})
    outcome = found["outcomes"][0]
    assert (found["changed"], outcome["result"], outcome["signals"]) == (True, "done", ["SIGCONT"])
    assert found["health"]["status"] == "healthy" and alive(script.pid)
    again = act(desk, steps)
    assert (again["changed"], again["outcomes"][0]["result"]) == (False, "already")


def test_in_check_mode_it_is_told_and_stays_stopped(desk: Desk) -> None:
    gateway = desk.gateway()
    halt(gateway.pid)
    found = act(desk, look(desk)["plan"]["steps"], check=True)
    assert (found["changed"], found["outcomes"][0]["result"]) == (True, "would")
    assert stopped.state_of(gateway.pid) == "T"


@pytest.mark.parametrize("change", [{"started_ticks": 1}, {"argv_digest": "0" * 64}, {"boot_id": "another"}])
def test_another_process_than_the_plan_named_gets_no_signal(desk: Desk, change: dict[str, Any]) -> None:
    gateway = desk.gateway()
    halt(gateway.pid)
    steps = look(desk)["plan"]["steps"]
    steps[0]["target"].update(change)
    assert act(desk, steps)["outcomes"][0]["result"] == "refused"
    assert stopped.state_of(gateway.pid) == "T"


def test_a_sigterm_that_came_after_the_plan_keeps_sigcont_from_ending_the_gateway(desk: Desk) -> None:
    gateway = desk.gateway()
    halt(gateway.pid)
    steps = look(desk)["plan"]["steps"]
    os.kill(gateway.pid, signal.SIGTERM)
    outcome = act(desk, steps)["outcomes"][0]
    assert outcome["result"] == "refused" and "SIGTERM waits for it" in outcome["reason"]
    assert stopped.state_of(gateway.pid) == "T"


def test_without_pidfd_nothing_is_let_go_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = desk.gateway()
    halt(gateway.pid)
    steps = look(desk)["plan"]["steps"]
    monkeypatch.delattr(os, "pidfd_open")
    reason = act(desk, steps)["outcomes"][0]["reason"]
    assert "nothing is done" in reason and stopped.state_of(gateway.pid) == "T"


def test_what_cannot_be_recorded_is_not_done(desk: Desk) -> None:
    gateway = desk.gateway()
    halt(gateway.pid)
    target = look(desk)["plan"]["steps"][0]["target"]

    def full() -> None:
        raise Refused("the disk is full")

    came = resume_process.resume(target, False, full)
    assert (came.result, came.reason) == ("refused", "the disk is full") and stopped.state_of(gateway.pid) == "T"


def test_a_stopped_job_of_a_terminal_is_its_person_s(tmp_path: Path) -> None:
    """As after Ctrl-Z: the shell has the terminal, and the job a process group of its own."""
    ready = tmp_path / "pid"
    shell = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], preexec_fn=os.setpgrp)\n"
        f"path = {str(ready)!r}\n"
        "open(path + '.part', 'w').write(str(child.pid)); os.rename(path + '.part', path)\n"
        "child.wait()\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", shell])  # noqa: S606 - as a login at a terminal does
    try:
        until(ready.exists)
        job = int(ready.read_text())
        halt(job)
        assert "stopped job of the terminal" in stopped.kept_stopped(job)
        os.kill(job, signal.SIGKILL)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
    assert processes.read_stat(pid) is None
