"""Which gateways of an entry do not serve, how far each has come, and whether something is about to bring one. Pure.

Asked only where none of them owns the entry's port, or where somebody has looked at a login.
"""

from __future__ import annotations

from typing import Optional, Tuple

from ..base.host import Process
from ..base.login import (
    AUTO_RESTART,
    DISPLACED,
    LAUNCHING,
    LOGGING_IN,
    REFUSED,
    SECOND_FACTOR_PENDING,
    STOPPED,
    LoginState,
)
from .context import RuleContext
from .ports import serves_stray_port

#: States of a login that are a finding whatever the tables show.
_TOLD = (SECOND_FACTOR_PENDING, DISPLACED, REFUSED, STOPPED, AUTO_RESTART)
#: States of a unit in which something of it runs, or is about to.
_ALIVE = ("active", "activating", "reloading", "deactivating")
#: So many automatic restarts of a unit that each failed are a loop.
_MANY_RESTARTS = 3


def absent(context: RuleContext) -> bool:
    """Whether no gateway is, or might be, the entry's."""
    entry = context.entry
    return not (entry.processes or entry.elsewhere or entry.ambiguous or entry.unplaced or entry.claimants)


def finished(context: RuleContext) -> bool:
    """Whether what could bring a gateway has said that it brings none any more."""
    return context.entry.login is not None and context.entry.login.finished


def told(context: RuleContext) -> Optional[LoginState]:
    """The state of the login, where IBC's log tells one that rules_login has a finding for."""
    login = context.entry.login
    if login is None or login.log is None or any(each.pid == login.pid for each in context.frozen):
        return None
    if login.pid is None and not absent(context):
        return None
    age = next((each.age for each in context.entry.processes if each.pid == login.pid), 0.0)
    late = age >= context.spec.start_timeout or login.asked > 0
    pending = login.state in (LAUNCHING, LOGGING_IN) and login.pid is not None and late
    return login if login.looping or pending or login.state in _TOLD else None


def waiting(context: RuleContext) -> Tuple[Process, ...]:
    """Its gateways when none of them owns the entry's port; nothing otherwise."""
    return () if context.entry.owners() else context.entry.processes


def unrouted(context: RuleContext) -> Tuple[Process, ...]:
    """Its gateways that do not listen, and whose own connections nobody answers."""
    return tuple(each for each in waiting(context) if each.unanswered and not each.frozen)


def silent(context: RuleContext) -> Tuple[Process, ...]:
    """Its gateways that have served before and listen no more.

    Where several run, also those that should have served by now: they keep each other from it.
    """
    several = len(context.entry.processes) > 1
    elsewhere = astray(context)
    return tuple(
        each
        for each in _idle(context)
        if each not in elsewhere
        and (context.entry.has_served(each) or (several and each.age >= context.spec.start_timeout))
    )


def starting(context: RuleContext) -> Tuple[Process, ...]:
    """Its gateways that may still come up: young, and never seen to have served."""
    return tuple(
        each for each in _idle(context) if each.age < context.spec.start_timeout and not context.entry.has_served(each)
    )


def pending(context: RuleContext) -> Tuple[Process, ...]:
    """Its only gateway, where that has run longer than a start may take and was never seen to have served."""
    known = {each.pid for each in (*silent(context), *starting(context), *astray(context))}
    return tuple(each for each in _idle(context) if each.pid not in known)


def astray(context: RuleContext) -> Tuple[Process, ...]:
    """Its gateways that have logged in, and have opened another port than the entry's."""
    return tuple(each for each in _idle(context) if serves_stray_port(context.entry, each))


def _idle(context: RuleContext) -> Tuple[Process, ...]:
    """Its gateways that listen nowhere while none owns the port, but for those that rules of their own tell."""
    apart = {each.pid for each in (*context.frozen, *unrouted(context))}
    login = told(context)
    if login is not None:
        apart.add(login.pid or 0)
    way = context.entry.way
    if way is not None and (way.broken or way.taken) and way.door is not None:
        apart |= way.gateways  # it listens where it lives
    return tuple(each for each in waiting(context) if each.pid not in apart)


def unit_brings_it(context: RuleContext) -> str:
    """What the entry's unit does to bring its gateway, in words; empty where it does nothing.

    A unit that is active has something in it that runs, and between two lives of a gateway that is what keeps it.
    One that is active without any process keeps nothing, and one that keeps another entry's gateway keeps that.
    """
    state = context.entry.unit_state
    if not absent(context) or state is None or state.holds_without_process or context.entry.carries_others():
        return ""
    if state.comes_back:
        return "%s is about to start its %s again" % (state.manager, state.title)
    return "its %s is %s" % (state.title, state.active) if state.active in _ALIVE else ""


def container_returns(context: RuleContext) -> bool:
    """Whether the entry's container is about to be started again by its engine."""
    state = context.entry.way.state if context.entry.way else None
    return state is not None and state.comes_back


def crashing(context: RuleContext) -> bool:
    """Whether systemd has started the entry's unit again and again, and each time it failed."""
    state = context.entry.unit_state
    return (
        state is not None
        and not context.entry.owners()
        and state.restarts >= _MANY_RESTARTS
        and state.result not in ("success", "start-limit-hit")
        and state.comes_back
    )


def unit_is_starting(context: RuleContext) -> bool:
    """Whether the entry's unit is up, has no gateway yet, and still has time to bring one."""
    age = context.entry.unit_age
    return absent(context) and age is not None and age < context.spec.start_timeout
