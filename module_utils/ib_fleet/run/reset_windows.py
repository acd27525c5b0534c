"""Times of day that mean something: which window, if any, a moment lies in. Pure; runs on the controller.

The broker's resets and a desk's own hours are data, in the zone in which they are announced, so that daylight saving
is the zone's business.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any, List, Mapping, Sequence, Tuple

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
#: When the broker ends all logins: the next one of each gateway needs a person.
LOGIN_RESET = {"day": "sun", "at": "01:00", "zone": "America/New_York"}
_KEYS = ("name", "zone", "start", "end", "days")


def current(windows: Sequence[Mapping[str, Any]], now: float, kind: str = "reset window") -> str:
    """The window that a moment lies in, as `NAME until TIME`; empty for none.

    windows: {name, zone, start, end, days}; start and end are HH:MM in the zone, an end before the start is on the next
    day; days: on which days it starts, all when left out. now: seconds since the epoch. kind: what the windows are,
    for messages. Raises ValueError on a window that is not one, naming it and the key.
    """
    moment = datetime.fromtimestamp(now, timezone.utc)
    # All are read before one may answer, so that a wrong one is told at every hour.
    for window, (start, end, days, zone) in [(window, _parsed(window, kind)) for window in windows]:
        here = moment.astimezone(zone)
        for day in (here.date(), here.date() - timedelta(days=1)):
            begin = datetime(day.year, day.month, day.day, *start, tzinfo=zone)
            last = day if end > start else day + timedelta(days=1)
            until = datetime(last.year, last.month, last.day, *end, tzinfo=zone)
            if _DAYS[day.weekday()] in days and begin <= moment < until:
                return "%s until %s" % (window["name"], until.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"))
    return ""


def latest(weekly: Mapping[str, Any], now: float) -> float:
    """The newest moment, in seconds since the epoch, at which something that happens each week has happened by now.

    weekly: {day, at, zone}; at is HH:MM in the zone. Where a clock shows that time twice, both count.
    """
    zone = ZoneInfo(str(weekly["zone"]))
    hour, minute = (int(each) for each in str(weekly["at"]).split(":"))
    today = datetime.fromtimestamp(now, zone).date()
    moments = [
        datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone, fold=fold).timestamp()
        for day in (today - timedelta(days=ago) for ago in range(8))
        if _DAYS[day.weekday()] == weekly["day"]
        for fold in (0, 1)
    ]
    return max(moment for moment in moments if moment <= now)


def _parsed(window: Mapping[str, Any], kind: str) -> Tuple[Tuple[int, int], Tuple[int, int], List[str], ZoneInfo]:
    name = window.get("name")
    where = "%s %s" % (kind, name or window)
    if not name:
        raise ValueError("%s, key name: is missing" % where)
    for key in window:
        if key not in _KEYS:
            raise ValueError("%s, key %s: is not known; known are %s" % (where, key, ", ".join(_KEYS)))
    days = [str(day) for day in window.get("days") or _DAYS]
    for day in days:
        if day not in _DAYS:
            raise ValueError("%s, key days: %r is not a day; use %s" % (where, day, ", ".join(_DAYS)))
    try:
        zone = ZoneInfo(str(window.get("zone")))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("%s, key zone: %r is not an IANA time zone" % (where, window.get("zone"))) from None
    return _time(where, "start", window), _time(where, "end", window), days, zone


def _time(where: str, key: str, window: Mapping[str, Any]) -> Tuple[int, int]:
    found = _TIME.fullmatch(str(window.get(key)))
    if not found:
        raise ValueError("%s, key %s: %r is not a time of day; use HH:MM" % (where, key, window.get(key)))
    return int(found.group(1)), int(found.group(2))
