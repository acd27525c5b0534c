"""One entry's facts as the rules see them, and the shapes in which processes and clients are evidence. Pure."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..base.findings import Finding
from ..base.host import Client, Process, Snapshot
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
from ..base.plan import Entry
from ..base.probe import Probe
from ..base.spec import GatewaySpec
from .ports import serves_stray_port

#: States of a login that are a finding whatever the tables show.
_TOLD = (SECOND_FACTOR_PENDING, DISPLACED, REFUSED, STOPPED, AUTO_RESTART)
#: States of a unit in which something of it runs, or is about to.
_ALIVE = ("active", "activating", "reloading", "deactivating")
#: So many automatic restarts of a unit that each failed are a loop.
_MANY_RESTARTS = 3
#: Seconds after which data that nobody reads shows that a script hangs; an event loop reads at once.
_UNREAD_FOR = 60.0


class RuleContext(NamedTuple):
    """One entry's facts, as the rules see them."""

    entry: Entry
    snapshot: Snapshot
    probe: Optional[Probe]
    reset_window: str = ""

    @property
    def spec(self) -> GatewaySpec:
        return self.entry.spec

    @property
    def absent(self) -> bool:
        """Whether no gateway is, or might be, the entry's."""
        entry = self.entry
        return not (entry.processes or entry.elsewhere or entry.ambiguous or entry.unplaced or entry.claimants)

    @property
    def waiting(self) -> Tuple[Process, ...]:
        """Its gateways when none of them owns the entry's port; nothing otherwise."""
        return () if self.entry.owners() else self.entry.processes

    @property
    def frozen(self) -> Tuple[Process, ...]:
        """Its gateways that a signal (T) or a tracer (t) has stopped."""
        return tuple(each for each in self.entry.processes if each.frozen)

    @property
    def unrouted(self) -> Tuple[Process, ...]:
        """Its gateways that do not listen, and whose own connections nobody answers."""
        return tuple(each for each in self.waiting if each.unanswered and not each.frozen)

    @property
    def silent(self) -> Tuple[Process, ...]:
        """Its gateways that have served before and listen no more.

        Where several run, also those that should have served by now: they keep each other from it.
        """
        several = len(self.entry.processes) > 1
        astray = self.astray
        return tuple(
            each
            for each in self._idle
            if each not in astray and (self.entry.has_served(each) or (several and each.age >= self.spec.start_timeout))
        )

    @property
    def starting(self) -> Tuple[Process, ...]:
        """Its gateways that may still come up: young, and never seen to have served."""
        return tuple(
            each for each in self._idle if each.age < self.spec.start_timeout and not self.entry.has_served(each)
        )

    @property
    def pending(self) -> Tuple[Process, ...]:
        """Its only gateway, where that has run longer than a start may take and was never seen to have served."""
        known = {each.pid for each in (*self.silent, *self.starting, *self.astray)}
        return tuple(each for each in self._idle if each.pid not in known)

    @property
    def astray(self) -> Tuple[Process, ...]:
        """Its gateways that have logged in, and have opened another port than the entry's."""
        return tuple(each for each in self._idle if serves_stray_port(self.entry, each))

    @property
    def maybe(self) -> Tuple[Process, ...]:
        """Where no gateway is proven to be the entry's: those that might be, since nothing tells their folder."""
        return self.entry.maybe

    @property
    def _idle(self) -> Tuple[Process, ...]:
        """Its gateways that listen nowhere while none owns the port, but for those that rules of their own tell."""
        apart = {each.pid for each in (*self.frozen, *self.unrouted)}
        if self.told is not None:
            apart.add(self.told.pid or 0)
        way = self.entry.way
        if way is not None and (way.broken or way.taken) and way.door is not None:
            apart |= way.gateways  # it listens where it lives
        return tuple(each for each in self.waiting if each.pid not in apart)

    @property
    def told(self) -> Optional[LoginState]:
        """The state of the login, where IBC's log tells one that rules_login has a finding for."""
        login = self.entry.login
        if login is None or login.log is None or any(each.pid == login.pid for each in self.frozen):
            return None
        if login.pid is None and not self.absent:
            return None
        age = next((each.age for each in self.entry.processes if each.pid == login.pid), 0.0)
        late = age >= self.spec.start_timeout or login.asked > 0
        pending = login.state in (LAUNCHING, LOGGING_IN) and login.pid is not None and late
        return login if login.looping or pending or login.state in _TOLD else None

    @property
    def finished(self) -> bool:
        """Whether what could bring a gateway has said that it brings none any more."""
        return self.entry.login is not None and self.entry.login.finished

    @property
    def unit_brings_it(self) -> str:
        """What the entry's unit does to bring its gateway, in words; empty where it does nothing.

        A unit that is active has something in it that runs, and between two lives of a gateway that is what keeps it.
        One that is active without any process keeps nothing, and one that keeps another entry's gateway keeps that.
        """
        state = self.entry.unit_state
        if not self.absent or state is None or state.holds_without_process or self.entry.carries_others():
            return ""
        if state.comes_back:
            return "%s is about to start its %s again" % (state.manager, state.title)
        return "its %s is %s" % (state.title, state.active) if state.active in _ALIVE else ""

    @property
    def container_returns(self) -> bool:
        """Whether the entry's container is about to be started again by its engine."""
        state = self.entry.way.state if self.entry.way else None
        return state is not None and state.comes_back

    @property
    def crashing(self) -> bool:
        """Whether systemd has started the entry's unit again and again, and each time it failed."""
        state = self.entry.unit_state
        return (
            state is not None
            and not self.entry.owners()
            and state.restarts >= _MANY_RESTARTS
            and state.result not in ("success", "start-limit-hit")
            and state.comes_back
        )

    @property
    def unit_is_starting(self) -> bool:
        """Whether the entry's unit is up, has no gateway yet, and still has time to bring one."""
        age = self.entry.unit_age
        return self.absent and age is not None and age < self.spec.start_timeout


