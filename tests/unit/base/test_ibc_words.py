"""The lines of IBC's log: which count, and that nothing else of a log ever does."""

from __future__ import annotations

import re

import pytest
from ansible.module_utils.ib_gateway.base import ibc_words
from ansible.module_utils.ib_gateway.base.ibc_words import LITERALS, Line, line_of
from hypothesis import given
from hypothesis import strategies as st

STAMP = "2026-11-29 09:18:03"

#: (kind, what IBC writes after its stamp, the number in it)
TIMED = [
    ("session_start", "Starting session: will exit if login dialog is not displayed within 60 seconds", 60),
    ("session_again", "Re-starting session", None),
    ("login_window", "Login dialog WINDOW_OPENED: LoginState is LOGGED_OUT", None),
    ("login_attempt", "Login attempt: 3", 3),
    ("second_factor", "Second Factor Authentication initiated", None),
    ("second_factor_closed", "Duration since login: 14 seconds", 14),
    ("second_factor_again", "Re-login after second factor authentication timeout in 5 second", 5),
    ("second_factor_missed", "Re-login after second factor authentication timeout not required", None),
    ("will_exit", "If login has not completed, IBC will exit in 40 seconds", 40),
    ("completed", "Login has completed", None),
    ("completed", "Login has already completed - no need for IBC to exit", None),
    ("login_again", "Re-login to session", None),
    ("existing_session", "User must choose whether to continue with this session (scenario 1)", 1),
    ("existing_session", "End this session and let the other session proceed (scenario 2)", 2),
    ("existing_session", "Don't know the type of the other session, so continue this one (scenario 3)", 3),
    (
        "existing_session",
        "Other session must be primary or primary override, so end this session and let the other one proceed "
        "(scenario 4)",
        4,
    ),
    ("existing_session", "Continue this session and let the other session exit (scenario 5)", 5),
    (
        "existing_session",
        "Other session may be primary, so end this session and let the other one proceed (scenario 6)",
        6,
    ),
    ("login_error", "Login error message:", None),
    ("login_failed", "Login failed", None),
    ("too_many_attempts", "Too many failed login attempts. Please wait 4 minutes & 47 seconds before", None),
    ("cold_restart", "Cold restart in progress", None),
    ("cold_restart", "Login dialog has been invalidated - initiate cold restart", None),
    ("stop_command", "CommandServer received command: STOP", None),
    ("pause_command", "CommandServer received command: PAUSE", None),
    ("restart_command", "CommandServer received command: RESTART", None),
    ("restart_command", "Setting auto-restart time to 11:58 PM", None),
]
UNTIMED = [
    ("start_command", "Starting Gateway with this command:", None),
    ("exit_status", "IBC returned exit status 88", 88),
    ("exit_status", "Exiting after error with exit code=1111", 1111),
    ("token_found", "autorestart file found at /home/x/Jts/ab/autorestart: authentication will not be required", None),
    ("will_restart", "IBC will restart shortly", None),
    ("will_cold_restart", "IBC will cold-restart shortly", None),
    ("paused", "IBC is paused", None),
    ("finished", "Gateway finished", None),
]
#: What looks like a line that counts, and is none.
OTHERS = [
    f"{STAMP}:123 IBC: Login has completed: exiting via [File, Close] menu",
    f"{STAMP}:123 IBC: Login has not completed: exiting immediately",
    f"{STAMP}:123 IBC: detected dialog entitled: Login failed; event=Opened",
    f"{STAMP}:123 IBC: detected frame entitled: Login has completed; event=Opened",
    f"{STAMP}:123 IBC: CommandServer received command: ENABLEAPI",
    f"{STAMP}:123 IBC: trading mode from settings: tradingMode=live",
    f"{STAMP}:123 IBC: Login has completed " + "x" * 1000,
    "    IbLoginId=Login has completed",
    "Login has completed",  # IBC's own lines have a stamp
    "=" * 80,
    "\0" * 5000,
    "",
]


@pytest.mark.parametrize(("kind", "text", "number"), TIMED + UNTIMED)
def test_a_line_of_ibc_is_known_by_its_kind_its_time_and_its_number(kind: str, text: str, number: int) -> None:
    assert line_of(f"{STAMP}:123 IBC: {text}\r\n") == Line(STAMP, kind, number)


@pytest.mark.parametrize(("kind", "text", "number"), UNTIMED)
def test_a_line_of_the_start_script_needs_no_time(kind: str, text: str, number: int) -> None:
    assert line_of(text) == Line(None, kind, number)


@pytest.mark.parametrize("before", ["ib-gateway-1  | ", "Nov 29 09:18:03 desk gatewaystart.sh[812]: "])
def test_what_another_program_puts_before_a_line_changes_nothing(before: str) -> None:
    assert line_of(f"{before}{STAMP}:123 IBC: Login has completed") == Line(STAMP, "completed")


@pytest.mark.parametrize(
    "line",
    [
        '{"log":"IBC returned exit status 88\\n","stream":"stdout","time":"2026-11-29T09:18:03.1Z"}',
        "2026-11-29T09:18:03.123456789+00:00 stdout F IBC returned exit status 88",
        "ib-gateway-1  | IBC returned exit status 88",
    ],
)
def test_a_container_engine_s_wrapping_is_taken_off(line: str) -> None:
    assert line_of(line) == Line(None, "exit_status", 88)


@pytest.mark.parametrize("line", ['{"log":', '{"log":3}', '{"log":["a"]}', '{"log":{}}'])
def test_a_wrapping_that_is_broken_is_no_line(line: str) -> None:
    assert line_of(line) is None


@pytest.mark.parametrize("line", OTHERS)
def test_what_only_looks_like_a_line_decides_nothing(line: str) -> None:
    found = line_of(line)
    assert found is None or found.kind is None


@given(st.text(max_size=600))
def test_no_text_is_an_error_and_no_strange_one_counts(text: str) -> None:
    known = re.search(r"[A-Z][a-z]+|IBC|autorestart", text) is not None
    for line in (text, f"{STAMP}:123 IBC: {text}"):
        found = line_of(line)
        assert known or found is None or found.kind is None


@given(st.sampled_from([text for _, text, _ in TIMED]), st.text(min_size=1, max_size=30).filter(str.strip))
def test_a_known_line_inside_of_another_one_does_not_count(text: str, more: str) -> None:
    found = line_of(f"{STAMP}:123 IBC: detected frame entitled: {text}{more}; event=Opened")
    assert found is None or found.kind is None


def test_every_kind_has_the_line_that_people_know_it_by() -> None:
    kinds = {value for name, value in vars(ibc_words).items() if name.isupper() and isinstance(value, str)}
    assert kinds == set(LITERALS)
    assert {kind for kind, _, _ in TIMED + UNTIMED} == kinds


def test_an_engine_s_log_line_that_is_nested_without_an_end_is_no_line() -> None:
    assert line_of('{"log":' * 5000) is None
