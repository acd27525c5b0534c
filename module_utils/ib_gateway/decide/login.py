"""The state of a gateway's login, from what IBC's log tells and what the tables show. Pure.

docs/login-states.md has the picture. Only lines that ibc_words recognises count, each for what it says; whatever else
is in a log decides nothing. Where no log is known, the tables alone decide, and say less.
"""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..base import ibc_words as words
from ..base.command_server import RESTARTS_WITHIN
from ..base.ibc_words import LogEvent, LoginLog
from ..base.login import (
    AUTO_RESTART,
    DISPLACED,
    LAUNCHING,
    LOGGING_IN,
    READY,
    REFUSED,
    SECOND_FACTOR_PENDING,
    STOPPED,
    UNKNOWN,
    LoginState,
)

#: Seconds from the line "Login has completed" to the moment the port is open: the gateway still builds its windows.
OPENS_WITHIN = 60.0
#: Seconds by which a line may be older than the process that wrote it, by rounding.
_SLACK = 5.0
#: Seconds for which a refused login, and an early end, still say something about the next start.
RECENT = 900.0
#: So many starts that ended early within RECENT are a loop.
LOOP = 3
#: Exit statuses of what somebody has ended: SIGINT, SIGTERM.
_BY_SIGNAL = (130, 143)
#: Seconds after which IBC's scripts have really ended once they have said so.
_FINISHED_FOR = 30.0


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


class _Life(NamedTuple):
    """The lines of one start of a gateway, and what they come to so far."""

    state: str = LAUNCHING
    began: Optional[float] = None
    #: Whether its first line was seen; the log may begin in its midst.
    sessions: int = 0
    kind: Optional[str] = None
    at: Optional[float] = None
    refusals: int = 0
    refused_at: Optional[float] = None
    asked: int = 0
    missed: bool = False
    exit_at: Optional[float] = None
    scenario: Optional[int] = None
    restarted: bool = False
    completed_at: Optional[float] = None
    completed: bool = False
    commanded: bool = False
    #: Whether it left the token with which the next start needs no login.
    token: bool = False
    exit: Optional[int] = None
    ended_at: Optional[float] = None
    finished_at: Optional[float] = None


def _lives(events: Sequence[LogEvent]) -> List[_Life]:
    """The starts that a log tells of, oldest first."""
    lives, life = [], _Life()
    for event in events:
        if life != _Life() and _begins(life, event):
            lives.append(life)
            life = _Life()
        life = _STEPS[event.kind](life, event)
    # Before its first start ibcstart.sh looks for a token as well; that is no start of its own.
    return [each for each in lives if each.sessions or each.asked or each.exit is not None] + [life]


def _begins(life: _Life, event: LogEvent) -> bool:
    if event.kind in (words.SESSION_START, words.SESSION_AGAIN):
        return bool(life.sessions) or life.exit is not None
    return event.kind == words.START_COMMAND or (life.exit is not None and event.kind not in _AFTER_EXIT)


def _current(lives: List[_Life], facts: LoginFacts) -> Tuple[List[_Life], Optional[_Life]]:
    """(the starts before, the present one). What runs now has written none of the lines before its own start."""
    last = lives[-1]
    if facts.pid is None:
        known, over = last.ended_at if last.ended_at is not None else last.at, last == _Life()
    else:
        known, over = last.began if last.began is not None else last.at, last.exit is not None
    if last.kind == words.START_COMMAND:
        known = None  # it has no time of its own
    earlier = known is not None and facts.started_at is not None and known < facts.started_at - _SLACK
    return (lives, None) if earlier or over else (lives[:-1], last)


# --- what each line does to a start ----------------------------------------------------------------------------------

_Step = Callable[[_Life, LogEvent], _Life]


def _to(state: str) -> _Step:
    return lambda life, event: life._replace(state=state, kind=event.kind, at=event.at)


def _session(state: str) -> _Step:
    def step(life: _Life, event: LogEvent) -> _Life:
        again = event.kind == words.SESSION_AGAIN
        life = life._replace(sessions=life.sessions + 1, began=event.at, restarted=again)
        return _to(state)(life, event)

    return step


def _asks(life: _Life, event: LogEvent) -> _Life:
    return _to(SECOND_FACTOR_PENDING)(life._replace(asked=life.asked + 1, missed=False), event)


