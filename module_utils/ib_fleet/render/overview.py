"""A fleet document at a terminal: one table, identical findings together, and the next command to run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

from ..document import blockers, self_healing
from ..document.changes import Comparison
from ..document.fleet_document import STATUSES
from ..document.incidents import seconds_between
from ..document.latest import gateways
from ..document.text import visible
from .wording import span

_CHANGES = (("new", "new"), ("still", "still broken"), ("fixed", "fixed"), ("unseen", "not seen this time"))
_NAMES = 6
_ROWS = 40


def overview(
    fleet: Mapping[str, Any], comparison: Optional[Comparison] = None, page: str = "", told: Sequence[str] = ()
) -> dict[str, Any]:
    """What the table shows, as plain data: a callback gets it as a task's result.

    page: where the page was written. told: what was told to whom by notices, in lines.
    """
    counts = fleet["summary"]["statuses"]
    return {
        "counts": {status: counts[status] for status in STATUSES if counts[status]},
        "hosts": fleet["summary"]["hosts"],
        "check_mode": fleet["check_mode"],
        "alerts": [[each.kind, blockers.line(each)] for each in blockers.alerts(fleet)],
        "healing": self_healing.line(fleet),
        "rows": _rows(fleet, comparison),
        "changes": comparison.counts if comparison else {},
        "since": comparison.since if comparison else "",
        "older": older(comparison),
        "told": [visible(each) for each in told],
        "page": visible(page),
        "next": [dict(each) for each in fleet.get("next") or ()],
    }


def _rows(fleet: Mapping[str, Any], comparison: Optional[Comparison]) -> list[dict[str, Any]]:
    """A row for each finding: what it is, how bad, on which hosts, and how long the oldest of them lasts.

    The worst and most frequent come first.
    """
    since: dict[str, str] = {}
    for each in comparison.still if comparison else ():
        since[each.code] = min(since.get(each.code, each.since), each.since)
    found: dict[tuple[str, str], dict[str, None]] = {}
    for host in fleet["hosts"]:
        seen = [(f["severity"], f["code"]) for gateway in gateways(host) for f in gateway["findings"]]
        seen = [each for each in seen if each[0] != "info"]
        if not host["reached"]:
            seen = [("unreachable", "unreachable")]
        for key in seen or ([(host["status"], host["verdict"])] if host["status"] != "healthy" else []):
            found.setdefault(key, {})[visible(host["name"])] = None
    order = sorted(found, key=lambda key: (-STATUSES.index(key[0]), -len(found[key]), key[1]))
    return [
        {
            "status": key[0],
            "code": key[1],
            "count": len(found[key]),
            "hosts": named(list(found[key])),
            "lasts": _lasts(since.get(key[1], ""), fleet["generated_at"]),
        }
        for key in order
    ][:_ROWS]


def _lasts(since: str, now: str) -> str:
    """How long it is from one time to another; empty where one of them is none."""
    took = seconds_between(since, now)
    return span(took) if took and took > 0 else ""


def named(hosts: Sequence[str]) -> str:
    """Some names, and how many more."""
    more = len(hosts) - _NAMES
    return ", ".join(hosts[:_NAMES]) + (f" and {more} more" if more > 0 else "")


def older(comparison: Optional[Comparison]) -> str:
    """The hosts that are compared with a sweep before the one that the others are compared with, and its time."""
    return named([f"{visible(host)} ({at})" for host, at in comparison.older]) if comparison else ""


def changes(found: Mapping[str, Any]) -> Iterator[str]:
    """What changed since the sweep it was compared with, how long what stays is open, who has an older sweep.

    Also what was told by notices. found: what overview() returns.
    """
    if any(found["changes"].values()):
        yield f"since {found['since']}: " + ", ".join(f"{found['changes'][kind]} {words}" for kind, words in _CHANGES)
    lasting = [f"{row['code']} for {row['lasts']}" for row in found["rows"] if row["lasts"]]
    if lasting:
        yield f"open: {named(lasting)}"
    if found["older"]:
        yield f"not judged then, compared with their last sweep before: {found['older']}"
    yield from found["told"]
