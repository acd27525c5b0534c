"""Whether a host heals itself: what its own record may say, and that what cannot be trusted is unknown."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.state import repair_status, self_heal
from ansible.module_utils.ib_gateway.state.records import epoch
from ansible.module_utils.ib_gateway.state.state_folder import Folder
from unit.module_runs import PROJECT

AT = "2026-11-22T18:00:00Z"
NOW = epoch(AT)


def script(name: str) -> ModuleType:
    """A script that the role brings to hosts, or runs on the controller."""
    found = importlib.util.spec_from_file_location(name, PROJECT / "roles" / "ib_self_heal" / "files" / f"{name}.py")
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


STATUS, PACK = script("ib_self_heal_status"), script("ib_self_heal_pack")


def record(**more: Any) -> Dict[str, Any]:
    return {"v": 1, "at": AT, "every": 330, "result": "healthy", **more}


def parsed(now: float = NOW, **more: Any) -> Dict[str, Any]:
    return self_heal.parse(json.dumps(record(**more)).encode(), now)


def seen(folder: Path, now: float = NOW) -> Optional[Dict[str, Any]]:
    opened = Folder.open(str(folder))
    assert opened is not None
    with opened:
        return self_heal.read(opened, now)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


def test_a_record_says_when_the_host_last_looked_and_what_came_of_it() -> None:
    expected = {"every": 330.0, "looked_at": AT, "result": "healthy", "overdue": False, "note": ""}
    assert parsed() == expected
    assert parsed(result="not_healthy")["result"] == "not_healthy"


def test_before_the_first_run_nothing_was_looked_at() -> None:
    assert parsed(result="waiting")["looked_at"] is None


def test_a_host_is_overdue_when_it_has_missed_two_runs_and_a_repair_would_have_ended() -> None:
    assert not parsed(now=NOW + 2 * 330 + 900)["overdue"]
    assert parsed(now=NOW + 2 * 330 + 901)["overdue"]
    assert parsed(now=NOW + 2 * 330 + 901, result="waiting")["overdue"]


def test_a_clock_that_was_set_back_makes_nobody_overdue() -> None:
    assert not parsed(now=NOW - 1e6)["overdue"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"every": 0},
        {"every": True},
        {"every": "330"},
        {"every": 1e12},
        {"every": None},
        {"result": "fine"},
        {"result": ["healthy"]},
        {"at": 12},
        {"at": "yesterday"},
        {"at": "2026-13-22T18:00:00Z"},
    ],
)
def test_a_record_that_says_something_else_is_refused(wrong: Dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"does not say|no time"):
        parsed(**wrong)


def test_a_host_without_a_record_does_not_heal_itself(state_dir: Path) -> None:
    assert seen(state_dir) is None
    assert repair_status.read_status(str(state_dir))["self_heal"] is None
    assert repair_status.read_status(str(state_dir / "none"))["self_heal"] is None


@pytest.mark.parametrize("data", [b"", b"[1]", b"\xff", b"{", b"[" * 3000, b" " * 5000])
def test_a_record_that_is_none_is_unknown_and_keeps_the_journal_usable(state_dir: Path, data: bytes) -> None:
    (state_dir / self_heal.FILE).write_bytes(data)
    (state_dir / self_heal.FILE).chmod(0o600)
    found = repair_status.read_status(str(state_dir))
    assert found["self_heal"]["result"] == "unknown" and found["self_heal"]["note"]
    assert found["journal"] == "absent"


def test_a_record_that_another_account_may_write_or_a_link_is_not_believed(state_dir: Path) -> None:
    path = state_dir / self_heal.FILE
    path.write_text(json.dumps(record()))
    path.chmod(0o666)
    assert (seen(state_dir) or {})["result"] == "unknown"
    path.unlink()
    path.symlink_to("/etc/hostname")
    assert (seen(state_dir) or {})["result"] == "unknown"


# --- what the service writes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SERVICE_RESULT": "success", "EXIT_STATUS": "0"}, "healthy"),
        ({"SERVICE_RESULT": "success", "EXIT_STATUS": "2"}, "not_healthy"),
        ({"SERVICE_RESULT": "exit-code", "EXIT_STATUS": "1"}, "failed"),
        ({"SERVICE_RESULT": "exit-code", "EXIT_STATUS": "250"}, "failed"),
        ({"SERVICE_RESULT": "timeout", "EXIT_STATUS": "TERM"}, "failed"),
        ({"SERVICE_RESULT": "success", "EXIT_STATUS": "4"}, "failed"),
        ({}, "failed"),
    ],
)
def test_how_a_run_ended_is_told_as_systemd_tells_it(
    tmp_path: Path, environment: Dict[str, str], expected: str
) -> None:
    assert STATUS.result(*ran(tmp_path, environment, report=0)) == expected


def ran(folder: Path, environment: Dict[str, str], report: Optional[float]) -> Tuple[Dict[str, str], str]:
    """What is told of a run. report: how many seconds after its beginning it wrote one; None: never."""
    begun, written = folder / "run", folder / "fleet.json"
    begun.mkdir()
    os.utime(begun, (NOW, NOW))
    if report is not None:
        written.write_text("{}")
        os.utime(written, (NOW + report, NOW + report))
    return {**environment, "RUNTIME_DIRECTORY": str(begun)}, str(written)


@pytest.mark.parametrize("report", [None, -1])
@pytest.mark.parametrize("status", ["0", "2"])
def test_a_run_that_has_not_looked_has_failed_whatever_it_ended_with(
    tmp_path: Path, status: str, report: Optional[float]
) -> None:
    assert STATUS.result(*ran(tmp_path, {"SERVICE_RESULT": "success", "EXIT_STATUS": status}, report)) == "failed"


@pytest.mark.parametrize("what", self_heal.RESULTS)
def test_what_the_service_writes_is_what_a_look_reads(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "var" / "state"
    old = os.umask(0o000)
    try:
        for _ in range(2):
            assert STATUS.main([str(folder), "330", "no-report", what]) == (what == "failed")
    finally:
        os.umask(old)
    assert (folder.stat().st_mode & 0o777, (folder / self_heal.FILE).stat().st_mode & 0o777) == (0o700, 0o600)
    found = repair_status.read_status(str(folder))["self_heal"]
    assert (found["result"], found["every"], found["note"]) == (what, 330.0, "")
    assert [each.name for each in folder.iterdir()] == [self_heal.FILE]


# --- what is copied to a host ----------------------------------------------------------------------------------------


def test_the_same_sources_are_packed_alike_whenever_and_by_whomever(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "roles" / "a" / "__pycache__").mkdir(parents=True)
        (tmp_path / name / "roles" / "a" / "main.yml").write_text("---\n")
        (tmp_path / name / "playbooks").mkdir()
        (tmp_path / name / "playbooks" / "roles").symlink_to("../roles")
        (tmp_path / name / ".git").mkdir()
    os.utime(tmp_path / "one" / "roles" / "a" / "main.yml", (1, 1))
    (tmp_path / "one" / "roles" / "a" / "__pycache__" / "x.pyc").write_bytes(b"1")
    (tmp_path / "two" / "roles" / "a" / "main.yml").chmod(0o600)
    (tmp_path / "two" / "reports").mkdir()
    assert PACK.packed(tmp_path / "one") == PACK.packed(tmp_path / "two")
    (tmp_path / "two" / "roles" / "a" / "main.yml").write_text("--- \n")
    assert PACK.packed(tmp_path / "one") != PACK.packed(tmp_path / "two")
