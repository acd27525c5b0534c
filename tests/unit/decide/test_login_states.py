"""The state of a login, from IBC's lines and the tables."""

from __future__ import annotations

from typing import List, Optional

import pytest
from ansible.module_utils.ib_gateway.base import login as states
from ansible.module_utils.ib_gateway.base.ibc_words import LITERALS, LogEvent, LoginLog
from ansible.module_utils.ib_gateway.decide.login import _STEPS, LoginFacts, state_of
from hypothesis import given
from hypothesis import strategies as st
from unit.login_logs import (
    AGAIN,
    ATTEMPT,
    CLOSED,
    COLD,
    COMMAND,
    COMPLETED,
    ERROR,
    NOW,
    PATH,
    PID,
    SCENARIOS,
    SECOND_FACTOR,
    SESSION,
    WILL_EXIT,
    Written,
    gone,
    login,
    running,
)

# --- one start -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        ([SESSION], "launching"),
        ([SESSION, "Login dialog WINDOW_OPENED: LoginState is LOGGED_OUT"], "launching"),
        ([SESSION, ATTEMPT], "logging_in"),
        ([SESSION, ATTEMPT, SECOND_FACTOR], "second_factor_pending"),
        ([SESSION, ATTEMPT, SECOND_FACTOR, CLOSED], "logging_in"),
        ([SESSION, ATTEMPT, SECOND_FACTOR, CLOSED, WILL_EXIT], "logging_in"),
        (
            [SESSION, SECOND_FACTOR, CLOSED, "Re-login after second factor authentication timeout in 5 second"],
            "second_factor_pending",
        ),
        (
            [SESSION, SECOND_FACTOR, CLOSED, "Re-login after second factor authentication timeout not required"],
            "second_factor_pending",
        ),
        ([SESSION, ATTEMPT, SECOND_FACTOR, CLOSED, WILL_EXIT, COMPLETED], "ready"),
        ([SESSION, COMPLETED, "Re-login to session"], "logging_in"),
        ([SESSION, ATTEMPT, ERROR], "refused"),
        ([SESSION, ATTEMPT, ERROR, COLD], "refused"),
        ([SESSION, ATTEMPT, "Login failed", COLD], "refused"),
        ([SESSION, ATTEMPT, "Too many failed login attempts. Please wait 53 seconds"], "refused"),
        ([SESSION, ATTEMPT, COLD], "auto_restart_under_way"),
        ([SESSION, COMPLETED, "CommandServer received command: STOP"], "stopped_by_a_person"),
        ([SESSION, COMPLETED, "CommandServer received command: PAUSE"], "stopped_by_a_person"),
        ([SESSION, COMPLETED, "CommandServer received command: RESTART"], "auto_restart_under_way"),
        ([SESSION, COMPLETED, "Setting auto-restart time to 11:58 PM"], "auto_restart_under_way"),
        ([AGAIN], "auto_restart_under_way"),
        ([AGAIN, COMPLETED], "ready"),
    ],
)
def test_a_start_is_in_the_state_that_its_last_line_tells(lines: List[str], state: str) -> None:
    found = login(*[(100.0, line) for line in lines])
    assert (found.state, found.pid, found.log) == (state, PID, PATH)


@pytest.mark.parametrize(
    ("scenario", "state"), [(1, "displaced"), (2, "displaced"), (3, "logging_in"), (4, "displaced"), (6, "displaced")]
)
def test_another_session_met_at_the_login_is_given_way_to_or_taken_over(scenario: int, state: str) -> None:
    found = login((90.0, SESSION), (80.0, ATTEMPT), (70.0, SCENARIOS[scenario]))
    assert (found.state, found.scenario, found.served) == (state, scenario, False)


@pytest.mark.parametrize(
    ("scenario", "state"), [(1, "displaced"), (2, "displaced"), (4, "displaced"), (5, "logging_in"), (6, "displaced")]
)
def test_another_session_met_after_the_login_is_no_reason_to_restart(scenario: int, state: str) -> None:
    found = login((9000.0, SESSION), (8000.0, COMPLETED), (300.0, SCENARIOS[scenario]), facts=running(age=9010.0))
    assert (found.state, found.scenario, found.served, found.since) == (state, scenario, False, 300.0)


def test_a_session_that_was_given_back_is_ready_again() -> None:
    assert login((900.0, SESSION), (800.0, SCENARIOS[2]), (700.0, COMPLETED)).state == "ready"


def test_a_login_that_completed_some_time_ago_has_served() -> None:
    found = login((900.0, SESSION), (800.0, COMPLETED))
    assert (found.state, found.served) == ("ready", True)


def test_a_login_that_has_just_completed_may_still_open_its_port() -> None:
    found = login((900.0, SESSION), (3.0, COMPLETED))
    assert (found.state, found.served, found.since) == ("logging_in", False, 3.0)


def test_a_login_that_completed_nobody_knows_when_has_not_served_by_that_alone() -> None:
    assert not login((None, SESSION), (None, COMPLETED)).served
    assert login((None, SESSION), (None, COMPLETED), facts=running(served_before=True)).served


