"""The modules that keep a host's repair state: what they return and write, and what a person can mend with them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, List

import pytest
from ansible.module_utils.ib_gateway.state import journal
from ansible.module_utils.ib_gateway.state.limits import latched
from ansible.module_utils.ib_gateway.state.repair_status import read_status
from ansible.module_utils.ib_gateway.state.store import StateStore
from unit import repair_records
from unit.module_runs import ANSIBLE_S_OWN, contradictions, differing, documented, run
from unit.repair_records import act, failed_repair, kinds, params, read, state_dir

__all__ = ["state_dir"]


def returned(name: str, options: Dict[str, Any], check_mode: bool = False) -> Dict[str, Any]:
    """A module's result, which is as it documents it."""
    found = run(name, options, check_mode)
    assert not found.get("failed"), found
    assert (
        differing({key: each for key, each in found.items() if key not in ANSIBLE_S_OWN}, documented(name)[1], name)
        == []
    )
    return found


def begin(state_dir: Path, run_id: str = "r1", gateways: Any = ("live",), **more: Any) -> Dict[str, Any]:
    found = returned(
        "ib_repair_begin", {"authorization": params(state_dir, run_id, **more), "gateways": list(gateways)}
    )
    assert found["changed"] is False
    return found


def end(state_dir: Path, run_id: str = "r1", **healthy: bool) -> Dict[str, Any]:
    results = [{"gateway": name, "healthy": each, "summary": "as seen"} for name, each in healthy.items()]
    found = returned("ib_repair_end", {"authorization": params(state_dir, run_id), "results": results})
    assert found["changed"] is False
    return found


def release(state_dir: Path, check_mode: bool = False, **more: Any) -> Dict[str, Any]:
    options = {"state_dir": str(state_dir), "reason": "seen to", "by": "alice", **more}
    return returned("ib_repair_release", options, check_mode)


def pause(state_dir: Path, check_mode: bool = False, **more: Any) -> Dict[str, Any]:
    return returned("ib_repair_pause", {"state_dir": str(state_dir), **more}, check_mode)


# --- begin and end ---------------------------------------------------------------------------------------------------


def test_a_repair_that_was_proven_ends_in_success(state_dir: Path) -> None:
    found = begin(state_dir, gateways=["live", "paper"])
    assert found["begun"] and found["allowed"] == ["live", "paper"] and found["journal"] == "absent"
    act(state_dir)
    ended = end(state_dir, live=True, paper=False)
    assert ended["ended"] and ended["succeeded"] == ["live"] and ended["unsuccessful"] == [] and ended["latched"] == []
    assert kinds(state_dir) == ["begin", "intent", "outcome", "end"]
    assert read_status(str(state_dir))["lease"] is None


@pytest.mark.parametrize(
    "healthy", [{"live": False}, {"paper": True}, {}], ids=["unhealthy", "not looked at", "nothing"]
)
def test_a_repair_that_was_not_proven_latches(state_dir: Path, healthy: Dict[str, Any]) -> None:
    begin(state_dir)
    act(state_dir)
    ended = end(state_dir, **healthy)
    assert ended["unsuccessful"] == ["live"] and [each["gateway"] for each in ended["latched"]] == ["live"]
    refused = begin(state_dir, "r2")
    assert not refused["begun"] and refused["reason"] == "" and "latched since" in refused["refused"][0]["reason"]
    assert read_status(str(state_dir))["lease"] is None and kinds(state_dir)[-1] == "refuse"
    assert contradictions(refused["refused"], documented("ib_repair_begin")[1]["refused"], "refused") == []


def test_a_latched_gateway_that_is_healthy_now_is_let_go_even_by_a_run_that_did_nothing(state_dir: Path) -> None:
    failed_repair(state_dir, "r0")
    begin(state_dir, "r1", [])
    assert end(state_dir, "r1", live=False)["lifted"] == []
    assert "live" in latched(read(state_dir).records)
    begin(state_dir, "r2", [])
    ended = end(state_dir, "r2", live=True)
    assert ended["lifted"] == ["live"] and ended["succeeded"] == [] and ended["latched"] == []