#: A rule makes the findings that it finds in one entry's facts.
Rule = Callable[[RuleContext], Iterator[Finding]]


def lost(client: Client) -> bool:
    """Whether the kernel waits in vain for answers of a client on another host, so that cutting it harms nobody."""
    connection = client.connection
    return connection is not None and connection.remote_host is not None and connection.lost_for is not None


def hangs(client: Client) -> bool:
    """Whether a signal has stopped it, or what the gateway sent lies unread while nothing passes either way."""
    process, connection = client.process, client.connection
    if process is None or connection is None:
        return False
    unread = (connection.unread or 0) > 0 and (connection.idle or 0.0) >= _UNREAD_FOR
    return process.frozen or unread


def span(seconds: float) -> str:
    """Seconds as a person says them."""
    for name, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return "%d %s" % (seconds // size, name)
    return "%d s" % seconds


def process_info(process: Process) -> Dict[str, Any]:
    return {"pid": process.pid, "user": process.user, "command": list(process.command)}


def client_info(client: Client) -> Dict[str, Any]:
    """A client as evidence; what does not apply is left out."""
    found: Dict[str, Any] = {}
    process, connection = client.process, client.connection
    if process is not None:
        found.update(process_info(process), age=round(process.age, 1))
    if connection is not None:
        found.update(port=connection.port, state=connection.state)
        if connection.idle is not None:
            found["idle"] = round(connection.idle, 1)
        if connection.remote_host:
            found["remote_host"] = connection.remote_host
    marks: List[Tuple[str, Any]] = [
        ("never_served", client.open and not client.working),
        ("orphaned", client.orphaned),
        ("matches_pattern", client.matches_pattern),
        ("protected", client.protected),
        ("relay", process.relay or client.relay if process else None),
        ("parked", client.parked),
        ("service", client.service),
    ]
    found.update({name: value for name, value in marks if value})
    return found
