"""What the page shows of the last audit of the scripts: a row for each problem, a section for each host. Pure."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ...ib_audit.reading.model import SEVERITIES
from ...ib_audit.report.document import counted
from .view_models import anchor

#: So many problems are on the page, the worst ones; audit.json has all of them.
MOST = 4000
_EACH_HOST = 60


@dataclass(frozen=True)
class Problem:
    """One row of the table."""

    host: str
    anchor: str
    folder: str
    file: str
    line: int
    code: str
    severity: str
    summary: str
    remedy: str
    snippet: str


@dataclass(frozen=True)
class Host:
    """What one host's section tells."""

    name: str
    anchor: str
    severity: str
    told: str
    problems: Sequence[Problem]
    more: int
    done: Sequence[str]
    left: Sequence[str]


@dataclass(frozen=True)
class Scripts:
    """The audit as the page shows it. blind: hosts whose scripts could not be read, and why."""

    at: str
    told: str
    counts: Mapping[str, int]
    problems: Sequence[Problem]
    more: int
    hosts: Sequence[Host]
    codes: Sequence[tuple[str, str, int, int]]
    blind: Sequence[tuple[str, str]]


def scripts(audit: Optional[Mapping[str, Any]], most: int = MOST) -> Optional[Scripts]:
    """The audit part of a fleet document; None where no audit was made."""
    if not audit:
        return None
    summary = audit["summary"]
    every = [_problem(host["name"], each) for host in audit["hosts"] for each in host["problems"]]
    every.sort(key=lambda each: (-SEVERITIES.index(each.severity), each.host, each.folder, each.file, each.line))
    told = "%s; %d files read on %d of %d hosts, %d of the files connect to a gateway" % (
        counted(summary["problems"]) if summary["files"] else "no script was looked at",
        summary["files"],
        summary["looked"],
        summary["hosts"],
        summary["clients"],
    )
    return Scripts(
        at=audit["generated_at"],
        told=told,
        counts={each: summary["problems"][each] for each in reversed(SEVERITIES)},
        problems=every[:most],
        more=max(len(every) - most, 0),
        hosts=[_host(host, audit["check_mode"]) for host in audit["hosts"] if _worth_a_section(host)],
        codes=_codes(every),
        blind=[(host["name"], host["reason"]) for host in audit["hosts"] if not host["looked"]],
    )


def by_host(audit: Optional[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """By host the id of its section and what its scripts came to; hosts without problems are left out."""
    hosts = audit["hosts"] if audit else ()
    return {host["name"]: (script_anchor(host["name"]), counted(host["summary"])) for host in hosts if host["problems"]}


def _worth_a_section(host: Mapping[str, Any]) -> bool:
    return bool(host["problems"] or host["fixed"] or host["left"])


def _problem(host: str, found: Mapping[str, Any]) -> Problem:
    folder, file = posixpath.split(found["file"])
    return Problem(
        host=host,
        anchor=script_anchor(host),
        folder=folder + "/" if folder and not folder.endswith("/") else folder,
        file=file,
        line=found["line"],
        code=found["code"],
        severity=found["severity"],
        summary=found["summary"],
        remedy=found["remedy"],
        snippet=found["snippet"],
    )


def _host(found: Mapping[str, Any], check_mode: bool) -> Host:
    problems = sorted(
        (_problem(found["name"], each) for each in found["problems"]),
        key=lambda each: (each.folder, each.file, each.line),
    )
    worst = next((each for each in reversed(SEVERITIES) if found["summary"][each]), "none")
    ignored = ", %d taken out by a comment" % found["ignored"] if found["ignored"] else ""
    done = "would be mended" if check_mode else "mended"
    return Host(
        name=found["name"],
        anchor=script_anchor(found["name"]),
        severity=worst,
        told="%s in %d files%s" % (counted(found["summary"]), found["files"], ignored),
        problems=problems[:_EACH_HOST],
        more=max(len(problems) - _EACH_HOST, 0),
        done=["%s: %s:%d %s" % (done, each["file"], each["line"], each["code"]) for each in found["fixed"]],
        left=["left: %(file)s:%(line)d %(code)s: %(reason)s" % each for each in found["left"]],
    )


def script_anchor(host: str) -> str:
    """The id of a host's section among the scripts."""
    return "scripts-" + anchor(host)[len("host-") :]


def _codes(problems: Sequence[Problem]) -> list[tuple[str, str, int, int]]:
    """(code, worst severity, problems, hosts), the worst and most frequent first."""
    count = Counter(each.code for each in problems)
    hosts = {code: len({each.host for each in problems if each.code == code}) for code in count}
    worst: dict[str, str] = {}
    for each in problems:
        worst[each.code] = max(worst.get(each.code, each.severity), each.severity, key=SEVERITIES.index)
    listed = [(code, worst[code], count[code], hosts[code]) for code in count]
    return sorted(listed, key=lambda one: (-SEVERITIES.index(one[1]), -one[2], one[0]))
