"""All files of a report, from one document: each whole or not at all, and what went wrong in words."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from ..document.changes import Comparison, compare, known, known_of
from ..document.fleet_document import KIND_AUDIT, document
from ..document.report_error import ReportError
from ..store import documents, files
from ..store.history import FILE, History

PREVIOUS = "previous"
FLEET, AUDIT, PAGE, METRICS = "fleet.json", "audit.json", "index.html", "ib_gateway.prom"


@dataclass
class Written:
    """What is there now, and what is not."""

    files: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    comparison: Optional[Comparison] = None


def write_all(fleet: Mapping[str, Any], folder: Path, keep: int = 200, compare_with: str = PREVIOUS) -> Written:
    """Writes the report into a folder. fleet.json goes first: it is what the others can be made from again.

    A file that cannot be written does not keep the others from being written. The audit of the scripts that the folder
    has, if any, stays part of the report.
    """
    done = Written()
    try:
        files.make_folder(folder)
    except ReportError as error:
        done.problems.append(str(error))
        return done
    fleet = _with_audit(fleet, folder, done)
    fleet, past = _history(fleet, folder, keep, compare_with, done)
    for name, made in (
        (FLEET, lambda: documents.text(fleet)),
        ("junit.xml", lambda: _junit(fleet)),
        (METRICS, lambda: _prometheus(fleet)),
        (PAGE, lambda: _page(fleet, past)),
    ):
        _one(folder / name, made, done)
    return done


def write_scripts(folder: Path) -> Written:
    """Brings the audit of a folder into the report that is there: fleet.json and the page, nothing else.

    An audit is no sweep: the gateways stay as the last sweep saw them, and the history does not know of it. Where no
    sweep was ever made, the report is about the scripts alone.
    """
    done = Written()
    try:
        audit = documents.read(folder / AUDIT, documents.AUDIT)
        fleet = {**_present(folder, audit), "audit": audit}
        past = _known_past(fleet, folder, done)
    except ReportError as error:
        done.problems.append(str(error))
        return done
    _one(folder / FLEET, lambda: documents.text(fleet), done)
    _one(folder / PAGE, lambda: _page(fleet, past), done)
    return done


def _present(folder: Path, audit: Mapping[str, Any]) -> Mapping[str, Any]:
    """The report of the last sweep; one without hosts where there is none."""
    if (folder / FLEET).exists():
        found = documents.read(folder / FLEET)
        if found["kind"] != KIND_AUDIT:
            return found
    return document([], {"kind": KIND_AUDIT, "generated_at": audit["generated_at"], "check_mode": audit["check_mode"]})


def _with_audit(fleet: Mapping[str, Any], folder: Path, done: Written) -> Mapping[str, Any]:
    if fleet.get("audit") or not (folder / AUDIT).exists():
        return fleet
    try:
        return {**fleet, "audit": documents.read(folder / AUDIT, documents.AUDIT)}
    except ReportError as error:
        done.problems.append(str(error))
        return fleet


def _known_past(fleet: Mapping[str, Any], folder: Path, done: Written) -> dict[str, Any]:
    """What the history knows already, for a report that is written once more."""
    if fleet["kind"] == KIND_AUDIT or not (folder / FILE).exists():
        return {}
    try:
        history = History(folder)
        comparison = _compared(fleet, history, PREVIOUS)
        return {"sweeps": history.statuses(), "points": history.points(), "comparison": comparison}
    except ReportError as error:
        done.problems.append(str(error))
        return {}


def _one(path: Path, made: Callable[[], str], done: Written) -> None:
    try:
        files.write(path, made(), files.PUBLIC_MODE if path.name == METRICS else files.FILE_MODE)
        done.files.append(str(path))
    except ReportError as error:
        done.problems.append(str(error))
    except ImportError as error:
        done.problems.append(f"{path.name} was not written: the Python package {error.name} is missing: run make setup")


def _history(
    fleet: Mapping[str, Any], folder: Path, keep: int, compare_with: str, done: Written
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Puts the document into the history. Back comes the document with what it knows, and what the page draws."""
    history, found = History(folder), {}
    try:
        done.comparison = _compared(fleet, history, compare_with)
    except ReportError as error:
        done.problems.append(str(error))
    try:
        past = history.add(fleet, keep)
        fleet = {**fleet, "history": past.as_dict(host["name"] for host in fleet["hosts"])}
        found = {"sweeps": history.statuses(), "points": history.points()}
    except ReportError as error:
        done.problems.append(str(error))
    return fleet, {**found, "comparison": done.comparison}


def _compared(fleet: Mapping[str, Any], history: History, wanted: str) -> Optional[Comparison]:
    """The document beside an earlier one: a file, a moment of the history, or the newest sweep before it.

    Hosts that the earlier one does not know, or could not judge, are compared with what sweeps before it knew of them.
    """
    if wanted.endswith(".json"):
        other = documents.read(Path(wanted).expanduser())
        since, start = other["generated_at"], known_of(other)
    else:
        earlier = history.latest(fleet["generated_at"]) if wanted == PREVIOUS else history.find(wanted)
        if earlier is None:
            return None
        since, start = earlier.generated_at, {name: known(told) for name, told in earlier.open_findings.items()}
    before = history.remember(start, [host["name"] for host in fleet["hosts"]], since)
    return compare(since, before, fleet, history.open_since(fleet))


# What takes a library is imported where it is used: without it that one file is missing, and the report says so.


def prepare() -> None:
    """Loads what write_all() takes, in a process that is to be forked, so that it is there when a fork writes."""
    with contextlib.suppress(ImportError):
        from ..render import junit, metrics, page  # noqa: F401 - for those who import them later

        page.template(page.ROLE)


def _junit(fleet: Mapping[str, Any]) -> str:
    from ..render.junit import junit

    return junit(fleet)


def _prometheus(fleet: Mapping[str, Any]) -> str:
    from ..render.metrics import prometheus

    return prometheus(fleet)


def _page(fleet: Mapping[str, Any], past: Mapping[str, Any]) -> str:
    from ..render.page import Past, page

    return page(fleet, Past(**past))