def _ran_out(life: _Life, event: LogEvent) -> _Life:
    return _to(SECOND_FACTOR_PENDING)(life._replace(missed=event.kind == words.SECOND_FACTOR_MISSED), event)


def _will_exit(life: _Life, event: LogEvent) -> _Life:
    at = event.at + (event.number or 0) if event.at is not None else None
    return _to(LOGGING_IN)(life._replace(exit_at=at), event)


def _refused(life: _Life, event: LogEvent) -> _Life:
    return _to(REFUSED)(life._replace(refusals=life.refusals + 1, refused_at=event.at), event)


def _completes(life: _Life, event: LogEvent) -> _Life:
    life = life._replace(completed=True, completed_at=event.at, exit_at=None, missed=False)
    return _to(READY)(life, event)


def _existing(life: _Life, event: LogEvent) -> _Life:
    """IBC gives way or waits for a person, or goes on; the port says whether it goes on with success."""
    gives_way = event.number in words.GIVES_WAY
    return _to(DISPLACED if gives_way else LOGGING_IN)(life._replace(scenario=event.number), event)


def _cold(life: _Life, event: LogEvent) -> _Life:
    """It follows a refused login, or another window that IBC can only leave by a new start."""
    return life if life.state in (REFUSED, DISPLACED, STOPPED) else _to(AUTO_RESTART)(life, event)


def _restarts(life: _Life, event: LogEvent) -> _Life:
    return _cold(life._replace(token=life.token or event.kind == words.TOKEN_FOUND), event)


def _stops(life: _Life, event: LogEvent) -> _Life:
    return _to(STOPPED)(life._replace(commanded=True), event)


def _restart_command(life: _Life, event: LogEvent) -> _Life:
    return _to(AUTO_RESTART)(life._replace(commanded=True), event)


def _exits(life: _Life, event: LogEvent) -> _Life:
    return life._replace(exit=(event.number or 0) % 256, ended_at=event.at)


def _finishes(life: _Life, event: LogEvent) -> _Life:
    return life._replace(finished_at=event.at)


def _window(life: _Life, _event: LogEvent) -> _Life:
    return life


_STEPS: Dict[str, _Step] = {
    words.START_COMMAND: _to(LAUNCHING),
    words.SESSION_START: _session(LAUNCHING),
    words.SESSION_AGAIN: _session(AUTO_RESTART),
    words.LOGIN_WINDOW: _window,
    words.LOGIN_ATTEMPT: _to(LOGGING_IN),
    words.SECOND_FACTOR: _asks,
    words.SECOND_FACTOR_CLOSED: _to(LOGGING_IN),
    words.SECOND_FACTOR_AGAIN: _ran_out,
    words.SECOND_FACTOR_MISSED: _ran_out,
    words.WILL_EXIT: _will_exit,
    words.COMPLETED: _completes,
    words.LOGIN_AGAIN: _to(LOGGING_IN),
    words.EXISTING_SESSION: _existing,
    words.LOGIN_ERROR: _refused,
    words.LOGIN_FAILED: _refused,
    words.TOO_MANY_ATTEMPTS: _refused,
    words.COLD_RESTART: _cold,
    words.STOP_COMMAND: _stops,
    words.PAUSE_COMMAND: _stops,
    words.RESTART_COMMAND: _restart_command,
    words.EXIT_STATUS: _exits,
    words.TOKEN_FOUND: _restarts,
    words.WILL_RESTART: _restarts,
    words.WILL_COLD_RESTART: _restarts,
    words.PAUSED: _stops,
    words.FINISHED: _finishes,
}
#: What ibcstart.sh still says about a start that has ended.
_AFTER_EXIT = (
    *(words.EXIT_STATUS, words.TOKEN_FOUND, words.WILL_RESTART, words.WILL_COLD_RESTART),
    *(words.PAUSED, words.FINISHED),
)


# --- the state -------------------------------------------------------------------------------------------------------


def state_of(log: Optional[LoginLog], facts: LoginFacts) -> LoginState:
    """The state of one login."""
    if facts.listening:
        return LoginState(READY, facts.pid, served=True)
    if log is None or not log.events:
        return _by_tables(facts)
    earlier, life = _current(_lives(log.events), facts)
    found = _by_log(life or _Life(), log, facts)
    return _with_history(found, life, earlier, facts)


