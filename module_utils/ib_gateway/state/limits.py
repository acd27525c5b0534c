"""How often a gateway may be repaired, and what keeps it from being touched at all. Pure: records and a moment in.

A repair is one run with at least one intent on a gateway. It is counted from its intents, which are on disk before
anything is done, so a run that died in between has been counted too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

from ..base.actions import RESTARTS
from . import records as journal_records
from .records import Moment, Record, age, clean, rfc3339

#: Seconds over which repairs and restarts are counted.
WINDOW = 3600.0
#: How often the backoff is doubled at most: more would pass every window, and in the end every float.
_MOST_DOUBLINGS = 30

#: The role's variables that override a limit, by what it counts.
_VARIABLES = {"repairs": "ib_gateway_repair_per_hour", "restarts": "ib_gateway_repair_restarts_per_hour"}
_NO_BACKOFF = "-e ib_gateway_repair_backoff=0"


@dataclass(frozen=True)
class Rules:
    """The limits of one gateway. backoff: seconds after one repair, doubled by each further one within the window."""

    repairs_per_hour: int = 3
    restarts_per_hour: int = 2
    backoff: float = 60.0
    window: float = WINDOW


@dataclass(frozen=True)
class Latch:
    """Since when (RFC 3339 UTC) and why a gateway is not touched any more, and the run that ended so."""

    since: str
    reason: str
    run: str


@dataclass(frozen=True)
class _Repair:
    """Ages in seconds of a repair's first and latest intent."""

    started: float
    latest: float


def verdict(records: Sequence[Record], gateway: str, action: str, run: str, now: Moment, rules: Rules) -> Optional[str]:
    """Why a run must not take this action on this gateway now, and when it may; None when it may.

    action: its name, or '' for a repair that is about to begin. A run that has begun to repair the gateway is not
    held up by its own acts, but for a second restart.
    """
    intents = [each for each in records if each.kind == journal_records.INTENT and each.gateway == gateway]
    if action in RESTARTS:
        refused = _restart(intents, action, run, now, rules)
        if refused:
            return refused
    if any(each.run == run for each in intents):
        return None
    return _repair(intents, now, rules)


def _restart(intents: Sequence[Record], action: str, run: str, now: Moment, rules: Rules) -> Optional[str]:
    """Restarts of every kind count, those of one run once: the one that keeps the login may fall back to the other."""
    restarts = [each for each in intents if each.action in RESTARTS]
    if any(each.run == run and each.action == action for each in restarts):
        return "this run has restarted it once; a run restarts a gateway once at most, the next run may again"
    latest: Dict[str, float] = {}
    for each in restarts:
        if each.run != run:
            latest[each.run] = min(age(each, now), latest.get(each.run, rules.window))
    ages = sorted(each for each in latest.values() if each < rules.window)
    if len(ages) < rules.restarts_per_hour:
        return None
    return _too_many("restarts", ages, rules.restarts_per_hour, now, rules)


def _repair(intents: Sequence[Record], now: Moment, rules: Rules) -> Optional[str]:
    repairs = [each for each in _repairs(intents, now) if each.latest < rules.window]
    if len(repairs) >= rules.repairs_per_hour:
        return _too_many("repairs", sorted(each.latest for each in repairs), rules.repairs_per_hour, now, rules)
    if not repairs:
        return None
    pause = min(rules.backoff * 2.0 ** min(len(repairs) - 1, _MOST_DOUBLINGS), rules.window)
    left = pause - min(each.started for each in repairs)
    if left <= 0:
        return None
    return "backoff: %d of its repairs began within the last %s, the next one waits %g s after the last; %s" % (
        len(repairs),
        _span(rules.window),
        pause,
        _again(now, left, _NO_BACKOFF),
    )


def _too_many(what: str, ages: Sequence[float], most: int, now: Moment, rules: Rules) -> str:
    """ages: youngest first."""
    if most <= 0:
        return "the limit is %d %s; only another %s lifts this" % (most, what, _VARIABLES[what])
    return "limit: %d %s of it within the last %s, %d are allowed; %s" % (
        len(ages),
        what,
        _span(rules.window),
        most,
        _again(now, rules.window - ages[most - 1], _more(what, len(ages) + 1)),
    )


