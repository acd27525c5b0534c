"""What the page shows of each host and gateway, ready for the template: words and numbers, no markup. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from markupsafe import Markup

from ...ib_gateway.base.actions import describe
from ...ib_gateway.base.probe import STAGES
from ...ib_gateway.base.short_command import short
from ..document import blockers, losses, self_healing, setbacks
from ..document.fleet_document import notes
from ..document.latest import gateways
from ..document.repair_log import told
from ..document.text import visible
from ..store.history import Point
from . import charts
from .plan_words import also
from .wording import sentence, span

_PLAIN = re.compile(r"[A-Za-z0-9._-]+")
_MANY = 40


@dataclass(frozen=True)
class Row:
    """One line of the table: a gateway, or a host of which no gateway is known. more: findings beside the verdict's."""

    gateway: str
    status: str
    verdict: str
    mode: str
    port: str
    processes: str
    clients: str
    stages: Sequence[str]
    total: str
    what: str = ""
    more: int = 0
    flags: Sequence[str] = ()


@dataclass(frozen=True)
class Evidence:
    """One finding with what was seen."""

    code: str
    severity: str
    summary: str
    evidence: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Gateway:
    """One gateway in one look."""

    name: str
    status: str
    mode: str
    port: int
    summary: str
    findings: Sequence[Evidence]
    plan: Sequence[str]
    withheld: Sequence[str]
    processes: Sequence[str]
    clients: Sequence[str]
    stages: Markup


@dataclass(frozen=True)
class Look:
    """One look at a host: the first one, or the proof."""

    title: str
    at: str
    took: str
    gateways: Sequence[Gateway]
    notes: Sequence[str]


@dataclass(frozen=True)
class Host:
    """One host of the page."""

    anchor: str
    name: str
    groups: Sequence[str]
    status: str
    verdict: str
    was: str
    reason: str
    text: str
    rows: Sequence[Row]
    looks: Sequence[Look]
    done: Sequence[str]
    strip: Markup
    line: Markup
    handshake: str
    stands: Sequence[tuple[str, str]]
    flags: Sequence[str]
    healing: str


def host(found: Mapping[str, Any], points: Sequence[Point]) -> Host:
    """A host of a fleet document. points: its past, oldest first."""
    before, after = found["before"], found["after"]
    stands = blockers.of(found)
    rows = [_row(each, stands) for each in gateways(found)]
    words = [each.kind for each in stands if each.kind in blockers.URGENT]
    moments = [(each.at, each.status, each.handshake_ms) for each in points]
    looks = [_look("What was found", before), _look("What was proven", after)]
    return Host(
        anchor=anchor(found["name"]),
        name=found["name"],
        groups=found["groups"],
        status=found["status"],
        verdict=found["verdict"],
        was=before["status"] if before and after and before["status"] != found["status"] else "",
        reason=found["reason"],
        text=" ".join((found["name"], *found["groups"], found["reason"], *words)).lower(),
        rows=rows or [_bare(found, words)],
        looks=[look for look in looks if look],
        done=[*(line for act in found["done"] for line in told(act, found["before"])), *aftermath(found)],
        strip=charts.strip(moments),
        line=charts.line(moments),
        handshake=charts.span(moments),
        stands=[(each.kind, each.text) for each in stands],
        flags=list(dict.fromkeys(words)),
        healing=sentence(self_healing.text(found)),
    )


def aftermath(found: Mapping[str, Any]) -> list[str]:
    """What a repair has left: a gateway that is down, sessions that were lost as the plan had said."""
    planned = [each for each in found.get("lost") or () if each["planned"]]
    return [*setbacks.lines(found), *("lost, as the plan had said: " + losses.line(each) for each in planned)]


def anchor(name: str) -> str:
    """The id of a host's section: its name where that may be an id, else something as good as it."""
    return "host-" + (name if _PLAIN.fullmatch(name) else hashlib.sha256(repr(name).encode("utf-8")).hexdigest()[:16])


def _row(gateway: Mapping[str, Any], stands: Sequence[blockers.Blocker]) -> Row:
    timings = (gateway["api"] or {}).get("timings_ms") or {}
    return Row(
        gateway=gateway["name"],
        status=gateway["status"],
        verdict=gateway["verdict"],
        mode=gateway["trading_mode"],
        port=str(gateway["port"]),
        processes=str(len(gateway["processes"])),
        clients=str(sum(bool(each["connected"]) for each in gateway["clients"])),
        stages=["%.1f" % timings[stage] if stage in timings else "" for stage in STAGES],
        total="%.1f" % sum(timings.values()) if timings else "",
        what="" if gateway["status"] == "healthy" else sentence(gateway["summary"]),
        more=len(also(gateway["verdict"], gateway)),
        flags=sorted({e.kind for e in stands if e.kind in blockers.URGENT and e.gateway in ("", gateway["name"])}),
    )


