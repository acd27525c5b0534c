"""How a repair climbs a host's plan: least disruptive rung first, each at most once, and how a person reads it."""

from __future__ import annotations

import itertools
from typing import Any, Dict, List, Optional, Tuple

import pytest
from ansible.module_utils.ib_fleet.document import escalation
from ansible.module_utils.ib_gateway.base.plan import RUNGS
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.facts import (
    SCRIPT,
    SECOND,
    connection,
    gateway,
    health,
    listener,
    probe,
    script,
    snapshot,
    spec,
)

UNIT: Dict[str, Any] = {"unit": "ibgateway.service"}
DOWN = (spec(), snapshot(), None)
STARTING = (spec(name="slow"), snapshot(gateway(age=30.0)), None)
STALLED = (spec(name="stalled"), snapshot(gateway(**UNIT), listener()), probe("stalled"))
FINE = (spec(name="fine"), snapshot(gateway(), listener()), probe())
CROWDED = (
    spec(name="crowded"),
    snapshot(gateway(), listener(), script(), connection(SCRIPT), connection(remote_host="10.0.0.9")),
    None,
)


def step(action: str, name: str = "live") -> Dict[str, Any]:
    return {"action": action, "gateway": name}


def raw(*steps: Dict[str, Any], remediation: str = "auto") -> Dict[str, Any]:
    """A health result with these steps and nothing else that the ladder asks for."""
    return {"gateways": [{"name": "live", "remediation": remediation, "plan": {"steps": list(steps)}}]}


# --- which steps -----------------------------------------------------------------------------------------------------


def test_the_rungs_go_from_the_least_to_the_most_disruptive() -> None:
    assert RUNGS == ("wait", "drop_connection", "stop_client", "stop_gateway", "start", "restart")


def test_the_steps_of_all_entries_count() -> None:
    found = escalation.steps(health(DOWN, STALLED, FINE))
    assert [(each["gateway"], each["action"]) for each in found] == [("live", "start"), ("stalled", "restart")]


def test_an_entry_that_is_plan_only_gives_no_steps() -> None:
    shown = health((spec(remediation="plan_only"), snapshot(), None), STALLED)
    assert [each["gateway"] for each in escalation.steps(shown)] == ["stalled"]


@pytest.mark.parametrize("nothing", [None, {}, {"gateways": []}, {"msg": "unreachable", "unreachable": True}])
def test_a_host_without_a_look_gives_no_steps_and_no_rung(nothing: Any) -> None:
    assert escalation.steps(nothing) == []
    assert escalation.climb(nothing)["rung"] is None
    assert escalation.lines(nothing) == []


# --- which rung ------------------------------------------------------------------------------------------------------


def taken(*rungs: str) -> Dict[str, Any]:
    """What is remembered of a climb that has taken these rungs, on none of which it met anybody."""
    return {**escalation.climb(None), "taken": list(rungs[:-1]), "rung": rungs[-1]}


def rung(found: Dict[str, Any]) -> Tuple[Optional[str], List[str]]:
    return found["rung"], [each["gateway"] for each in found["steps"]]


def test_a_climb_begins_at_the_lowest_rung_that_any_entry_needs_and_takes_all_its_steps() -> None:
    assert rung(escalation.climb(health(STALLED, DOWN, STARTING))) == ("wait", ["slow"])
    assert rung(escalation.climb(health(STALLED, DOWN))) == ("start", ["live"])
    assert rung(escalation.climb(health(STALLED))) == ("restart", ["stalled"])
    assert rung(escalation.climb(health(CROWDED, STALLED))) == ("stop_client", ["crowded"])
    assert rung(escalation.climb(raw(step("start"), step("start", "paper")))) == ("start", ["live", "paper"])
    assert rung(escalation.climb(health(FINE))) == (None, [])


def test_the_next_rung_is_above_the_last_one() -> None:
    every = raw(step("wait"), cut(1), stop(2, False), step("stop_gateway"), step("start"), step("restart"))
    for below, above in itertools.pairwise(RUNGS):
        rungs = [below] * (2 if below == "drop_connection" else 1)
        assert escalation.climb(every, taken(*rungs))["rung"] == above
    assert escalation.climb(every, taken("restart"))["rung"] is None


