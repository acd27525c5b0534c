"""What the state of a login is as a finding, and what the plan makes of it."""

from __future__ import annotations

import json
from typing import Any, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.host import Keeper
from ansible.module_utils.ib_gateway.base.login import LoginState
from ansible.module_utils.ib_gateway.base.plan import Diagnosis, Plan
from ansible.module_utils.ib_gateway.decide import assign, planning
from ansible.module_utils.ib_gateway.decide.diagnosis import diagnose
from ansible.module_utils.ib_gateway.decide.login import state_of
from unit.facts import GATEWAY, gateway, snapshot, spec
from unit.login_logs import (
    AGAIN,
    ATTEMPT,
    COLD,
    COMPLETED,
    ERROR,
    PATH,
    PID,
    SCENARIOS,
    SECOND_FACTOR,
    SESSION,
    WILL_EXIT,
    Written,
    gone,
    log,
    running,
)

AGE = 3600.0
SCRIPT = Keeper(pid=811, user="trader", name="ibcstart.sh", age=86400.0, product="gateway")
assert PID == GATEWAY


def judged(
    login: LoginState, age: float = AGE, keepers: Tuple[Keeper, ...] = (), **more: Any
) -> Tuple[Diagnosis, Plan]:
    """What an entry comes to whose gateway, or whose keeper, has this login."""
    facts = [] if login.pid is None else [gateway(age=age, **more)]
    seen = snapshot(*facts)._replace(keepers=keepers)
    entries, _ = assign.entries_of([spec(start_timeout=300)], seen)
    diagnosis = diagnose(entries[0]._replace(login=login), seen)
    return diagnosis, planning.plan(diagnosis)


def of_log(*written: Written, age: float = AGE, keepers: Optional[Tuple[Keeper, ...]] = None) -> Tuple[Diagnosis, Plan]:
    """The same, of a gateway that runs; with keepers, of none."""
    facts = running(age=age) if keepers is None else gone()
    return judged(state_of(log(*written), facts), age, keepers or ())


def codes(diagnosis: Diagnosis) -> Tuple[str, ...]:
    return tuple(finding.code for finding in diagnosis.findings)


def test_a_second_factor_that_is_waited_for_is_told_with_its_time_its_limit_and_its_line() -> None:
    diagnosis, plan = of_log((100.0, SESSION), (90.0, ATTEMPT), (80.0, SECOND_FACTOR))
    assert codes(diagnosis) == ("login_pending",)
    found = diagnosis.findings[0]
    assert found.summary == (
        "gateway pid 4711 of live: it waits for the second factor, since 80 s: "
        "a person has 180 s to give it on the phone"
    )
    evidence = found.evidence
    assert (evidence["state"], evidence["line"], evidence["log"], evidence["since"], evidence["asked"]) == (
        "second_factor_pending",
        "Second Factor Authentication initiated",
        PATH,
        80.0,
        1,
    )
    assert evidence["limit"] == 180
    assert [step.action for step in plan.steps] == ["wait"]


@pytest.mark.parametrize("age", [20.0, 4000.0])
def test_a_second_factor_is_waited_for_however_old_the_gateway_is(age: float) -> None:
    diagnosis, plan = of_log((15.0, SESSION), (10.0, SECOND_FACTOR), age=age)
    assert codes(diagnosis) == ("login_pending",)
    assert [step.action for step in plan.steps] == ["wait"]


def test_how_often_the_second_factor_was_asked_for_is_told() -> None:
    diagnosis, _ = of_log((400.0, SESSION), (390.0, SECOND_FACTOR), (200.0, SECOND_FACTOR))
    assert diagnosis.findings[0].summary.endswith("it was asked for 2 times")


def test_a_second_factor_that_was_missed_needs_a_person() -> None:
    missed = "Re-login after second factor authentication timeout not required"
    diagnosis, plan = of_log((400.0, SESSION), (390.0, SECOND_FACTOR), (200.0, missed))
    assert codes(diagnosis) == ("login_pending",)
    assert "a person logs in at its screen" in diagnosis.findings[0].summary
    assert [step.action for step in plan.steps] == ["wait"]


def test_when_ibc_ends_the_gateway_is_told() -> None:
    diagnosis, _ = of_log((60.0, SESSION), (30.0, SECOND_FACTOR), (20.0, WILL_EXIT), age=70.0)
    assert diagnosis.findings[0].summary == (
        "gateway pid 4711 of live: its login is under way, since 20 s, and IBC ends it in 40 s if it has not completed"
    )
    assert diagnosis.findings[0].evidence["exits_in"] == 40.0