def test_the_time_that_ibc_still_gives_a_login_is_told() -> None:
    found = login((60.0, SESSION), (30.0, SECOND_FACTOR), (20.0, WILL_EXIT))
    assert (found.state, found.exits_in) == ("logging_in", 40.0)
    assert login((60.0, SESSION), (20.0, WILL_EXIT), (10.0, COMPLETED)).exits_in is None


def test_a_second_factor_that_was_asked_for_again_is_counted() -> None:
    again = "Re-login after second factor authentication timeout in 5 second"
    found = login((400.0, SESSION), (390.0, SECOND_FACTOR), (205.0, again), (200.0, SECOND_FACTOR))
    assert (found.state, found.asked, found.missed, found.since) == ("second_factor_pending", 2, False, 200.0)


def test_a_second_factor_that_is_not_asked_for_again_is_missed() -> None:
    missed = "Re-login after second factor authentication timeout not required"
    found = login((400.0, SESSION), (390.0, SECOND_FACTOR), (205.0, missed))
    assert (found.state, found.missed) == ("second_factor_pending", True)


@pytest.mark.parametrize(
    ("ago", "state", "served"),
    [(30.0, "auto_restart_under_way", False), (170.0, "auto_restart_under_way", False), (180.0, "unknown", True)],
)
def test_a_gateway_that_was_told_to_restart_and_did_not_is_left_to_the_tables(
    ago: float, state: str, served: bool
) -> None:
    found = login(
        (9000.0, SESSION),
        (8000.0, COMPLETED),
        (ago, "CommandServer received command: RESTART"),
        facts=running(age=9010.0),
    )
    assert (found.state, found.served) == (state, served)


def test_a_restarted_gateway_that_does_not_come_up_is_logging_in() -> None:
    assert login((900.0, AGAIN), facts=running(age=905.0)).state == "logging_in"


# --- several starts --------------------------------------------------------------------------------------------------


def test_only_the_present_start_counts() -> None:
    found = login((5000.0, SESSION), (4000.0, SCENARIOS[2]), (50.0, SESSION), facts=running(age=55.0))
    assert (found.state, found.since) == ("launching", 50.0)


def test_what_was_written_before_a_gateway_started_says_nothing_of_it() -> None:
    found = login((5000.0, SESSION), (4000.0, COMPLETED), facts=running(age=20.0))
    assert (found.state, found.served, found.kind) == ("launching", False, None)


def test_what_was_written_before_the_scripts_started_says_nothing_of_their_gateway() -> None:
    before = [
        (5000.0, SESSION),
        (4000.0, "CommandServer received command: STOP"),
        (3990.0, "IBC returned exit status 0"),
    ]
    assert login(*before, facts=gone(since=10.0)).state == "launching"
    assert login(*before, facts=gone(since=86400.0)).state == "stopped_by_a_person"


def test_the_gap_of_the_nightly_restart_is_told_by_the_start_script() -> None:
    found = login(
        (86000.0, SESSION),
        (85000.0, COMPLETED),
        (9.0, "IBC returned exit status 0"),
        (9.0, "autorestart file found at /home/x/Jts/abc/autorestart: authentication will not be required"),
        (8.0, "IBC will restart shortly"),
        facts=gone(),
    )
    assert (found.state, found.pid, found.looping, found.finished) == ("auto_restart_under_way", None, False, False)


def test_a_token_that_is_found_before_the_first_start_is_no_start() -> None:
    found_before = "autorestart file found at /home/x/Jts/abc/autorestart: authentication will not be required"
    found = login((60.0, found_before), (60.0, COMMAND), (50.0, AGAIN), facts=running(age=55.0))
    assert (found.state, found.restarted) == ("auto_restart_under_way", True)


def test_a_refused_login_is_still_refused_while_ibc_tries_again() -> None:
    first = [(120.0, COMMAND), (110.0, SESSION), (90.0, ATTEMPT), (80.0, ERROR), (80.0, COLD)]
    end: List[Written] = [(79.0, "IBC returned exit status 0"), (79.0, "IBC will cold-restart shortly")]
    found = login(*first, *end, (70.0, COMMAND), (60.0, SESSION), (40.0, ATTEMPT), facts=running(age=68.0))
    assert (found.state, found.refusals, found.since, found.looping) == ("refused", 1, 80.0, False)
    assert login(*first, *end, facts=gone()).state == "refused"


def test_a_login_that_gets_to_the_second_factor_is_refused_no_more() -> None:
    first = [(120.0, SESSION), (90.0, ATTEMPT), (80.0, ERROR), (79.0, "IBC returned exit status 0")]
    found = login(*first, (60.0, SESSION), (40.0, SECOND_FACTOR), facts=running(age=68.0))
    assert (found.state, found.refusals) == ("second_factor_pending", 1)


def test_a_refusal_of_long_ago_says_nothing() -> None:
    first = [(9000.0, SESSION), (8900.0, ERROR), (8900.0, "IBC returned exit status 0")]
    assert login(*first, (60.0, SESSION), facts=running(age=68.0)).state == "launching"


