"""How a repair climbs a host's plan: least disruptive rung first, each at most once, and how a person reads it."""

from __future__ import annotations

import itertools
from typing import Any, Dict, List, Optional, Sequence, Tuple

import pytest
from ansible.module_utils.ib_gateway import ladder
from ansible.module_utils.ib_gateway.model import RUNGS
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.facts import (
    GATEWAY,
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
    found = ladder.steps(health(DOWN, STALLED, FINE))
    assert [(each["gateway"], each["action"]) for each in found] == [("live", "start"), ("stalled", "restart")]


def test_the_steps_of_one_rung_are_those_of_its_action() -> None:
    both = health(DOWN, STALLED)
    assert [each["gateway"] for each in ladder.steps(both, "start")] == ["live"]
    assert ladder.steps(both, "stop_client") == []


def test_an_entry_that_is_plan_only_gives_no_step() -> None:
    shown = health((spec(remediation="plan_only"), snapshot(), None), STALLED)
    assert len(shown["gateways"][0]["plan"]["steps"]) == 1
    assert [each["gateway"] for each in ladder.steps(shown)] == ["stalled"]


def test_what_was_started_in_this_run_is_not_restarted_as_well() -> None:
    both = health(DOWN, STALLED)
    assert [each["action"] for each in ladder.steps(both, spent=["stalled"])] == ["start"]
    assert [each["action"] for each in ladder.steps(both, spent=["live"])] == ["start", "restart"]


@pytest.mark.parametrize("nothing", [None, {}, {"msg": "the host could not be read"}, {"gateways": []}])
def test_a_host_that_was_not_judged_has_no_steps(nothing: Optional[Dict[str, Any]]) -> None:
    assert ladder.steps(nothing) == []
    assert ladder.next_rung(nothing) is None
    assert ladder.lines(nothing) == []


# --- which rung ------------------------------------------------------------------------------------------------------


def test_the_climb_begins_at_the_lowest_rung_that_has_a_step() -> None:
    assert ladder.next_rung(health(STALLED, DOWN, STARTING)) == "wait"
    assert ladder.next_rung(health(STALLED, DOWN)) == "start"
    assert ladder.next_rung(health(STALLED)) == "restart"
    assert ladder.next_rung(health(CROWDED, STALLED)) == "stop_client"
    assert ladder.next_rung(health(FINE)) is None


def test_the_next_rung_is_above_the_last_one() -> None:
    every = raw(*map(step, RUNGS))
    for below, above in itertools.pairwise(RUNGS):
        assert ladder.next_rung(every, below) == above
    assert ladder.next_rung(every, "restart") is None


def test_a_rung_is_not_climbed_twice_although_its_fault_is_still_there() -> None:
    assert ladder.next_rung(health(CROWDED), "stop_client") is None
    assert ladder.next_rung(health(STALLED), "restart") is None


def test_a_rung_below_is_not_climbed_again() -> None:
    assert ladder.next_rung(raw(step("wait"), step("stop_client")), "start") is None


def test_a_rung_whose_only_steps_may_not_be_taken_is_no_rung() -> None:
    assert ladder.next_rung(raw(step("restart"), remediation="plan_only")) is None
    assert ladder.next_rung(raw(step("restart")), "start", ["live"]) is None
    assert ladder.next_rung(raw(step("restart"), step("restart", "paper")), "start", ["live"]) == "restart"


HEALTHS = st.lists(
    st.builds(
        raw,
        st.builds(step, st.sampled_from(RUNGS), st.sampled_from(["live", "paper"])),
        remediation=st.sampled_from(["auto", "plan_only"]),
    ),
    min_size=8,
    max_size=8,
)


@settings(deadline=None)
@given(HEALTHS, st.lists(st.sampled_from(["live", "paper"]), max_size=2))
def test_whatever_the_looks_say_a_climb_goes_up_and_ends(looks: List[Dict[str, Any]], spent: Sequence[str]) -> None:
    climbed: List[str] = []
    rung = ladder.next_rung(looks[0], spent=spent)
    for look in looks[1:]:
        if rung is None:
            break
        climbed.append(rung)
        rung = ladder.next_rung(look, rung, spent)
    assert rung is None
    assert climbed == sorted(set(climbed), key=RUNGS.index)


# --- in words --------------------------------------------------------------------------------------------------------


def test_a_plan_is_told_line_by_line() -> None:
    assert ladder.lines(health(FINE)) == []
    assert ladder.lines(health(DOWN, FINE)) == [
        "live is unhealthy: no gateway process for live is running",
        "  start live by unit ibgateway.service: no gateway is running",
    ]


def test_a_plan_that_is_only_shown_says_so() -> None:
    lines = ladder.lines(health((spec(remediation="plan_only"), snapshot(), None)))
    assert lines[1].endswith("(plan_only: shown, not done)")


def test_what_is_withheld_is_told_with_its_reason() -> None:
    lines = ladder.lines(health((spec(service=None), snapshot(), None)))
    assert lines[1].startswith("  not done: ") and "start_command" in lines[1]


def test_a_step_that_waits_for_another_one_says_so() -> None:
    duplicate = (spec(), snapshot(gateway(**UNIT), gateway(SECOND), listener()), probe("stalled"))
    lines = ladder.lines(health(duplicate))
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
    assert [ladder.describe(each) for each in ladder.steps(health(look))] == [words]


def test_a_cut_is_described_by_who_holds_the_connection() -> None:
    assert [ladder.describe(each) for each in ladder.steps(health(CUT))] == [
        "cut the connection of pid %d of trader (python3 bot.py) to port 4001" % SCRIPT,
        "stop script pid %d of trader (python3 bot.py)" % SCRIPT,
    ]
    assert ladder.next_rung(health(CUT)) == "drop_connection"


def test_a_long_command_is_cut_to_a_line() -> None:
    assert ladder.short(["python3", "bot.py"]) == "python3 bot.py"
    assert ladder.short(["x" * 200]) == "x" * 97 + "..."
    assert len(ladder.short(["x"] * GATEWAY, 40)) == 40
