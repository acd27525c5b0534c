"""What the page shows of the past of each gateway: its uptime, a timeline, and its incidents in words. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ..document.incidents import HOST, seconds_between
from . import charts
from .problems import Since
from .wording import moment, plain, span

#: So many incidents of a gateway are told; fleet.json has more.
_TOLD = 6


@dataclass(frozen=True)
class GatewayPast:
    """One gateway over the kept sweeps. incidents: newest first."""

    name: str
    uptime: str
    timeline: Markup
    incidents: Sequence[str]


def begun(fleet: Mapping[str, Any]) -> dict[tuple[str, str], Since]:
    """From when on what is not healthy is so, by host and gateway."""
    known = (fleet.get("history") or {}).get("gateways", ())
    return {
        (each["host"], each["gateway"]): Since(each["since"], not each["since_seen"])
        for each in known
        if each["status"] != "healthy"
    }


def by_host(fleet: Mapping[str, Any]) -> dict[str, list[GatewayPast]]:
    """By host its gateways that had an incident; nothing before the second sweep."""
    history = fleet.get("history")
    found: dict[str, list[GatewayPast]] = defaultdict(list)
    if history and history["sweeps"] > 1:
        for each in history["gateways"]:
            if each["incidents"]:
                found[each["host"]].append(_past(each, history["since"], fleet["generated_at"]))
    return found


def _past(each: Mapping[str, Any], first: str, now: str) -> GatewayPast:
    spans = [(one["begun_at"], one["ended_at"] or now, plain(one["cause"])) for one in each["incidents"]]
    told = [_told(one, now) for one in reversed(each["incidents"])]
    more = ["and %d before" % (len(told) - _TOLD)] if len(told) > _TOLD else []
    name = each["gateway"] if each["gateway"] != HOST else "the host"
    return GatewayPast(name, _uptime(each), charts.timeline(name, first, now, spans), told[:_TOLD] + more)


def _uptime(each: Mapping[str, Any]) -> str:
    if each["uptime"] is None or each["gateway"] == HOST:
        return ""
    # Rounded down, so that what had an incident never had 100 %.
    return "healthy %g %% of the time" % (math.floor(each["uptime"] * 1000) / 10)


def _told(one: Mapping[str, Any], now: str) -> str:
    """`2026-11-22 12:30:00 UTC to 2026-11-22 13:10:00 UTC (40 min): handshake stalled; restart: done`."""
    until = " to %s" % moment(one["ended_at"]) if one["ended_at"] else ""
    lasted = seconds_between(one["begun_at"], one["ended_at"] or now) or 0.0
    earlier = " or earlier" if not one["begun_seen"] else ""
    acts = "".join("; %s: %s" % (plain(act["action"]), act["result"]) for act in one["acts"])
    since = "" if one["ended_at"] else "since "
    return "%s%s%s%s (%s): %s%s" % (
        since,
        moment(one["begun_at"]),
        earlier,
        until,
        span(max(lasted, 0.0)),
        plain(one["cause"]),
        acts,
    )
