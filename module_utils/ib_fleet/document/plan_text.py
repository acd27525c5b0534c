"""A host's plan in words. Pure; works on what ib_gateway_health returns."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from ...ib_gateway.base.actions import describe


def costs(step: Mapping[str, Any]) -> List[str]:
    """What a step costs, as the line below it; none for one that costs nothing, or of an older document."""
    return ["    cost: %s" % step["costs"]] if step.get("costs") else []


def verdict(gateway: Mapping[str, Any]) -> str:
    """The one sentence about a gateway of a look: how it is, and all that is wrong with it."""
    told = [each["summary"] for each in gateway["findings"]] or [gateway["summary"]]
    return "%s is %s: %s" % (gateway["name"], gateway["status"], "; ".join(dict.fromkeys(told)))


def lines(health: Optional[Mapping[str, Any]]) -> List[str]:
    """The plan of a host as a person reads it: a line for each step, and for each thing that is withheld."""
    found: List[str] = []
    for gateway in (health or {}).get("gateways", ()):
        plan = gateway["plan"]
        if gateway["status"] != "healthy":
            found.append(verdict(gateway))
        plan_only = " (plan_only: shown, not done)" if gateway["remediation"] == "plan_only" else ""
        for step in plan["steps"]:
            condition = "if it persists, " if step["only_if_persists"] else ""
            found.append("  %s%s: %s%s" % (condition, describe(step), step["reason"], plan_only))
            found.extend(costs(step))
        found.extend("  not done: %s" % reason for reason in plan["withheld"])
    return found
