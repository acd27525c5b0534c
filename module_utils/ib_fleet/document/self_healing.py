"""Which hosts of a fleet heal themselves by a timer of their own, and when they last looked. Pure."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from .text import counted, visible

#: What the last run of a host's own came to, in words.
_RESULTS = {
    "healthy": "all was healthy",
    "not_healthy": "not all was healthy",
    "failed": "that run failed",
}
_A_MINUTE, _MINUTES_FROM = 60, 120


def state(host: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """What the newest look that knows says of it: {result, every, looked_at, overdue, note}; None for a host without.

    Keys that an older look has not are missing.
    """
    for look in (host["after"], host["before"]):
        if look and look.get("repairs"):
            found: Optional[Dict[str, Any]] = look["repairs"].get("self_heal")
            return found
    return None


def text(host: Mapping[str, Any]) -> str:
    """How a host heals itself, in one line; empty where it does not."""
    found = state(host)
    if found is None:
        return ""
    if found["result"] == "unknown":
        return visible("whether it heals itself is not known: %s" % (found.get("note") or "no reason given"))
    last = (
        "last looked at %s, %s" % (found["looked_at"], _RESULTS.get(found["result"], "its end is not known"))
        if found.get("looked_at")
        else "has not looked yet"
    )
    return visible("heals itself%s: %s" % (_every(found.get("every")), last))


def overdue(host: Mapping[str, Any]) -> str:
    """Why a host that should heal itself does not; empty where nothing speaks against it."""
    found = state(host)
    if found is None or not (found.get("overdue") or found["result"] == "failed"):
        return ""
    if found.get("overdue"):
        since = " since %s" % found["looked_at"] if found.get("looked_at") else " once"
        return "it should heal itself%s and has not looked%s" % (_every(found.get("every")), since)
    return "its own run at %s failed: systemctl status ib-self-heal.service" % found.get("looked_at")


def line(fleet: Mapping[str, Any]) -> str:
    """How many hosts of a fleet heal themselves; empty where none does."""
    healing = [found for found in map(state, fleet["hosts"]) if found is not None and found["result"] != "unknown"]
    if not healing:
        return ""
    every = counted(len(fleet["hosts"]), "host")
    return "%d of %s %s" % (len(healing), every, "heals itself" if len(healing) == 1 else "heal themselves")


def _every(seconds: Any) -> str:
    """How often it looks, as a part of a sentence; empty where nobody knows."""
    if not isinstance(seconds, (int, float)):
        return ""
    if seconds < _MINUTES_FROM:
        return " every %d s" % seconds
    return " every %d min" % round(seconds / _A_MINUTE)