def test_a_run_that_did_nothing_latches_nothing(state_dir: Path) -> None:
    begin(state_dir)
    assert end(state_dir, live=False)["unsuccessful"] == [] and kinds(state_dir) == ["begin"]


def test_an_end_without_a_begin_writes_nothing(state_dir: Path) -> None:
    failed_repair(state_dir, "r0")
    before = kinds(state_dir)
    ended = end(state_dir, "r1", live=True)
    assert not ended["ended"] and "has not begun" in ended["reason"] and ended["lifted"] == []
    assert end(state_dir, "r0", live=True)["lifted"] == [], "it has ended before"
    assert kinds(state_dir) == before


def test_a_run_whose_lease_was_taken_over_can_still_fail_but_not_succeed(state_dir: Path) -> None:
    begin(state_dir, gateways=["live", "paper"])
    act(state_dir)
    act(state_dir, gateway="paper")
    (state_dir / "lease.json").unlink()
    begin(state_dir, "r2", [])
    ended = end(state_dir, live=True, paper=False)
    assert not ended["ended"] and ended["succeeded"] == [] and ended["unsuccessful"] == ["paper"]
    assert read_status(str(state_dir))["lease"] is not None


def test_a_refused_gateway_does_not_keep_the_others(state_dir: Path) -> None:
    failed_repair(state_dir, "r0")
    found = begin(state_dir, "r1", ["live", "paper", "no name"])
    assert found["begun"] and found["allowed"] == ["paper"]
    assert [each["gateway"] for each in found["refused"]] == ["live", "no name"]


@pytest.mark.parametrize("forbidden", ["storm: 5 of 9 hosts are unhealthy", ""])
def test_a_storm_or_a_pause_lets_nobody_begin(state_dir: Path, forbidden: str) -> None:
    if not forbidden:
        pause(state_dir, reason="a person works here", minutes=5)
    found = begin(state_dir, blocked_reason=forbidden)
    assert not found["begun"] and found["allowed"] == [] and found["refused"][0]["reason"] == found["reason"]
    assert found["reason"] == forbidden or "a person works here" in found["reason"]
    assert kinds(state_dir) == ["defer"] and read_status(str(state_dir))["lease"] is None


def test_the_names_that_options_had_before_still_serve(state_dir: Path) -> None:
    options = {"warrant": {**params(state_dir), "forbidden": "storm"}, "gateways": ["live"]}
    assert returned("ib_repair_begin", options)["reason"] == "storm"


def test_backoff_is_told_with_the_time_at_which_it_is_over(state_dir: Path) -> None:
    begin(state_dir)
    act(state_dir)
    end(state_dir, live=True)
    found = begin(state_dir, "r2", limits={"backoff": 600.0})
    assert "backoff" in found["refused"][0]["reason"] and "possible again at 2" in found["refused"][0]["reason"]


@pytest.mark.parametrize("name", ["ib_repair_begin", "ib_repair_end", "ib_repair_release", "ib_repair_pause"])
def test_check_mode_makes_no_folder(state_dir: Path, name: str) -> None:
    options: Dict[str, Dict[str, Any]] = {
        "ib_repair_begin": {"authorization": params(state_dir), "gateways": ["live"]},
        "ib_repair_end": {"authorization": params(state_dir), "results": []},
        "ib_repair_release": {"state_dir": str(state_dir), "reason": "x", "reset_journal": True},
        "ib_repair_pause": {"state_dir": str(state_dir), "reason": "x", "minutes": 1},
    }
    found = returned(name, options[name], check_mode=True)
    assert found["changed"] is (name == "ib_repair_pause") and found.get("begun", True)
    assert not state_dir.exists()


def test_a_full_begin_and_end_in_check_mode_leave_every_byte_as_it_was(state_dir: Path) -> None:
    failed_repair(state_dir, "r0")
    before = {each.name: each.read_bytes() for each in state_dir.iterdir()}
    found = returned("ib_repair_begin", {"authorization": params(state_dir), "gateways": ["live", "paper"]}, True)
    assert found["begun"] and found["allowed"] == ["paper"]
    results = [{"gateway": "live", "healthy": True}]
    assert not returned("ib_repair_end", {"authorization": params(state_dir), "results": results}, True)["ended"]
    assert release(state_dir, check_mode=True)["released"] == ["live"]
    assert before == {each.name: each.read_bytes() for each in state_dir.iterdir()}


