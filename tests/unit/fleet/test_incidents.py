"""Incidents: begin, cause, acts, end and time to repair, also when the sweeps that show them are forgotten."""

from __future__ import annotations

import copy
import sqlite3
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from ansible.module_utils.ib_fleet.document.incidents import MOST, Observation, Standing, standings
from ansible.module_utils.ib_fleet.document.tallies import REFUSALS, Act
from ansible.module_utils.ib_fleet.render.metrics import prometheus
from ansible.module_utils.ib_fleet.run import write_report
from ansible.module_utils.ib_fleet.store import documents
from ansible.module_utils.ib_fleet.store.history import FILE, History
from prometheus_client.parser import text_string_to_metric_families
from unit import fleets

GOOD, DOWN = "good", "not_listening: restart"


def at(hour: int) -> str:
    return "2026-11-%02dT%02d:00:00Z" % (1 + hour // 24, hour % 24)


def one(*statuses: str, acts: Tuple[Act, ...] = ()) -> Standing:
    """A gateway that was seen so, hour by hour. acts: done after the first look."""
    seen = [
        [Observation(at(hour), "live", status, status, acts if not hour else ())]
        for hour, status in enumerate(statuses)
    ]
    return standings(seen)["live"]


def day(hour: int, look: Any, **more: Any) -> Dict[str, Any]:
    found = fleets.looks()[look] if isinstance(look, str) else look
    return fleets.document(fleets.host("a", found), at=at(hour), **more)


def repair(hour: int, *outcomes: Dict[str, Any], **more: Any) -> Dict[str, Any]:
    """A run that found the gateway down, did something, and found it healthy."""
    act = {"action": "restart", "changed": True, "outcomes": list(outcomes)}
    facts = fleets.repaired(act)
    host = fleets.host("a", fleets.looks()[DOWN], fleets.looks()[GOOD], **facts)
    return fleets.document(host, at=at(hour), kind="remediate", started_at=at(hour - 1), **more)


def written(folder: Path, *days: Dict[str, Any], keep: int = 200) -> Dict[str, Any]:
    """What the last of some documents knows of the gateway."""
    for each in days:
        assert write_report.write_all(each, folder, keep=keep).problems == []
    found = documents.read(folder / "fleet.json")
    assert documents.problems(found) == []
    return {each["gateway"]: each for each in found["history"]["gateways"]}


RESTART = fleets.outcome("restart", {"gateway": "live"})


# --- what an incident is ---------------------------------------------------------------------------------------------


def test_an_incident_lasts_from_the_look_that_found_it_to_the_one_that_saw_it_healthy_again() -> None:
    (found,) = one("healthy", "unhealthy", "degraded", "healthy", "healthy").incidents
    assert (found.begun_at, found.ended_at, found.begun_seen) == (at(1), at(3), True)
    assert found.cause == "unhealthy" and found.seconds == 7200


def test_what_was_so_at_the_first_look_may_have_begun_earlier_and_what_lasts_has_no_end() -> None:
    found = one("unhealthy", "unhealthy")
    assert [(each.begun_seen, each.ended_at, each.seconds) for each in found.incidents] == [(False, None, None)]
    assert found.since == at(0) and not found.since_seen and found.last_healthy is None


def test_a_look_that_could_not_judge_begins_no_incident_ends_none_and_counts_for_no_uptime() -> None:
    assert one("healthy", "unknown", "healthy").incidents == []
    (found,) = one("healthy", "unhealthy", "unknown", "unhealthy", "healthy").incidents
    assert (found.begun_at, found.ended_at) == (at(1), at(4))
    assert one("healthy", "unknown", "unknown", "unhealthy", "healthy").uptime == 0.5
    assert one("healthy").uptime is None and one("healthy", "healthy").uptime == 1.0


def test_since_when_is_that_of_the_incident_also_after_a_look_that_saw_nothing() -> None:
    assert one("healthy", "unhealthy", "unknown", "unhealthy").since == at(1)
    healthy = one("unhealthy", "healthy", "healthy")
    assert (healthy.since, healthy.since_seen, healthy.last_healthy) == (at(1), True, at(2))
    assert one("healthy", "unknown", "unknown").since == at(1)


def test_what_was_done_belongs_to_the_incident_it_was_done_in() -> None:
    found = one("unhealthy", "healthy", "unhealthy", acts=(Act("restart", "done"),))
    assert [each.acts for each in found.incidents] == [((at(0), "restart", "done"),), ()]


def test_a_host_that_is_not_reached_is_an_incident_of_the_host_and_its_gateways_stay_as_they_were() -> None:
    seen: List[List[Observation]] = [
        [Observation(at(0), "live", "healthy", "healthy")],
        [Observation(at(1), "", "unreachable", "unreachable")],
        [Observation(at(2), "live", "healthy", "healthy")],
    ]
    found = standings(seen)
    assert [(each.cause, each.begun_at, each.begun_seen, each.ended_at) for each in found[""].incidents] == [
        ("unreachable", at(1), True, at(2))
    ]
    assert found["live"].incidents == []


# --- kept ------------------------------------------------------------------------------------------------------------


def test_a_repair_is_one_incident_with_its_acts_and_its_time_by_the_controller_s_clock(tmp_path: Path) -> None:
    found = written(tmp_path, day(0, GOOD), repair(5, RESTART))["live"]
    assert found["status"] == "healthy" and found["repairs"] == {"restart": {"done": 1}}
    assert found["incidents"] == [
        {
            "cause": "not_listening",
            "begun_at": at(4),
            "begun_seen": True,
            "ended_at": at(5),
            "seconds": 3600.0,
            "acts": [{"at": at(4), "action": "restart", "result": "done"}],
        }
    ]


def test_an_incident_outlives_the_sweeps_that_show_its_begin_and_its_end(tmp_path: Path) -> None:
    sweeps = [day(0, GOOD), *(day(hour, DOWN) for hour in range(1, 8))]
    found = written(tmp_path, *sweeps, keep=3)["live"]
    assert [(each["begun_at"], each["begun_seen"]) for each in found["incidents"]] == [(at(1), True)]
    assert found["since"] == at(1) and found["since_seen"]
    later = written(tmp_path, *(day(hour, GOOD) for hour in range(8, 14)), keep=3)["live"]
    assert [(each["begun_at"], each["ended_at"]) for each in later["incidents"]] == [(at(1), at(8))]


def test_only_the_last_incidents_of_a_gateway_are_kept(tmp_path: Path) -> None:
    found = written(tmp_path, *(day(hour, DOWN if hour % 2 else GOOD) for hour in range(2 * MOST + 9)), keep=5)["live"]
    assert len(found["incidents"]) == MOST and found["incidents"][-1]["ended_at"] == at(2 * MOST + 8)


def test_the_same_document_twice_counts_once_and_check_mode_counts_nothing(tmp_path: Path) -> None:
    run = repair(5, RESTART)
    assert written(tmp_path, run, run)["live"]["repairs"] == {"restart": {"done": 1}}
    would = {**RESTART, "result": "would"}
    predicted = written(tmp_path, repair(7, would, check_mode=True))["live"]
    assert predicted["repairs"] == {"restart": {"done": 1}} and predicted["incidents"][-1]["acts"] == []


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("paused until 2026-11-22T18:00:00Z: maintenance", "paused"),
        ("backoff: 2 of its repairs began within the last hour", "backoff"),
        ("limit: 4 repairs of it within the last hour", "limit"),
        ("the evidence has changed since the plan was made; look again", "evidence_changed"),
        ("blackout 00:15 to 01:45", "blackout"),
        ("something else", "other"),
    ],
)
def test_what_was_refused_is_counted_by_kind(tmp_path: Path, reason: str, kind: str) -> None:
    refused = {**RESTART, "result": "refused", "reason": reason, "admitted": False}
    found = written(tmp_path, repair(5, refused))["live"]
    assert found["refusals"] == {kind: 1} and found["repairs"] == {} and kind in REFUSALS


