"""Notices to a person: which gateways have changed their state since the last notice, in words. Pure.

A gateway that cannot be judged has no state: what was told of it last still counts, so that a host that was out of
reach for a while is told of neither as broken nor as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ...ib_gateway.base import findings
from ...ib_gateway.base.login import SECOND_FACTOR_PENDING
from ...ib_gateway.base.outcome import DONE
from . import blockers, losses, repair_log, tallies
from .latest import NOT_SEEN, gateways
from .text import counted, visible

#: The states of a gateway that are told of. One that is well has none.
BROKEN, NOT_REPAIRED, SECOND_FACTOR = "broken", "not_repaired", "second_factor"
STATES = (BROKEN, NOT_REPAIRED, SECOND_FACTOR)
#: What has happened to a gateway besides coming into one of these states.
REPAIRED, RECOVERED = "repaired", "recovered"
#: The most urgent first: of one, and of several.
_HAPPENED = {
    SECOND_FACTOR: ("needs a second factor now", "need a second factor now"),
    NOT_REPAIRED: ("could not be repaired", "could not be repaired"),
    BROKEN: ("broke", "broke"),
    REPAIRED: ("was repaired", "were repaired"),
    RECOVERED: ("is healthy again", "are healthy again"),
}
#: By ib_notify_on: the statuses that count as broken.
FROM = {findings.UNHEALTHY: (findings.UNHEALTHY,), findings.DEGRADED: (findings.UNHEALTHY, findings.DEGRADED)}
#: So many gateways and commands are told in one message; of the others it says how many there are.
_MOST, _MOST_COMMANDS = 20, 3

#: By host and gateway: the state that was told last. One that is not in it was well.
Told = Mapping[str, Mapping[str, str]]


class Notice(NamedTuple):
    """What has happened to one gateway. event: a state, REPAIRED or RECOVERED. why: a sentence's second half."""

    event: str
    host: str
    gateway: str
    port: int
    why: str


class Message(NamedTuple):
    """All notices of a run in one. bad: whether any of them is no good news."""

    title: str
    body: str
    bad: bool


def notices(fleet: Mapping[str, Any], told: Told, least: str = findings.UNHEALTHY) -> list[Notice]:
    """What a person has to be told after a run, the most urgent first. least: from which status on one is broken."""
    found = [
        notice
        for host in fleet["hosts"]
        for gateway in gateways(host)
        for notice in _of(fleet, host, gateway, told.get(host["name"], {}).get(gateway["name"]), least)
    ]
    order = list(_HAPPENED)
    return sorted(found, key=lambda each: (order.index(each.event), each.host, each.gateway))


def after(fleet: Mapping[str, Any], told: Told, least: str = findings.UNHEALTHY) -> dict[str, dict[str, str]]:
    """What has been told once the notices of a run are. Hosts that the run was not about keep what they had."""
    found = {name: dict(each) for name, each in told.items()}
    for host in fleet["hosts"]:
        before, now = told.get(host["name"], {}), {}
        if host["verdict"] in NOT_SEEN:
            continue
        for gateway in gateways(host):
            name = gateway["name"]
            state = before.get(name) if _hidden(gateway) else _state(fleet, gateway, before.get(name), least)
            if state:
                now[name] = state
        found[host["name"]] = now
    return {name: each for name, each in found.items() if each}


def message(found: Sequence[Notice], fleet: Mapping[str, Any]) -> Message:
    """All notices of a run as one message, with the commands that the report gives as the next ones."""
    lines = [_line(each) for each in found[:_MOST]]
    if len(found) > _MOST:
        lines.append("and %s more" % counted(len(found) - _MOST, "gateway"))
    bad = any(each.event not in (REPAIRED, RECOVERED) for each in found)
    if bad:
        following = fleet.get("next") or ()
        lines += ["To %s: %s" % (each["why"], each["command"]) for each in following[:_MOST_COMMANDS]]
    return Message(visible(_title(found)), "\n".join(visible(line) for line in lines), bad)


def _line(one: Notice) -> str:
    return "%s on %s (port %s) %s%s" % (one.gateway, one.host, one.port, _HAPPENED[one.event][0], one.why)


def _title(found: Sequence[Notice]) -> str:
    if len(found) == 1:
        only = found[0]
        return "IB Gateway %s on %s %s" % (only.gateway, only.host, _HAPPENED[only.event][0])
    counts = [(sum(each.event == event for each in found), words) for event, words in _HAPPENED.items()]
    return "IB Gateways: %s" % ", ".join("%d %s" % (count, words[count > 1]) for count, words in counts if count)


def _of(
    fleet: Mapping[str, Any], host: Mapping[str, Any], gateway: Mapping[str, Any], told: str | None, least: str
) -> Iterator[Notice]:
    name = gateway["name"]
    if host["verdict"] in NOT_SEEN or _hidden(gateway):
        return
    state = _state(fleet, gateway, told, least)
    if state and state != told:
        yield Notice(state, host["name"], name, gateway["port"], _why(host, gateway, state))
    elif not state and gateway["status"] == findings.HEALTHY and not fleet["check_mode"]:
        done = [each for each in tallies.acts_on(host).get(name, ()) if each.result == DONE]
        if done and _was_broken(host, name, least):
            yield Notice(REPAIRED, host["name"], name, gateway["port"], _how(host, name))
        elif told:
            yield Notice(RECOVERED, host["name"], name, gateway["port"], "")


def _hidden(gateway: Mapping[str, Any]) -> bool:
    return bool(gateway["status"] == findings.UNKNOWN)


def _state(fleet: Mapping[str, Any], gateway: Mapping[str, Any], told: str | None, least: str) -> str | None:
    """A gateway's state; None where it is well. A sweep that finds it as a repair has left it says nothing new."""
    if any(each["evidence"].get("state") == SECOND_FACTOR_PENDING for each in gateway["findings"]):
        return SECOND_FACTOR
    if gateway["status"] not in FROM[least]:
        # Between well and broken: what was told stands until it is well, so that it is not told again each time.
        return None if gateway["status"] == findings.HEALTHY else told
    repair = fleet["kind"] == "remediate" and not fleet["check_mode"]
    return NOT_REPAIRED if repair or told == NOT_REPAIRED else BROKEN


def _was_broken(host: Mapping[str, Any], name: str, least: str) -> bool:
    before = (host["before"] or {}).get("gateways", ())
    return any(each["name"] == name and each["status"] in FROM[least] for each in before)


def _why(host: Mapping[str, Any], gateway: Mapping[str, Any], state: str) -> str:
    found = [gateway["summary"]]
    if state == NOT_REPAIRED:
        found += gateway["plan"]["withheld"]
        found += [each.text for each in blockers.urgent(host) if each.gateway in ("", gateway["name"])]
    return ": " + "; ".join(found)


def _how(host: Mapping[str, Any], name: str) -> str:
    """What was done on it, and what it has cost that no plan had named."""
    own = [
        {**act, "outcomes": [each for each in act.get("outcomes", ()) if each["gateway"] == name]}
        for act in host["done"]
    ]
    told = [line for act in own for line in repair_log.told(act, host["before"])]
    lost = ["LOST: %s" % losses.line(each) for each in losses.unplanned(host) if each["gateway"] == name]
    return ": " + "; ".join([*told, *lost])
