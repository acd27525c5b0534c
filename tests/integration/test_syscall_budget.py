"""What a look asks the kernel for: one question for each process, and no more for a host that is full of others' files.

Counted with strace; time is not measured, but for one ratio of CPU times with much head-room.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from ansible.module_utils.ib_gateway.observe.snapshot import look

PROJECT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(PROJECT))

from bench.crowd import crowd  # noqa: E402 - needs the path above

CROWD = 200
FILES = 20
#: Other programs of this machine come and go between two looks.
SLACK = 80
_LOOK = """
import os, sys
import ansible.module_utils
ansible.module_utils.__path__.append({utils!r})
from ansible.module_utils.ib_gateway.observe.snapshot import look
look([{port}], {patterns!r})
for step in "begin", "end":
    os.path.exists("/mark-" + step)
    step == "begin" and look([{port}], {patterns!r})
"""
_MARKED = re.compile(r'/mark-begin"(.*)/mark-end"', re.DOTALL)
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\(", re.MULTILINE)

needs_strace = pytest.mark.skipif(
    not shutil.which("strace") and os.environ.get("CI") != "true", reason="strace is not installed"
)


def asked(tmp_path: Path, patterns: list[str] | None = None) -> Counter[str]:
    """The system calls of one look that finds nobody on its port, by name."""
    log = tmp_path / "calls"
    code = _LOOK.format(utils=str(PROJECT / "module_utils"), port=1, patterns=patterns or [])
    subprocess.run(["strace", "-o", str(log), sys.executable, "-c", code], check=True, timeout=60)
    marked = _MARKED.search(log.read_text(errors="replace"))
    assert marked, "the look was not marked"
    calls = Counter(_CALL.findall(marked.group(1)))
    calls["socket table"] = marked.group(1).count("socket(AF_NETLINK")
    return calls


def more(with_crowd: Counter[str], without: Counter[str]) -> Counter[str]:
    """What the crowd added; names of the same call on different kernels are put together."""
    added = Counter(with_crowd)
    added.subtract(without)
    same = {"newfstatat": "stat", "statx": "stat", "fstat": "stat", "lstat": "stat", "open": "openat"}
    found: Counter[str] = Counter()
    for name, count in added.items():
        found[same.get(name, name)] += count
    return found


@needs_strace
def test_another_process_costs_a_look_one_system_call_however_many_files_it_has(tmp_path: Path) -> None:
    alone = asked(tmp_path)
    with crowd(CROWD, FILES):
        added = more(asked(tmp_path), alone)
    assert CROWD - SLACK < added["stat"] < CROWD + SLACK
    del added["stat"]
    assert sum(count for count in added.values() if count > 0) < SLACK, added


@needs_strace
def test_with_client_patterns_another_process_costs_three_more_and_still_none_for_its_files(tmp_path: Path) -> None:
    alone = asked(tmp_path, ["no such script"])
    with crowd(CROWD, FILES):
        added = more(asked(tmp_path, ["no such script"]), alone)
    assert sum(count for count in added.values() if count > 0) < 3 * CROWD + 3 * SLACK, added
    assert added["readlink"] < SLACK


@needs_strace
def test_a_look_asks_for_the_sockets_twice_and_never_reads_the_kernel_s_whole_table(tmp_path: Path) -> None:
    calls = asked(tmp_path)
    assert calls["socket table"] == 2


def test_a_look_takes_less_than_half_the_cpu_time_of_psutil_s_socket_table() -> None:
    """Measured: a seventh to a tenth."""
    with crowd(CROWD, FILES):
        ours, theirs = (
            _cheapest(lambda: look([1])),
            _cheapest(lambda: psutil.net_connections("tcp")),
        )
    assert ours < theirs / 2


def _cheapest(work: object) -> float:
    assert callable(work)
    found = []
    for _ in range(5):
        before = time.process_time()
        work()
        found.append(time.process_time() - before)
    return min(found)