def test_a_young_gateway_that_logs_in_without_a_second_factor_is_starting() -> None:
    diagnosis, _ = of_log((15.0, SESSION), (10.0, ATTEMPT), age=20.0)
    assert codes(diagnosis) == ("gateway_starting",)


def test_an_old_gateway_whose_login_goes_on_is_pending_by_its_log() -> None:
    diagnosis, plan = of_log((900.0, SESSION), (800.0, ATTEMPT))
    assert codes(diagnosis) == ("login_pending",)
    assert diagnosis.findings[0].evidence["line"] == "Login attempt: N"
    assert [step.action for step in plan.steps] == ["wait"]


def test_a_gateway_that_completed_its_login_and_listens_no_more_is_restarted() -> None:
    diagnosis, plan = of_log((3500.0, SESSION), (3400.0, COMPLETED))
    assert codes(diagnosis) == ("not_listening",)
    assert diagnosis.findings[0].evidence["processes"][0]["served_before"] is True
    assert [step.action for step in plan.steps] == ["wait", "restart"]


@pytest.mark.parametrize("scenario", [1, 2, 4, 6])
@pytest.mark.parametrize("served_before", [False, True])
def test_a_displaced_gateway_is_told_and_never_restarted(scenario: int, served_before: bool) -> None:
    state = state_of(log((3500.0, SESSION), (3400.0, COMPLETED), (60.0, SCENARIOS[scenario])), running())
    diagnosis, plan = judged(state, served_before=served_before)
    assert codes(diagnosis) == ("login_taken_over",)
    assert diagnosis.verdict == "login_taken_over"
    assert diagnosis.findings[0].evidence["scenario"] == scenario
    assert not plan.steps
    assert plan.withheld


@pytest.mark.parametrize("scenario", [3, 5])
def test_a_gateway_that_takes_the_session_itself_is_waited_for(scenario: int) -> None:
    diagnosis, plan = of_log((3500.0, SESSION), (3400.0, COMPLETED), (60.0, SCENARIOS[scenario]))
    assert codes(diagnosis) == ("login_pending",)
    assert [step.action for step in plan.steps] == ["wait"]


def test_a_displaced_gateway_that_has_gone_is_not_started() -> None:
    written = [(3500.0, SESSION), (60.0, SCENARIOS[2]), (50.0, "IBC returned exit status 0")]
    diagnosis, plan = of_log(*written, keepers=(SCRIPT,))
    assert codes(diagnosis) == ("login_taken_over",)
    assert not plan.steps


@pytest.mark.parametrize("keepers", [None, (SCRIPT,)], ids=["gateway runs", "gateway gone"])
def test_a_refused_login_is_told_with_its_count_and_not_tried_again(keepers: Optional[Tuple[Keeper, ...]]) -> None:
    first = [(500.0, SESSION), (490.0, ERROR), (490.0, COLD), (480.0, "IBC returned exit status 0")]
    diagnosis, plan = of_log(*first, (470.0, SESSION), (460.0, ERROR), (459.0, COLD), keepers=keepers)
    assert codes(diagnosis) == ("login_refused",)
    assert diagnosis.findings[0].evidence["refusals"] == 2
    assert "2 times within a quarter of an hour" in diagnosis.findings[0].summary
    assert not plan.steps
    assert "locked out" in plan.withheld[0]


def test_too_many_failed_logins_are_told_as_such() -> None:
    diagnosis, _ = of_log((500.0, SESSION), (490.0, "Too many failed login attempts. Please wait 53 seconds"))
    assert "because of too many failed ones" in diagnosis.findings[0].summary


@pytest.mark.parametrize(("command", "how"), [("STOP", "stopped"), ("PAUSE", "paused")])
@pytest.mark.parametrize("keepers", [None, (SCRIPT,)], ids=["gateway runs", "gateway gone"])
def test_a_gateway_that_somebody_stopped_is_not_started(
    command: str, how: str, keepers: Optional[Tuple[Keeper, ...]]
) -> None:
    written = [(3500.0, SESSION), (3400.0, COMPLETED), (60.0, f"CommandServer received command: {command}")]
    diagnosis, plan = of_log(*written, keepers=keepers)
    assert codes(diagnosis) == ("gateway_stopped",)
    assert f"was {how} through IBC's command server, since 60 s" in diagnosis.findings[0].summary
    assert not plan.steps


