"""Times as the doctor's sentences have them. Pure."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Optional


def seconds(stamp: str) -> float:
    """Since the epoch, of an ISO 8601 time."""
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def clock(at: float) -> str:
    """The time of day: 03:12 UTC."""
    return datetime.fromtimestamp(at, timezone.utc).strftime("%H:%M UTC")


def since(at: float, age: Optional[float]) -> str:
    """When something began, and how long ago: 28 Nov 03:12 UTC (33 h)."""
    if age is None:
        return "a time that cannot be seen"
    began = datetime.fromtimestamp(at - age, timezone.utc)
    return "%s UTC (%s)" % (began.strftime("%d %b %H:%M").lstrip("0"), span(age))


def span(seconds: float) -> str:
    """In the largest unit of which there are two: 33 h."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return "%d %s" % (seconds // size, unit)
    return "%d s" % seconds
