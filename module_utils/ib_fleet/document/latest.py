"""What a host's looks came to: its verdict, and its gateways as they stand at the end of a run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional, Tuple

from ...ib_gateway.base import findings

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


def contradicts_itself(look: Mapping[str, Any]) -> bool:
    """Whether the status of a look is another one than that of the worst of its gateways."""
    statuses = [each["status"] for each in look["gateways"]]
    worst = max(statuses, key=findings.SEVERITIES.index, default=findings.UNKNOWN)
    return bool(look["status"] != worst)


def seen(result: Optional[Mapping[str, Any]]) -> Optional[Tuple[str, str]]:
    """(status, verdict) of what ib_gateway_health returned for a host; None without a result.

    A look that failed is unknown; of several gateways the worst one speaks for the host.
    """
    if result is None:
        return None
    if result.get("unreachable"):
        return "unreachable", "unreachable"
    if "gateways" not in result or "status" not in result:
        return "unknown", "not_judged"
    verdicts = [str(each["verdict"]) for each in result["gateways"] if each["status"] == result["status"]]
    return str(result["status"]), verdicts[0] if verdicts else "not_judged"