@pytest.mark.parametrize(
    "last",
    [
        "autorestart file found at /home/x/Jts/abc/autorestart: authentication will not be required",
        "IBC will restart shortly",
        "IBC will cold-restart shortly",
    ],
)
def test_a_gateway_that_restarts_by_itself_is_coming_up_by_its_log(last: str) -> None:
    written = [(86000.0, SESSION), (85000.0, COMPLETED), (9.0, "IBC returned exit status 0"), (8.0, last)]
    diagnosis, plan = of_log(*written, keepers=(SCRIPT,))
    assert codes(diagnosis) == ("gateway_coming_up",)
    assert diagnosis.findings[0].evidence["log"] == PATH
    assert [step.action for step in plan.steps] == ["wait"]


def test_a_gap_below_a_unit_that_is_younger_than_a_start_may_take_is_told_once() -> None:
    written = [
        (100.0, SESSION),
        (90.0, COMPLETED),
        (9.0, "IBC returned exit status 0"),
        (8.0, "IBC will restart shortly"),
    ]
    login = state_of(log(*written), gone(since=110.0))
    unit = spec().any_unit
    assert unit is not None
    seen = snapshot(units={unit: 120.0})._replace(keepers=(SCRIPT,))
    entries, _ = assign.entries_of([spec(start_timeout=300)], seen)
    assert codes(diagnose(entries[0], seen)) == ("gateway_starting",)
    assert codes(diagnose(entries[0]._replace(login=login), seen)) == ("gateway_coming_up",)


@pytest.mark.parametrize("line", [AGAIN, COLD, "CommandServer received command: RESTART"])
def test_a_gateway_that_is_about_to_be_another_one_is_coming_up_without_any_keeper(line: str) -> None:
    diagnosis, plan = of_log((100.0, line), age=200.0)
    assert codes(diagnosis) == ("gateway_coming_up",)
    assert [step.action for step in plan.steps] == ["wait"]


@pytest.mark.parametrize("keepers", [None, (SCRIPT,)], ids=["in a start", "between two"])
def test_a_gateway_that_is_started_again_and_again_is_not_started_once_more(
    keepers: Optional[Tuple[Keeper, ...]],
) -> None:
    lives = []
    for ago in (300.0, 200.0, 100.0):
        lives += [(ago + 10, SESSION), (ago, "IBC returned exit status 88")]
    diagnosis, plan = of_log(*lives, age=8.0, keepers=keepers)
    assert codes(diagnosis) == ("crash_loop",)
    assert diagnosis.findings[0].evidence["exits"] == [88, 88, 88]
    assert not plan.steps


def test_scripts_that_bring_no_gateway_any_more_do_not_keep_one_from_being_started() -> None:
    written = [(300.0, SESSION), (200.0, "IBC returned exit status 1"), (200.0, "Gateway finished")]
    diagnosis, plan = of_log(*written, keepers=(SCRIPT,))
    assert codes(diagnosis) == ("gateway_not_running",)
    assert [step.action for step in plan.steps][-1:] == ["start"]


def test_a_frozen_gateway_is_judged_by_that_and_not_by_its_log() -> None:
    state = state_of(log((100.0, SESSION), (90.0, SECOND_FACTOR)), running())
    diagnosis, _ = judged(state, state="T")
    assert codes(diagnosis) == ("gateway_frozen",)


def test_a_state_that_no_log_tells_changes_nothing() -> None:
    for state in (LoginState("launching", GATEWAY), LoginState("logging_in", GATEWAY), LoginState("unknown", GATEWAY)):
        with_it, _ = judged(state)
        without, _ = judged(LoginState("unknown", 1))
        assert codes(with_it) == codes(without) == ("login_pending",)


def test_a_login_of_a_gateway_that_serves_is_not_asked_about() -> None:
    entry = assign.entries_of([spec()], snapshot(gateway()))[0][0]
    assert entry.login is None


def test_no_finding_of_a_login_holds_more_of_a_log_than_its_path_and_a_known_line() -> None:
    canary = "DU1234567 canary-user"
    written = [
        (500.0, SESSION),
        (490.0, f"Login error message:{canary}"),
        (480.0, f"Too many failed login attempts {canary}"),
    ]
    diagnosis, _ = of_log(*written)
    told = json.dumps([[each.summary, dict(each.evidence)] for each in diagnosis.findings])
    assert "login_refused" in codes(diagnosis)
    assert "canary" not in told
    assert "DU1234567" not in told
