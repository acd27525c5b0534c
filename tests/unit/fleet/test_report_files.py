"""Files of a report are whole or not at all; text of strangers is harmless; what stands in the way is said plainly."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, List

import pytest
from ansible.module_utils.ib_fleet.document.report_error import ReportError
from ansible.module_utils.ib_fleet.document.text import all_visible, visible
from ansible.module_utils.ib_fleet.run import write_report
from ansible.module_utils.ib_fleet.store import documents, files
from hypothesis import given
from hypothesis import strategies as st
from unit import fleets

NAMES = ["fleet.json", "history.sqlite", "ib_gateway.prom", "index.html", "junit.xml"]


def listed(folder: Path) -> List[str]:
    return sorted(path.name for path in folder.iterdir())


def failing(number: int) -> Any:
    """Stands in for a system call that fails."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


# --- text ------------------------------------------------------------------------------------------------------------


@given(st.text(st.characters(codec=None)))
def test_whatever_a_text_holds_it_can_be_seen_and_encoded(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    shown.encode("utf-8")
    assert visible(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("desk1.example.com", "desk1.example.com"),
        ("Händler 東京", "Händler 東京"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("two\nlines", "two\\nlines"),
        ("half \udcff", "half \\udcff"),
    ],
)
def test_only_what_has_no_shape_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_value_is_made_visible_all_the_way_down() -> None:
    assert all_visible({"a\x1b": ["\x07", 1, None, True, (2.5, "b")]}) == {
        "a\\x1b": ["\\x07", 1, None, True, [2.5, "b"]]
    }


# --- one file --------------------------------------------------------------------------------------------------------


def test_a_file_is_written_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    files.write(tmp_path / "report", "new")
    files.write(tmp_path / "report", "newer")
    assert (tmp_path / "report").read_text() == "newer" and listed(tmp_path) == ["report"]
    assert (tmp_path / "report").stat().st_mode & 0o777 == files.FILE_MODE


def test_only_the_metrics_are_for_everybody_and_a_collector_can_enter(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        written = write_report.write_all(fleets.some(3), tmp_path / "new")
    finally:
        os.umask(before)
    assert written.problems == []
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()}
    assert modes.pop("ib_gateway.prom") == 0o644
    assert all(not mode & 0o007 for mode in modes.values()) and len(modes) == 4
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o755


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o700)
    write_report.write_all(fleets.some(1), tmp_path / "mine")
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("call", ["replace", "fsync", "fchmod"])
@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EACCES, "not writable for account"),
        (errno.EROFS, "not writable for account"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_file_that_cannot_be_written_leaves_the_one_from_before_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, told: str
) -> None:
    path = tmp_path / "fleet.json"
    files.write(path, "old")
    monkeypatch.setattr(os, call, failing(number))
    with pytest.raises(ReportError, match=told) as caught:
        files.write(path, "new")
    assert str(tmp_path) in str(caught.value) and "the one from before is untouched" in str(caught.value)
    monkeypatch.undo()
    assert path.read_text() == "old" and listed(tmp_path) == ["fleet.json"]


def test_what_a_killed_run_left_is_removed_later_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    old, young = tmp_path / ".report.abc.part", tmp_path / ".report.def.part"
    for each in (old, young):
        each.write_text("half")
    os.utime(old, (0, 0))
    files.write(tmp_path / "report", "whole")
    assert listed(tmp_path) == [".report.def.part", "report"]


# --- all files -------------------------------------------------------------------------------------------------------


def test_all_files_are_written_and_the_second_run_is_compared_with_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "reports"
    first = write_report.write_all(fleets.some(3, at="2026-11-22T08:00:00Z"), folder)
    second = write_report.write_all(fleets.some(3, seed=2, at="2026-11-22T09:00:00Z"), folder)
    assert listed(folder) == NAMES and first.problems == second.problems == []
    assert first.comparison is None and second.comparison is not None
    assert second.comparison.since == "2026-11-22T08:00:00Z"
    assert documents.read(folder / "fleet.json")["generated_at"] == "2026-11-22T09:00:00Z"


def test_a_run_is_compared_with_a_moment_or_a_document_when_asked_for(tmp_path: Path) -> None:
    old = fleets.document(fleets.host("a", fleets.UNREACHABLE), at="2026-11-20T08:00:00Z")
    write_report.write_all(old, tmp_path)
    (tmp_path / "other.json").write_text(documents.text(old))
    new = fleets.document(fleets.host("a", fleets.looks()["good"]))
    for wanted in ("2026-11-20", str(tmp_path / "other.json")):
        done = write_report.write_all(new, tmp_path, compare_with=wanted)
        assert done.comparison and done.comparison.counts == {"fixed": 1, "new": 0, "still": 0, "unseen": 0}


def test_a_comparison_that_cannot_be_made_keeps_no_file_from_being_written(tmp_path: Path) -> None:
    done = write_report.write_all(fleets.some(1), tmp_path, compare_with="1999")
    assert listed(tmp_path) == NAMES
    assert done.problems == ["no sweep of the history fits '1999'; the newest are: none"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = write_report.write_all(fleets.some(1), tmp_path / "file" / "reports")
    assert len(done.problems) == 1 and str(tmp_path / "file") in done.problems[0]


def test_a_full_disk_is_said_for_each_file_and_the_old_report_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report.write_all(fleets.some(1), tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in NAMES}
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    done = write_report.write_all(fleets.some(2), tmp_path)
    assert [each.split()[0] for each in done.problems] == ["fleet.json", "junit.xml", "ib_gateway.prom", "index.html"]
    assert all("the disk is full" in each for each in done.problems)
    assert listed(tmp_path) == NAMES
    assert all((tmp_path / name).read_bytes() == before[name] for name in NAMES if name != "history.sqlite")


def test_a_missing_library_costs_its_own_file_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> str:
        raise ModuleNotFoundError("No module named 'junitparser'", name="junitparser")

    monkeypatch.setattr(write_report, "_junit", missing)
    done = write_report.write_all(fleets.some(1), tmp_path)
    assert listed(tmp_path) == [name for name in NAMES if name != "junit.xml"]
    assert "junitparser is missing" in done.problems[0]
