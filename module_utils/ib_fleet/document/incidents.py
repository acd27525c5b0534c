"""Incidents: from when to when a gateway was not healthy, why, and what was done about it. Pure.

They are made from observations: what each sweep saw of each gateway, by the controller's clock, for the hosts' clocks
may differ. A look that could not judge a gateway begins no incident and ends none: nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple, Optional

from .latest import NOT_SEEN, gateways
from .tallies import Act, acts_on

#: The gateway's name in what is about a host as a whole.
HOST = ""
HEALTHY, UNKNOWN = "healthy", "unknown"
#: So many of a gateway's incidents are kept.
MOST = 20


class Observation(NamedTuple):
    """What one look saw of a gateway. at: RFC 3339 UTC. acts: what was done after it."""

    at: str
    gateway: str
    status: str
    verdict: str
    acts: tuple[Act, ...] = ()

    @property
    def judged(self) -> bool:
        """Whether it says how the gateway was."""
        return self.gateway == HOST or self.status != UNKNOWN


@dataclass(frozen=True)
class Incident:
    """One time in which a gateway was not healthy.

    begun_seen: whether a look before it had seen the gateway healthy; else it may have begun earlier. ended_at: None
    while it lasts. acts: when, action, result.
    """

    cause: str
    begun_at: str
    begun_seen: bool
    ended_at: Optional[str] = None
    acts: tuple[tuple[str, str, str], ...] = ()

    @property
    def seconds(self) -> Optional[float]:
        """From its begin to the look that saw the gateway healthy again; None while it lasts."""
        return None if self.ended_at is None else seconds_between(self.begun_at, self.ended_at)


@dataclass
class Standing:
    """A gateway over the kept sweeps.

    since: from when on it is healthy, or is not, or is not known; since_seen: whether a look before said otherwise.
    uptime: the share of the time between looks that judged it in which it was healthy; None where there is none.
    """

    gateway: str
    status: str = ""
    verdict: str = ""
    since: str = ""
    since_seen: bool = False
    last_healthy: Optional[str] = None
    incidents: list[Incident] = field(default_factory=list)
    first_at: str = ""
    _known: float = 0.0
    _healthy: float = 0.0
    _last: Optional[Observation] = None

    @property
    def uptime(self) -> Optional[float]:
        """As the class says."""
        return round(self._healthy / self._known, 6) if self._known > 0 else None

    def take(self, seen: Observation) -> None:
        """One more observation, newer than all before."""
        last, healthy = self._last, seen.status == HEALTHY
        self._count(last, seen)
        if last is None or _kind(last) != _kind(seen):
            self.since, self.since_seen = seen.at, last is not None
        self.first_at = self.first_at or seen.at
        self.status, self.verdict, self._last = seen.status, seen.verdict, seen
        lasts = self.incidents[-1] if self.incidents and self.incidents[-1].ended_at is None else None
        if healthy:
            self.last_healthy = seen.at
            if lasts:
                self.incidents[-1] = replace(lasts, ended_at=seen.at)
            return
        if lasts is None and seen.judged:
            lasts = Incident(seen.verdict, seen.at, self.last_healthy is not None)
            self.incidents.append(lasts)
        if lasts:
            done = tuple((seen.at, act.action, act.result) for act in seen.acts)
            self.incidents[-1] = replace(lasts, acts=lasts.acts + done)
            if seen.judged:
                self.since, self.since_seen = lasts.begun_at, lasts.begun_seen

    def _count(self, last: Optional[Observation], seen: Observation) -> None:
        if last is None or not last.judged:
            return
        took = max(seconds_between(last.at, seen.at) or 0.0, 0.0)
        self._known += took
        self._healthy += took if last.status == HEALTHY else 0.0

    def continued(self, earlier: Iterable[Incident]) -> None:
        """Adds incidents of sweeps that are no longer kept. The one that reached into those kept is one incident."""
        older = sorted((each for each in earlier if each.begun_at <= self.first_at), key=lambda each: each.begun_at)
        first = self.incidents[0] if self.incidents else None
        if older and first and not first.begun_seen and first.begun_at == self.first_at:
            reached = older[-1]
            if reached.ended_at is None or reached.ended_at >= self.first_at:
                before = tuple(each for each in reached.acts if each[0] < self.first_at)
                whole = replace(reached, ended_at=first.ended_at, acts=before + first.acts)
                older, self.incidents[0] = older[:-1], whole
                if self.since == first.begun_at:
                    self.since, self.since_seen = whole.begun_at, whole.begun_seen
        self.incidents[:0] = [each for each in older if each.ended_at is not None]
        del self.incidents[:-MOST]


def _kind(seen: Observation) -> str:
    return seen.status if seen.status == HEALTHY else "broken" if seen.judged else UNKNOWN


def observations(host: Mapping[str, Any], fleet: Mapping[str, Any]) -> list[Observation]:
    """What one document saw of a host: before a repair and after it, where there was one."""
    at, begun = host["reported_at"], fleet.get("started_at")
    first = begun if begun and begun <= at else at
    acts = {} if fleet["check_mode"] else acts_on(host)
    found = []
    if host["before"] and (host["after"] or host["verdict"] in NOT_SEEN):
        found = [
            Observation(first, each["name"], each["status"], each["verdict"], tuple(acts.pop(each["name"], ())))
            for each in host["before"]["gateways"]
        ]
    if host["verdict"] in NOT_SEEN:
        return [*found, Observation(at, HOST, host["status"], host["verdict"])]
    return found + [
        Observation(at, each["name"], each["status"], each["verdict"], tuple(acts.get(each["name"], ())))
        for each in gateways(host)
    ]


def standings(sweeps: Iterable[Sequence[Observation]]) -> dict[str, Standing]:
    """A host's gateways over its sweeps, by name; HOST where the host itself was once not seen. Oldest first."""
    found: dict[str, Standing] = {}
    judged: Optional[Observation] = None
    for seen in sweeps:
        for each in seen:
            if each.gateway == HOST and HOST not in found and judged:
                found[HOST] = Standing(HOST)
                found[HOST].take(judged)
            found.setdefault(each.gateway, Standing(each.gateway)).take(each)
        if seen and seen[-1].gateway != HOST:
            judged = Observation(seen[-1].at, HOST, HEALTHY, HEALTHY)
            if HOST in found:
                found[HOST].take(judged)
    return found


def seconds_between(begun: str, ended: str) -> Optional[float]:
    """Seconds from one RFC 3339 moment to another; None where one of them is none."""
    try:
        return (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds()
    except (ValueError, TypeError):
        return None
