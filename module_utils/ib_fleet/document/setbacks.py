"""A repair that ended half-way: what is down now, what ran before, why, where to read on, how to start it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...ib_gateway.base import findings
from ...ib_gateway.base.actions import RESTART, START
from ...ib_gateway.base.outcome import DONE, FAILED, UNSURE
from .latest import gateways

#: Where modules say what became of a start.
_ROWS = ("not_started", "not_restarted", "restarted", "started")


#: What a gateway that is down has been told by the first line about it.
DOWN = frozenset((findings.GATEWAY_NOT_RUNNING.code, findings.NOT_LISTENING.code))


def down(host: Mapping[str, Any]) -> list[str]:
    """The names of the gateways that lines() tells of."""
    return [gateway["name"] for gateway in gateways(host) if any(_lines(host, gateway))]


def lines(host: Mapping[str, Any]) -> list[str]:
    """The lines about each gateway that was to be started by this run and does not serve."""
    return [line for gateway in gateways(host) for line in _lines(host, gateway)]


def _lines(host: Mapping[str, Any], gateway: Mapping[str, Any]) -> Iterator[str]:
    name = gateway["name"]
    tried = [
        each
        for act in host["done"]
        for each in act.get("outcomes", ())
        if each["gateway"] == name and each["action"] in (START, RESTART) and each["result"] in (DONE, FAILED, UNSURE)
    ]
    serves = any(each["port"] == gateway["port"] and each.get("is_gateway") for each in gateway["listeners"])
    if not tried or serves or host["after"] is None:
        return
    row = _row(host, name)
    yield "%s is down now: %s" % (name, _now(gateway))
    yield "  before: %s" % _before(host, name)
    yield "  why: %s" % (
        tried[-1]["reason"] if tried[-1]["result"] != DONE else "it was started and has not opened its port"
    )
    if row.get("log"):
        yield "  log: %s" % row["log"]
    if gateway["processes"]:
        yield "  by hand: nothing yet, since it may still come up, and a second one beside it would cost its login"
    elif row.get("by_hand"):
        yield "  by hand, on the host: %s" % row["by_hand"]


def _row(host: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The newest row of a module about an entry that was to be started."""
    found = [each for act in host["done"] for key in _ROWS for each in act.get(key) or () if each.get("name") == name]
    return found[-1] if found else {}


def _now(gateway: Mapping[str, Any]) -> str:
    pids = [str(each["pid"]) for each in gateway["processes"]]
    port = gateway["port"]
    return "pid %s runs and does not serve port %d" % (", ".join(pids), port) if pids else "no gateway process runs"


def _before(host: Mapping[str, Any], name: str) -> str:
    for each in (host["before"] or {}).get("gateways", ()):
        if each["name"] == name:
            pids = ", ".join(str(one["pid"]) for one in each["processes"])
            working = sum(bool(one.get("working")) for one in each["clients"])
            sessions = "%d working session%s" % (working, "" if working == 1 else "s")
            return "pid %s ran, with %s" % (pids, sessions) if pids else "no gateway process ran"
    return "it was not seen"
