"""Whether a process can go on writing is told by the files that it has open for writing, and by nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator

import pytest
from ansible.module_utils.ib_gateway.base.host import LEAST_FREE
from ansible.module_utils.ib_gateway.lifecycle import start_check
from ansible.module_utils.ib_gateway.lifecycle.base import StartCheck
from ansible.module_utils.ib_gateway.observe import processes, room
from ansible.module_utils.ib_gateway.observe.settings import free
from unit.facts import gateway, judged, snapshot

Opened = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Starts a process that has one file open, in this mode, and has said so; it ends with the test."""
    started = []

    def start(mode: str) -> subprocess.Popen[bytes]:
        (tmp_path / "gateway.log").touch()
        code = "import sys; f = open(sys.argv[1], sys.argv[2]); print(flush=True); sys.stdin.read()"
        argv = [sys.executable, "-c", code, str(tmp_path / "gateway.log"), mode]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        started.append(process)
        assert process.stdout is not None and process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ticks(pid: int) -> int:
    stat = processes.read_stat(pid)
    assert stat is not None
    return stat.started_ticks


@pytest.mark.parametrize(("mode", "named"), [("a", True), ("w", True), ("r+", True), ("r", False)])
def test_a_file_on_a_full_file_system_is_named_where_the_process_writes_it(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, named: bool
) -> None:
    monkeypatch.setattr(room, "free", lambda _path: LEAST_FREE - 1)
    pid = opened(mode).pid
    assert room.cannot_write(pid, ticks(pid)) == (str(tmp_path / "gateway.log") if named else None)


def test_nothing_is_said_while_there_is_room_or_of_another_process_that_got_the_number(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = opened("a").pid
    monkeypatch.setattr(room, "free", lambda _path: LEAST_FREE)
    assert room.cannot_write(pid, ticks(pid)) is None
    monkeypatch.setattr(room, "free", lambda _path: None)
    assert room.cannot_write(pid, ticks(pid)) is None
    monkeypatch.setattr(room, "free", lambda _path: 0)
    assert room.cannot_write(pid, ticks(pid) + 1) is None


def test_a_file_system_without_blocks_of_its_own_is_not_full() -> None:
    assert free("/proc/self/comm") is None and free("/nonexistent") is None


def test_a_gateway_whose_log_has_no_room_is_not_ended_since_the_next_one_may_not_start(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_check, "start_checks", lambda asked: [StartCheck(None) for _ in asked])
    monkeypatch.setattr(room, "free", lambda _path: 0)
    pid = opened("a").pid
    look = snapshot(gateway(pid, started_ticks=ticks(pid), served_before=True))
    told = start_check.foresee([judged(look)], look)[0].entry.start_blocker
    assert told is not None and "gateway.log" in told and "make room" in told
