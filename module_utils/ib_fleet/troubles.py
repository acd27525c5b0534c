"""What is wrong with a host as a set, so that two sweeps can be compared: fixed, new, still broken. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Tuple

from ansible.module_utils.ib_fleet.newest import NOT_SEEN, gateways

#: The gateway's name, empty for the host as a whole, and the code.
Trouble = Tuple[str, str]
_CANNOT_SEE = (*NOT_SEEN, "partial_visibility")


@dataclass(frozen=True)
class Change:
    """One trouble of one host, in the light of an earlier sweep."""

    host: str
    gateway: str
    code: str


@dataclass(frozen=True)
class Comparison:
    """A sweep beside an earlier one. unseen: what was wrong then and could not be looked at now."""

    since: str
    fixed: tuple[Change, ...]
    new: tuple[Change, ...]
    still: tuple[Change, ...]
    unseen: tuple[Change, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {kind: len(getattr(self, kind)) for kind in ("fixed", "new", "still", "unseen")}


def troubles(host: Mapping[str, Any]) -> frozenset[Trouble]:
    """What keeps a host of a fleet document from being healthy, by its newest look."""
    if host["verdict"] in NOT_SEEN:
        return frozenset({("", host["verdict"])})
    return frozenset(
        (gateway["name"], finding["code"])
        for gateway in gateways(host)
        for finding in gateway["findings"]
        if finding["severity"] != "info"
    )


def compare(since: str, before: Mapping[str, frozenset[Trouble]], fleet: Mapping[str, Any]) -> Comparison:
    """A document beside what troubled the hosts earlier. Hosts that are in only one of both are left out.

    What was found on a host or a gateway that cannot be judged now is neither fixed nor still there: nobody knows.
    """
    found: dict[str, list[Change]] = {"fixed": [], "new": [], "still": [], "unseen": []}
    for host in fleet["hosts"]:
        name = host["name"]
        if name not in before:
            continue
        now, blind = troubles(host), _not_judged(host)
        for trouble in sorted(now | before[name]):
            if trouble in now:
                kind = "still" if trouble in before[name] else "new"
            else:
                kind = "unseen" if trouble[0] in blind and trouble[1] not in _CANNOT_SEE else "fixed"
            found[kind].append(Change(name, *trouble))
    return Comparison(since, **{kind: tuple(changes) for kind, changes in found.items()})


def _not_judged(host: Mapping[str, Any]) -> Container[str]:
    """The gateways of a host of which nobody can say what is wrong with them."""
    if host["verdict"] in NOT_SEEN:
        return _Everything()
    return {each["name"] for each in gateways(host) if each["status"] == "unknown"}


class _Everything:
    """Holds whatever it is asked for."""

    def __contains__(self, _: object) -> bool:
        return True
