"""What the page says first: how the fleet stands, what is wrong and since when, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

from ...ib_gateway.base.findings import CATALOGUE
from ..document.fleet_document import STATUSES
from ..document.incidents import seconds_between
from ..document.latest import gateways
from ..store.history import Point
from . import plan_words
from .view_models import anchor
from .wording import moment, plain, sentence, span

#: What is done about a host that has no finding, by its verdict.
_NOT_SEEN = {
    "unreachable": ("Ansible did not reach the host.", "What runs there is not known until Ansible gets in."),
    "not_judged": ("The host could not be looked at.", "Nothing is touched on it."),
}


@dataclass(frozen=True)
class Since:
    """From when on something is wrong. at_least: it was so already in the oldest sweep that is kept."""

    at: str
    at_least: bool

    def told(self, now: str) -> str:
        """In words, with how long that is at a moment."""
        took = seconds_between(self.at, now)
        how_long = " (%s)" % span(took) if took and took > 0 else ""
        return "since %s%s%s" % (moment(self.at), " or longer" if self.at_least else "", how_long)

    def lasted(self, now: str) -> str:
        """How long it is at a moment: `for 2 h`; empty where it has just begun."""
        took = seconds_between(self.at, now)
        return "for %s%s" % (span(took), " or longer" if self.at_least else "") if took and took > 0 else ""


def told(since: Optional[Since], now: str) -> str:
    """The same where it may not be known; then empty."""
    return since.told(now) if since else ""


def lasted(since: Optional[Since], now: str) -> str:
    """Likewise how long."""
    return since.lasted(now) if since else ""


@dataclass(frozen=True)
class Problem:
    """One kind of trouble. where: name, id of the section, and gateway of each that has it. since: the earliest.

    done: what the plans do about it, or why nothing is done. also: what else those gateways have, with its code.
    """

    code: str
    status: str
    what: str
    done: str
    where: Sequence[tuple[str, str, str]]
    since: str
    also: Sequence[tuple[str, str]] = ()


class _Trouble(NamedTuple):
    """A gateway that is not healthy; a host of which none is known has no gateway."""

    host: str
    gateway: str
    summary: str
    found: Optional[Mapping[str, Any]] = None


def headline(fleet: Mapping[str, Any]) -> str:
    """How the fleet stands, in one sentence."""
    counts, hosts = fleet["summary"]["statuses"], fleet["summary"]["hosts"]
    wrong = ["%d %s" % (counts[status], status) for status in reversed(STATUSES[1:]) if counts[status]]
    if not hosts:
        return "No host is in this report."
    if not wrong:
        return "Every gateway is healthy%s." % (", on all %d hosts" % hosts if hosts > 1 else "")
    if hosts == 1:
        return "The host is %s." % wrong[0].split()[1]
    count = hosts - counts["healthy"]
    verb = "is" if count == 1 else "are"
    if len(wrong) == 1:
        return "%d of %d hosts %s %s." % (count, hosts, verb, wrong[0].split()[1])
    return "%d of %d hosts %s not healthy: %s." % (count, hosts, verb, ", ".join(wrong))


def since(points: Sequence[Point]) -> Optional[Since]:
    """From when on a host is not healthy; None where it is, or where no sweep knows it. points: oldest first."""
    bad = [each.at for each in points]
    for index, each in enumerate(points):
        if each.status == "healthy":
            bad = [later.at for later in points[index + 1 :]]
    return Since(bad[0], len(bad) == len(points)) if bad else None


def begun_of(known: Mapping[tuple[str, str], Since], host: str, gateway: str) -> Optional[Since]:
    """Since when a gateway is not healthy, by itself or with its host; known by host and gateway, empty for the host.

    What is known of the gateway counts, unless the host's sweeps reach further back.
    """
    own, hosts = known.get((host, gateway)), known.get((host, ""))
    if own and hosts and own.at_least:
        return min(own, hosts, key=lambda each: each.at)
    return own or hosts


def problems(fleet: Mapping[str, Any], known: Mapping[tuple[str, str], Since]) -> list[Problem]:
    """What is wrong, by the verdicts: the worst first, then what many have. known: since when, see begun()."""
    found: dict[tuple[str, str], list[_Trouble]] = {}
    for host in fleet["hosts"]:
        for status, verdict, trouble in _wrong(host):
            found.setdefault((status, verdict), []).append(trouble)
    order = sorted(found, key=lambda key: (-STATUSES.index(key[0]), -len(found[key]), key[1]))
    return [_problem(status, code, found[status, code], known, fleet["generated_at"]) for status, code in order]


def _wrong(host: Mapping[str, Any]) -> Iterator[tuple[str, str, _Trouble]]:
    """Status, verdict and the rest of each gateway that is not healthy; of the host where none is known."""
    ones = [each for each in gateways(host) if each["status"] != "healthy"]
    if host["status"] != "healthy" and (host["verdict"] in _NOT_SEEN or not ones):
        yield host["status"], host["verdict"], _Trouble(host["name"], "", host["reason"])
        return
    for each in ones:
        yield each["status"], each["verdict"], _Trouble(host["name"], each["name"], each["summary"], each)


def _problem(
    status: str, code: str, ones: Sequence[_Trouble], known: Mapping[tuple[str, str], Since], now: str
) -> Problem:
    seen = [each.found for each in ones if each.found is not None]
    means, done = _NOT_SEEN.get(code, (CATALOGUE[code].means if code in CATALOGUE else "", ""))
    what = sentence(ones[0].summary) if len(ones) == 1 and ones[0].summary else means or sentence(plain(code))
    begun = sorted({since for one in ones if (since := begun_of(known, *one[:2]))}, key=lambda each: each.at)
    first = ("first " if len(begun) > 1 else "") + begun[0].told(now) if begun else ""
    where = [(each.host, anchor(each.host), each.gateway) for each in ones]
    if code in _NOT_SEEN or not seen:
        return Problem(code, status, what, done, where, first)
    return Problem(
        code, status, what, plan_words.done_about(code, seen), where, first, plan_words.also_told(code, seen)
    )