def test_a_history_of_the_first_version_is_read_on_and_gets_the_new_tables(tmp_path: Path) -> None:
    write_report.write_all(day(0, DOWN), tmp_path)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.executescript("DROP TABLE looks; DROP TABLE incidents; DROP TABLE counters; PRAGMA user_version = 1")
    connection.close()
    found = written(tmp_path, day(1, GOOD))["live"]
    assert found["last_healthy"] == at(1) and found["incidents"] == []
    assert [when for when, _ in History(tmp_path).statuses()] == [at(0), at(1)]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE looks SET acts = '[[1]]'",
        "UPDATE looks SET status = x'ff'",
        "UPDATE incidents SET acts = '{}'",
        "UPDATE incidents SET cause = x'07'",
        "UPDATE incidents SET ended_at = 'soon'",
        "UPDATE looks SET verdict = '<b>'",
        "UPDATE counters SET times = 'many'",
        "UPDATE counters SET action = 'a b'",
        "DROP TABLE looks",
    ],
)
def test_whatever_lies_in_the_new_tables_the_report_is_written(tmp_path: Path, change: str) -> None:
    write_report.write_all(repair(5, RESTART), tmp_path)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(change)
    connection.close()
    done = write_report.write_all(day(6, GOOD), tmp_path)
    assert len(done.files) == 4 and done.problems and all("history" in each for each in done.problems)


