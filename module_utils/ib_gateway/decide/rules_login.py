"""Rules on what IBC's log says about a login. Pure; docs/login-states.md has the states, docs/findings.md the codes.

None of them is cured by a new start: each start is one more login, and may take the session from a person or bring the
account nearer to a lock. A summary has our own words, times and numbers; of the log only the known line is named.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, Optional, Tuple

from ..base import findings
from ..base.findings import Finding
from ..base.ibc_words import COMPLETED, LITERALS, PAUSE_COMMAND, PAUSED, TOO_MANY_ATTEMPTS
from ..base.login import (
    AUTO_RESTART,
    DISPLACED,
    LAUNCHING,
    LOGGING_IN,
    REFUSED,
    SECOND_FACTOR_LIMIT,
    SECOND_FACTOR_PENDING,
    STOPPED,
    LoginState,
)
from . import not_serving
from .context import Rule, RuleContext
from .evidence import process_info, span


def login_under_way(context: RuleContext) -> Iterator[Finding]:
    """The second factor, or another part of a login, is under way or waits for a person."""
    login = not_serving.told(context)
    if login is None or login.looping or login.state not in (SECOND_FACTOR_PENDING, LOGGING_IN, LAUNCHING):
        return
    yield findings.LOGIN_PENDING.found(
        "%s of %s: %s" % (_gateway(login), context.spec.name, _under_way(login)),
        dict(
            _evidence(context, login),
            asked=login.asked,
            limit=SECOND_FACTOR_LIMIT,
            exits_in=_rounded(login.exits_in),
        ),
    )


def _under_way(login: LoginState) -> str:
    if login.missed:
        text = "nobody gave the second factor in time%s, and IBC does not ask again: a person logs in at its screen"
        return text % _since(login)
    if login.state == SECOND_FACTOR_PENDING:
        again = "" if login.asked < 2 else "; it was asked for %d times" % login.asked
        return "it waits for the second factor%s: a person has %d s to give it on the phone%s" % (
            _since(login),
            SECOND_FACTOR_LIMIT,
            again,
        )
    if login.exits_in is not None:
        return "its login is under way%s, and IBC ends it in %d s if it has not completed" % (
            _since(login),
            login.exits_in,
        )
    if login.kind == COMPLETED:
        return "its login has completed%s, and its port is about to open" % _since(login)
    return "its login is under way%s and has not completed" % _since(login)


def login_taken_over(context: RuleContext) -> Iterator[Finding]:
    """Another login of the same user has the session, or IBC asks a person which one may have it."""
    login = not_serving.told(context)
    if login is None or login.state != DISPLACED:
        return
    if login.scenario == 1:
        what = "another session of the same user is open, and IBC leaves it to a person at its screen which one goes on"
    else:
        what = "another session of the same user has taken over, and IBC let it"
    yield findings.LOGIN_TAKEN_OVER.found(
        "%s of %s: %s%s" % (_gateway(login), context.spec.name, what, _since(login)),
        dict(_evidence(context, login), scenario=login.scenario),
    )


def login_refused(context: RuleContext) -> Iterator[Finding]:
    """The broker refuses the login; IBC tries again by itself, and each try counts."""
    login = not_serving.told(context)
    if login is None or login.state != REFUSED:
        return
    times = "" if login.refusals < 2 else ", %d times within a quarter of an hour" % login.refusals
    locked = " because of too many failed ones" if login.kind == TOO_MANY_ATTEMPTS else ""
    yield findings.LOGIN_REFUSED.found(
        "%s of %s: the broker refuses its login%s%s%s"
        % (_gateway(login), context.spec.name, locked, times, _since(login)),
        dict(_evidence(context, login), refusals=login.refusals),
    )


def gateway_stopped(context: RuleContext) -> Iterator[Finding]:
    """STOP or PAUSE came through IBC's command server."""
    login = not_serving.told(context)
    if login is None or login.state != STOPPED:
        return
    how = "paused" if login.kind in (PAUSE_COMMAND, PAUSED) else "stopped"
    yield findings.GATEWAY_STOPPED.found(
        "%s of %s was %s through IBC's command server%s" % (_gateway(login), context.spec.name, how, _since(login)),
        _evidence(context, login),
    )


def restart_under_way(context: RuleContext) -> Iterator[Finding]:
    """The log says that a gateway is about to come: the nightly restart, or IBC's own cold one."""
    login = not_serving.told(context)
    if login is None or login.state != AUTO_RESTART or login.looping:
        return
    yield findings.GATEWAY_COMING_UP.found(
        "%s of %s restarts by itself%s: a gateway's nightly restart leaves a gap of up to 90 s"
        % (_gateway(login), context.spec.name, _since(login)),
        dict(
            _evidence(context, login),
            keepers=[{"pid": each.pid, "user": each.user, "name": each.name} for each in context.entry.keepers],
        ),
    )


def crash_loop_by_log(context: RuleContext) -> Iterator[Finding]:
    """Start after start ended early, by the log of what starts them."""
    login = not_serving.told(context)
    if login is None or not login.looping or not_serving.crashing(context):
        return  # or systemd tells the same
    yield findings.CRASH_LOOP.found(
        "%s is started again and again: the last %d starts ended early, with exit status %s"
        % (context.spec.name, len(login.exits), ", ".join(map(str, login.exits))),
        dict(
            _evidence(context, login),
            exits=list(login.exits),
            keepers=[{"pid": each.pid, "user": each.user, "name": each.name} for each in context.entry.keepers],
        ),
    )


def _gateway(login: LoginState) -> str:
    return "the gateway" if login.pid is None else "gateway pid %d" % login.pid


def _since(login: LoginState) -> str:
    return "" if login.since is None else ", since %s" % span(login.since)


def _rounded(seconds: Optional[float]) -> Optional[float]:
    return None if seconds is None else round(seconds, 1)


def _evidence(context: RuleContext, login: LoginState) -> Dict[str, Any]:
    """What every finding of a login has; what runs as well, where a gateway does."""
    process = next((each for each in context.entry.processes if each.pid == login.pid), None)
    found: Dict[str, Any] = {} if process is None else dict(process_info(process), age=round(process.age, 1))
    line = LITERALS.get(login.kind) if login.kind else None
    return dict(found, state=login.state, log=login.log, line=line, since=_rounded(login.since), port=context.spec.port)


RULES: Tuple[Rule, ...] = (
    crash_loop_by_log,
    login_taken_over,
    login_refused,
    gateway_stopped,
    login_under_way,
    restart_under_way,
)
