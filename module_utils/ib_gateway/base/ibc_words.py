"""The lines of IBC's log that say how a login goes, and of the script that runs IBC. Pure.

A line counts only as a whole: window titles, settings and messages of the broker are in the same log, and may hold the
same words, account names and user names. Of a line that is recognised only its kind, its time and its number are kept.
"""

from __future__ import annotations

import json
import re
from typing import Dict, List, NamedTuple, Optional, Tuple

# Kinds of lines. Those of ibcstart.sh have no time of their own.
START_COMMAND = "start_command"
SESSION_START = "session_start"
SESSION_AGAIN = "session_again"
LOGIN_WINDOW = "login_window"
LOGIN_ATTEMPT = "login_attempt"
SECOND_FACTOR = "second_factor"
SECOND_FACTOR_CLOSED = "second_factor_closed"
SECOND_FACTOR_AGAIN = "second_factor_again"
SECOND_FACTOR_MISSED = "second_factor_missed"
WILL_EXIT = "will_exit"
COMPLETED = "completed"
LOGIN_AGAIN = "login_again"
EXISTING_SESSION = "existing_session"
LOGIN_ERROR = "login_error"
LOGIN_FAILED = "login_failed"
TOO_MANY_ATTEMPTS = "too_many_attempts"
COLD_RESTART = "cold_restart"
STOP_COMMAND = "stop_command"
PAUSE_COMMAND = "pause_command"
RESTART_COMMAND = "restart_command"
EXIT_STATUS = "exit_status"
TOKEN_FOUND = "token_found"  # noqa: S105 - a kind of line
WILL_RESTART = "will_restart"
WILL_COLD_RESTART = "will_cold_restart"
PAUSED = "paused"
FINISHED = "finished"

#: By kind: the line as IBC writes it, for people; `N` stands for its number.
LITERALS: Dict[str, str] = {
    START_COMMAND: "Starting Gateway with this command:",
    SESSION_START: "Starting session: will exit if login dialog is not displayed within N seconds",
    SESSION_AGAIN: "Re-starting session",
    LOGIN_WINDOW: "Login dialog WINDOW_OPENED",
    LOGIN_ATTEMPT: "Login attempt: N",
    SECOND_FACTOR: "Second Factor Authentication initiated",
    SECOND_FACTOR_CLOSED: "Duration since login: N seconds",
    SECOND_FACTOR_AGAIN: "Re-login after second factor authentication timeout in N second",
    SECOND_FACTOR_MISSED: "Re-login after second factor authentication timeout not required",
    WILL_EXIT: "If login has not completed, IBC will exit in N seconds",
    COMPLETED: "Login has completed",
    LOGIN_AGAIN: "Re-login to session",
    EXISTING_SESSION: "Existing session detected (scenario N)",
    LOGIN_ERROR: "Login error message:",
    LOGIN_FAILED: "Login failed",
    TOO_MANY_ATTEMPTS: "Too many failed login attempts",
    COLD_RESTART: "Cold restart in progress",
    STOP_COMMAND: "CommandServer received command: STOP",
    PAUSE_COMMAND: "CommandServer received command: PAUSE",
    RESTART_COMMAND: "CommandServer received command: RESTART",
    EXIT_STATUS: "IBC returned exit status N",
    TOKEN_FOUND: "autorestart file found",
    WILL_RESTART: "IBC will restart shortly",
    WILL_COLD_RESTART: "IBC will cold-restart shortly",
    PAUSED: "IBC is paused",
    FINISHED: "Gateway finished",
}

#: What IBC does about another session of the same user, by the number of its scenario: whether it gives way or waits.
GIVES_WAY = (1, 2, 4, 6)

