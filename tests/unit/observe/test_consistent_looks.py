"""A look is of one moment: what changes while it is read is read anew, and not for ever."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional

import pytest
from ansible.module_utils.ib_gateway.observe import linux, processes
from ansible.module_utils.ib_gateway.observe.processes import Stat

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="procfs is Linux's")

MARK = re.compile(r"read_while_it_changes\.py")
Change = Callable[[Stat], Optional[Stat]]
CHANGES: dict[str, Change] = {
    "another process has its pid": lambda stat: stat._replace(started_ticks=stat.started_ticks + 1),
    "its parent has gone": lambda stat: stat._replace(ppid=1),
    "it has ended": lambda stat: stat._replace(state="Z"),
    "it has gone": lambda _stat: None,
}


@pytest.fixture
def script(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "read_while_it_changes.py"
    path.write_text("import sys; print('in', flush=True); sys.stdin.read()", encoding="utf-8")
    argv = [sys.executable, str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        # Popen is back before the kernel shows the new command line.
        assert process.stdout is not None and process.stdout.readline() == b"in\n"
        yield process.pid
        process.kill()


def watched(monkeypatch: pytest.MonkeyPatch, pid: int, change: Change, until: int) -> list[int]:
    """Each second time it is asked for, which is when a pass compares, the process has changed. Gives the asking."""
    real, asked = processes.read_stat, []

    def read_stat(wanted: int) -> Optional[Stat]:
        stat = real(wanted)
        if wanted != pid or stat is None:
            return stat
        asked.append(wanted)
        return change(stat) if len(asked) % 2 == 0 and len(asked) <= until else stat

    monkeypatch.setattr(processes, "read_stat", read_stat)
    return asked


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_process_that_changes_while_it_is_read_is_read_anew(
    script: int, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    asked = watched(monkeypatch, script, change, until=2)
    reading = linux.read([1], [MARK])
    assert len(asked) == 4
    assert reading.processes[script].started_ticks and reading.processes[script].ppid != 1


def test_one_that_never_stops_changing_does_not_hold_the_look_up(script: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = watched(monkeypatch, script, CHANGES["its parent has gone"], until=100)
    assert script in linux.read([1], [MARK]).processes
    assert len(asked) == 6


def test_what_does_not_change_is_read_once_and_compared_once(script: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = watched(monkeypatch, script, lambda stat: stat, until=100)
    linux.read([1], [MARK])
    assert len(asked) == 2
