"""What stands between a fleet and its repair: latched gateways, pauses, steps without an end, a frozen run. Pure.

Everything here is optional in a document: a host that keeps no journal of repairs has nothing to say.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Set, Tuple

from . import losses, self_healing
from .text import visible

LATCHED, PAUSED, UNFINISHED, JOURNAL = "latched", "paused", "unfinished", "journal"
FAILED, REFUSED, LEASE, LOST, TIMER = "failed", "refused", "lease", "lost", "self-heal"
#: Those that need a person, in the order in which they are told; a lease only says who is at work.
URGENT = (LOST, LATCHED, FAILED, PAUSED, UNFINISHED, JOURNAL, REFUSED, TIMER)
#: In words, for one and for several.
_COUNTED = {
    LOST: (
        "1 working session is gone that no plan had named",
        "%d working sessions are gone that no plan had named",
    ),
    LATCHED: (
        "1 gateway is not touched until it was seen healthy or a person has released it",
        "%d gateways are not touched until they were seen healthy or a person has released them",
    ),
    FAILED: (
        "1 repair did not succeed, its gateway is latched now",
        "%d repairs did not succeed, their gateways are latched now",
    ),
    PAUSED: ("repairs are paused on 1 host", "repairs are paused on %d hosts"),
    UNFINISHED: (
        "1 step of a repair was begun and its end is not known",
        "%d steps of repairs were begun and their end is not known",
    ),
    JOURNAL: ("the journal of repairs of 1 host cannot be used", "the journals of repairs of %d hosts cannot be used"),
    REFUSED: ("1 repair was not begun", "%d repairs were not begun"),
    TIMER: ("1 host should heal itself and does not", "%d hosts should heal themselves and do not"),
}
_NAMED = 6


class Blocker(NamedTuple):
    """One thing that stands in the way on a host. gateway: empty for the host as a whole."""

    kind: str
    gateway: str
    text: str


def of(host: Mapping[str, Any]) -> List[Blocker]:
    """What stands on one host of a document, by its newest look that knows."""
    repairs = next((look["repairs"] for look in (host["after"], host["before"]) if look and look.get("repairs")), None)
    repair = host.get("repair") or {}
    ended = repair.get("ended") or {}
    free = {*(ended.get("succeeded") or ()), *(ended.get("lifted") or ())}
    found = [
        each for each in (_remembered(repairs) if repairs else ()) if each.kind != LATCHED or each.gateway not in free
    ]
    shut = {each.gateway for each in found if each.kind == LATCHED}
    found.extend(Blocker(FAILED, name, "the repair of %s did not succeed" % name) for name in ended.get("failed") or ())
    found.extend(each for each in _refusals(repair) if each.gateway not in shut)
    late = self_healing.overdue(host)
    found.extend([Blocker(TIMER, "", late)] if late else [])
    found.extend(Blocker(LOST, each["gateway"], losses.line(each)) for each in losses.unplanned(host))
    order = (*URGENT, LEASE)
    return sorted(found, key=lambda each: order.index(each.kind))


def _refusals(repair: Mapping[str, Any]) -> Iterator[Blocker]:
    if repair.get("begun") is False and repair.get("reason"):
        yield Blocker(REFUSED, "", "no repair was begun: %s" % repair["reason"])
    for each in repair.get("refused") or ():
        yield Blocker(REFUSED, each["gateway"], "the repair of %s was refused%s" % (each["gateway"], _why(each)))


def _remembered(repairs: Mapping[str, Any]) -> Iterator[Blocker]:
    for each in repairs.get("latched") or ():
        since = _since(each.get("since"))
        text = "%s is latched%s%s" % (each["gateway"], since, _why(each))
        yield Blocker(LATCHED, each["gateway"], text)
    if repairs.get("paused"):
        yield Blocker(PAUSED, "", "repairs are paused on this host: %s" % repairs["paused"])
    for each in repairs.get("unfinished") or ():
        at, run = each.get("at"), each.get("run")
        when = " at %s" % at if at else ""
        by = " by run %s" % run if run else ""
        text = "%s of %s was begun%s%s, and its end is not known" % (each["action"], each["gateway"], when, by)
        yield Blocker(UNFINISHED, each["gateway"], text)
    if repairs.get("journal") == "unusable":
        note = ": %s" % repairs["note"] if repairs.get("note") else ""
        yield Blocker(JOURNAL, "", "the journal of repairs cannot be used%s" % note)
    lease = repairs.get("lease")
    if lease:
        text = "%s is at work on this host%s" % (lease.get("by") or "a run", _since(lease.get("since")))
        until = "; if that run has died, its hold ends by itself at %s" % lease["until"] if lease.get("until") else ""
        yield Blocker(LEASE, "", text + until)


def _since(moment: Any) -> str:
    return " since %s" % moment if moment else ""


def _why(each: Mapping[str, Any]) -> str:
    return ": %s" % each["reason"] if each.get("reason") else ""


def urgent(host: Mapping[str, Any]) -> List[Blocker]:
    """Those of a host that need a person."""
    return [each for each in of(host) if each.kind in URGENT]


def latched(host: Mapping[str, Any]) -> Set[str]:
    """The gateways of a host that will not be repaired again by themselves."""
    return {each.gateway for each in of(host) if each.kind in (LATCHED, FAILED)}


def frozen(fleet: Mapping[str, Any]) -> str:
    """Why the run stopped repairing altogether; empty where it did not."""
    return str(fleet.get("frozen") or "")


class Alert(NamedTuple):
    """What a person must see first. about: the hosts and gateways, empty where the run as a whole is meant."""

    kind: str
    text: str
    about: Tuple[Tuple[str, str], ...] = ()


def alerts(fleet: Mapping[str, Any]) -> List[Alert]:
    """What stands in the way over the fleet, the most urgent first."""
    found = [Alert("frozen", "the run repaired nothing: %s" % frozen(fleet))] if frozen(fleet) else []
    about: Dict[str, List[Tuple[str, str]]] = {kind: [] for kind in URGENT}
    for host in fleet["hosts"]:
        for each in urgent(host):
            about[each.kind].append((host["name"], each.gateway))
    found += [Alert(kind, _counted(kind, len(names)), tuple(names)) for kind, names in about.items() if names]
    return found


def _counted(kind: str, count: int) -> str:
    one, several = _COUNTED[kind]
    return one if count == 1 else several % count


def line(alert: Alert) -> str:
    """An alert in one line, with some of the names."""
    names = [visible(" ".join(part for part in each if part)) for each in alert.about[:_NAMED]]
    more = len(alert.about) - _NAMED
    told = ": " + ", ".join(names) + (" and %d more" % more if more > 0 else "") if names else ""
    return visible(alert.text) + told