def test_starts_that_ask_for_the_second_factor_in_vain_are_counted_together() -> None:
    lives: List[Written] = []
    for ago in (800.0, 500.0):
        lives += [(ago, SESSION), (ago - 10, SECOND_FACTOR), (ago - 250, "IBC returned exit status 87")]
    found = login(*lives, (240.0, SESSION), (230.0, SECOND_FACTOR), facts=running(age=245.0))
    assert (found.state, found.asked, found.looping) == ("second_factor_pending", 3, False)


def ended(ago: float, status: int, *lines: str) -> List[Written]:
    return [
        (ago + 20, COMMAND),
        (ago + 10, SESSION),
        *((ago + 5, line) for line in lines),
        (ago, f"IBC returned exit status {status}"),
    ]


@pytest.mark.parametrize("facts", [gone(), running(age=8.0)], ids=["between two starts", "in a start"])
def test_three_starts_that_end_early_within_a_quarter_of_an_hour_are_a_loop(facts: LoginFacts) -> None:
    lives = [*ended(300.0, 88), *ended(200.0, 88), *ended(100.0, 1)]
    found = login(*lives, (9.0, "IBC will restart shortly"), facts=facts)
    assert (found.looping, found.exits) == (True, (88, 88, 1))


def test_a_gateway_that_logs_in_and_crashes_each_time_is_in_a_loop() -> None:
    lives = [*ended(300.0, 134, COMPLETED), *ended(200.0, 134, COMPLETED), *ended(100.0, 134, COMPLETED)]
    assert login(*lives, facts=gone()).looping


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (0, COMPLETED),
        (143, SESSION),
        (0, "CommandServer received command: STOP"),
        (87, SECOND_FACTOR),
        (0, ERROR),
        (0, SCENARIOS[2]),
    ],
)
def test_starts_that_were_ended_or_could_not_log_in_are_no_loop(status: int, line: str) -> None:
    lives = [*ended(300.0, status, line), *ended(200.0, status, line), *ended(100.0, status, line)]
    assert not login(*lives, (9.0, SESSION), facts=running(age=10.0)).looping


def test_early_ends_of_long_ago_are_no_loop() -> None:
    lives = [*ended(9000.0, 88), *ended(5000.0, 88), *ended(100.0, 1)]
    assert not login(*lives, facts=gone()).looping


def test_a_loop_that_was_got_out_of_is_none() -> None:
    lives = [*ended(400.0, 88), *ended(300.0, 88), *ended(200.0, 1)]
    assert not login(*lives, (150.0, SESSION), (100.0, COMPLETED), facts=running(age=160.0)).looping


@pytest.mark.parametrize(("ago", "finished"), [(5.0, False), (100.0, True)])
def test_scripts_that_have_said_that_they_are_done_bring_no_gateway(ago: float, finished: bool) -> None:
    found = login(*ended(ago, 1), (ago, "Gateway finished"), facts=gone())
    assert found.finished is finished


def test_a_loop_around_the_scripts_brings_another_gateway() -> None:
    facts = gone()._replace(only_scripts=False)
    assert not login(*ended(100.0, 1), (100.0, "Gateway finished"), facts=facts).finished


# --- without a log ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (running(age=10.0), "launching"),
        (running(age=9000.0), "logging_in"),
        (running(age=9000.0, unanswered=1), "unknown"),
        (running(age=9000.0, served_before=True), "unknown"),
        (running(age=9000.0, listening=True), "ready"),
        (gone(), "launching"),
        (LoginFacts(now=NOW), "unknown"),
    ],
)
def test_without_a_log_the_tables_tell_what_they_can(facts: LoginFacts, state: str) -> None:
    for log in (None, LoginLog(PATH)):
        assert state_of(log, facts).state == state
        assert state_of(log, facts).log is None


def test_a_gateway_that_listens_is_ready_whatever_its_log_says() -> None:
    assert login((100.0, SESSION), (90.0, SCENARIOS[2]), facts=running(listening=True)).state == "ready"


# --- any log ---------------------------------------------------------------------------------------------------------

events = st.builds(
    LogEvent,
    st.sampled_from(sorted(LITERALS)),
    st.one_of(st.none(), st.floats(NOW - 1e6, NOW + 1e3)),
    st.one_of(st.none(), st.integers(0, 10**6)),
)


@given(st.lists(events, max_size=40), st.sampled_from([running(), running(age=5.0), gone(), gone(since=3.0)]))
def test_any_log_comes_to_a_state_and_none_makes_a_displaced_gateway_one_that_has_served(
    found: List[LogEvent], facts: LoginFacts
) -> None:
    state = state_of(LoginLog(PATH, tuple(found)), facts)
    assert state.state in states.STATES
    assert not (state.served and state.state not in ("ready", "unknown"))
    assert state.since is None or state.since >= 0
    assert not (state.finished and facts.pid is not None)


def test_every_kind_of_line_has_its_step() -> None:
    assert set(_STEPS) == set(LITERALS)


@pytest.mark.parametrize("log", [None, LoginLog(PATH, (), False)])
def test_a_log_of_which_nothing_is_known_decides_nothing(log: Optional[LoginLog]) -> None:
    assert state_of(log, running(age=10.0)).state == "launching"
