"""Whether a gateway stays healthy: what several looks over a soak time say together. Pure.

A gateway that serves once and is another process at the next look is in a restart loop, whatever each look says.
"""

from __future__ import annotations

from typing import FrozenSet, List, Sequence, Tuple

from ..base import findings
from ..base.findings import HEALTHY
from ..base.plan import Diagnosis


def settled(looks: Sequence[Sequence[Diagnosis]]) -> List[Diagnosis]:
    """For each entry the first diagnosis that is not healthy, else the last one; and whether its gateway was replaced.

    looks: in the order they were taken, each with one Diagnosis for each entry, in the same order.
    """
    return [_judged(_telling(series), _identities(series[0])) for series in zip(*looks)]


def _telling(series: Sequence[Diagnosis]) -> Diagnosis:
    return next((each for each in series if each.status != HEALTHY), series[-1])


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
    finding = findings.GATEWAY_UNSTABLE.found(summary, {"gone": gone, "new": new})
    return last._replace(status=finding.severity, verdict=finding.code, findings=(finding, *last.findings))