def _by_tables(facts: LoginFacts) -> LoginState:
    """Without a log: young is launching, what has served is not; of the rest nothing tells more than its age."""
    if facts.pid is None:
        return LoginState(LAUNCHING if facts.launcher_alive else UNKNOWN)
    if facts.served_before or facts.unanswered:
        return LoginState(UNKNOWN, facts.pid)
    young = facts.age is not None and facts.age < facts.start_timeout
    return LoginState(LAUNCHING if young else LOGGING_IN, facts.pid)


def _by_log(life: _Life, log: LoginLog, facts: LoginFacts) -> LoginState:
    since = None if life.at is None else max(0.0, facts.now - life.at)
    completed_for = None if life.completed_at is None else facts.now - life.completed_at
    open_by_now = facts.served_before or (completed_for is not None and completed_for > OPENS_WITHIN)
    state = life.state
    served = facts.pid is not None and state == READY and open_by_now
    if state == READY and not served and facts.pid is not None:
        state = LOGGING_IN
    if facts.pid is None and state in (READY, LOGGING_IN, SECOND_FACTOR_PENDING):
        state = LAUNCHING
    late = RESTARTS_WITHIN - _SLACK if life.kind == words.RESTART_COMMAND else facts.start_timeout
    if facts.pid is not None and state == AUTO_RESTART and (since or 0.0) > late:
        # A gateway that was told to restart and did not: the tables judge it. One that was restarted logs in.
        state = LOGGING_IN if life.kind == words.SESSION_AGAIN else UNKNOWN
        served = life.completed and state == UNKNOWN
    waits = state in (LOGGING_IN, LAUNCHING, SECOND_FACTOR_PENDING) and life.exit is None
    over = life.finished_at is not None and facts.now - life.finished_at > _FINISHED_FOR
    return LoginState(
        state=state,
        pid=facts.pid,
        log=log.path,
        kind=life.kind,
        since=since,
        asked=life.asked,
        missed=life.missed,
        exits_in=max(0.0, life.exit_at - facts.now) if life.exit_at is not None and waits else None,
        scenario=life.scenario,
        restarted=life.restarted,
        served=served,
        finished=facts.pid is None and over and facts.only_scripts,
    )


def _with_history(found: LoginState, life: Optional[_Life], earlier: Sequence[_Life], facts: LoginFacts) -> LoginState:
    """What the starts before this one say about it: refused again and again, asked again, or ended early."""
    every = [*earlier, life] if life is not None else list(earlier)
    refusals = sum(each.refusals for each in every if _recent(each.refused_at, facts))
    found = found._replace(refusals=refusals, asked=_asked(found, earlier))
    early = [each for each in every if _ended_early(each) and _recent(each.ended_at, facts)]
    exits = tuple(each.exit for each in early if each.exit is not None)
    underway = found.state in (LAUNCHING, LOGGING_IN, AUTO_RESTART) and not found.served
    if underway and earlier and earlier[-1].state == REFUSED and refusals and not (life and life.asked):
        last = earlier[-1]
        return found._replace(state=REFUSED, kind=last.kind, since=_ago(last.at, facts))
    return found._replace(exits=exits, looping=underway and len(early) >= LOOP)


def _asked(found: LoginState, earlier: Sequence[_Life]) -> int:
    """How often the second factor was asked for since it was last given: IBC may start anew for each time."""
    count = found.asked
    for each in reversed(earlier):
        if each.completed or not each.asked:
            break
        count += each.asked
    return count


def _ended_early(life: _Life) -> bool:
    """Whether a start ended by itself before it was of use: not by a command, a signal, a refusal or a question."""
    if life.exit is None or life.exit in _BY_SIGNAL or life.commanded or life.state in (REFUSED, DISPLACED, STOPPED):
        return False
    if life.completed:
        return life.exit != 0 and not life.token
    return not life.asked and not life.token


def _recent(at: Optional[float], facts: LoginFacts) -> bool:
    return at is None or facts.now - at <= RECENT


def _ago(at: Optional[float], facts: LoginFacts) -> Optional[float]:
    return None if at is None else max(0.0, facts.now - at)