# --- a person --------------------------------------------------------------------------------------------------------


def test_a_person_lifts_latches_by_name_or_all(state_dir: Path) -> None:
    failed_repair(state_dir, "r1", "live")
    failed_repair(state_dir, "r2", "paper")
    assert release(state_dir, gateways=["nobody"])["changed"] is False
    found = release(state_dir, gateways=["paper"])
    assert found["changed"] is True and found["released"] == ["paper"]
    assert list(latched(read(state_dir).records)) == ["live"]
    last = read(state_dir).records[-1]
    assert (last.kind, last.by, last.reason) == ("release", "alice", "seen to")
    assert release(state_dir)["released"] == ["live"] and release(state_dir)["changed"] is False


def test_a_release_where_there_are_no_books_makes_none(state_dir: Path) -> None:
    found = release(state_dir, reset_journal=True)
    assert found["changed"] is False and found["journal"] == "absent" and not state_dir.exists()


def damage(state_dir: Path, how: str) -> None:
    file = state_dir / journal.FILE
    if how == "lost":
        file.unlink()
    elif how == "a FIFO":
        file.unlink()
        os.mkfifo(file)
    elif how == "a folder":
        file.unlink()
        file.mkdir()
        (file / "x").touch()
    else:
        file.write_bytes(b"rubbish\n")


@pytest.mark.parametrize("how", ["lost", "a FIFO", "a folder", "damaged"])
def test_a_person_sets_a_journal_aside_that_cannot_be_used(state_dir: Path, how: str) -> None:
    failed_repair(state_dir)
    damage(state_dir, how)
    failed = run("ib_repair_release", {"state_dir": str(state_dir), "reason": "x"})
    assert failed["failed"] and "ib_repair_reset_journal=true" in failed["msg"]
    before = sorted(os.listdir(state_dir))
    assert release(state_dir, check_mode=True, reset_journal=True)["changed"] is True
    assert sorted(os.listdir(state_dir)) == before
    found = release(state_dir, reset_journal=True)
    aside = [] if how == "lost" else [str(state_dir / "journal.jsonl.corrupt-1")]
    assert found["changed"] is True and found["set_aside"] == aside and all(map(os.path.lexists, aside))
    assert kinds(state_dir) == ["release"] and "seen to" in read(state_dir).records[0].reason
    assert begin(state_dir, "r2")["begun"]
    assert release(state_dir, reset_journal=True)["changed"] is False
    damage(state_dir, "damaged")
    assert release(state_dir, reset_journal=True)["set_aside"][0].endswith("-2" if aside else "-1")


def test_a_reset_sets_a_lease_aside_that_is_no_file(state_dir: Path) -> None:
    failed_repair(state_dir)
    (state_dir / "lease.json").mkdir()
    assert "ib_repair_reset_journal=true" in begin(state_dir, "r2", ["paper"])["reason"]
    found = release(state_dir, reset_journal=True, gateways=["nobody"])
    assert found["set_aside"] == [str(state_dir / "lease.json.corrupt-1")]
    assert begin(state_dir, "r2", ["paper"])["begun"]
    assert list(latched(read(state_dir).records)) == ["live"]


