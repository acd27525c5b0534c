"""All files of a report, from one document: each whole or not at all, and what went wrong in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from ansible.module_utils.ib_fleet import documents, files
from ansible.module_utils.ib_fleet.files import ReportError
from ansible.module_utils.ib_fleet.history import History
from ansible.module_utils.ib_fleet.troubles import Comparison, compare, troubles

PREVIOUS = "previous"


@dataclass
class Written:
    """What is there now, and what is not."""

    files: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    comparison: Optional[Comparison] = None


def write_all(fleet: Mapping[str, Any], folder: Path, keep: int = 200, compare_with: str = PREVIOUS) -> Written:
    """Writes the report into a folder. fleet.json goes first: it is what the others can be made from again.

    A file that cannot be written does not keep the others from being written.
    """
    done = Written()
    try:
        files.make_folder(folder)
    except ReportError as error:
        done.problems.append(str(error))
        return done
    past = _history(fleet, folder, keep, compare_with, done)
    for name, made in (
        ("fleet.json", lambda: documents.text(fleet)),
        ("junit.xml", lambda: _junit(fleet)),
        ("ib_gateway.prom", lambda: _prometheus(fleet)),
        ("index.html", lambda: _page(fleet, past)),
    ):
        _one(folder / name, made, done)
    return done


def _one(path: Path, made: Callable[[], str], done: Written) -> None:
    try:
        files.write(path, made())
        done.files.append(str(path))
    except ReportError as error:
        done.problems.append(str(error))
    except ImportError as error:
        done.problems.append(f"{path.name} was not written: the Python package {error.name} is missing: run make setup")


def _history(fleet: Mapping[str, Any], folder: Path, keep: int, compare_with: str, done: Written) -> dict[str, Any]:
    """Puts the document into the history and takes out what the page draws."""
    history, found = History(folder), {}
    try:
        done.comparison = _compared(fleet, history, compare_with)
    except ReportError as error:
        done.problems.append(str(error))
    try:
        history.add(fleet, keep)
        found = {"sweeps": history.statuses(), "points": history.points()}
    except ReportError as error:
        done.problems.append(str(error))
    return {**found, "comparison": done.comparison}


def _compared(fleet: Mapping[str, Any], history: History, wanted: str) -> Optional[Comparison]:
    """The document beside an earlier one: a file, a moment of the history, or the newest sweep before it."""
    if wanted == PREVIOUS:
        earlier = history.latest(fleet["generated_at"])
        return compare(earlier.generated_at, earlier.troubles, fleet) if earlier else None
    if wanted.endswith(".json"):
        other = documents.read(Path(wanted).expanduser())
        return compare(other["generated_at"], {host["name"]: troubles(host) for host in other["hosts"]}, fleet)
    earlier = history.find(wanted)
    return compare(earlier.generated_at, earlier.troubles, fleet)


# What takes a library is imported where it is used: without it that one file is missing, and the report says so.


def _junit(fleet: Mapping[str, Any]) -> str:
    from ansible.module_utils.ib_fleet.junit import junit

    return junit(fleet)


def _prometheus(fleet: Mapping[str, Any]) -> str:
    from ansible.module_utils.ib_fleet.metrics import prometheus

    return prometheus(fleet)


def _page(fleet: Mapping[str, Any], past: Mapping[str, Any]) -> str:
    from ansible.module_utils.ib_fleet.page import Past, page

    return page(fleet, Past(**past))