def test_a_rung_is_not_climbed_twice_although_its_fault_is_still_there() -> None:
    assert escalation.climb(health(CROWDED), taken("stop_client"))["rung"] is None
    assert escalation.climb(health(STALLED), taken("restart"))["rung"] is None


def test_a_rung_below_is_not_climbed_again() -> None:
    assert escalation.climb(raw(step("wait"), stop(1, False)), taken("start"))["rung"] is None


def test_a_rung_whose_only_steps_are_plan_only_is_no_rung() -> None:
    assert escalation.climb(raw(step("restart"), remediation="plan_only"))["rung"] is None


def test_what_was_started_in_a_run_is_not_restarted_in_it() -> None:
    first = escalation.climb(raw(step("start")))
    assert rung(escalation.climb(raw(step("restart")), first)) == (None, [])
    assert rung(escalation.climb(raw(step("restart"), step("restart", "paper")), first)) == ("restart", ["paper"])


def test_nothing_more_is_done_to_an_entry_on_which_the_host_refused_a_step() -> None:
    both = raw(step("stop_gateway"), step("start"), step("start", "paper"))
    first = escalation.climb(both)
    second = escalation.climb(both, first, [{"gateway": "live"}])
    assert rung(second) == ("start", ["paper"])
    assert rung(escalation.climb(raw(step("restart")), second)) == (None, [])
    assert rung(escalation.climb(both, None, [{"gateway": "live"}])) == ("start", ["paper"])


def cut(*pids: int, port: int = 50123) -> Dict[str, Any]:
    who = [{"pid": pid, "started_ticks": 10 * pid} for pid in pids]
    return {**step("drop_connection"), "target": {"client_port": port, "client_processes": who}}


def stop(pid: int, only_if_persists: bool = True, ticks: Optional[int] = None) -> Dict[str, Any]:
    target = {"pid": pid, "started_ticks": ticks or 10 * pid}
    return {**step("stop_client"), "target": target, "only_if_persists": only_if_persists}


def pids(found: Dict[str, Any]) -> List[int]:
    return [each["target"]["pid"] for each in found["steps"]]


def test_a_script_whose_connection_was_to_be_cut_is_stopped_if_that_did_not_help() -> None:
    crowd = raw(cut(1), cut(2), stop(1), stop(2))
    first = escalation.climb(crowd)
    assert (first["rung"], len(first["steps"])) == ("drop_connection", 2)
    second = escalation.climb(crowd, first)
    assert (second["rung"], pids(second)) == ("stop_client", [1, 2])


def test_who_connects_while_connections_are_cut_is_cut_too_and_only_he() -> None:
    first = escalation.climb(raw(cut(1), stop(1)))
    second = escalation.climb(raw(cut(1, port=50999), cut(2), stop(1), stop(2)), first)
    assert second["rung"] == "drop_connection"
    assert [each["target"]["client_processes"][0]["pid"] for each in second["steps"]] == [2]
    third = escalation.climb(raw(cut(1), cut(2), stop(1), stop(2)), second)
    assert (third["rung"], pids(third)) == ("stop_client", [1, 2])


def test_who_connects_after_the_second_round_of_cuts_is_left_to_the_next_run() -> None:
    first = escalation.climb(raw(cut(1), stop(1)))
    second = escalation.climb(raw(cut(2), stop(2)), first)
    third = escalation.climb(raw(cut(2), cut(3), stop(2), stop(3)), second)
    assert (third["rung"], pids(third)) == ("stop_client", [2])
    assert escalation.climb(raw(cut(3), stop(3)), second)["rung"] is None


def test_a_script_that_has_the_number_of_one_that_was_cut_is_another_script() -> None:
    first = escalation.climb(raw(cut(1), stop(1)))
    assert escalation.climb(raw(stop(1, ticks=11)), first)["rung"] is None


def test_a_script_that_is_not_to_be_cut_at_all_is_stopped_uncut() -> None:
    assert pids(escalation.climb(raw(stop(1, only_if_persists=False)))) == [1]


def test_a_connection_that_somebody_new_holds_as_well_is_cut_again() -> None:
    first = escalation.climb(raw(cut(1)))
    assert escalation.climb(raw(cut(1, 2)), first)["rung"] == "drop_connection"


