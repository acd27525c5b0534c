"""Rules on states that time or a person ends, and that a new process does not. Pure; codes: docs/findings.md.

A login under way, a launcher between two gateways, a gateway that somebody has stopped by a signal, a broker that does
not answer: they are told and waited for. To restart would only begin the same again, and cost a login.
"""

from __future__ import annotations

from typing import Iterator, Sequence, Tuple

from ..base import findings
from ..base.findings import Finding
from ..base.host import Keeper, Process
from . import not_serving
from .context import Rule, RuleContext
from .evidence import process_info, span


def no_broker_route(context: RuleContext) -> Iterator[Finding]:
    """A gateway that does not listen tries to connect, and nobody answers."""
    for process in not_serving.unrouted(context):
        yield findings.NO_BROKER_ROUTE.found(
            "gateway pid %d of %s gets no answer from the broker's servers: %d connection attempts wait for one"
            % (process.pid, context.spec.name, process.unanswered),
            dict(process_info(process), unanswered=process.unanswered, age=round(process.age, 1)),
        )


def gateway_starting(context: RuleContext) -> Iterator[Finding]:
    """A gateway, or the unit that brings one, is younger than a start may take."""
    young = not_serving.starting(context)
    if not young and (not_serving.told(context) or not not_serving.unit_is_starting(context)):
        return  # or the log of what the unit runs tells more
    age = min(process.age for process in young) if young else context.entry.unit_age or 0.0
    yield findings.GATEWAY_STARTING.found(
        "%s started %d s ago and does not listen on port %d yet; %d s are allowed, a second factor alone may take 180"
        % (context.spec.name, age, context.spec.port, context.spec.start_timeout),
        {
            "processes": [_aged(process) for process in young],
            "unit": context.spec.any_unit,
            "age": round(age, 1),
            "start_timeout": context.spec.start_timeout,
        },
    )


def login_pending(context: RuleContext) -> Iterator[Finding]:
    """A gateway has run for long and never served: the port opens only after the login."""
    for process in context.entry.maybe:
        unsupported = process.gateway.unsupported if process.gateway else None
        yield findings.LOGIN_PENDING.found(
            "gateway pid %d of account %s may be that of %s, and has not opened its port: %s"
            % (process.pid, process.user, context.spec.name, unsupported or "a login may be under way"),
            dict(_aged(process), folder_known=False),
        )
    for process in not_serving.pending(context):
        yield findings.LOGIN_PENDING.found(
            "gateway pid %d of %s has run for %s, and nothing shows that it has opened port %d: most often its login "
            "waits for a second factor or at its login window%s"
            % (
                process.pid,
                context.spec.name,
                span(process.age),
                context.spec.port,
                _elsewhere(context.entry.listening(process)),
            ),
            dict(
                _aged(process),
                port=context.spec.port,
                start_timeout=context.spec.start_timeout,
                listening=list(context.entry.listening(process)),
            ),
        )


def _elsewhere(ports: Sequence[int]) -> str:
    """What to say of the ports that a gateway at its login listens on: no API port is open before the login."""
    if not ports:
        return ""
    return "; it listens on port %s, and nothing shows that this is its API's" % ", ".join(map(str, ports))


def gateway_coming_up(context: RuleContext) -> Iterator[Finding]:
    """No gateway runs, and what brings it is alive."""
    keepers = context.entry.keepers
    if not_serving.crashing(context) or not_serving.unit_is_starting(context) or not_serving.told(context):
        return
    if not_serving.unit_brings_it(context):
        state = context.entry.unit_state
        yield findings.GATEWAY_COMING_UP.found(
            "no gateway of %s runs at the moment, and %s: a gateway's nightly restart leaves a gap of up to 90 s"
            % (context.spec.name, not_serving.unit_brings_it(context)),
            {"unit": context.spec.any_unit, "active": state and state.active, "sub": state and state.sub},
        )
    elif not_serving.absent(context) and keepers and not not_serving.finished(context):
        first = next((each for each in keepers if context.spec.name in each.starts), keepers[0])
        yield findings.GATEWAY_COMING_UP.found(
            "no gateway of %s runs at the moment, and %s (pid %d of %s, running for %s) %s"
            % (
                context.spec.name,
                first.name,
                first.pid,
                first.user,
                span(first.age),
                _brings(first, context.spec.name),
            ),
            {
                "keepers": [
                    {"pid": each.pid, "user": each.user, "name": each.name, "age": round(each.age, 1)}
                    for each in keepers
                ]
            },
        )


def _brings(keeper: Keeper, name: str) -> str:
    if keeper.stopped:
        return "is to bring it, but is stopped by a signal: `kill -CONT %d` lets it go on" % keeper.pid
    if name in keeper.starts:
        return "is its start_command, which already runs"
    does = "is there to bring it"
    if keeper.supervises:
        carried = name in keeper.last_of
        does = (
            "carried the last one and may bring the next" if carried else "may bring it, if that is one of its programs"
        )
    return does + ": a gateway's nightly restart leaves a gap of up to 90 s"


def crash_loop(context: RuleContext) -> Iterator[Finding]:
    """systemd starts the unit again and again, and it fails each time."""
    state = context.entry.unit_state
    if not_serving.crashing(context) and state is not None:
        yield findings.CRASH_LOOP.found(
            "%s has started %s again %d times, and each time it failed (%s)"
            % (state.manager, state.name, state.restarts, state.result),
            {"unit": state.name, "restarts": state.restarts, "result": state.result},
        )


def start_limit_hit(context: RuleContext) -> Iterator[Finding]:
    """systemd has given the unit up."""
    state = context.entry.unit_state
    if state is not None and state.start_limit_hit and not context.entry.owners():
        yield findings.START_LIMIT_HIT.found(
            "systemd has given up %s: it was started too often in a short time" % state.name,
            {"unit": state.name, "restarts": state.restarts},
        )


def _aged(process: Process) -> dict:  # type: ignore[type-arg]  # evidence: names to values
    return dict(process_info(process), age=round(process.age, 1))


RULES: Tuple[Rule, ...] = (
    no_broker_route,
    gateway_starting,
    login_pending,
    gateway_coming_up,
    crash_loop,
    start_limit_hit,
)
