"""What keeps a process stopped besides a signal, from the kernel's files as they are written there."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import pytest
from ansible.module_utils.ib_gateway.observe import freezer, processes, stopped

PID = 4711
STATUS = "Name:\tjava\nState:\tT (stopped)\nTracerPid:\t%d\nSigPnd:\t%016x\nShdPnd:\t%016x\n"
#: state, parent, group, session, terminal, the terminal's foreground group.
STAT = "4711 (a ) name) T 1 4711 4711 %d %d 0"
TERM, USR1 = 1 << 14, 1 << 9
NO_TERMINAL = STAT % (0, -1)


def kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: str = STATUS % (0, 0, 0),
    stat: str = NO_TERMINAL,
    cgroup: str = "0::/system.slice/gw.service\n",
    groups: Dict[str, str] = {},  # noqa: B006 - read only
) -> str:
    folder = tmp_path / "proc" / str(PID)
    folder.mkdir(parents=True)
    for name, text in (("status", status), ("stat", stat), ("cgroup", cgroup)):
        (folder / name).write_text(text, encoding="utf-8")
    for path, text in groups.items():
        file = tmp_path / "cgroups" / path
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(processes, "PROC", str(tmp_path / "proc"))
    monkeypatch.setattr(freezer, "_CGROUPS", str(tmp_path / "cgroups"))
    return stopped.kept_stopped(PID)


def test_a_process_that_only_a_signal_has_stopped_is_kept_so_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = {"system.slice/gw.service/cgroup.events": "populated 1\nfrozen 0\n"}
    assert kept(tmp_path, monkeypatch, groups=events) == ""


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"status": STATUS % (12, 0, 0)}, "traced by pid 12"),
        ({"status": STATUS % (0, 0, TERM)}, "SIGTERM waits for it"),
        ({"status": STATUS % (0, TERM, 0)}, "SIGTERM waits for it"),
        ({"stat": STAT % (34816, 900)}, "stopped job of the terminal"),
        ({"groups": {"system.slice/gw.service/cgroup.events": "populated 1\nfrozen 1\n"}}, "frozen (/system.slice"),
        (
            {"cgroup": "1:name=systemd:/\n0::/box\n", "groups": {"unified/box/cgroup.events": "frozen 1\n"}},
            "frozen (/box)",
        ),
        (
            {"cgroup": "4:freezer:/box\n0::/box\n", "groups": {"freezer/box/freezer.state": "FROZEN\n"}},
            "frozen (/box)",
        ),
        ({"status": "Name:\tjava\n"}, "cannot be read in full"),
        ({"stat": "4711 (java"}, "cannot be read in full"),
        ({"cgroup": "no lines of its kind\n"}, "cannot be read in full"),
    ],
)
def test_what_else_keeps_it_stopped_is_told(
    facts: Dict[str, str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told in kept(tmp_path, monkeypatch, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "facts",
    [
        {"status": STATUS % (0, USR1, USR1)},
        {"stat": STAT % (34816, 4711)},
        {"cgroup": "4:freezer:/box\n", "groups": {"freezer/box/freezer.state": "THAWED\n"}},
        {"cgroup": "4:freezer:/\n0::/\n"},
    ],
    ids=["another signal waits", "it has its terminal", "a freezer that is open", "the first control group"],
)
def test_what_keeps_nothing_stopped_is_not_told(
    facts: Dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept(tmp_path, monkeypatch, **facts) == ""  # type: ignore[arg-type]


def test_of_a_process_that_has_gone_nothing_is_promised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "PROC", str(tmp_path))
    assert stopped.kept_stopped(PID) and stopped.state_of(PID) is None
