"""What the page shows of a whole fleet besides its problems: what changed, what needs a person. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ..document import blockers
from ..document.changes import Change, Comparison
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