def _more(what: str, allowed: int) -> str:
    """What lets one more through. After several repairs the backoff would hold the next one up as well."""
    option = "-e %s=%d" % (_VARIABLES[what], allowed)
    return "%s %s" % (option, _NO_BACKOFF) if what == "repairs" else option


def _again(now: Moment, seconds: float, override: str) -> str:
    """When, and what overrides it for one run. The time is rounded up: earlier would be refused again."""
    return "possible again at %s, or now with %s" % (rfc3339(now.at + seconds + 1), override)


def _span(seconds: float) -> str:
    return "hour" if seconds == WINDOW else "%g s" % seconds


def _repairs(intents: Sequence[Record], now: Moment) -> List[_Repair]:
    ages: Dict[str, List[float]] = {}
    for each in intents:
        ages.setdefault(each.run, []).append(age(each, now))
    return [_Repair(max(each), min(each)) for each in ages.values()]


def _failures(records: Sequence[Record]) -> Dict[str, List[Record]]:
    """By gateway: the ends that were failures, since its last success or release."""
    found: Dict[str, List[Record]] = {}
    for each in records:
        if each.kind == journal_records.END and each.result == journal_records.FAILURE:
            found.setdefault(each.gateway, []).append(each)
        elif _lifts(each):
            found.pop(each.gateway, None)
    return found


def _lifts(record: Record) -> bool:
    return record.kind == journal_records.RELEASE or (
        record.kind == journal_records.END and record.result != journal_records.FAILURE
    )


def latched(records: Sequence[Record]) -> Dict[str, Latch]:
    """The gateways that are not touched any more, by name: the last end was a failure, and nobody has released them."""
    return {
        gateway: Latch(ends[0].when, clean(ends[-1].reason), clean(ends[-1].run, 64))
        for gateway, ends in _failures(records).items()
    }


def latch_text(latch: Latch) -> str:
    """Why a latched gateway is not touched, and what lifts it."""
    return (
        "latched since %s after a repair that did not succeed (%s); it is touched again once it was seen healthy, or a "
        "person has released it: ansible-playbook playbooks/release.yml" % (latch.since, latch.reason or "no reason")
    )


def unfinished(records: Sequence[Record]) -> List[Record]:
    """The intents of which no outcome is known, in their order."""
    closed = {each.intent for each in records if each.kind == journal_records.OUTCOME}
    return [each for each in records if each.kind == journal_records.INTENT and each.n not in closed]


def acted_on(records: Sequence[Record], run: str) -> Tuple[str, ...]:
    """The gateways on which a run has an intent and has not ended, in the order of its first intents."""
    found: Dict[str, None] = {}
    for each in records:
        if each.run == run and each.kind == journal_records.INTENT:
            found[each.gateway] = None
        elif each.run == run and each.kind == journal_records.END:
            found.pop(each.gateway, None)
    return tuple(found)


def begun(records: Sequence[Record], run: str) -> bool:
    """Whether a run has begun a repair of this host."""
    return any(each.kind == journal_records.BEGIN and each.run == run for each in records)


def needed(records: Sequence[Record], now: Moment) -> Tuple[Record, ...]:
    """Those records without which limits, latches, unfinished acts or the run that is under way would be forgotten.

    In the given order. Runs count twice as long as the window, so that no rounding ever forgets one.
    """
    last_begin = [each.run for each in records if each.kind == journal_records.BEGIN][-1:]
    ends = {end.n for failures in _failures(records).values() for end in failures}
    # A failure of the last run may be kept for that run's sake: what has lifted it since must be kept with it.
    lifts = {each.gateway: each.n for each in records if _lifts(each)}
    meant = [each for each in records if each.kind == journal_records.INTENT]
    runs = {each.run for each in meant if age(each, now) < 2 * WINDOW}.union(last_begin)
    intents = {each.n for each in unfinished(records)} | {each.n for each in meant if each.run in runs}
    of_a_run = (journal_records.BEGIN, journal_records.END)
    return tuple(
        each
        for each in records
        if each.n in ends
        or lifts.get(each.gateway) == each.n
        or each.n in intents
        or (each.kind == journal_records.OUTCOME and each.intent in intents)
        or (each.run in last_begin and each.kind in of_a_run)
    )
