"""How often a gateway may be repaired: counted by intents, on the clock that nobody can set, and never forgotten."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, List, Optional, Sequence

import pytest
from ansible.module_utils.ib_gateway.state.limits import (
    WINDOW,
    Rules,
    acted_on,
    begun,
    latch_text,
    latched,
    needed,
    unfinished,
    verdict,
)
from ansible.module_utils.ib_gateway.state.records import Moment, Record, age, epoch, rfc3339
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.repair_records import NOW, record

LAX = Rules(repairs_per_hour=100, restarts_per_hour=100, backoff=0.0)


def repairs(*ago: float, action: str = "stop_client", **more: Any) -> List[Record]:
    """One repair of live for each age, each by a run of its own."""
    return [
        record(n, "intent", each, run="earlier %d" % n, action=action, **more) for n, each in enumerate(ago, start=1)
    ]


def said(
    records: Sequence[Record], action: str = "", now: Moment = NOW, rules: Optional[Rules] = None
) -> Optional[str]:
    return verdict(records, "live", action, "r1", now, rules or Rules())


def later(seconds: float, wall: float = 0.0) -> Moment:
    """Some seconds after NOW, on a wall clock that was set by `wall` seconds in between."""
    return Moment(NOW.at + seconds + wall, NOW.boot_id, NOW.boottime + seconds)


def test_a_gateway_that_was_never_repaired_may_be() -> None:
    assert said([]) is None and said([], "restart") is None


def test_the_fourth_repair_within_an_hour_is_not_begun_and_told_when_it_may() -> None:
    three = repairs(3500, 2000, 1000)
    assert said(three[:2]) is None
    text = said(three)
    assert text == (
        "limit: 3 repairs of it within the last hour, 3 are allowed; possible again at %s, or now with "
        "-e ib_gateway_repair_per_hour=4 -e ib_gateway_repair_backoff=0" % rfc3339(NOW.at + 101)
    )
    assert said(three, now=later(98)) is not None and said(three, now=later(101)) is None


def test_more_repairs_than_allowed_are_told_the_time_at_which_few_enough_are_left() -> None:
    text = said(repairs(3500, 3400, 3000, 2000, 1000))
    assert text is not None and rfc3339(NOW.at + 601) in text
    assert said(repairs(3500, 3400, 3000, 2000, 1000), now=later(601)) is None


def test_many_acts_of_one_run_are_one_repair() -> None:
    assert said([record(n, "intent", 1000 + n, run="one") for n in range(9)]) is None


def test_a_run_is_not_held_up_by_its_own_repair() -> None:
    mine = [record(9, "intent", 1, run="r1")]
    assert said(mine, "stop_gateway") is None
    assert said([*repairs(900, 800, 700), *mine], "stop_gateway") is None


def test_repairs_of_another_gateway_do_not_count() -> None:
    assert said([replace(each, gateway="paper") for each in repairs(9, 8, 7)]) is None


@pytest.mark.parametrize(("ago", "pause"), [((50,), 60), ((3000, 110), 120)])
def test_each_repair_doubles_the_backoff(ago: Sequence[float], pause: int) -> None:
    text = said(repairs(*ago))
    assert text is not None and "waits %d s" % pause in text
    assert text.endswith("possible again at %s, or now with -e ib_gateway_repair_backoff=0" % rfc3339(NOW.at + 11))
    assert said(repairs(*ago), now=later(9)) is not None and said(repairs(*ago), now=later(11)) is None


def test_the_backoff_runs_from_the_start_of_the_last_repair() -> None:
    long = [record(1, "intent", 70, run="one"), record(2, "intent", 5, run="one")]
    assert said(long) is None


def test_no_backoff_overflows() -> None:
    text = said(repairs(*range(2000, 0, -1)), rules=Rules(repairs_per_hour=10**9, backoff=1e8))
    assert text is not None and "waits 3600 s" in text


def test_a_limit_of_nothing_is_lifted_by_another_limit_only() -> None:
    assert said([], rules=Rules(repairs_per_hour=0)) == (
        "the limit is 0 repairs; only another ib_gateway_repair_per_hour lifts this"
    )
    assert "0 restarts" in str(said([], "restart", rules=replace(LAX, restarts_per_hour=0)))


def test_two_restarts_within_an_hour_are_enough() -> None:
    two = repairs(3000, 2000, action="restart")
    assert said(two[:1], "restart", rules=replace(LAX, restarts_per_hour=2)) is None
    text = said(two, "restart", rules=replace(LAX, restarts_per_hour=2))
    assert text is not None and "2 restarts" in text and rfc3339(NOW.at + 601) in text
    assert said(two, "stop_client", rules=replace(LAX, restarts_per_hour=2)) is None
    assert said(two, "restart", now=later(601), rules=replace(LAX, restarts_per_hour=2)) is None


def test_restarts_of_both_kinds_count_and_those_of_one_run_once() -> None:
    rules = replace(LAX, restarts_per_hour=2)
    one_of_each = [
        *(
            record(n, "intent", 3000, run="r8", action=action)
            for n, action in enumerate(("soft_restart", "restart"), 1)
        ),
        record(3, "intent", 2000, run="r9", action="soft_restart"),
    ]
    assert said(one_of_each[:2], "restart", rules=rules) is None
    for action in ("restart", "soft_restart"):
        assert "2 restarts" in str(said(one_of_each, action, rules=rules))


def test_a_run_whose_soft_restart_failed_may_restart_and_do_neither_again() -> None:
    mine = [record(1, "intent", 60, run="r1", action="soft_restart")]
    rules = replace(LAX, restarts_per_hour=1)
    assert said(mine, "restart", rules=rules) is None
    assert "once" in str(said(mine, "soft_restart", rules=rules))


def test_a_run_restarts_a_gateway_once_however_long_it_lasts() -> None:
    mine = [record(1, "intent", 4 * WINDOW, run="r1", action="restart")]
    assert "once" in str(said(mine, "restart", rules=LAX))
    assert said(mine, "stop_client", rules=LAX) is None


# --- clocks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wall", [-1e9, -7200.0, -60.0, 60.0, 7200.0, 1e9])
def test_a_wall_clock_that_jumps_neither_lifts_nor_stretches_a_limit(wall: float) -> None:
    three = repairs(3000, 2000, 1000)
    assert said(three, now=later(590, wall)) is not None
    assert said(three, now=later(601, wall)) is None


def test_a_repair_before_a_reboot_counts_by_the_wall_clock() -> None:
    one = record(1, "intent", 0, boot_id="another")
    after = Moment(NOW.at + 300, NOW.boot_id, 20.0)
    assert age(one, after) == 300.0
    assert age(one, replace(after, at=NOW.at - 500)) == 20.0, "never younger than this boot"
    assert age(replace(one, boottime=1e9), after) == 300.0


def test_a_clock_that_was_ahead_before_a_reboot_holds_nobody_for_years() -> None:
    ahead = [replace(each, boot_id="another", at=NOW.at + 1e9) for each in repairs(3, 2, 1)]
    assert said(ahead, now=replace(NOW, boottime=100.0)) is not None
    assert said(ahead, now=replace(NOW, boottime=3700.0)) is None


def test_without_a_boot_id_the_wall_clock_counts() -> None:
    assert age(record(1, "intent", 100, boot_id=""), replace(NOW, boot_id="", boottime=0.0)) == 100.0


def test_times_are_read_with_any_zone_and_written_in_utc() -> None:
    assert rfc3339(epoch("2026-11-22T19:00:00.5+01:00")) == "2026-11-22T18:00:00Z"
    assert rfc3339(1e300) == "9999-12-31T23:59:59Z" and rfc3339(-5) == "1970-01-01T00:00:00Z"
    for text in ("2026-11-22T18:00:00", "2026-02-30T18:00:00Z", "0000-01-01T00:00:00Z", "now", ""):
        with pytest.raises(ValueError, match="no time"):
            epoch(text)


# --- latch, unfinished, ended ----------------------------------------------------------------------------------------


def test_a_failure_latches_until_a_success_or_a_release() -> None:
    failure = record(1, "end", 10, result="failure", reason="nothing \x1b listens")
    latch = latched([failure])["live"]
    assert (latch.since, latch.reason, latch.run) == (rfc3339(NOW.at - 10), "nothing listens", "r1")
    assert "release.yml" in latch_text(latch) and latch.since in latch_text(latch)
    assert latched([failure, record(2, "end", result="failure")])["live"].since == latch.since
    assert latched([failure, record(2, "end", result="success")]) == {}
    assert latched([failure, record(2, "release")]) == {}
    assert "live" in latched([failure, record(2, "end", result="success", gateway="paper")])
    assert "live" in latched([record(1, "release"), replace(failure, n=2)])


def test_an_intent_without_an_outcome_is_unfinished() -> None:
    records = [record(1, "intent"), record(2, "intent"), record(3, "outcome", intent=1, result="done")]
    assert [each.n for each in unfinished(records)] == [2]


def test_what_a_run_acted_on_is_over_when_it_has_ended() -> None:
    records = [record(1, "begin", gateway=""), record(2, "intent"), record(3, "intent", gateway="paper")]
    assert acted_on(records, "r1") == ("live", "paper") and begun(records, "r1")
    assert acted_on([*records, record(4, "end", result="success")], "r1") == ("paper",)
    assert acted_on(records, "r2") == () and not begun(records, "r2")


# --- what a checkpoint keeps -----------------------------------------------------------------------------------------

KINDS = st.sampled_from(["begin", "intent", "intent", "outcome", "end", "release", "refuse", "defer"])
ROW = st.tuples(
    KINDS,
    st.sampled_from(["live", "paper"]),
    st.sampled_from(["r1", "r2", "r3"]),
    st.sampled_from(["restart", "start"]),
    st.sampled_from(["success", "failure"]),
    st.floats(min_value=0, max_value=900),
    st.booleans(),
    st.integers(min_value=-4000, max_value=4000),
)


@given(rows=st.lists(ROW, max_size=40), wait=st.floats(min_value=0, max_value=9000))
@settings(max_examples=150, deadline=None)
def test_nothing_that_counts_is_forgotten_by_a_checkpoint(rows: List[Any], wait: float) -> None:
    records: List[Record] = []
    passed = sum(row[5] for row in rows)
    for n, (kind, gateway, run, action, result, gap, rebooted, wall) in enumerate(rows, start=1):
        before = records[-1] if records else record(0, "begin", passed)
        one = replace(record(n, kind), gateway=gateway, run=run, action=action, intent=max(n - 1, 0))
        boot = "other" if rebooted else NOW.boot_id
        records.append(
            replace(one, result=result, at=before.at + gap + wall, boottime=before.boottime + gap, boot_id=boot)
        )
    kept = needed(records, NOW)
    assert needed(kept, NOW) == kept
    assert latched(kept) == latched(records)
    assert unfinished(kept) == unfinished(records)
    for run in [each.run for each in records if each.kind == "begin"][-1:]:
        assert acted_on(kept, run) == acted_on(records, run) and begun(kept, run)
    for now in (NOW, later(wait)):
        for gateway in ("live", "paper"):
            for rules in (Rules(), LAX, Rules(2, 1, 600.0)):
                assert verdict(kept, gateway, "", "new", now, rules) == verdict(records, gateway, "", "new", now, rules)
                assert verdict(kept, gateway, "restart", "new", now, rules) == verdict(
                    records, gateway, "restart", "new", now, rules
                )


@pytest.mark.parametrize("lift", [record(3, "release", run=""), record(3, "end", run="r2", result="success")])
def test_a_latch_that_was_lifted_does_not_come_back_with_a_checkpoint(lift: Record) -> None:
    records = [record(1, "begin", gateway=""), record(2, "end", result="failure"), lift]
    assert latched(needed(records, NOW)) == {}


def test_what_no_longer_counts_goes() -> None:
    old = [record(1, "begin", 9e5, run="old"), record(2, "intent", 9e5, run="old")]
    old += [record(3, "outcome", 9e5, run="old", intent=2), record(4, "defer", 1), record(5, "begin", 1)]
    assert [each.n for each in needed(old, NOW)] == [5]
    assert math.isfinite(age(old[0], NOW))
