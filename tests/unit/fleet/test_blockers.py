"""What keeps a repair from being made is plainly visible: at the terminal, on the page, in JUnit and in the metrics."""

from __future__ import annotations

from typing import Any, Dict

import pytest
from ansible.module_utils.ib_fleet.document import blockers, fleet_document, merge
from ansible.module_utils.ib_fleet.render import terminal
from ansible.module_utils.ib_fleet.render.junit import junit
from ansible.module_utils.ib_fleet.render.layout import laid_out
from ansible.module_utils.ib_fleet.render.metrics import prometheus
from ansible.module_utils.ib_fleet.render.overview import overview
from ansible.module_utils.ib_fleet.render.page import page
from ansible.module_utils.ib_fleet.store import documents
from junitparser import JUnitXml
from prometheus_client.parser import text_string_to_metric_families
from unit import fleets

GOOD = fleets.looks()["good"]
LATCH = {"gateway": "live", "since": "2026-11-22T08:10:00Z", "reason": "still not_listening"}
STEP = {"gateway": "live", "action": "restart", "at": "2026-11-22T08:20:00Z", "run": "7f3a"}
LEASE = {"by": "ops@controller2", "since": "2026-11-22T08:59:00Z"}
BEGIN = {"begun": False, "reason": "too many repairs", "refused": [{"gateway": "paper", "reason": "backoff"}]}
EVERYTHING: Dict[str, Any] = {"latched": [LATCH], "paused": "until noon by ops", "unfinished": [STEP], "lease": LEASE}


def held_up(**more: Any) -> Dict[str, Any]:
    """One host on which everything stands in the way, one with a broken journal, and one with nothing to say."""
    broken = fleets.held_up(GOOD, journal="unusable", note="it is no journal")
    return fleets.document(
        fleets.host("desk", fleets.held_up(GOOD, **EVERYTHING), ib_gateway_repair_begin=BEGIN),
        fleets.host("desk2", broken),
        fleets.host("desk3", GOOD),
        **more,
    )


def metric(document: Dict[str, Any], name: str) -> Dict[str, float]:
    """By host, or under the empty name."""
    samples = [each for family in text_string_to_metric_families(prometheus(document)) for each in family.samples]
    return {each.labels.get("host", ""): each.value for each in samples if each.name == name}


def test_a_document_with_all_of_it_fits_the_schema() -> None:
    assert documents.problems(held_up(frozen="a storm")) == []
    assert documents.problems(fleets.document(fleets.host("desk", {**GOOD, "repairs": None}))) == []


def test_each_thing_is_told_in_one_sentence_the_most_urgent_first() -> None:
    found = blockers.of(held_up()["hosts"][0])
    assert [(each.kind, each.text) for each in found] == [
        ("latched", "live is latched since 2026-11-22T08:10:00Z: still not_listening"),
        ("paused", "repairs are paused on this host: until noon by ops"),
        ("unfinished", "restart of live was begun at 2026-11-22T08:20:00Z by run 7f3a, and its end is not known"),
        ("refused", "no repair was begun: too many repairs"),
        ("refused", "the repair of paper was refused: backoff"),
        ("lease", "ops@controller2 is at work on this host since 2026-11-22T08:59:00Z"),
    ]


def test_a_host_with_nothing_to_say_says_nothing() -> None:
    document = fleets.document(
        fleets.host("a", GOOD), fleets.host("b", fleets.held_up(GOOD)), fleets.host("c", fleets.UNREACHABLE)
    )
    assert blockers.alerts(document) == [] and not any(map(blockers.of, document["hosts"]))
    assert 'class="flag' not in page(document) and "latched" not in "\n".join(fleet_document.lines(document))


def test_the_newest_look_that_knows_counts() -> None:
    before, after = fleets.held_up(GOOD, latched=[LATCH]), fleets.held_up(GOOD)
    assert blockers.latched(fleets.host("a", before)) == {"live"}
    assert blockers.latched(fleets.host("a", before, after)) == set()
    assert blockers.latched(fleets.host("a", before, GOOD)) == {"live"}


def test_what_the_repair_ended_with_is_newer_than_what_the_look_before_it_remembers() -> None:
    end = {"succeeded": [], "unsuccessful": ["paper"], "lifted": ["live"], "reason": ""}
    begin = {"begun": True, "reason": "", "refused": []}
    host = fleets.host(
        "a", fleets.held_up(GOOD, latched=[LATCH]), ib_gateway_repair_begin=begin, ib_gateway_repair_end=end
    )
    assert [(each.kind, each.text) for each in blockers.of(host)] == [("failed", "the repair of paper did not succeed")]
    assert blockers.latched(host) == {"paper"} and documents.problems(fleets.document(host)) == []


