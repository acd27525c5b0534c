"""The gateways of a host as they stand at the end of a run, whatever the run came to. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Verdicts on a host of which nobody can say how its gateways are.
NOT_SEEN = ("unreachable", "not_judged")


def gateways(host: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """By the newest look. Where the last one failed, an earlier one proves nothing: its gateways are unknown."""
    found = (host["after"] or host["before"] or {}).get("gateways", ())
    if host["verdict"] not in NOT_SEEN:
        return list(found)
    blind = {
        "code": host["verdict"],
        "severity": "unknown",
        "summary": host["reason"] or "the last look failed",
        "evidence": {},
        "steps": [],
    }
    lost = {"status": "unknown", "verdict": host["verdict"], "findings": [blind], "api": None}
    return [{**each, **lost} for each in found]
