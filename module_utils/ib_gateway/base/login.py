"""What is known about a gateway's login: the events that IBC's log tells, and the state that follows from them.

Named tuples, because this file is executed anew at each call on a host. docs/login-states.md has the picture.
"""

# Annotations are evaluated here: NamedTuple would compile each one that is only text.
from typing import NamedTuple, Optional, Tuple

# The states of a login.
LAUNCHING = "launching"
SECOND_FACTOR_PENDING = "second_factor_pending"
LOGGING_IN = "logging_in"
READY = "ready"
DISPLACED = "displaced"
AUTO_RESTART = "auto_restart_under_way"
STOPPED = "stopped_by_a_person"
REFUSED = "refused"
UNKNOWN = "unknown"
STATES = (
    *(LAUNCHING, SECOND_FACTOR_PENDING, LOGGING_IN, READY, DISPLACED),
    *(AUTO_RESTART, STOPPED, REFUSED, UNKNOWN),
)

#: Seconds that the broker gives a person for the second factor.
SECOND_FACTOR_LIMIT = 180


class LogEvent(NamedTuple):
    """One line of IBC's log that was recognised; nothing else of the line is kept.

    kind: a name from ibc_words. at: seconds since the epoch; None where the line's time zone cannot be told. number:
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


class LoginFacts(NamedTuple):
    """What the tables show of the process whose login is meant.

    pid, age, started_at: of the gateway; None where only what brings it is alive. launcher_alive: whether anything is
    that could bring one. only_scripts: whether that is nothing but IBC's own scripts, which end with their loop.
    listening: whether it owns the entry's port; served_before: whether it was seen to. unanswered: how many of its own
    connections wait for an answer. start_timeout: seconds a start may take. now: seconds since the epoch.
    """

    now: float
    pid: Optional[int] = None
    age: Optional[float] = None
    started_at: Optional[float] = None
    launcher_alive: bool = False
    only_scripts: bool = False
    listening: bool = False
    served_before: bool = False
    unanswered: int = 0
    start_timeout: float = 300.0


class LoginState(NamedTuple):
    """The state of one login, with what it rests on.

    pid: the gateway's, None where none runs. log: path of the log that tells it; None where the tables alone do. kind:
    of the line that decided, as in ibc_words. since: seconds since that line, None where nobody knows. asked: how often
    the second factor was asked for. missed: whether the last of these ran out and is not asked for again. exits_in:
    seconds until IBC ends the gateway, where it has said so. restarted: whether the nightly restart brought this start.
    served: whether the login completed long enough ago that the port should be open. refusals: logins refused lately.
    exits: exit statuses of the last starts that ended early. looping: whether these were too many in too short a time.
    finished: whether IBC's scripts have said that they bring no other gateway.
    """

    state: str
    pid: Optional[int] = None
    log: Optional[str] = None
    kind: Optional[str] = None
    since: Optional[float] = None
    asked: int = 0
    missed: bool = False
    exits_in: Optional[float] = None
    scenario: Optional[int] = None
    restarted: bool = False
    served: bool = False
    refusals: int = 0
    exits: Tuple[int, ...] = ()
    looping: bool = False
    finished: bool = False
