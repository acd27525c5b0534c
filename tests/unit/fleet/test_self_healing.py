"""Which hosts heal themselves, as a sweep tells it: at the terminal, on the page, in the document."""

from __future__ import annotations

from typing import Any, Dict, Optional

import pytest
from ansible.module_utils.ib_fleet.document import blockers, fleet_document, self_healing
from ansible.module_utils.ib_fleet.render import overview, page, story, terminal
from ansible.module_utils.ib_fleet.store import documents
from unit import fleets

AT = "2026-11-22T08:57:00Z"


def record(**more: Any) -> Dict[str, Any]:
    return {"every": 330.0, "looked_at": AT, "result": "healthy", "overdue": False, "note": "", **more}


def host(name: str, found: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    return fleets.host(name, fleets.held_up(fleets.looks()["good"], self_heal=found))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, f"heals itself every 6 min: last looked at {AT}, all was healthy"),
        ({"result": "not_healthy"}, f"heals itself every 6 min: last looked at {AT}, not all was healthy"),
        ({"result": "failed"}, f"heals itself every 6 min: last looked at {AT}, that run failed"),
        ({"result": "waiting", "looked_at": None}, "heals itself every 6 min: has not looked yet"),
        ({"every": 21.0}, f"heals itself every 21 s: last looked at {AT}, all was healthy"),
        (
            {"result": "unknown", "every": None, "looked_at": None, "note": "it is \x1b[2Jdamaged"},
            "whether it heals itself is not known: it is \\x1b[2Jdamaged",
        ),
    ],
)
def test_how_a_host_heals_itself_is_told_in_a_line(more: Dict[str, Any], expected: str) -> None:
    assert self_healing.text(host("a", record(**more))) == expected


def test_a_host_without_a_timer_has_nothing_to_say_and_neither_has_one_that_was_not_reached() -> None:
    for each in (host("a", None), fleets.host("b", fleets.looks()["good"]), fleets.host("c", fleets.UNREACHABLE)):
        assert self_healing.text(each) == "" and self_healing.overdue(each) == ""
    assert self_healing.line(fleets.document(host("a", None))) == ""


def test_the_fleet_s_lines_and_its_table_count_those_that_heal_themselves() -> None:
    unknown = record(result="unknown", note="x")
    fleet = fleets.document(
        host("a", record()), host("b", record(result="failed")), host("c", None), host("d", unknown)
    )
    assert "2 of 4 hosts heal themselves" in fleet_document.lines(fleet)
    assert "2 of 4 hosts heal themselves" in [line.text for line in terminal.lines(overview.overview(fleet))]
    assert self_healing.line(fleets.document(host("a", record()))) == "1 of 1 host heals itself"


def test_who_has_missed_its_runs_needs_a_person_and_so_does_one_whose_run_failed() -> None:
    late, failed = host("a", record(overdue=True)), host("b", record(result="failed"))
    fleet = fleets.document(late, failed, host("c", record()))
    (alert,) = blockers.alerts(fleet)
    assert blockers.line(alert) == "2 hosts should heal themselves and do not: a, b"
    assert blockers.of(late)[0].text == f"it should heal itself every 6 min and has not looked since {AT}"
    assert "systemctl status ib-self-heal.service" in blockers.of(failed)[0].text
    never = host("d", record(result="waiting", looked_at=None, overdue=True))
    assert blockers.of(never)[0].text == "it should heal itself every 6 min and has not looked once"


def test_a_small_sweep_tells_it_of_each_host_and_a_large_one_only_counts() -> None:
    few = [host("a", record())]
    assert any("heals itself" in line.text for line in story.found(few, with_healthy=True)["a"])
    many = [host("h%02d" % number, record()) for number in range(30)]
    assert not any(story.found(many, with_healthy=True).values())


def test_the_page_and_the_document_have_it() -> None:
    fleet = fleets.document(host("a", record()), host("b", None))
    assert documents.problems(fleet) == []
    html = page.page(fleet)
    assert "1 of 2 hosts heals itself." in html and f"last looked at {AT}, all was healthy." in html
