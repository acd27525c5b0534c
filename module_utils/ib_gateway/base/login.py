"""The state of a gateway's login, as decide/login.py finds it. docs/login-states.md has the picture."""

from __future__ import annotations

from typing import Optional, Tuple

from .record import Record

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


class LoginState(Record):
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
