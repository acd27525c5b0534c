"""Slices that are merged are anybody's: read, or refused with one error that names the file."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ib_fleet.document import merge
from ansible.module_utils.ib_fleet.document.report_error import ReportError
from ansible.module_utils.ib_fleet.run import write_report
from ansible.module_utils.ib_fleet.store import documents, files
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit import fleets
from unit.fleet.test_answers import JUNK, damaged

SLICE = fleets.document(
    fleets.host(
        "down",
        fleets.looks()["gateway_not_running: start after a second look"],
        ib_gateway_repair_stop_client={"changed": True},
    ),
    fleets.host("well", fleets.looks()["two"], fleets.looks()["good"]),
    audit=fleets.audit(2),
)
GOOD = json.loads(documents.text(SLICE))


def taken(path: Path, folder: Path) -> None:
    """All that is done with a slice; the only error is one that a person can act on."""
    try:
        found = documents.read(path)
        merged = merge.merge([found, SLICE])
    except ReportError as error:
        assert str(path) in str(error) or "merged" in str(error)
        assert len(str(error)) < 4000
        return
    assert write_report.write_all(merged, folder).problems == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False), st.data())
def test_a_damaged_slice_is_taken_or_refused(tmp_path: Path, chance: Any, data: st.DataObject) -> None:
    found = damaged(copy.deepcopy(GOOD), chance, lambda: data.draw(JUNK))
    (tmp_path / "slice.json").write_text(json.dumps(found, default=str))
    taken(tmp_path / "slice.json", tmp_path / "reports")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_any_bytes_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "slice.json").write_bytes(data)
    with pytest.raises(ReportError, match=r"slice\.json is no "):
        documents.read(tmp_path / "slice.json")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"schema": "ib-fleet/1", "hosts": %s}' % ("[" * 500 + "]" * 500),
        '{"schema": "%s"}' % ("x" * 200_000),
        '{"schema": "ib-fleet/1", "kind": NaN}',
        '{"schema": "ib-fleet/1", "kind": 1%s}' % ("0" * 10_000),
        "\ufeff{}",
    ],
    ids=["open lists", "deep", "long", "nan", "digits", "mark"],
)
def test_what_is_too_much_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "slice.json").write_text(text)
    with pytest.raises(ReportError, match=r"slice\.json is no "):
        documents.read(tmp_path / "slice.json")


@pytest.mark.parametrize("moment", ["2027-02-30T09:00:00Z", "2026-11-31T00:00:00Z", "0000-01-01T00:00:00Z"])
def test_a_time_that_no_calendar_has_is_refused(tmp_path: Path, moment: str) -> None:
    (tmp_path / "slice.json").write_text(json.dumps({**GOOD, "generated_at": moment}))
    with pytest.raises(ReportError, match=r"generated_at.* is not a 'date-time'"):
        documents.read(tmp_path / "slice.json")


def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "slice.json")
    with pytest.raises(ReportError, match="not a regular file"):
        documents.read(tmp_path / "slice.json")


def test_a_file_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x" * 100)
    with pytest.raises(ValueError, match="more than 99 bytes"):
        files.read(tmp_path / "file", 99)