STEPS = st.one_of(
    st.builds(step, st.sampled_from(["wait", "stop_gateway", "start", "restart"]), st.sampled_from(["live", "paper"])),
    st.builds(cut, st.integers(1, 3)),
    st.builds(stop, st.integers(1, 3)),
)
HEALTHS = st.lists(
    st.builds(
        lambda found, remediation: raw(*found, remediation=remediation),
        st.lists(STEPS, max_size=4),
        st.sampled_from(["auto", "auto", "plan_only"]),
    ),
    min_size=9,
    max_size=9,
)


@settings(deadline=None)
@given(HEALTHS)
def test_whatever_the_looks_say_a_climb_goes_up_and_ends(looks: List[Dict[str, Any]]) -> None:
    climbed: List[str] = []
    cut_before: List[List[int]] = []
    now = escalation.climb(looks[0])
    for look in looks[1:]:
        if now["rung"] is None:
            break
        climbed.append(now["rung"])
        for each in now["steps"]:
            if each["action"] == "stop_client":
                assert [each["target"]["pid"], each["target"]["started_ticks"]] in cut_before
            if each["action"] == "drop_connection":
                cut_before += [[who["pid"], who["started_ticks"]] for who in each["target"]["client_processes"]]
        now = escalation.climb(look, now)
    assert now["rung"] is None
    assert climbed == sorted(climbed, key=RUNGS.index)
    assert len([each for each in climbed if each != "drop_connection"]) == len(set(climbed) - {"drop_connection"})
    assert climbed.count("drop_connection") <= 2


# --- in words --------------------------------------------------------------------------------------------------------


def test_a_plan_is_told_line_by_line() -> None:
    assert escalation.lines(health(FINE)) == []
    assert escalation.lines(health(DOWN, FINE)) == [
        "live is unhealthy: no gateway process for live is running",
        "  start live by unit ibgateway.service: no gateway is running",
    ]


def test_a_plan_that_is_only_shown_says_so() -> None:
    lines = escalation.lines(health((spec(remediation="plan_only"), snapshot(), None)))
    assert lines[1].endswith("(plan_only: shown, not done)")


def test_what_is_withheld_is_told_with_its_reason() -> None:
    lines = escalation.lines(health((spec(service=None), snapshot(), None)))
    assert lines[1].startswith("  not done: ") and "start_command" in lines[1]


def test_a_step_that_waits_for_another_one_says_so() -> None:
    duplicate = (spec(), snapshot(gateway(**UNIT), gateway(SECOND), listener()), probe("stalled"))
    lines = escalation.lines(health(duplicate))
    assert lines[1].startswith("  stop gateway pid %d of trader (/opt/jre/bin/java" % SECOND)
    assert lines[2].startswith("  if it persists, restart live")


UPSTREAM = (spec(), snapshot(gateway(), listener()), probe(notices=(1100,)))
BY_COMMAND = (spec(service=None, start_command=("/opt/start",)), snapshot(), None)
CUT = (
    spec(),
    snapshot(gateway(), listener(), script(), connection(SCRIPT, cookie=7), connection(remote_host="10.0.0.9")),
    None,
)


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (STARTING, "wait for port 4001 to open"),
        (UPSTREAM, "wait for the broker's link"),
        (CROWDED, "stop script pid %d of trader (python3 bot.py)" % SCRIPT),
        (DOWN, "start live by unit ibgateway.service"),
        (BY_COMMAND, "start live by its start_command"),
        (STALLED, "restart stalled by unit ibgateway.service"),
    ],
)
def test_each_step_is_described_in_words(look: Tuple[Any, Any, Any], words: str) -> None:
    assert [escalation.describe(each) for each in escalation.steps(health(look))] == [words]


def test_a_cut_is_described_by_who_holds_the_connection() -> None:
    assert [escalation.describe(each) for each in escalation.steps(health(CUT))] == [
        "cut the connection of pid %d of trader (python3 bot.py) to port 4001" % SCRIPT,
        "stop script pid %d of trader (python3 bot.py)" % SCRIPT,
    ]
    assert escalation.climb(health(CUT))["rung"] == "drop_connection"