def test_hostile_names_have_their_past_too(tmp_path: Path) -> None:
    document = fleets.hostile()
    assert write_report.write_all(document, tmp_path).problems == []
    found = documents.read(tmp_path / "fleet.json")
    assert {each["host"] for each in found["history"]["gateways"]} == {each["name"] for each in document["hosts"]}
    list(text_string_to_metric_families(prometheus(found)))


# --- shown -----------------------------------------------------------------------------------------------------------


def test_the_page_tells_incidents_with_acts_and_uptime_and_since_when_a_gateway_is_down(tmp_path: Path) -> None:
    written(tmp_path, day(0, GOOD), repair(5, RESTART), day(9, GOOD), day(10, DOWN), day(12, DOWN))
    page = (tmp_path / "index.html").read_text()
    assert "2026-11-01 04:00:00 UTC to 2026-11-01 05:00:00 UTC (1 h): not listening; restart: done" in page
    assert "since 2026-11-01 10:00:00 UTC (2 h): not listening" in page
    assert "live: healthy 75 % of the time" in page and 'aria-label="live from 2026-11-01T00' in page


def test_the_metrics_tell_since_when_what_was_done_and_how_long_the_last_incident_took(tmp_path: Path) -> None:
    written(tmp_path, day(0, GOOD), repair(5, RESTART), day(9, GOOD))
    text = (tmp_path / "ib_gateway.prom").read_text()
    samples = [each for family in text_string_to_metric_families(text) for each in family.samples]

    def value(name: str, **labels: str) -> float:
        wanted = {"host": "a", "gateway": "live", "mode": "live", **labels}
        (found,) = [each.value for each in samples if each.name == name and each.labels == wanted]
        return float(found)

    assert value("ib_gateway_repairs_total", action="restart", result="done") == 1
    assert value("ib_gateway_last_incident_seconds") == 3600
    assert value("ib_gateway_status_since_time_seconds") == 1793509200
    assert value("ib_gateway_last_healthy_time_seconds") == 1793523600
    assert value("ib_gateway_verdict", verdict="healthy") == value("ib_gateway_login_state", state="ready") == 1
    assert value("ib_gateway_process_start_time_seconds") == 1745600000


def test_what_could_not_be_read_again_is_not_written_and_spoils_nothing(tmp_path: Path) -> None:
    strange = copy.deepcopy(day(0, GOOD))
    strange["hosts"][0]["before"]["gateways"][0]["verdict"] = "No Code"
    History(tmp_path).add(strange, keep=5)
    assert [each["status"] for each in written(tmp_path, day(1, DOWN)).values()] == ["unhealthy"]
