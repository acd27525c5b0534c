"""What a run did and what it refused, counted by kind, for each gateway. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ...ib_gateway.base.findings import HEALTHY
from ...ib_gateway.base.outcome import DONE, FAILED, REFUSED, UNSURE
from . import blockers
from .latest import gateways

REPAIR, REFUSAL = "repair", "refusal"
#: Kinds of refusals by the words that their reasons have; the first that fits is taken.
_KINDS = (
    ("paused", "paused"),
    ("blackout", "blackout"),
    ("backoff", "backoff"),
    ("limit", "limit"),
    ("a run restarts a gateway once", "limit"),
    ("latched", "latched"),
    ("look again", "evidence_changed"),
    ("restarted since the plan", "evidence_changed"),
    ("at work", "busy"),
    ("lease", "busy"),
    ("observe only", "observe_only"),
    ("journal", "journal"),
)
OTHER, FLEET_GUARD = "other", "fleet_guard"
#: Every kind of a refusal.
REFUSALS = tuple(sorted({kind for _, kind in _KINDS} | {OTHER, FLEET_GUARD}))


class Act(NamedTuple):
    """One step that was begun. result: done, failed or unknown."""

    action: str
    result: str


class Tally(NamedTuple):
    """What is counted. kind: REPAIR with `action` and `result`, or REFUSAL with the kind as `action`."""

    gateway: str
    kind: str
    action: str
    result: str = ""


def acts_on(host: Mapping[str, Any]) -> dict[str, list[Act]]:
    """The steps that a repair began on a host, by gateway, in their order."""
    found: dict[str, list[Act]] = {}
    for outcome in _outcomes(host):
        if outcome["result"] in (DONE, FAILED, UNSURE) and outcome.get("admitted", True):
            found.setdefault(outcome["gateway"], []).append(Act(outcome["action"], outcome["result"]))
    return found


def tallies(host: Mapping[str, Any], fleet: Mapping[str, Any]) -> Counter[Tally]:
    """What a document adds to a host's counters: nothing in check mode.

    What a whole host is refused counts for each of its gateways that is not healthy.
    """
    if fleet["check_mode"]:
        return Counter()
    found = Counter(
        Tally(gateway, REPAIR, act.action, act.result) for gateway, acts in acts_on(host).items() for act in acts
    )
    found.update(Tally(gateway, REFUSAL, _kind(reason, fleet)) for gateway, reason in _refusals(host))
    return found


def _outcomes(host: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for act in host["done"]:
        yield from act.get("outcomes", ())


def _refusals(host: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    repair = host.get("repair") or {}
    if repair.get("begun") is False:
        needed = [each["name"] for each in gateways(host) if each["status"] != HEALTHY]
        yield from ((name, repair.get("reason") or "") for name in needed)
    for each in repair.get("refused") or ():
        yield each["gateway"], each.get("reason") or ""
    for outcome in _outcomes(host):
        if outcome["result"] == REFUSED or not outcome.get("admitted", True):
            yield outcome["gateway"], outcome["reason"]


def _kind(reason: str, fleet: Mapping[str, Any]) -> str:
    frozen = blockers.frozen(fleet)
    if frozen and frozen in reason:
        return FLEET_GUARD
    return next((kind for words, kind in _KINDS if words in reason), OTHER)
