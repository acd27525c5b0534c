"""Threads that stay in the kernel, from a made /proc: which they are, that they do not move, and for what they wait."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Callable, List

import pytest
from ansible.module_utils.ib_gateway.base.host import HELD_IN_KERNEL
from ansible.module_utils.ib_gateway.observe import kernel_waits, processes

PID, WRITER = 4711, 4720


class Proc:
    """A process in a folder that stands for /proc; each sleep of a reader is one tick, at which it may change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ticks = 0
        self.clock = 0.0
        self.at_tick: Callable[[int], None] = lambda _tick: None

    def write(self, name: str, text: str) -> None:
        path = self.root / str(PID) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def thread(self, tid: int, state: str = "S", switches: int = 7) -> None:
        self.write("task/%d/stat" % tid, "%d (VM ) D (x) %s 1 1" % (tid, state))
        counts = "voluntary_ctxt_switches:\t%d\nnonvoluntary_ctxt_switches:\t3\n" % switches
        self.write("task/%d/status" % tid, "Name:\tVM\nState:\t%s (x)\n%s" % (state, counts))

    def sleep(self, seconds: float) -> None:
        self.ticks += 1
        self.clock += seconds
        self.at_tick(self.ticks)


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    found = Proc(tmp_path)
    monkeypatch.setattr(processes, "PROC", str(tmp_path))
    monkeypatch.setattr(time, "sleep", found.sleep)
    monkeypatch.setattr(time, "monotonic", lambda: found.clock)
    found.thread(PID)
    return found


def test_a_process_none_of_whose_threads_waits_there_takes_no_time(proc: Proc) -> None:
    proc.thread(WRITER)
    assert kernel_waits.held([PID, 12]) == {} and proc.ticks == 0


def test_a_thread_other_than_the_first_that_does_not_move_is_told(proc: Proc) -> None:
    proc.thread(WRITER, "D")
    assert kernel_waits.held([PID]) == {PID: HELD_IN_KERNEL}
    assert 0.9 < proc.clock < 1.3


@pytest.mark.parametrize("then", [("S", 8), ("D", 8)], ids=["it goes on", "it waits for something else by now"])
def test_a_thread_that_moves_within_the_time_is_no_obstacle(proc: Proc, then: tuple[str, int]) -> None:
    proc.thread(WRITER, "D")
    proc.at_tick = lambda tick: proc.thread(WRITER, *then) if tick == 3 else None
    assert kernel_waits.held([PID]) == {} and proc.ticks == 3


def test_of_a_process_that_ends_meanwhile_nothing_is_told(proc: Proc) -> None:
    proc.thread(WRITER, "D")
    proc.at_tick = lambda _tick: (proc.root / str(PID) / "task" / str(WRITER) / "stat").unlink(missing_ok=True)
    assert kernel_waits.held([PID]) == {}


def test_no_more_threads_are_read_than_a_bound(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    read: List[str] = []
    for tid in range(PID + 1, PID + 700):
        proc.thread(tid)
    text = processes.read_text

    def noted(pid: int, name: str) -> str:
        read.append(name)
        return text(pid, name)

    monkeypatch.setattr(processes, "read_text", noted)
    kernel_waits.waiting(PID)
    assert len(read) == 512 and read[0] == "task/%d/stat" % PID


MOUNTS = """22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
31 22 7:0 / /srv/my\\040logs rw,relatime shared:9 - ext4 /dev/loop0 rw
"""


@pytest.mark.parametrize(
    ("machine", "syscall", "opened", "told"),
    [
        ("x86_64", "1 0x5 0x7f 0x20", "pos:\t0\nmnt_id:\t31\n", " (what is mounted at /srv/my logs, in folio_wait)"),
        ("aarch64", "64 0x5 0x7f 0x20", "pos:\t0\nmnt_id:\t31\n", " (what is mounted at /srv/my logs, in folio_wait)"),
        ("x86_64", "257 0x5 0x7f 0x20", "pos:\t0\nmnt_id:\t31\n", " (in folio_wait)"),
        ("riscv64", "1 0x5 0x7f 0x20", "pos:\t0\nmnt_id:\t31\n", " (in folio_wait)"),
        ("x86_64", "running", "pos:\t0\nmnt_id:\t31\n", " (in folio_wait)"),
        ("x86_64", "1 0x6 0x7f 0x20", "pos:\t0\nmnt_id:\t31\n", " (in folio_wait)"),
        ("x86_64", "1 0x5 0x7f 0x20", "pos:\t0\nmnt_id:\t9\n", " (in folio_wait)"),
    ],
    ids=["a write", "a write, on ARM", "no file", "an unknown machine", "it runs", "a closed file", "a socket"],
)
def test_the_mount_is_told_only_where_the_kernel_says_which_file_it_is(
    proc: Proc, monkeypatch: pytest.MonkeyPatch, machine: str, syscall: str, opened: str, told: str
) -> None:
    own = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*own[:4], machine)))
    proc.thread(WRITER, "D")
    for name, text in (("wchan", "folio_wait"), ("syscall", syscall)):
        proc.write("task/%d/%s" % (WRITER, name), text)
    proc.write("fdinfo/5", opened)
    proc.write("mountinfo", MOUNTS)
    assert kernel_waits.held([PID]) == {PID: HELD_IN_KERNEL + told}


def test_nothing_is_told_of_where_to_an_account_that_may_not_see_it(proc: Proc) -> None:
    proc.thread(WRITER, "D")
    proc.write("task/%d/wchan" % WRITER, "0")
    assert kernel_waits.held([PID]) == {PID: HELD_IN_KERNEL}