_SCENARIOS = (
    r"User must choose whether to continue with this session \(scenario (1)\)",
    r"End this session and let the other session proceed \(scenario (2)\)",
    r"Don't know the type of the other session, so continue this one \(scenario (3)\)",
    r"Other session must be primary or primary override, so end this session and let the other one proceed "
    r"\(scenario (4)\)",
    r"Continue this session and let the other session exit \(scenario (5)\)",
    r"Other session may be primary, so end this session and let the other one proceed \(scenario (6)\)",
)
_TIMED: List[Tuple[str, str]] = [
    (SESSION_START, r"Starting session: will exit if login dialog is not displayed within (\d{1,6}) seconds"),
    (SESSION_START, r"Starting session"),
    (SESSION_AGAIN, r"Re-starting session"),
    (LOGIN_WINDOW, r"Login dialog WINDOW_OPENED: LoginState is [A-Z_]{1,40}"),
    (LOGIN_ATTEMPT, r"Login attempt: (\d{1,6})"),
    (SECOND_FACTOR, r"Second Factor Authentication initiated"),
    (SECOND_FACTOR_CLOSED, r"Duration since login: (\d{1,9}) seconds"),
    (SECOND_FACTOR_AGAIN, r"Re-login after second factor authentication timeout in (\d{1,6}) seconds?"),
    (SECOND_FACTOR_MISSED, r"Re-login after second factor authentication timeout not required"),
    (WILL_EXIT, r"If login has not completed, IBC will exit in (\d{1,6}) seconds"),
    (COMPLETED, r"Login has completed"),
    (COMPLETED, r"Login has already completed - no need for IBC to exit"),
    (LOGIN_AGAIN, r"Re-login to session"),
    *((EXISTING_SESSION, each) for each in _SCENARIOS),
    (LOGIN_ERROR, r"Login error message:.*"),
    (LOGIN_FAILED, r"Login failed"),
    (TOO_MANY_ATTEMPTS, r"Too many failed login attempts\b.*"),
    (COLD_RESTART, r"Cold restart in progress"),
    (COLD_RESTART, r"Login dialog has been invalidated - initiate cold restart"),
    (STOP_COMMAND, r"CommandServer received command: STOP"),
    (PAUSE_COMMAND, r"CommandServer received command: PAUSE"),
    (RESTART_COMMAND, r"CommandServer received command: RESTART"),
    (RESTART_COMMAND, r"Setting auto-restart time to \d\d:\d\d [AP]M"),
]
_UNTIMED: List[Tuple[str, str]] = [
    (START_COMMAND, r"Starting (?:Gateway|TWS) with this command:"),
    (EXIT_STATUS, r"IBC returned exit status (\d{1,5})"),
    (EXIT_STATUS, r"Exiting after error with exit code=(\d{1,5})"),
    (TOKEN_FOUND, r"autorestart file found at .*: authentication will not be required"),
    (WILL_RESTART, r"IBC will restart shortly"),
    (WILL_COLD_RESTART, r"IBC will cold-restart shortly"),
    (PAUSED, r"IBC is paused"),
    (FINISHED, r"(?:Gateway|TWS) finished"),
]


def _together(table: List[Tuple[str, str]]) -> re.Pattern[str]:
    """One pattern for all; which alternative has matched is its number, so that a line is tried once."""
    parts = ["(?P<k%d>%s)" % (index, text) for index, (_, text) in enumerate(table)]
    return re.compile("|".join(parts))


_TIMED_LINE = re.compile(r"([12]\d{3}-(?:0[1-9]|1[0-2])-\d\d \d\d:\d\d:\d\d):(\d{3}) IBC: (.*)", re.ASCII)
_EVERY = _TIMED + _UNTIMED
_WORDS, _WORDS_UNTIMED = _together(_EVERY), _together(_UNTIMED)
#: What others put before a line (a container's name, a journal's stamp) is shorter than this; no line of IBC's that
#: counts is longer than that.
_LONGEST_PREFIX, _LONGEST_LINE = 120, 400


#: Compose's and podman's, before a line without a stamp.
_PREFIX = re.compile(r"^(?:[\w.-]{1,60} +\| |\S{20,40} std(?:out|err) [FP] )")


class LogEvent(NamedTuple):
    """One line of IBC's log that was recognised; nothing else of the line is kept.

    kind: as above. at: seconds since the epoch; None where the line's time zone cannot be told. number:
    what the line counts, where it does: seconds, an exit status, a scenario, an attempt.
    """

    kind: str
    at: Optional[float] = None
    number: Optional[int] = None


class LoginLog(NamedTuple):
    """What was read of a log, oldest first. path: as it is told to people; complete: whether nothing was cut off."""

    path: str
    events: Tuple[LogEvent, ...] = ()
    complete: bool = True


class Line(NamedTuple):
    """One line in IBC's form. stamp: its local time, None for a line of ibcstart.sh; kind: None for any other line."""

    stamp: Optional[str]
    kind: Optional[str] = None
    number: Optional[int] = None


def line_of(text: str) -> Optional[Line]:
    """What a line of a log is; None for one that is not in IBC's form. Nothing in it is an error."""
    text = _unwrapped(text.rstrip("\r\n"))
    found = _TIMED_LINE.search(text[: _LONGEST_PREFIX + _LONGEST_LINE])
    if found is not None and found.start() <= _LONGEST_PREFIX:
        if len(text) - found.start() > _LONGEST_LINE:
            return Line(found.group(1))
        return _line(found.group(1), _WORDS, _EVERY, found.group(3))
    if len(text) > _LONGEST_PREFIX + _LONGEST_LINE:
        return None
    bare = _PREFIX.sub("", text).strip()
    line = _line(None, _WORDS_UNTIMED, _UNTIMED, bare)
    return line if line.kind is not None else None


def _unwrapped(text: str) -> str:
    """A line as it was written, out of an engine's log of one JSON object a line."""
    if not text.startswith('{"log":'):
        return text
    try:
        return str(json.loads(text)["log"]).rstrip("\r\n")
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _line(stamp: Optional[str], words: re.Pattern[str], table: List[Tuple[str, str]], message: str) -> Line:
    found = words.fullmatch(message.strip())
    if found is None:
        return Line(stamp)
    name = next(name for name, value in found.groupdict().items() if value is not None)
    numbers = [value for value in found.groups() if value is not None and value.isdigit()]
    return Line(stamp, table[int(name[1:])][0], int(numbers[0]) if numbers else None)
