"""One document out of several: slices of a fleet that were swept by different controllers. Pure.

Merging is associative and commutative, and a document merged with itself is itself: whoever merges first, and in
whatever order, the outcome is the same.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

from ...ib_audit.report import document as report
from .fleet_document import SCHEMA, document
from .report_error import ReportError

_KINDS = ("audit", "sweep", "remediate")


def merge(fleets: Sequence[Mapping[str, Any]], declared: Iterable[str] = ()) -> dict[str, Any]:
    """All hosts of all documents. declared: names that should be there besides those the documents declare.

    Of a host that is in several documents the newest report is taken.
    """
    if not fleets:
        raise ReportError("there is nothing to merge: no document was given")
    _require_one_sort(fleets)
    merged = functools.reduce(_two, fleets)
    names = {*merged["declared"], *map(str, declared)}
    return document(merged["hosts"], {**merged, "declared": names})


def _require_one_sort(fleets: Sequence[Mapping[str, Any]]) -> None:
    versions = sorted({str(fleet.get("schema")) for fleet in fleets})
    if versions != [SCHEMA]:
        raise ReportError(f"only documents of schema {SCHEMA} are merged; these are of {', '.join(versions)}")
    if len({bool(fleet["check_mode"]) for fleet in fleets}) > 1:
        raise ReportError("a document of a run in check mode is not merged with one of a real run")


def _two(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    hosts: dict[str, Mapping[str, Any]] = {}
    for host in [*one["hosts"], *other["hosts"]]:
        name = host["name"]
        hosts[name] = max(hosts[name], host, key=_newness) if name in hosts else host
    started = [each["started_at"] for each in (one, other) if each["started_at"]]
    context = {
        "kind": max((one["kind"], other["kind"]), key=_KINDS.index),
        "started_at": min(started, key=_moment) if started else None,
        "generated_at": max((one["generated_at"], other["generated_at"]), key=_moment),
        "check_mode": one["check_mode"],
        "tool_version": max((one["tool_version"], other["tool_version"]), key=_version),
        "declared": {*one["declared"], *other["declared"]},
        "frozen": _lines(one.get("frozen"), other.get("frozen")),
        "audit": _audits(one.get("audit"), other.get("audit")),
    }
    return document(list(hosts.values()), context)


def _lines(one: Optional[str], other: Optional[str]) -> Optional[str]:
    """Both texts, each line once."""
    if not one or not other or one == other:
        return one or other
    return "\n".join(sorted({*one.split("\n"), *other.split("\n")}))


def _audits(one: Optional[Mapping[str, Any]], other: Optional[Mapping[str, Any]]) -> Optional[Mapping[str, Any]]:
    """One audit of the scripts out of two; of a host that is in both the newest."""
    if not one or not other:
        return one or other
    hosts: dict[str, Mapping[str, Any]] = {}
    for host in [*one["hosts"], *other["hosts"]]:
        name = host["name"]
        hosts[name] = max(hosts[name], host, key=_audit_newness) if name in hosts else host
    context = {
        "generated_at": max((one["generated_at"], other["generated_at"]), key=_moment),
        "check_mode": one["check_mode"] and other["check_mode"],
        "tool_version": max((one["tool_version"], other["tool_version"]), key=_version),
    }
    return report.document(list(hosts.values()), context)


def _audit_newness(host: Mapping[str, Any]) -> tuple[tuple[str, str], str]:
    return _moment(host["audited_at"]), json.dumps(host, sort_keys=True)


def _newness(host: Mapping[str, Any]) -> tuple[tuple[str, str], str]:
    """Later is greater; two reports of one second are told apart by what they say, the same way every time."""
    return _moment(host["reported_at"]), json.dumps(host, sort_keys=True)


def _moment(stamp: str) -> tuple[str, str]:
    """A time as it sorts, with or without a fraction of a second; the stamp itself decides between equal ones."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return f"{whole}.{fraction.ljust(9, '0')}", stamp


def _version(text: str) -> tuple[list[int], str]:
    return [int(each) for each in re.findall(r"\d+", text)], text
