"""The fleet guard: a fleet that is broken in common is reported, not repaired."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, List, Optional, Tuple

import pytest
from ansible.module_utils.ib_fleet.document.latest import seen
from ansible.module_utils.ib_fleet.run.fleet_guard import Thresholds, freezes, thresholds
from hypothesis import given
from hypothesis import strategies as st

Seen = Optional[Tuple[str, str]]
WELL: Seen = ("healthy", "healthy")
STALLED: Seen = ("unhealthy", "handshake_stalled")
STOPPED: Seen = ("unhealthy", "gateway_not_running")
AWAY: Seen = ("unreachable", "unreachable")
UNSEEN: Seen = ("unknown", "partial_visibility")


def test_one_broken_host_is_never_a_storm_however_small_the_fleet() -> None:
    assert freezes([STALLED], Thresholds()) == ""
    assert freezes([STALLED, WELL], Thresholds()) == ""


def test_a_third_is_not_yet_more_than_a_third() -> None:
    assert freezes([STALLED, STOPPED] + [WELL] * 4, Thresholds()) == ""
    assert "2 of 5 hosts" in freezes([STALLED, STOPPED] + [WELL] * 3, Thresholds())


@pytest.mark.parametrize("bad", [AWAY, UNSEEN], ids=["unreachable", "unknown"])
def test_hosts_that_could_not_be_judged_count_against_the_fleet(bad: Seen) -> None:
    assert freezes([STALLED, bad, *[WELL] * 3], Thresholds()) != ""


def test_a_degraded_host_is_not_broken() -> None:
    assert freezes([("degraded", "upstream_down")] * 9 + [STALLED], Thresholds()) == ""


def test_the_same_verdict_on_most_hosts_is_a_storm_although_the_share_allows_it() -> None:
    wide = Thresholds(share=Fraction(1))
    assert "handshake_stalled" in freezes([STALLED] * 3 + [WELL, STOPPED], wide)
    assert freezes([STALLED] * 2 + [STOPPED] * 2 + [WELL], wide) == ""


def test_hosts_outside_of_this_run_belong_to_the_fleet_and_are_not_held_against_it() -> None:
    assert freezes([STALLED, STALLED] + [None] * 8, Thresholds()) == ""
    assert freezes([STALLED, STALLED, None, None, None], Thresholds()) != ""


def test_a_desk_of_a_few_hosts_is_repaired_although_most_of_them_are_broken() -> None:
    assert freezes([STALLED, STALLED, WELL], Thresholds()) == ""
    assert freezes([STALLED, STOPPED, STALLED, STALLED], Thresholds()) == ""
    assert freezes([STALLED, STALLED], Thresholds()) == ""


def test_one_verdict_on_all_of_a_few_hosts_is_a_common_cause() -> None:
    assert "all 3 hosts are handshake_stalled" in freezes([STALLED] * 3, Thresholds())
    assert freezes([STALLED] * 3 + [None], Thresholds()) == ""
    assert freezes([STALLED] * 3, Thresholds(same=Fraction(1))) == ""


def test_how_many_hosts_make_a_fleet_is_the_desk_s_to_say() -> None:
    assert "2 of 3 hosts" in freezes([STALLED, STALLED, WELL], Thresholds(fleet=3))


def test_shares_of_one_switch_the_brake_off() -> None:
    assert freezes([STALLED] * 10, Thresholds(Fraction(1), Fraction(1))) == ""


@given(st.lists(st.sampled_from([WELL, STALLED, STOPPED, AWAY, UNSEEN, None]), max_size=12))
def test_one_more_broken_host_in_place_of_a_healthy_one_never_lifts_the_brake(fleet: List[Seen]) -> None:
    if freezes(fleet, Thresholds()) and WELL in fleet:
        fleet[fleet.index(WELL)] = STALLED
        assert freezes(fleet, Thresholds())


@pytest.mark.parametrize(
    ("share", "same", "least", "named"),
    [
        ("a lot", "1/2", 2, "ib_repair_storm_share is 'a lot'"),
        (-1, "1/2", 2, "ib_repair_storm_share is -1"),
        ("1/3", 1.5, 2, "ib_repair_storm_same is 1.5"),
        ("1/3", "1/0", 2, "ib_repair_storm_same"),
        ("1/3", "1/2", 0, "ib_repair_storm_at_least is 0"),
        ("1/3", "1/2", "two", "ib_repair_storm_at_least is 'two'"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_its_name(share: Any, same: Any, least: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named.replace("(", r"\(")):
        thresholds(share, same, least)


def test_shares_may_be_given_as_fractions_decimals_or_numbers() -> None:
    assert thresholds("1/3", 0.5, "3") == Thresholds(Fraction(1, 3), Fraction(1, 2), 3)


def test_what_a_look_returned_is_read_as_the_report_reads_it() -> None:
    gateways = [{"status": "healthy", "verdict": "healthy"}, {"status": "unhealthy", "verdict": "wrong_port"}]
    assert seen({"status": "unhealthy", "gateways": gateways}) == ("unhealthy", "wrong_port")
    assert seen({"unreachable": True}) == ("unreachable", "unreachable")
    assert seen({"msg": "module failed"}) == ("unknown", "not_judged")
    assert seen(None) is None
