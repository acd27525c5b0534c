"""Two gateways that do not run and whose own start scripts end each other's: one run brings one of them, and its plan,
its check mode and the run itself name the same one."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.desk import Desk, gateways_in, local

MODES = ("live", "paper")


@pytest.fixture(autouse=True)
def ended(desk: Desk) -> Iterator[None]:
    """What the repairs started ends with the test: each gateway has a folder of its own."""
    yield
    for pid in (pid for mode in MODES for pid in gateways_in(desk.folder / mode)):
        os.kill(pid, signal.SIGKILL)


def scripted(desk: Desk, mode: str, ends: str) -> dict[str, Any]:
    """An entry whose gateway a script starts, once it has made room: ends is what it looks for."""
    gateway = desk.prepared(mode=mode, config_dir=desk.folder / mode, port=desk.port + (mode == "paper"), lifetime=120)
    (desk.folder / mode).mkdir()
    script = desk.folder / f"{mode}.sh"
    script.write_text(f"#!/bin/sh\npkill -f {shlex.quote(ends)}\nexec {shlex.join(gateway.command())}\n")
    script.chmod(0o755)
    return desk.entry(
        name=mode, trading_mode=mode, port=gateway.port, config_dir=str(desk.folder / mode), start_command=[str(script)]
    )


def run(desk: Desk, entries: list[dict[str, Any]], *options: str) -> Any:
    inventory = {"trading_hosts": {"hosts": {"desk": local(ib_gateways=entries)}}}
    return desk.play("remediate.yml", *options, inventory=inventory)


def planned(done: Any) -> dict[str, list[str]]:
    return {
        each["name"]: [step["action"] for step in each["plan"]["steps"] if step["action"] != "wait"]
        for each in done.host()["before"]["gateways"]
    }


def pids(desk: Desk) -> dict[str, int]:
    return {mode: len(gateways_in(desk.folder / mode)) for mode in MODES}


def test_of_two_that_end_each_other_the_first_is_started_and_check_mode_says_so(tmp_path: Path, desk: Desk) -> None:
    entries = [scripted(desk, mode, "DjtsConfigDir=%s/" % tmp_path) for mode in MODES]
    checked = run(desk, entries, "--check")
    assert planned(checked) == {"live": ["start"], "paper": []}, checked.output
    done = run(desk, entries)
    assert planned(done) == planned(checked) and done.rc == 2, done.output
    assert pids(desk) == {"live": 1, "paper": 0}
    (told,) = done.host()["before"]["gateways"][1]["plan"]["withheld"]
    assert "which would end the gateway of live as well, and this run brings that" in told
    again = run(desk, entries)
    assert again.rc == 2 and again.recap()["changed"] == 0 and pids(desk) == {"live": 1, "paper": 0}, again.output


def test_two_that_each_make_room_for_their_own_are_both_started(tmp_path: Path, desk: Desk) -> None:
    entries = [scripted(desk, mode, "DjtsConfigDir=%s/%s" % (tmp_path, mode)) for mode in MODES]
    done = run(desk, entries)
    assert done.rc == 0 and planned(done) == {"live": ["start"], "paper": ["start"]}, done.output
    assert pids(desk) == {"live": 1, "paper": 1}
