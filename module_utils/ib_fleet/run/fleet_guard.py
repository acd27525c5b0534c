"""The fleet guard: whether so much of a fleet is broken at once that the cause must be common. Pure.

A common cause (the broker, the network, a bad roll-out) is not mended by restarting gateways one by one, and a judge
that is wrong is wrong everywhere at once. So such a run acts on nobody and reports.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Optional, Sequence, Tuple

#: Two hosts with one verdict are a coincidence.
_FEWEST_ALIKE = 3
#: What counts as broken. A host that could not be judged is no proof of health, so it counts as well.
_BROKEN = ("unhealthy", "unknown", "unreachable")


@dataclass(frozen=True)
class Thresholds:
    """When a run freezes. share: more than this part of the fleet is broken; same: more than this part has one verdict.

    at_least: fewer broken hosts than this never hold a run back. fleet: with fewer declared hosts than this, parts say
    nothing, and only one verdict on all of them counts. Shares lie between 0 and 1; 1 switches one off.
    """

    share: Fraction = Fraction(1, 3)
    same: Fraction = Fraction(1, 2)
    at_least: int = 2
    fleet: int = 5


def thresholds(share: Any, same: Any, at_least: Any, fleet: Any = 5) -> Thresholds:
    """The guard as its variables give it. Raises ValueError naming the variable that is not usable."""
    return Thresholds(
        _share("ib_repair_storm_share", share),
        _share("ib_repair_storm_same", same),
        _hosts("ib_repair_storm_at_least", at_least),
        _hosts("ib_repair_storm_fleet", fleet),
    )


def _hosts(name: str, value: Any) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError("%s is %r; give a number of hosts, 1 or more" % (name, value))
    return number


def _share(name: str, value: Any) -> Fraction:
    try:
        found = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError("%s is %r; give a part of the fleet such as 1/3 or 0.5" % (name, value)) from None
    if not 0 <= found <= 1:
        raise ValueError("%s is %s; give a part of the fleet between 0 and 1" % (name, value))
    return found


def freezes(hosts: Sequence[Optional[Tuple[str, str]]], limits: Thresholds) -> str:
    """Why nobody is to be touched; empty when nothing speaks for a common cause.

    hosts: one for each declared host, (status, verdict) as the look judged it, or None for a host that is not part of
    this run: it counts as a host of the fleet and as neither broken nor well.
    """
    broken = [each for each in hosts if each is not None and each[0] in _BROKEN]
    if len(broken) < limits.at_least:
        return ""
    verdict, count = Counter(each[1] for each in broken).most_common(1)[0]
    if len(hosts) < limits.fleet:
        return _all_alike(count, hosts, verdict, limits)
    if len(broken) > limits.share * len(hosts):
        return _frozen(len(broken), hosts, "unhealthy, unknown or unreachable", limits.share)
    if count >= limits.at_least and count > limits.same * len(hosts):
        return _frozen(count, hosts, verdict, limits.same)
    return ""


def _all_alike(count: int, hosts: Sequence[object], verdict: str, limits: Thresholds) -> str:
    """Of a handful of hosts parts say nothing; only when all of them have one verdict the cause is likely common."""
    if count < _FEWEST_ALIKE or count < len(hosts) or limits.same >= 1:
        return ""
    return "all %d hosts are %s: the cause is likely common, so nobody is touched" % (count, verdict)


def _frozen(count: int, hosts: Sequence[object], what: str, share: Fraction) -> str:
    told = (count, len(hosts), what, share)
    return "%d of %d hosts are %s, more than %s of the fleet: the cause is likely common, so nobody is touched" % told
