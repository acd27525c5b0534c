"""The sweeps of the past: kept as long as wanted, and compared: fixed, new, still broken, not seen."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Dict, List

import pytest
from ansible.module_utils.ib_fleet.document.changes import Comparison, compare, further, known, known_of, open_findings
from ansible.module_utils.ib_fleet.document.report_error import ReportError
from ansible.module_utils.ib_fleet.run import write_report
from ansible.module_utils.ib_fleet.store import documents
from ansible.module_utils.ib_fleet.store.history import FILE, History
from unit import facts, fleets

GOOD, DOWN = "good", "gateway_not_running: start after a second look"


def day(number: int, **looks: Any) -> Dict[str, Any]:
    """A document of one day; looks: by host the name of a situation, or a result."""
    found = {name: fleets.looks()[look] if isinstance(look, str) else look for name, look in looks.items()}
    hosts = [fleets.host(name, look) for name, look in found.items()]
    return fleets.document(*hosts, at="2026-11-%02dT08:00:00Z" % number)


def compared(before: Dict[str, Any], after: Dict[str, Any]) -> Comparison:
    return compare(before["generated_at"], known_of(before), after)


def kept(folder: Path, *days: Dict[str, Any]) -> Comparison:
    """The last of some days beside the one before it, by the history."""
    found = [write_report.write_all(each, folder) for each in days][-1]
    assert found.comparison and found.problems == []
    return found.comparison


def told(found: Comparison) -> Dict[str, List[str]]:
    return {
        kind: [f"{each.host}:{each.gateway}:{each.code}" for each in getattr(found, kind)]
        for kind in found.counts
        if getattr(found, kind)
    }


def ages(found: Comparison) -> Dict[str, str]:
    return {f"{each.host}:{each.code}": each.since for each in found.still}


# --- comparing -------------------------------------------------------------------------------------------------------


def test_what_is_fixed_new_and_still_broken_is_told_apart() -> None:
    found = compared(day(1, a=DOWN, b=GOOD, c=DOWN, d=GOOD), day(2, a=GOOD, b=DOWN, c=DOWN, d=GOOD))
    code = "live:gateway_not_running"
    assert told(found) == {"fixed": [f"a:{code}"], "new": [f"b:{code}"], "still": [f"c:{code}"]}
    assert found.since == "2026-11-01T08:00:00Z"


@pytest.mark.parametrize(("lost", "code"), [(fleets.UNREACHABLE, "unreachable"), (fleets.FAILED, "not_judged")])
def test_what_cannot_be_looked_at_any_more_is_not_fixed(lost: Any, code: str) -> None:
    assert told(compared(day(1, a=DOWN), day(2, a=lost))) == {
        "unseen": ["a:live:gateway_not_running"],
        "new": [f"a::{code}"],
    }
    assert told(compared(day(1, a=lost), day(2, a=GOOD))) == {"fixed": [f"a::{code}"]}


def test_hosts_that_are_in_one_sweep_only_are_left_out() -> None:
    assert told(compared(day(1, a=DOWN), day(2, b=DOWN))) == {}


def test_a_sweep_beside_itself_has_nothing_new_and_nothing_fixed() -> None:
    one = fleets.some(60)
    assert set(told(compared(one, one))) == {"still"}


CODE = "gateway_not_running"


def test_what_is_still_broken_is_told_with_the_sweep_since_which_every_look_has_found_it(tmp_path: Path) -> None:
    found = kept(tmp_path, day(1, a=DOWN, b=GOOD), day(2, a=DOWN, b=DOWN), day(3, a=DOWN, b=DOWN))
    assert ages(found) == {f"a:{CODE}": "2026-11-01T08:00:00Z", f"b:{CODE}": "2026-11-02T08:00:00Z"}


def test_a_look_that_found_it_gone_begins_the_age_anew(tmp_path: Path) -> None:
    found = kept(tmp_path, day(1, a=DOWN), day(2, a=GOOD), day(3, a=DOWN), day(4, a=DOWN))
    assert ages(found) == {f"a:{CODE}": "2026-11-03T08:00:00Z"}


@pytest.mark.parametrize("lost", [fleets.UNREACHABLE, fleets.FAILED])
def test_a_sweep_that_could_not_judge_the_host_does_not_end_the_age(tmp_path: Path, lost: Any) -> None:
    found = kept(tmp_path, day(1, a=DOWN), day(2, a=lost), day(3, a=DOWN), day(4, a=DOWN))
    assert ages(found) == {f"a:{CODE}": "2026-11-01T08:00:00Z"}


def test_a_broken_farm_that_lasts_is_told_with_its_age(tmp_path: Path) -> None:
    farms = ({"serves": "market data", "name": "usfarm", "code": 2103},)
    serving = (facts.spec(), facts.snapshot(facts.gateway(), facts.listener()), facts.probe(farms=farms))
    broken = facts.health(serving)
    found = kept(tmp_path, day(1, a=GOOD), day(2, a=broken), day(3, a=broken))
    assert ages(found) == {"a:farm_broken": "2026-11-02T08:00:00Z"}
    assert "a (live) since 2026-11-02 08:00:00 UTC" in " ".join((tmp_path / "index.html").read_text().split())


@pytest.mark.parametrize(("lost", "code"), [(fleets.UNREACHABLE, "unreachable"), (fleets.FAILED, "not_judged")])
def test_an_old_finding_is_not_new_after_a_sweep_that_could_not_judge_its_host(
    tmp_path: Path, lost: Any, code: str
) -> None:
    found = kept(tmp_path, day(1, a=DOWN), day(2, a=lost), day(3, a=lost), day(4, a=DOWN))
    assert told(found) == {"still": [f"a:live:{CODE}"], "fixed": [f"a::{code}"]}
    assert found.since == "2026-11-03T08:00:00Z" and found.older == (("a", "2026-11-01T08:00:00Z"),)


def test_what_was_mended_while_nobody_could_look_is_fixed(tmp_path: Path) -> None:
    found = kept(tmp_path, day(1, a=DOWN), day(2, a=fleets.UNREACHABLE), day(3, a=GOOD))
    assert told(found) == {"fixed": ["a::unreachable", f"a:live:{CODE}"]}


def test_a_host_that_stays_away_keeps_what_is_not_known_of_it(tmp_path: Path) -> None:
    found = kept(tmp_path, day(1, a=DOWN), day(2, a=fleets.UNREACHABLE), day(3, a=fleets.UNREACHABLE))
    assert told(found) == {"still": ["a::unreachable"], "unseen": [f"a:live:{CODE}"]}


def test_what_breaks_while_nobody_can_look_is_new(tmp_path: Path) -> None:
    found = kept(tmp_path, day(1, a=GOOD), day(2, a=fleets.UNREACHABLE), day(3, a=DOWN))
    assert told(found) == {"new": [f"a:live:{CODE}"], "fixed": ["a::unreachable"]}


def test_a_host_that_a_limited_run_left_out_is_compared_with_the_last_one_that_judged_it(tmp_path: Path) -> None:
    found = kept(tmp_path, day(1, a=DOWN, b=GOOD), day(2, b=GOOD), day(3, a=DOWN, b=GOOD))
    assert told(found) == {"still": [f"a:live:{CODE}"]}
    assert found.older == (("a", "2026-11-01T08:00:00Z"),)


def test_hosts_that_were_judged_then_are_compared_with_that_sweep_and_no_older_one(tmp_path: Path) -> None:
    found = kept(tmp_path, day(1, a=DOWN), day(2, a=GOOD), day(3, a=DOWN))
    assert told(found) == {"new": [f"a:live:{CODE}"]} and found.older == ()


def test_a_document_that_did_not_reach_a_host_is_helped_out_by_the_history(tmp_path: Path) -> None:
    write_report.write_all(day(1, a=DOWN), tmp_path)
    (tmp_path / "monday.json").write_text(documents.text(day(2, a=fleets.UNREACHABLE)))
    done = write_report.write_all(day(3, a=DOWN), tmp_path, compare_with=str(tmp_path / "monday.json"))
    assert done.comparison and told(done.comparison)["still"] == [f"a:live:{CODE}"]


def test_only_the_gateway_that_was_hidden_is_looked_up_in_older_sweeps() -> None:
    hidden = frozenset({("live", "partial_visibility"), ("paper", "duplicate_gateways")})
    then = frozenset({("live", CODE), ("paper", "not_listening")})
    found = further(known(hidden), then, "2026-11-01")
    assert found.open_findings == hidden | {("live", CODE)} and found.hidden == frozenset()
    away = further(further(known(frozenset({("", "unreachable")})), hidden, "2026-11-02"), then, "2026-11-01")
    assert away.open_findings == {("", "unreachable"), ("paper", "duplicate_gateways"), ("live", CODE)}


# --- keeping ---------------------------------------------------------------------------------------------------------


def test_a_sweep_comes_back_with_what_comparing_needs(tmp_path: Path) -> None:
    history, one = History(tmp_path), fleets.some(30)
    history.add(one, keep=5)
    found = history.latest(before="2027")
    assert found is not None and found.generated_at == one["generated_at"]
    assert dict(found.statuses) == {each["name"]: each["status"] for each in one["hosts"]}
    assert dict(found.open_findings) == {each["name"]: open_findings(each) for each in one["hosts"]}


def test_only_as_many_sweeps_as_wanted_are_kept_and_their_hosts_go_with_them(tmp_path: Path) -> None:
    history = History(tmp_path)
    for number in range(1, 8):
        history.add(day(number, a=GOOD), keep=3)
    assert [at[8:10] for at, _ in history.statuses()] == ["05", "06", "07"]
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("SELECT count(*) FROM hosts").fetchone() == (3,)


def test_the_same_document_twice_is_one_sweep(tmp_path: Path) -> None:
    history = History(tmp_path)
    for _ in range(2):
        history.add(day(1, a=GOOD), keep=5)
    assert len(history.statuses()) == 1


def test_a_sweep_is_found_by_how_its_time_begins_and_the_previous_one_by_what_is_older(tmp_path: Path) -> None:
    history = History(tmp_path)
    for number in (1, 2, 12):
        history.add(day(number, a=GOOD), keep=5)
    assert history.find("2026-11-1").generated_at[8:10] == "12"
    assert history.find("2026-11-0").generated_at[8:10] == "02"
    previous = history.latest(before="2026-11-12T08:00:00Z")
    assert previous is not None and previous.generated_at[8:10] == "02"
    with pytest.raises(ReportError, match="no sweep of the history fits 'x%'; the newest are: 2026-11-01T08"):
        history.find("x%")


def test_the_past_of_a_host_comes_oldest_first_with_its_handshake(tmp_path: Path) -> None:
    history = History(tmp_path)
    for number, look in enumerate((GOOD, DOWN, GOOD), 1):
        history.add(day(number, a=look), keep=5)
    points = history.points()["a"]
    assert [each.status for each in points] == ["healthy", "unhealthy", "healthy"]
    assert [each.handshake_ms for each in points] == [pytest.approx(51.2), None, pytest.approx(51.2)]


def test_hostile_names_come_back_as_they_are_and_break_nothing(tmp_path: Path) -> None:
    document = fleets.hostile()
    history = History(tmp_path)
    history.add(document, keep=5)
    found = history.latest(before="2027")
    names = {each["name"].replace("\udcff", "\\udcff") for each in document["hosts"]}
    assert found is not None and set(found.statuses) == names


@pytest.mark.parametrize(("content", "told_"), [(b"not a database at all, but long enough" * 40, "damaged")])
def test_a_history_that_is_damaged_is_named_and_not_overwritten(tmp_path: Path, content: bytes, told_: str) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ReportError, match=told_):
        History(tmp_path).add(day(1, a=GOOD), keep=5)
    assert (tmp_path / FILE).read_bytes() == content


def test_a_history_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ReportError, match="newer version"):
        History(tmp_path).statuses()


def test_a_history_in_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"history\.sqlite could not be opened: No such file"):
        History(tmp_path / "none").statuses()


# --- what others have written ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE hosts SET troubles = 'no json'",
        "UPDATE hosts SET troubles = '5'",
        "UPDATE hosts SET troubles = '[[1, 2, 3]]'",
        "UPDATE hosts SET troubles = x'ff00'",
        "UPDATE hosts SET handshake_ms = 'soon'",
        "UPDATE hosts SET handshake_ms = 9e999",
        "UPDATE hosts SET status = x'ff'",
        "UPDATE sweeps SET statuses = '[]'",
        'UPDATE sweeps SET statuses = \'{"healthy": "many"}\'',
        "UPDATE sweeps SET statuses = replace(hex(zeroblob(50000)), '0', '[')",
        "UPDATE sweeps SET generated_at = 7",
        "DROP TABLE hosts",
    ],
)
def test_whatever_lies_in_the_history_the_report_is_written(tmp_path: Path, change: str) -> None:
    write_report.write_all(day(1, a=GOOD, b=DOWN), tmp_path)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(change)
    connection.close()
    written = write_report.write_all(day(2, a=GOOD, b=DOWN), tmp_path)
    names = {Path(each).name for each in written.files}
    assert names == {"fleet.json", "junit.xml", "ib_gateway.prom", "index.html"}
    assert all("history" in each for each in written.problems)


def test_what_sqlite_quotes_of_a_damaged_history_is_told_in_one_short_line(tmp_path: Path) -> None:
    History(tmp_path).add(day(1, a=GOOD), keep=5)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("UPDATE hosts SET troubles = ?", (b"\xff\x1b[2J" * 2000,))
        connection.execute("UPDATE hosts SET troubles = CAST(troubles AS TEXT)")
    connection.close()
    with pytest.raises(ReportError, match=r"history\.sqlite could not be used: ") as told:
        History(tmp_path).latest("2027-01-01T00:00:00Z")
    assert len(str(told.value)) < 1000 and "\x1b" not in str(told.value)


def test_a_history_whose_tables_are_no_text_is_named(tmp_path: Path) -> None:
    History(tmp_path).add(day(1, a=GOOD), keep=5)
    data = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(data.replace(b" NOT NULL", b" NOT NU\xb9L"))
    with pytest.raises(ReportError, match=r"history\.sqlite holds what no sweep has written"):
        History(tmp_path).statuses()
