"""IBC's logs as the tests write them: each line with the seconds before now at which it was written."""

from __future__ import annotations

from typing import Any, Optional, Tuple

from ansible.module_utils.ib_gateway.base.ibc_words import LogEvent, LoginLog, line_of
from ansible.module_utils.ib_gateway.base.login import LoginState
from ansible.module_utils.ib_gateway.decide.login import LoginFacts, state_of

NOW = 1_790_000_000.0
PID = 4711
PATH = "/home/trader/ibc/logs/ibc-3.23.0_GATEWAY-1045_Sunday.txt"

SESSION = "Starting session: will exit if login dialog is not displayed within 60 seconds"
AGAIN = "Re-starting session"
ATTEMPT = "Login attempt: 1"
SECOND_FACTOR = "Second Factor Authentication initiated"
CLOSED = "Duration since login: 14 seconds"
WILL_EXIT = "If login has not completed, IBC will exit in 60 seconds"
COMPLETED = "Login has completed"
ERROR = "Login error message:"
COLD = "Cold restart in progress"
COMMAND = "Starting Gateway with this command:"
SCENARIOS = {
    1: "User must choose whether to continue with this session (scenario 1)",
    2: "End this session and let the other session proceed (scenario 2)",
    3: "Don't know the type of the other session, so continue this one (scenario 3)",
    4: "Other session must be primary or primary override, so end this session and let the other one proceed "
    "(scenario 4)",
    5: "Continue this session and let the other session exit (scenario 5)",
    6: "Other session may be primary, so end this session and let the other one proceed (scenario 6)",
}

#: (seconds before now, or None for a time that cannot be told; the line)
Written = Tuple[Optional[float], str]


def log(*written: Written) -> LoginLog:
    """The log with these lines; one that is not recognised is left out, as the reader does."""
    events = []
    for ago, text in written:
        line = line_of("2026-11-29 09:18:03:123 IBC: " + text)
        if line is not None and line.kind is not None:
            events.append(LogEvent(line.kind, None if ago is None else NOW - ago, line.number))
    return LoginLog(PATH, tuple(events))


def running(age: float = 3600.0, **more: Any) -> LoginFacts:
    """A gateway of this age that does not listen."""
    return LoginFacts(now=NOW, pid=PID, age=age, started_at=NOW - age, **more)


def gone(since: float = 86400.0, **more: Any) -> LoginFacts:
    """No gateway, and IBC's scripts, which have run for so long."""
    return LoginFacts(now=NOW, started_at=NOW - since, launcher_alive=True, only_scripts=True, **more)


def login(*written: Written, facts: Optional[LoginFacts] = None) -> LoginState:
    """What a log comes to, for a gateway of an hour or other facts."""
    return state_of(log(*written), facts or running())
