"""fleet.json: what the schema says of it holds for every document that can come out, and it is the same every time."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Dict

import pytest
from ansible.module_utils.ib_fleet.document import fleet_document
from ansible.module_utils.ib_fleet.document.report_error import ReportError
from ansible.module_utils.ib_fleet.store import documents
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from unit import fleets

LOOKS = sorted(fleets.looks())
RESULTS = st.one_of(st.none(), st.just(fleets.FAILED), st.just(fleets.UNREACHABLE), st.sampled_from(LOOKS))
ROW = {"pid": 815, "user": "trader", "command": ["python3", "bot.py"], "reason": "ended after SIGTERM"}
ACTS = st.lists(
    st.sampled_from(
        [
            {"action": "stop_client", "changed": True, "outcomes": [fleets.stopped()], "stopped": [ROW]},
            {"action": "start", "changed": True, "outcomes": [fleets.outcome("start", {"service": None}, "would")]},
            {"action": "wait", "changed": False, "outcomes": []},
        ]
    ),
    max_size=3,
)
FAILED = st.sampled_from([{}, {**fleets.FAILED, "action": "restart"}, {**fleets.UNREACHABLE, "action": "start"}])


@st.composite
def hosts(draw: st.DrawFn) -> Dict[str, Any]:
    """Any host a run can leave: whatever its name, whatever each look came to, whatever was done."""
    looks = [draw(RESULTS) for _ in range(2)]
    acts = fleets.repaired(*draw(ACTS), **draw(FAILED))
    before, after = (fleets.looks()[each] if isinstance(each, str) else each for each in looks)
    return fleets.host(draw(st.text(min_size=1)), before, after, draw(st.lists(st.text())), **acts)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(documents.schema())


@pytest.mark.parametrize("name", LOOKS)
def test_every_situation_the_rules_know_fits_the_schema(name: str) -> None:
    look = fleets.looks()[name]
    assert documents.problems(fleets.document(fleets.host("desk", look), fleets.host("desk2", look, look))) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(hosts(), max_size=3, unique_by=lambda each: str(each["name"])))
def test_any_document_fits_the_schema_and_comes_back_as_it_was(found: Any) -> None:
    document = fleets.document(*found)
    assert documents.problems(document) == []
    assert json.loads(documents.text(document)) == document
    assert fleet_document.gaps(document) == []


def test_a_hostile_fleet_fits_the_schema_and_its_file_is_plain_ascii() -> None:
    document = fleets.hostile()
    assert documents.problems(document) == []
    text = documents.text(document)
    assert text.isascii() and all(each.isprintable() or each == "\n" for each in text)


def test_the_text_is_the_same_whatever_order_the_hosts_and_keys_come_in() -> None:
    one, other = fleets.some(5), fleets.some(5)
    shuffled = fleets.document(*(dict(reversed(list(each.items()))) for each in reversed(other["hosts"])))
    assert documents.text(one) == documents.text(shuffled)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema": "ib-fleet/2"}, "ib-fleet/2"),
        ({"generated_at": "yesterday"}, "generated_at"),
        ({"generated_at": "2026-11-22T09:00:00+01:00"}, "generated_at"),
        ({"kind": "guess"}, "kind"),
        ({"more": 1}, "more"),
    ],
)
def test_a_document_that_is_not_what_the_schema_says_is_refused_by_name(
    tmp_path: Path, change: Dict[str, Any], named: str
) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps({**fleets.some(1), **change}))
    with pytest.raises(ReportError, match=named):
        documents.read(path)


def test_a_healthy_host_with_a_reason_and_a_reached_one_that_is_unreachable_contradict_themselves() -> None:
    document = fleets.document(fleets.host("desk", fleets.looks()["good"]))
    assert documents.problems(document) == []
    for change in ({"reason": "it is broken"}, {"reached": False}, {"status": "unreachable"}):
        wrong = copy.deepcopy(document)
        wrong["hosts"][0].update(change)
        assert documents.problems(wrong), change


def test_declared_and_reported_hosts_that_differ_are_named() -> None:
    look = fleets.looks()["good"]
    document = fleets.document(fleets.host("a", look), fleets.host("b", look), declared=["b", "c"])
    assert fleet_document.gaps(document) == [
        "2 hosts declared and 2 in the report",
        "declared and not in the report: c",
        "in the report and not declared: a",
    ]
    twice = fleets.document(fleets.host("a", look), fleets.host("a", look))
    assert "more than once in the report: a" in fleet_document.gaps(twice)


def test_of_many_missing_hosts_a_few_are_named() -> None:
    document = fleets.document(declared=["desk%03d" % number for number in range(100)])
    assert fleet_document.gaps(document)[1].endswith("desk009 and 90 more")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_what_is_no_document_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(text)
    with pytest.raises(ReportError, match=r"fleet\.json is no"):
        documents.read(path)


def test_a_document_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="cannot be read"):
        documents.read(tmp_path / "none.json")


def test_a_large_fleet_s_lines_tell_only_of_hosts_that_need_a_look() -> None:
    told = fleet_document.lines(fleets.some(400))
    healthy = [line for line in told if line.endswith(": healthy")]
    assert not healthy and told[0].startswith("400 hosts: ")
    assert [line for line in fleet_document.lines(fleets.some(5)) if line.endswith(": healthy")]


def test_no_line_for_a_terminal_carries_what_a_terminal_obeys() -> None:
    for line in fleet_document.lines(fleets.hostile()):
        assert line.replace("\n", "").isprintable(), ascii(line)
