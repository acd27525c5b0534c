"""What the top of the page shows of a whole fleet: findings by code, what changed, what needs a person. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ...ib_gateway.base.findings import INFO, SEVERITIES, UNKNOWN
from ..document import blockers
from ..document.changes import Change, Comparison
from ..document.latest import gateways
from .view_models import anchor


@dataclass(frozen=True)
class Alert:
    """What needs a person. about: name, id of the section and gateway of each host that is meant."""

    kind: str
    text: str
    about: Sequence[tuple[str, str, str]]


def alerts(fleet: Mapping[str, Any]) -> list[Alert]:
    """What stands in the way of repairs, the most urgent first."""
    return [
        Alert(each.kind, each.text, [(host, anchor(host), gateway) for host, gateway in each.about])
        for each in blockers.alerts(fleet)
    ]


def by_finding(fleet: Mapping[str, Any]) -> list[tuple[str, str, list[str]]]:
    """What was found over the fleet: code, worst severity, hosts; what many have comes first."""
    found: dict[str, tuple[str, dict[str, None]]] = {}
    for each in fleet["hosts"]:
        rows = [(f["code"], f["severity"]) for g in gateways(each) for f in g["findings"]]
        for code, severity in rows or ([(each["verdict"], UNKNOWN)] if each["status"] != "healthy" else []):
            worst, hosts = found.get(code, (INFO, {}))
            found[code] = (max(worst, severity, key=SEVERITIES.index), {**hosts, each["name"]: None})
    listed = [(code, severity, list(hosts)) for code, (severity, hosts) in found.items()]
    return sorted(listed, key=lambda one: (-SEVERITIES.index(one[1]), -len(one[2]), one[0]))


def changes(comparison: Optional[Comparison]) -> list[tuple[str, str, int, list[tuple[str, list[Change]]]]]:
    """What changed: kind, in words, how many, and by code the hosts."""
    if comparison is None:
        return []
    titles = {"new": "New", "still": "Still broken", "fixed": "Fixed", "unseen": "Not seen this time"}
    found = []
    for kind, title in titles.items():
        by_code: dict[str, list[Change]] = {}
        for each in getattr(comparison, kind):
            by_code.setdefault(each.code, []).append(each)
        ordered = sorted(by_code.items(), key=lambda pair: (-len(pair[1]), pair[0]))
        found.append((kind, title, len(getattr(comparison, kind)), ordered))
    return found