def test_a_refusal_is_not_told_again_for_a_gateway_that_is_latched() -> None:
    begin = {"begun": False, "refused": [{"gateway": "live", "reason": "it is latched"}]}
    found = blockers.of(fleets.host("a", fleets.held_up(GOOD, latched=[LATCH]), ib_gateway_repair_begin=begin))
    assert [each.kind for each in found] == ["latched"]


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_shows_it_above_the_findings(width: int) -> None:
    shown = overview(held_up(frozen="more than a third of the fleet is broken"))
    lines = list(laid_out(terminal.lines(shown), width))
    assert lines[1] == "  FROZEN: the run repaired nothing: more than a third of the fleet is broken"
    text = "\n".join(lines)
    assert "a person has released it: desk live" in " ".join(text.split())
    words = [text.index(word) for word in ("FROZEN", "LATCHED", "PAUSED", "UNFINISHED", "JOURNAL", "REFUSED")]
    assert words == sorted(words) and max(map(len, lines)) <= width


def test_the_lines_of_the_report_name_it_for_the_fleet_and_for_the_host_also_in_a_large_fleet() -> None:
    told = fleet_document.lines(held_up(frozen="a storm"))
    assert told[1] == "FROZEN: the run repaired nothing: a storm"
    assert "  latched: live is latched since 2026-11-22T08:10:00Z: still not_listening" in told
    many = [fleets.host("healthy%02d" % number, GOOD) for number in range(40)]
    large = fleet_document.lines(fleets.document(*many, fleets.host("desk", fleets.held_up(GOOD, latched=[LATCH]))))
    assert any("latched: live is latched" in line for line in large) and "healthy01: healthy" not in large


def test_the_page_shows_it_at_its_top_in_the_row_and_in_the_section() -> None:
    html = page(held_up(frozen="a storm"))
    top, table, sections = html.index('class="alarm"'), html.index('id="table"'), html.index('id="hosts"')
    assert top < html.index("the run repaired nothing: a storm") < table
    row = html[html.index("<tr data-h", table) : sections]
    assert '<span class="flag">latched</span>' in row and " latched" in row[: row.index(">")]
    assert "live is latched since 2026-11-22T08:10:00Z: still not_listening" in html[sections:]


def test_junit_and_the_metrics_have_it() -> None:
    document = held_up(frozen="a storm")
    told = {suite.name: next(iter(suite)).system_out for suite in JUnitXml.fromstring(junit(document).encode())}
    assert "latched: live is latched" in told["desk"] and told["desk3"] is None
    assert metric(document, "ib_gateway_repair_latched") == {"desk": 1.0, "desk2": 0.0, "desk3": 0.0}
    assert metric(document, "ib_fleet_frozen") == {"": 1.0}
    assert metric(held_up(), "ib_fleet_frozen") == {"": 0.0}


@pytest.mark.parametrize("text", fleets.HOSTILE)
def test_hostile_texts_are_harmless_wherever_they_are_shown(text: str) -> None:
    repairs: Dict[str, Any] = {
        "latched": [{**LATCH, "reason": text, "gateway": text}],
        "paused": text,
        "unfinished": [{**STEP, "run": text}],
    }
    document = fleets.document(fleets.host(text, fleets.held_up(GOOD, **repairs)), frozen=text)
    assert "<script>window" not in page(document) and "<img" not in page(document)
    for line in (
        *laid_out(terminal.lines(overview(document)), 80),
        *fleet_document.lines(document),
        prometheus(document),
        junit(document),
    ):
        assert line.replace("\n", "").isprintable(), ascii(line)


def test_two_frozen_slices_stay_frozen_when_they_are_merged() -> None:
    one, other = held_up(frozen="a storm"), fleets.document(fleets.host("far", GOOD), frozen="another")
    calm = fleets.document(fleets.host("calm", GOOD))
    assert merge.merge([one, other])["frozen"] == "a storm\nanother" == merge.merge([other, one])["frozen"]
    assert merge.merge([one, calm])["frozen"] == "a storm" and merge.merge([calm])["frozen"] is None
