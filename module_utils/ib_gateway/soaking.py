"""Whether a gateway stays healthy: what several looks over a soak time say together. Pure.

A gateway that serves once and is another process at the next look is in a restart loop, whatever each look says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, FrozenSet, List, Sequence, Tuple

from ansible.module_utils.ib_gateway.model import UNHEALTHY, Diagnosis, Finding


def settled(looks: Sequence[Sequence[Diagnosis]]) -> List[Diagnosis]:
    """The last look's diagnoses, with a finding for each gateway that was replaced since the first one.

    looks: in the order they were taken, each with one Diagnosis for each entry.
    """
    before: Dict[str, FrozenSet[Tuple[int, int, str]]] = {each.entry.spec.name: _identities(each) for each in looks[0]}
    return [_judged(each, before[each.entry.spec.name]) for each in looks[-1]]


def _identities(diagnosis: Diagnosis) -> FrozenSet[Tuple[int, int, str]]:
    return frozenset((each.pid, each.started_ticks, each.boot_id) for each in diagnosis.entry.processes)


def _judged(last: Diagnosis, before: FrozenSet[Tuple[int, int, str]]) -> Diagnosis:
    now = _identities(last)
    if now == before:
        return last
    gone, new = sorted(pid for pid, _, _ in before - now), sorted(pid for pid, _, _ in now - before)
    spec = last.entry.spec
    summary = "%s on port %d did not stay the same process while it was watched: %s, %s" % (
        spec.name,
        spec.port,
        "gone: pid %s" % ", ".join(map(str, gone)) if gone else "none has gone",
        "new: pid %s" % ", ".join(map(str, new)) if new else "none has come",
    )
    finding = Finding("gateway_unstable", UNHEALTHY, summary, {"gone": gone, "new": new})
    return replace(last, status=UNHEALTHY, verdict="gateway_unstable", findings=(finding, *last.findings))
