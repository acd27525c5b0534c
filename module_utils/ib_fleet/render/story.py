"""What a run has to say of its hosts, section by section: found, planned, done, proven. Pure.

A section names a host only where it has something to say of it. Of the hosts of a large fleet those that are healthy
and were not touched are only counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Optional

from ...ib_gateway.base.actions import ORDER, RECONNECT, RESTARTS, START, WAIT, describe
from ...ib_gateway.base.outcome import WOULD
from ..document import blockers, fleet_document, losses, repair_log, self_healing, setbacks
from ..document.fleet_document import STATUSES
from ..document.text import counted
from . import wording
from .layout import Line

#: So many hosts are told one by one.
_EACH = 25
#: Actions that take their time, which is announced before.
_SLOW = (WAIT, RECONNECT, START, *RESTARTS)
_DONE = "done: "
#: How a line begins that a person has to look at.
_BAD = ("failed", "refused", "not known whether done")

Host = Mapping[str, Any]
#: By host: what is said of it.
Told = dict[str, list[Line]]


def headline(hosts: Iterable[Host]) -> str:
    """How many hosts, and how they are: 3 hosts: 2 healthy, 1 unhealthy."""
    statuses = Counter(str(host["status"]) for host in hosts)
    told = ", ".join("%d %s" % (statuses[status], status) for status in STATUSES if statuses[status])
    return "%s: %s" % (counted(sum(statuses.values()), "host"), told)


def found(hosts: Sequence[Host], with_healthy: bool) -> Told:
    """What the look found. with_healthy: also how healthy gateways are; without, a proof that follows tells it."""
    return {host["name"]: list(_found(host, with_healthy and len(hosts) <= _EACH)) for host in hosts}


def _found(host: Host, with_healthy: bool) -> Iterator[Line]:
    yield from _blockers(host)
    health = host["before"]
    if health is None:
        yield _not_judged(host)
        return
    for gateway in health["gateways"]:
        if with_healthy or gateway["status"] != "healthy":
            yield from verdict(gateway)
    yield from (Line(note, 2) for note in fleet_document.notes(health))
    if with_healthy and self_healing.text(host):
        yield Line(self_healing.text(host), 2)


def _blockers(host: Host) -> Iterator[Line]:
    for each in blockers.of(host):
        yield Line("%s: %s" % (each.kind, each.text), 2, tone="failed", word=each.kind)


def _not_judged(host: Host) -> Line:
    words = {"unreachable": "was not reached"}.get(host["status"], "could not be judged")
    reason = str(host["reason"]).partition("Task failed: ")
    return Line("%s: %s" % (words, reason[2] or reason[0]), 2, tone=host["status"], word=words)


def verdict(gateway: Mapping[str, Any]) -> Iterator[Line]:
    """How a gateway is, and all that is wrong with it: a line for each finding where there are several."""
    told = wording.with_codes(gateway["findings"]) or [gateway["summary"]]
    begin, status = "%s is %s:" % (gateway["name"], gateway["status"]), gateway["status"]
    if len(told) == 1:
        yield Line("%s %s" % (begin, told[0]), 2, tone=status, word=status)
        return
    yield Line(begin, 2, tone=status, word=status)
    yield from (Line(each, 2, "- ") for each in told)


def planned(hosts: Iterable[Host]) -> Told:
    """What would mend the gateways, in order and with what it costs; and what is not done, and why."""
    return {host["name"]: list(_planned(host["before"] or {}, ())) for host in hosts}


def _planned(health: Mapping[str, Any], foretold: Sequence[str]) -> Iterator[Line]:
    """foretold: steps that were told already as what would be done."""
    number = 0
    for gateway in health.get("gateways", ()):
        shown = " (plan_only: shown, not done)" if gateway["remediation"] == "plan_only" else ""
        for step in gateway["plan"]["steps"]:
            if describe(step) in foretold:
                continue
            number += 1
            condition = "if it persists, " if step["only_if_persists"] else ""
            what, lead = condition + describe(step), "%d. " % number
            # The step is the same while what it costs is a second older: both lines are told, or neither.
            about = "%s of %s" % (what, gateway["name"])
            yield Line("%s: %s%s" % (what, step["reason"], shown), 2, lead, about=about)
            if step.get("costs"):
                yield Line("costs: %s" % step["costs"], 2, " " * len(lead), about="costs: " + about)
        yield from (Line("not done: %s" % reason, 2) for reason in gateway["plan"]["withheld"])


def done(act: Mapping[str, Any], before: Optional[Mapping[str, Any]]) -> list[Line]:
    """What an action came to. act: what its module returned; before: the look whose plan it followed."""
    told = repair_log.told({"action": "", "changed": False, "outcomes": act.get("outcomes") or ()}, before)
    return [_outcome(each) for each in told]


def _outcome(text: str) -> Line:
    """What was done stands without a word before it, since the section says so; what was not begins with one."""
    if text.startswith(_DONE):
        return Line(text[len(_DONE) :], 2)
    word = "would" if text.startswith("would ") else text.partition(":")[0]
    return Line(text, 2, tone="failed" if word in _BAD else "", word=word)


def under_way(escalation: Mapping[str, Any]) -> list[Line]:
    """The steps that are taken now, where they take their time."""
    if escalation.get("action") not in _SLOW or escalation["action"] not in ORDER:
        return []
    return [Line("now: %s%s" % (describe(each), _within(each["target"])), 2) for each in escalation["steps"]]


def _within(target: Mapping[str, Any]) -> str:
    return ", which may take up to %d s" % target["timeout"] if target.get("timeout") else ""


def ending(fleet: Mapping[str, Any]) -> list[tuple[str, list[Line]]]:
    """How the hosts are at the end of a run that acts: what was proven, lost and left open."""
    few = len(fleet["hosts"]) <= _EACH
    return [
        (host["name"], list(_ending(host)))
        for host in fleet["hosts"]
        if few or host["status"] != "healthy" or host["done"] or blockers.urgent(host)
    ]


def _ending(host: Host) -> Iterator[Line]:
    yield from _blockers(host)
    down = setbacks.down(host)
    for text in setbacks.lines(host):
        yield Line(text.strip(), 3 if text.startswith(" ") else 2)
    for each in host.get("lost") or ():
        if each["planned"]:
            yield Line("lost, as the plan had said: %s" % losses.line(each), 2)
    if host["after"] is None:
        if host["before"] is None:
            yield _not_judged(host)
        elif host["status"] == "healthy":
            yield from (line for gateway in host["before"]["gateways"] for line in verdict(gateway))
        return
    before = {each["name"]: each for each in (host["before"] or {}).get("gateways", ())}
    for gateway in host["after"]["gateways"]:
        yield from _ended(gateway, before.get(gateway["name"]), gateway["name"] in down)
    yield from (Line(note, 2) for note in fleet_document.notes(host["after"]))
    foretold = [describe(each) for act in host["done"] for each in act.get("outcomes", ()) if each["result"] == WOULD]
    yield from _planned(host["after"], foretold)


def _ended(gateway: Mapping[str, Any], before: Optional[Mapping[str, Any]], is_down: bool) -> Iterator[Line]:
    """is_down: it has been told already that it is."""
    if is_down:
        gateway = {**gateway, "findings": [e for e in gateway["findings"] if e["code"] not in setbacks.DOWN]}
        if gateway["findings"]:
            yield from verdict(gateway)
    elif before and gateway["status"] != "healthy" and _codes(gateway) == _codes(before):
        status = gateway["status"]
        yield Line("%s is still %s, as found above" % (gateway["name"], status), 2, tone=status, word=status)
    else:
        yield from verdict(gateway)


def _codes(gateway: Mapping[str, Any]) -> list[str]:
    return [each["code"] for each in gateway["findings"]]