def test_a_person_is_told_who_works_on_the_host(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible.module_utils.ib_gateway.state.repair_state._PATIENCE", 0.1)
    failed_repair(state_dir, "r0")
    begin(state_dir, "r1", [])
    with StateStore(str(state_dir), "r1", "", write=True):
        for more in ({}, {"reset_journal": True}):  # type: Dict[str, Any]
            found = run("ib_repair_release", {"state_dir": str(state_dir), "reason": "x", **more})
            assert found["failed"] and "being repaired by alice@control pid 7" in found["msg"]
        ended = repair_records.end(state_dir, "r1", live=True)
        assert not ended["ended"] and "being repaired by" in ended["reason"]


# --- pause -----------------------------------------------------------------------------------------------------------


def test_a_pause_is_set_changed_and_ended(state_dir: Path) -> None:
    until: Dict[str, Any] = {"reason": "broker moves", "until": "2099-01-01T00:00:00Z"}
    assert pause(state_dir, check_mode=True, **until)["changed"] is True and not state_dir.exists()
    found = pause(state_dir, **until)
    assert found["changed"] is True and found["file"] == str(state_dir / "pause.json")
    assert found["paused"] == "paused until 2099-01-01T00:00:00Z: broker moves" == read_status(str(state_dir))["paused"]
    assert pause(state_dir, **until)["changed"] is False
    assert pause(state_dir, reason="other", until=until["until"])["changed"] is True
    assert pause(state_dir, reason="other", minutes=5)["changed"] is True
    assert pause(state_dir, check_mode=True, state="absent")["changed"] is True
    assert pause(state_dir, state="absent")["changed"] is True and read_status(str(state_dir))["paused"] is None
    assert pause(state_dir, state="absent")["changed"] is False


def test_the_pause_of_a_controller_is_any_file_and_readable_for_its_people(tmp_path: Path) -> None:
    file = tmp_path / "pause.json"
    options = {"path": str(file), "reason": "x", "minutes": 5}
    assert returned("ib_repair_pause", options)["changed"] is True
    assert file.stat().st_mode & 0o777 == 0o644 and json.loads(file.read_text())["reason"] == "x"
    assert returned("ib_repair_pause", {"path": str(file), "state": "absent"})["changed"] is True


def test_a_pause_can_be_set_while_a_repair_holds_the_lock(state_dir: Path) -> None:
    repair_records.begin(state_dir)
    with StateStore(str(state_dir), "r1", "", write=True):
        assert pause(state_dir, reason="stop", minutes=5)["changed"] is True


WRONG: List[Any] = [
    ("ib_repair_begin", {}, "authorization"),
    ("ib_repair_begin", {"authorization": {"run": "r1"}}, "by"),
    ("ib_repair_begin", {"authorization": {"run": "r1", "by": "x"}, "lease": 0}, "lease"),
    ("ib_repair_begin", {"authorization": {"run": "r1", "by": "x"}, "lease": float("nan")}, "lease"),
    ("ib_repair_end", {"authorization": {"run": "r1", "by": "x"}, "results": [{"gateway": "live"}]}, "healthy"),
    ("ib_repair_release", {"reason": " "}, "reason"),
    ("ib_repair_release", {"reason": "x", "state_dir": "here"}, "state_dir"),
    ("ib_repair_pause", {"reason": "x"}, "until"),
    ("ib_repair_pause", {"minutes": 5}, "reason"),
    ("ib_repair_pause", {"reason": "x", "minutes": -1}, "minutes"),
    ("ib_repair_pause", {"reason": "x", "minutes": float("nan")}, "minutes"),
    ("ib_repair_pause", {"reason": "x", "until": "2020-01-01T00:00:00Z"}, "until"),
    ("ib_repair_pause", {"reason": "x", "until": "tomorrow"}, "until"),
    ("ib_repair_pause", {"reason": "x", "until": "2099-01-01T00:00:00Z", "minutes": 5}, "minutes"),
    ("ib_repair_pause", {"reason": "x", "minutes": 5, "path": "here"}, "path"),
    ("ib_repair_pause", {"reason": "x", "minutes": 5, "state_dir": "here"}, "state_dir"),
    ("ib_repair_pause", {"reason": "x", "minutes": 5, "path": "/nonexistent/x"}, "/nonexistent/x"),
    ("ib_repair_pause", {"state": "absent", "path": "/dev/null/x"}, "/dev/null/x"),
]


@pytest.mark.parametrize(("name", "options", "text"), WRONG)
def test_a_bad_option_fails_with_a_message_that_names_it(name: str, options: Dict[str, Any], text: str) -> None:
    found = run(name, options)
    assert found.get("failed") is True
    assert text in found["msg"] and "Traceback" not in str(found)
