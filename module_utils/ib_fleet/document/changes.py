"""What is wrong with a host as a set, so that two sweeps can be compared: fixed, new, still broken. Pure.

A sweep that could not judge a host, or one of its gateways, says nothing about it. What was known of it before that
still counts, so that an old finding is not new only because nobody could look in between.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Optional, Tuple

from ...ib_gateway.base import findings
from .latest import NOT_SEEN, gateways

#: The gateway's name, empty for the host as a whole, and the code.
OpenFinding = Tuple[str, str]
_CANNOT_SEE = (*NOT_SEEN, findings.PARTIAL_VISIBILITY.code)


@dataclass(frozen=True)
class Known:
    """What was known of a host at some moment. judged_at: the sweep it was judged in, where that is an older one.

    hidden: the gateways of which nothing is known yet, because they could not be judged; None for all of them.
    """

    open_findings: frozenset[OpenFinding]
    judged_at: str = ""
    hidden: Optional[frozenset[str]] = frozenset()


#: By host, gateway and code: the time of the sweep since which every look has found it.
OpenSince = Mapping[Tuple[str, str, str], str]


@dataclass(frozen=True)
class Change:
    """One finding of one host, in the light of an earlier sweep.

    since: of one that is still there, the time of the sweep since which every look has found it; empty for the others.
    """

    host: str
    gateway: str
    code: str
    since: str = ""


@dataclass(frozen=True)
class Comparison:
    """A sweep beside an earlier one. unseen: what was wrong then and could not be looked at now.

    older: hosts that could not be judged then, and the sweep before it whose findings count for them.
    """

    since: str
    fixed: tuple[Change, ...]
    new: tuple[Change, ...]
    still: tuple[Change, ...]
    unseen: tuple[Change, ...]
    older: tuple[tuple[str, str], ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {kind: len(getattr(self, kind)) for kind in ("fixed", "new", "still", "unseen")}


def open_findings(host: Mapping[str, Any]) -> frozenset[OpenFinding]:
    """What keeps a host of a fleet document from being healthy, by its newest look."""
    if host["verdict"] in NOT_SEEN:
        return frozenset({("", host["verdict"])})
    return frozenset(
        (gateway["name"], finding["code"])
        for gateway in gateways(host)
        for finding in gateway["findings"]
        if finding["severity"] != findings.INFO
    )


def known(found: frozenset[OpenFinding], at: str = "") -> Known:
    """What one sweep says of a host. at: its time, where it is older than the one that is compared with."""
    return Known(found, at, _hidden(found))


def _hidden(found: frozenset[OpenFinding]) -> Optional[frozenset[str]]:
    if any(code in NOT_SEEN for _, code in found):
        return None
    return frozenset(gateway for gateway, code in found if code in _CANNOT_SEE)


def further(so_far: Known, found: frozenset[OpenFinding], at: str) -> Known:
    """What is known of a host once an older sweep is asked as well, about what could not be judged since then."""

    def was_hidden(gateway: str) -> bool:
        return so_far.hidden is None or gateway in so_far.hidden

    told = {(gateway, code) for gateway, code in found if was_hidden(gateway) and code not in _CANNOT_SEE}
    then = _hidden(found)
    left = then if so_far.hidden is None else so_far.hidden if then is None else so_far.hidden & then
    learned = left != so_far.hidden
    return Known(so_far.open_findings | told, at if learned else so_far.judged_at, left)


def lasting(open_now: frozenset[OpenFinding], then: frozenset[OpenFinding]) -> tuple[frozenset[OpenFinding], ...]:
    """(what of a host's open findings an earlier sweep has found as well, what it has not and could have found).

    Of a gateway that could not be judged then nobody knows: what is open on it is in neither of the two.
    """
    hidden = _hidden(then)
    judged = frozenset() if hidden is None else frozenset(each for each in open_now - then if each[0] not in hidden)
    return open_now & then, judged


def compare(
    since: str, before: Mapping[str, Known], fleet: Mapping[str, Any], open_since: Optional[OpenSince] = None
) -> Comparison:
    """A document beside what was known of the hosts earlier. A host of which nothing was known is left out.

    What was found on a host or a gateway that cannot be judged now is neither fixed nor still there: nobody knows.
    open_since: of findings that more than one sweep has seen.
    """
    found: dict[str, list[Change]] = {"fixed": [], "new": [], "still": [], "unseen": []}
    older = []
    for host in fleet["hosts"]:
        name, earlier = host["name"], before.get(host["name"])
        if earlier is None:
            continue
        if earlier.judged_at:
            older.append((name, earlier.judged_at))
        now, hidden = open_findings(host), _not_judged(host)
        for finding in sorted(now | earlier.open_findings):
            if finding in now:
                kind = "still" if finding in earlier.open_findings else "new"
            else:
                kind = "unseen" if finding[0] in hidden and finding[1] not in _CANNOT_SEE else "fixed"
            age = (open_since or {}).get((name, *finding), since) if kind == "still" else ""
            found[kind].append(Change(name, *finding, age))
    return Comparison(since, **{kind: tuple(changes) for kind, changes in found.items()}, older=tuple(older))


def known_of(fleet: Mapping[str, Any]) -> dict[str, Known]:
    """What one document alone knows of its hosts."""
    return {host["name"]: known(open_findings(host)) for host in fleet["hosts"]}


def _not_judged(host: Mapping[str, Any]) -> Container[str]:
    """The gateways of a host of which nobody can say what is wrong with them."""
    if host["verdict"] in NOT_SEEN:
        return _Everything()
    return {each["name"] for each in gateways(host) if each["status"] == "unknown"}


class _Everything:
    """Holds whatever it is asked for."""

    def __contains__(self, _: object) -> bool:
        return True