def _bare(found: Mapping[str, Any], flags: Sequence[str]) -> Row:
    """The row of a host of which no gateway is known."""
    none = ("",) * len(STAGES)
    what, shown = sentence(found["reason"]), sorted({*flags})
    return Row("", found["status"], found["verdict"], "", "", "", "", none, "", what, flags=shown)


def _look(title: str, health: Optional[Mapping[str, Any]]) -> Optional[Look]:
    if health is None:
        return None
    told = notes(health) + ["not seen: %s" % each for each in (health.get("visibility") or {}).get("missing", ())]
    took = health.get("elapsed_ms")
    return Look(
        title=title,
        at=health.get("taken_at") or "",
        took="" if took is None else "%.0f ms" % took,
        gateways=[_gateway(each) for each in health["gateways"]],
        notes=told,
    )


def _gateway(found: Mapping[str, Any]) -> Gateway:
    return Gateway(
        name=found["name"],
        status=found["status"],
        mode=found["trading_mode"],
        port=found["port"],
        summary=found["summary"],
        findings=[
            Evidence(each["code"], each["severity"], each["summary"], list(_evidence(each["evidence"])))
            for each in found["findings"]
        ],
        plan=list(_plan(found)),
        withheld=found["plan"]["withheld"],
        processes=[_process(each) for each in found["processes"]],
        clients=[_client(each) for each in found["clients"]],
        stages=charts.stages((found["api"] or {}).get("timings_ms") or {}),
    )


def _plan(gateway: Mapping[str, Any]) -> Iterator[str]:
    for step in gateway["plan"]["steps"]:
        condition = "if it persists, " if step["only_if_persists"] else ""
        only = " (plan_only: shown, not done)" if gateway["remediation"] == "plan_only" else ""
        told_cost = step.get("costs") or step["disruption"]
        cost = " Cost: %s." % told_cost if told_cost else ""
        told_step = "%s%s: %s%s." % (condition, describe(step), step["reason"], only)
        yield told_step[0].upper() + told_step[1:] + cost


def _evidence(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in evidence.items():
        yield key.replace("_", " "), _part(key, value)


def in_words(value: Any) -> str:
    """A value of evidence as a person reads it."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return (
            ", ".join("%s %s" % (str(key).replace("_", " "), _part(key, each)) for key, each in value.items()) or "none"
        )
    if isinstance(value, (list, tuple)):
        between = "; " if any(isinstance(each, (Mapping, list, tuple)) for each in value) else ", "
        more = "%sand %d more" % (between, len(value) - _MANY) if len(value) > _MANY else ""
        return between.join(in_words(each) for each in value[:_MANY]) + more or "none"
    return "%g" % round(value, 3) if isinstance(value, float) else visible(value)


def _part(key: Any, value: Any) -> str:
    """A value in a dict; a command line as it would be typed, an age as a person says it."""
    if key == "age" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return span(value)
    if key in ("command", "argv") and value and isinstance(value, (list, tuple)):
        return short([str(word) for word in value])
    return in_words(value)


def _process(each: Mapping[str, Any]) -> str:
    parts = ["pid %s of %s" % (each["pid"], each.get("user"))]
    parts += [str(each[key]) for key in ("product", "launcher", "unit") if each.get(key)]
    if each.get("age") is not None:
        parts.append("for %s" % span(each["age"]))
    ports = each.get("listening")
    if ports is not None:
        parts.append("listens on %s" % in_words(ports) if ports else "listens on nothing")
    return ", ".join(parts)


def _client(each: Mapping[str, Any]) -> str:
    who = (
        "pid %s of %s" % (each["pid"], each.get("user"))
        if each["pid"]
        else each.get("remote_host") or "a client not seen"
    )
    parts = [who, short(each["argv"]) if each.get("argv") else ""]
    parts.append("connected, %s" % each.get("state") if each["connected"] else "not connected")
    parts += [word for key, word in (("protected", "protected"), ("orphaned", "orphaned")) if each.get(key)]
    return ", ".join(part for part in parts if part)
