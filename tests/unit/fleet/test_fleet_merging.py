"""Slices of a fleet become one document, whoever merges first and in whatever order."""

from __future__ import annotations

import itertools
from typing import Any, Dict, List

import pytest
from ansible.module_utils.ib_fleet.document import fleet_document
from ansible.module_utils.ib_fleet.document.merge import merge
from ansible.module_utils.ib_fleet.document.report_error import ReportError
from ansible.module_utils.ib_fleet.store import documents
from hypothesis import given, settings
from hypothesis import strategies as st
from unit import fleets

NAMES = ("a", "b", "c", "d")
MOMENTS = ("2026-11-22T09:00:00Z", "2026-11-22T09:00:00.5Z", "2026-11-22T10:00:00Z")


@st.composite
def slices(draw: st.DrawFn) -> Dict[str, Any]:
    """A document over some of a few hosts, so that several of them overlap."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))
    looks = [fleets.looks()[draw(st.sampled_from(["good", "two", "not_listening: restart"]))] for _ in names]
    return fleets.document(
        *(fleets.host(name, look) for name, look in zip(names, looks)),
        at=draw(st.sampled_from(MOMENTS)),
        kind=draw(st.sampled_from(["sweep", "remediate"])),
        started_at=draw(st.sampled_from([None, *MOMENTS])),
        tool_version=draw(st.sampled_from(["0.1.0", "0.10.0", "0.9.1"])),
    )


@settings(max_examples=60, deadline=None)
@given(slices(), slices(), slices())
def test_it_does_not_matter_who_merges_first_or_in_which_order(
    one: Dict[str, Any], two: Dict[str, Any], three: Dict[str, Any]
) -> None:
    expected = documents.text(merge([one, two, three]))
    for order in itertools.permutations((one, two, three)):
        assert documents.text(merge(order)) == expected
        assert documents.text(merge([merge(order[:2]), order[2]])) == expected
        assert documents.text(merge([order[0], merge(order[1:])])) == expected


@settings(max_examples=30, deadline=None)
@given(slices())
def test_a_document_merged_with_itself_is_itself(one: Dict[str, Any]) -> None:
    assert documents.text(merge([one, one])) == documents.text(one) == documents.text(merge([one]))


def test_a_merged_document_fits_the_schema_and_counts_anew() -> None:
    whole = fleets.some(10)
    parts: List[Dict[str, Any]] = [fleets.document(*whole["hosts"][at : at + 4]) for at in range(0, 10, 4)]
    merged = merge(parts)
    assert documents.problems(merged) == [] and merged["summary"] == whole["summary"]
    assert documents.text(merged) == documents.text(whole)


def test_the_newest_report_of_a_host_is_taken() -> None:
    old = fleets.document(fleets.host("a", fleets.UNREACHABLE), at="2026-11-22T08:00:00Z")
    new = fleets.document(fleets.host("a", fleets.looks()["good"]), at="2026-11-22T09:00:00Z")
    assert merge([new, old])["hosts"] == new["hosts"]


def test_a_slice_that_is_missing_is_seen_by_what_the_inventory_declares() -> None:
    part = fleets.document(fleets.host("a", fleets.looks()["good"]))
    assert fleet_document.gaps(merge([part])) == []
    assert fleet_document.gaps(merge([part], declared=["a", "b"]))[0] == "2 hosts declared and 1 in the report"


def test_a_gap_of_a_slice_stays_one_until_another_slice_fills_it() -> None:
    look = fleets.looks()["good"]
    gap = fleets.document(fleets.host("a", look), declared=["a", "b"])
    assert fleet_document.gaps(merge([gap]))
    assert fleet_document.gaps(merge([gap, fleets.document(fleets.host("b", look))])) == []


def test_mixed_schema_versions_and_modes_and_nothing_at_all_are_refused() -> None:
    one = fleets.some(1)
    with pytest.raises(ReportError, match="these are of ib-fleet/1, ib-fleet/2"):
        merge([one, {**one, "schema": "ib-fleet/2"}])
    with pytest.raises(ReportError, match="check mode"):
        merge([one, {**one, "check_mode": True}])
    with pytest.raises(ReportError, match="nothing to merge"):
        merge([])
