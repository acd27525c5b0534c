"""The check: in which order it looks, what it writes down before and after an act, and what check mode leaves alone."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
from ansible.module_utils.ib_gateway.state import journal, pause
from ansible.module_utils.ib_gateway.state.admission import AdmissionCheck
from ansible.module_utils.ib_gateway.state.authorization import Authorization
from ansible.module_utils.ib_gateway.state.journal import JournalUnusable
from ansible.module_utils.ib_gateway.state.repair_status import read_status
from unit.repair_records import (
    DIGEST,
    FULL,
    FailingCalls,
    StoppingCalls,
    act,
    authorization,
    begin,
    crashing,
    end,
    failed_repair,
    kinds,
    params,
    read,
    state_dir,
)

__all__ = ["crashing", "state_dir"]
BOOT = journal.moment().boot_id


def admitted(
    state_dir: Path, action: str = "restart", digest: Any = DIGEST, check_mode: bool = False, **more: Any
) -> Any:
    """What the check says to one act of run r1."""
    with AdmissionCheck(authorization(state_dir, **more), check_mode) as check:
        return check.admit(action, "live", digest)


def plan(**more: Any) -> List[Dict[str, Any]]:
    now = journal.moment()
    return [{"gateway": "live", "digest": DIGEST, "boot_id": now.boot_id, "made_at": now.boottime, **more}]


def put_pause(state_dir: Path) -> None:
    pause.write(str(state_dir / pause.FILE), "a person works here", journal.moment().at + 60)


# --- the authorization -----------------------------------------------------------------------------------------------


def test_without_a_authorization_everything_passes_and_nothing_is_written(tmp_path: Path) -> None:
    assert Authorization.from_params(None) is None
    with AdmissionCheck(None, False) as check:
        assert check.admit("restart", "live", None) is None
        assert check.outcome(check.intend("restart", "live", {}), "done") is None
    assert list(tmp_path.iterdir()) == []


def test_a_authorization_has_what_its_option_says(state_dir: Path) -> None:
    found = authorization(state_dir, blocked_reason="storm\x1b", max_age=5.0)
    assert (found.run, found.by, found.state_dir) == ("r1", "alice@control pid 7", str(state_dir))
    assert found.blocked_reason == "storm" and found.max_age == 5.0 and set(found.plans) == {"live", "paper"}
    bare = Authorization.from_params({"run": "r1", "by": "alice", "limits": None})
    assert bare is not None and bare.rules.repairs_per_hour == 3 and bare.rules.restarts_per_hour == 2
    assert bare.rules.backoff == 60.0 and bare.max_age == 60.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_age": float("nan")},
        {"max_age": -1.0},
        {"limits": {"backoff": float("nan")}},
        {"limits": {"backoff": float("inf")}},
        {"limits": {"repairs_per_hour": -1}},
        {"limits": {"restarts_per_hour": -1}},
        {"run": " \x1b "},
    ],
    ids=str,
)
def test_a_authorization_that_cannot_be_right_forbids_everything_and_says_why(
    state_dir: Path, wrong: Dict[str, Any]
) -> None:
    found = Authorization.from_params({**params(state_dir), **wrong})
    assert found is not None and "the option authorization." in found.blocked_reason
    with AdmissionCheck(found, True) as check:
        assert check.admit("restart", "live", DIGEST) == found.blocked_reason


# --- admit -----------------------------------------------------------------------------------------------------------


def test_nothing_is_admitted_to_a_run_that_has_not_begun(state_dir: Path) -> None:
    assert "has not begun" in admitted(state_dir)
    begin(state_dir)
    assert admitted(state_dir) is None
    end(state_dir)
    assert "has not begun" in admitted(state_dir)


REASONS: Dict[str, Any] = {
    "blocked_reason": ({"blocked_reason": "storm: 5 of 9 hosts"}, DIGEST, "storm: 5 of 9 hosts", "defer"),
    "no plan": ({"plans": []}, DIGEST, "no plan", "refuse"),
    "another boot": ({"plans": plan(boot_id="x")}, DIGEST, "restarted since the plan", "refuse"),
    "no boot": ({"plans": plan(boot_id="")}, DIGEST, "restarted since the plan", "refuse"),
    "an old plan": ({"plans": plan(made_at=0.0)}, DIGEST, "60 s are allowed; look again", "refuse"),
    "a plan of the future": ({"plans": plan(made_at=1e9)}, DIGEST, "look again", "refuse"),
    "a plan of no time": ({"plans": plan(made_at=float("nan"))}, DIGEST, "look again", "refuse"),
    "other evidence": ({}, "e" * 64, "the evidence has changed", "refuse"),
    "no evidence": ({}, None, "the evidence has changed", "refuse"),
    # Made when the tests are read, which may be long before they run.
    "empty evidence": ({"plans": plan(digest=""), "max_age": 1e6}, "", "the evidence has changed", "refuse"),
    "limits": ({"limits": {"repairs_per_hour": 0}}, DIGEST, "the limit is 0 repairs", "defer"),
}


@pytest.mark.parametrize(("more", "digest", "text", "kind"), REASONS.values(), ids=REASONS)
def test_what_is_not_admitted_has_its_reason_and_is_written_down(
    state_dir: Path, more: Dict[str, Any], digest: Any, text: str, kind: str
) -> None:
    begin(state_dir)
    assert text in admitted(state_dir, digest=digest, **more)
    last = read(state_dir).records[-1]
    assert (last.kind, last.gateway, last.action) == (kind, "live", "restart") and text in last.reason
    assert text in admitted(state_dir, digest=digest, check_mode=True, **more)
    assert len(kinds(state_dir)) == 2


@pytest.mark.parametrize(("check_mode", "passes"), [(True, True), (False, False)])
def test_what_check_mode_foretells_is_not_compared_with_an_evidence_that_nobody_can_have(
    state_dir: Path, check_mode: bool, passes: bool
) -> None:
    begin(state_dir)
    with AdmissionCheck(authorization(state_dir), check_mode) as check:
        said = check.admit("stop_client", "live", "e" * 64, foretold=True)
    assert (said is None) is passes
    with AdmissionCheck(authorization(state_dir, plans=[]), check_mode) as check:
        assert "no plan" in str(check.admit("stop_client", "live", "e" * 64, foretold=True))


def test_a_pause_holds_from_the_moment_it_is_there(state_dir: Path) -> None:
    begin(state_dir)
    with AdmissionCheck(authorization(state_dir), False) as check:
        assert check.admit("stop_client", "live", DIGEST) is None
        put_pause(state_dir)
        assert "paused until" in str(check.admit("restart", "live", DIGEST))
        (state_dir / pause.FILE).write_text("soon")
        assert "not understood" in str(check.admit("restart", "live", DIGEST))
    assert kinds(state_dir) == ["begin", "defer", "defer"]
    assert read_status(str(state_dir))["paused"].startswith("paused, because")


def test_the_order_is_forbidden_pause_plan_evidence_latch_limits(state_dir: Path) -> None:
    failed_repair(state_dir, "r0")
    begin(state_dir, "r1", [])
    put_pause(state_dir)
    wrong: Dict[str, Any] = {"blocked_reason": "storm", "plans": plan(digest="e"), "limits": {"repairs_per_hour": 0}}
    assert admitted(state_dir, **wrong) == "storm"
    del wrong["blocked_reason"]
    assert "paused" in admitted(state_dir, **wrong)
    (state_dir / pause.FILE).unlink()
    assert "evidence" in admitted(state_dir, **wrong)
    wrong["plans"] = plan()
    assert "latched since" in admitted(state_dir, **wrong)
    end(state_dir, "r1", live=True)
    begin(state_dir, "r1", [])
    assert "limit" in admitted(state_dir, **wrong)
    assert admitted(state_dir) is None


@pytest.mark.parametrize("name", ["", "no name", "\x1b[31m", "-x", "x" * 201])
def test_what_is_no_name_is_not_admitted(state_dir: Path, name: str) -> None:
    begin(state_dir)
    with AdmissionCheck(authorization(state_dir), False) as check:
        assert "is no name of a gateway" in str(check.admit("restart", name, DIGEST))
        with pytest.raises(JournalUnusable):
            check.intend("restart", name, {})
    assert kinds(state_dir) == ["begin"]


def test_a_run_restarts_a_gateway_once(state_dir: Path) -> None:
    begin(state_dir)
    act(state_dir, action="restart")
    assert "once" in admitted(state_dir)
    assert admitted(state_dir, "stop_client") is None


def test_each_gateway_has_limits_of_its_own(state_dir: Path) -> None:
    begin(state_dir, gateways=["live", "paper"])
    act(state_dir)
    end(state_dir, live=True)
    limits = {"repairs_per_hour": 1}
    found = begin(state_dir, "r2", ["live", "paper"], limits=limits)
    assert found["allowed"] == ["paper"] and "limit: 1 repairs" in found["refused"][0]["reason"]


# --- intend and outcome ----------------------------------------------------------------------------------------------


def test_an_act_is_on_disk_before_it_is_done_and_after(state_dir: Path) -> None:
    begin(state_dir)
    with AdmissionCheck(authorization(state_dir), False) as check:
        assert check.admit("restart", "live", DIGEST) is None
        token = check.intend("restart", "live", {"pid": 815, "unit": "gw.service"})
        intent = json.loads((state_dir / journal.FILE).read_bytes().splitlines()[-1])
        assert intent["target"] == {"pid": 815, "unit": "gw.service"} and intent["n"] == token
        assert check.outcome(token, "failed", "it said --password hunter2\n") is None
    last = read(state_dir).records[-1]
    assert (last.kind, last.result, last.intent, last.gateway, last.action) == (
        "outcome",
        "failed",
        2,
        "live",
        "restart",
    )
    assert "hunter2" not in last.reason


def test_what_was_not_admitted_cannot_be_done(state_dir: Path) -> None:
    begin(state_dir)
    with AdmissionCheck(authorization(state_dir), False) as check:
        with pytest.raises(JournalUnusable, match="was not admitted"):
            check.intend("restart", "live", {})
        assert check.admit("restart", "live", DIGEST) is None
        with pytest.raises(JournalUnusable, match="was not admitted"):
            check.intend("restart", "paper", {})
        assert check.admit("restart", "live", "another") is not None
        with pytest.raises(JournalUnusable, match="was not admitted"):
            check.intend("restart", "live", {})
    assert "intent" not in kinds(state_dir)


def test_one_admission_serves_several_targets_but_one_restart(state_dir: Path) -> None:
    begin(state_dir)
    with AdmissionCheck(authorization(state_dir), False) as check:
        check.admit("stop_client", "live", DIGEST)
        assert check.intend("stop_client", "live", {}) != check.intend("stop_client", "live", {})
        check.admit("restart", "live", DIGEST)
        check.intend("restart", "live", {})
        with pytest.raises(JournalUnusable, match="was not admitted"):
            check.intend("restart", "live", {})


def test_an_unknown_result_is_unknown_and_a_wrong_token_is_told(state_dir: Path) -> None:
    begin(state_dir)
    with AdmissionCheck(authorization(state_dir), False) as check:
        check.admit("restart", "live", DIGEST)
        check.outcome(check.intend("restart", "live", {}), "splendid")
        assert "no intent has the number 77" in str(check.outcome(77, "done"))
    assert read(state_dir).records[-1].result == "unknown"


def test_an_act_that_raises_stays_without_an_outcome_and_the_next_run_shows_it_once(state_dir: Path) -> None:
    begin(state_dir)
    with pytest.raises(KeyboardInterrupt), AdmissionCheck(authorization(state_dir), False) as check:
        check.admit("restart", "live", DIGEST)
        check.intend("restart", "live", {})
        raise KeyboardInterrupt
    assert read_status(str(state_dir))["unfinished"] == [], "the run is under way"
    assert begin(state_dir)["unfinished"] == [] and "outcome" not in kinds(state_dir), "it still is"
    (state_dir / "lease.json").unlink()
    seen = read_status(str(state_dir))["unfinished"]
    assert [(each["gateway"], each["action"], each["run"]) for each in seen] == [("live", "restart", "r1")]
    assert begin(state_dir, "r2", [])["unfinished"] == seen
    assert begin(state_dir, "r2", [])["unfinished"] == [] == read_status(str(state_dir))["unfinished"]
    assert [each.result for each in read(state_dir).records if each.kind == "outcome"] == ["unknown"]


def test_an_outcome_that_cannot_be_written_is_told_and_nothing_more_is_admitted(state_dir: Path, crashing: Any) -> None:
    begin(state_dir)
    with AdmissionCheck(authorization(state_dir), False) as check:
        check.admit("restart", "live", DIGEST)
        token = check.intend("restart", "live", {})
        crashing(FailingCalls(*FULL))
        assert "No space left" in str(check.outcome(token, "done"))
        crashing(StoppingCalls())
        assert "observe only" in str(check.admit("stop_client", "live", DIGEST))
    assert [each.n for each in read(state_dir).records if each.kind == "intent"] == [token]


def test_a_refusal_that_cannot_be_written_is_a_refusal_all_the_same(state_dir: Path, crashing: Any) -> None:
    begin(state_dir)
    with AdmissionCheck(authorization(state_dir), False) as check:
        crashing(FailingCalls(*FULL))
        assert "evidence" in str(check.admit("restart", "live", "x"))
        assert "observe only" in str(check.admit("restart", "live", DIGEST))


def test_a_lease_that_cannot_be_renewed_lets_nothing_be_done(state_dir: Path, crashing: Any) -> None:
    begin(state_dir)
    crashing(FailingCalls(errno.ENOSPC, "rename"))
    assert "observe only" in admitted(state_dir)


# --- check mode ------------------------------------------------------------------------------------------------------


def test_check_mode_makes_nothing_where_there_is_nothing(state_dir: Path) -> None:
    with AdmissionCheck(authorization(state_dir), True) as check:
        assert check.admit("restart", "live", DIGEST) is None
        assert check.outcome(check.intend("restart", "live", {}), "done") is None
        assert "evidence" in str(check.admit("restart", "live", "x"))
    assert not state_dir.exists()


def test_check_mode_checks_and_leaves_every_byte_as_it_was(state_dir: Path) -> None:
    failed_repair(state_dir, "r0")
    begin(state_dir, "r1", [])
    before = {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in state_dir.iterdir()}
    assert "latched since" in admitted(state_dir, check_mode=True)
    assert "being repaired by" in str(
        AdmissionCheck(authorization(state_dir, "r2"), True).__enter__().admit("restart", "live", DIGEST)
    )
    with AdmissionCheck(authorization(state_dir), True) as check:
        assert check.admit("restart", "paper", DIGEST) is None
        assert check.intend("restart", "paper", {}) == 0
    assert before == {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in state_dir.iterdir()}
    (state_dir / journal.FILE).unlink()
    assert "observe only" in admitted(state_dir, check_mode=True)


def test_check_mode_does_not_need_the_lock(state_dir: Path) -> None:
    begin(state_dir)
    with AdmissionCheck(authorization(state_dir), False):
        assert admitted(state_dir, check_mode=True) is None
