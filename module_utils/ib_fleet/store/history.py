"""The sweeps of the past, in one SQLite file beside the reports, as much as comparing and drawing them takes."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from ..document.changes import Known, OpenFinding, further, known, lasting, open_findings
from ..document.latest import gateways
from ..document.report_error import ReportError
from ..document.text import visible
from . import checks, past
from .checks import damaged, from_json, moment, to_text, word
from .files import FILE_MODE

FILE = checks.FILE
#: 2: what each look saw of each gateway, incidents, counters. An older file gets the tables that it lacks.
_VERSION = 2
#: Seconds that another run may hold the file.
_PATIENCE = 10.0
#: Characters of SQLite's own words that are told; it quotes what is in the file.
_MOST_MESSAGE = 120
_TABLES = """
CREATE TABLE IF NOT EXISTS sweeps (
    id INTEGER PRIMARY KEY, generated_at TEXT NOT NULL, kind TEXT NOT NULL, check_mode INTEGER NOT NULL,
    statuses TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS hosts (
    sweep INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE, name TEXT NOT NULL, status TEXT NOT NULL,
    handshake_ms REAL, troubles TEXT NOT NULL, PRIMARY KEY (sweep, name)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Sweep:
    """One sweep of the past: when, the hosts' statuses by name, and what troubled them."""

    id: int
    generated_at: str
    statuses: Mapping[str, str]
    open_findings: Mapping[str, frozenset[OpenFinding]]


@dataclass(frozen=True)
class Point:
    """One host in one sweep, as a chart draws it."""

    at: str
    status: str
    handshake_ms: Optional[float]


class History:
    """The file, open. Every method is one transaction."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, FILE_MODE))
            with closing(sqlite3.connect(self._path, timeout=_PATIENCE)) as connection:
                connection.execute("PRAGMA foreign_keys = ON")
                _prepare(connection)
                with connection:
                    yield connection
        except sqlite3.Error as error:
            told = visible(str(error)[:_MOST_MESSAGE])
            raise ReportError(f"the history {self._path} could not be used: {told}{_hint(error)}") from error
        except UnicodeDecodeError as error:  # SQLite quotes a damaged file in its own message
            raise damaged("no text") from error
        except OSError as error:
            raise ReportError(f"the history {self._path} could not be opened: {error.strerror}") from error

    def add(self, fleet: Mapping[str, Any], keep: int) -> past.Past:
        """Takes a document in, forgets all but the newest `keep`, and returns what is known of the gateways then.

        A document that is in already (the same run, or the same merge once more) takes its own place.
        """
        with self._open() as connection:
            replaced = connection.execute(
                "DELETE FROM sweeps WHERE generated_at = ? AND kind = ?", (fleet["generated_at"], fleet["kind"])
            ).rowcount
            sweep = connection.execute(
                "INSERT INTO sweeps (generated_at, kind, check_mode, statuses) VALUES (?, ?, ?, ?)",
                (
                    fleet["generated_at"],
                    fleet["kind"],
                    bool(fleet["check_mode"]),
                    json.dumps(fleet["summary"]["statuses"]),
                ),
            ).lastrowid
            connection.executemany(
                "INSERT INTO hosts (sweep, name, status, handshake_ms, troubles) VALUES (?, ?, ?, ?, ?)",
                [(sweep, *_row(host)) for host in fleet["hosts"]],
            )
            past.add(connection, sweep or 0, fleet, again=replaced > 0)
            standings = past.standings(connection)
            past.keep(connection, standings)
            connection.execute(
                "DELETE FROM sweeps WHERE id NOT IN ("
                "SELECT id FROM sweeps ORDER BY generated_at DESC, id DESC LIMIT ?)",
                (keep,),
            )
            sweeps, since = connection.execute("SELECT count(*), min(generated_at) FROM sweeps").fetchone()
            return past.Past(sweeps, moment(since), standings, past.counters(connection))

    def latest(self, before: str) -> Optional[Sweep]:
        """The newest sweep that is older than a moment."""
        return self._first("SELECT id, generated_at FROM sweeps WHERE generated_at < ? ORDER BY 2 DESC, 1 DESC", before)

    def find(self, wanted: str) -> Sweep:
        """The newest sweep whose time begins like this."""
        found = self._first(
            "SELECT id, generated_at FROM sweeps WHERE substr(generated_at, 1, length(?1)) = ?1"
            " ORDER BY 2 DESC, 1 DESC",
            wanted,
        )
        if found is None:
            known = ", ".join(visible(at[:_MOST_MESSAGE]) for at, _ in self.statuses()[-5:]) or "none"
            raise ReportError(f"no sweep of the history fits {wanted!r}; the newest are: {known}")
        return found

    def _first(self, query: str, value: str) -> Optional[Sweep]:
        with self._open() as connection:
            row = connection.execute(f"{query} LIMIT 1", (value,)).fetchone()
            if row is None:
                return None
            rows = connection.execute("SELECT name, status, troubles FROM hosts WHERE sweep = ?", (row[0],)).fetchall()
        statuses = {word(name): word(status) for name, status, _ in rows}
        return Sweep(row[0], word(row[1]), statuses, {name: _open_findings(told) for name, _, told in rows})

    def remember(self, start: Mapping[str, Known], names: Iterable[str], before: str) -> dict[str, Known]:
        """What is known of hosts when the sweeps older than a moment are asked too, the newest first.

        Asked are those about hosts that are not in `start` or could not be judged there, until all of them were.
        """
        found = dict(start)
        open_ = {name for name in names if name not in found or found[name].hidden != frozenset()}
        with self._open() as connection:
            for sweep, at in connection.execute(
                "SELECT id, generated_at FROM sweeps WHERE generated_at < ? ORDER BY 2 DESC, 1 DESC", (before,)
            ).fetchall():
                if not open_:
                    break
                rows = connection.execute(
                    "SELECT name, troubles FROM hosts WHERE sweep = ? AND name IN (SELECT value FROM json_each(?))",
                    (sweep, json.dumps([to_text(name) for name in sorted(open_)])),
                )
                for name, told in rows.fetchall():
                    then = _open_findings(told)
                    found[name] = further(found[name], then, at) if name in found else known(then, at)
                open_ -= {name for name, each in found.items() if each.hidden == frozenset()}
        return found

    def open_since(self, fleet: Mapping[str, Any]) -> dict[tuple[str, str, str], str]:
        """By host, gateway and code of what is open in a document: the oldest sweep since which every look found it.

        A look that could not judge the gateway ends nothing. What no sweep before has found is left out.
        """
        open_now = {to_text(each["name"]): open_findings(each) for each in fleet["hosts"]}
        left, found = {name: each for name, each in open_now.items() if each}, {}
        with self._open() as connection:
            for sweep, at in connection.execute(
                "SELECT id, generated_at FROM sweeps WHERE generated_at < ? ORDER BY 2 DESC, 1 DESC",
                (fleet["generated_at"],),
            ).fetchall():
                if not left:
                    break
                rows = connection.execute(
                    "SELECT name, troubles FROM hosts WHERE sweep = ? AND name IN (SELECT value FROM json_each(?))",
                    (sweep, json.dumps(sorted(left))),
                )
                for name, told in rows.fetchall():
                    as_well, ended = lasting(left[name], _open_findings(told))
                    found.update({(name, *each): word(at) for each in as_well})
                    left[name] -= ended
                left = {name: each for name, each in left.items() if each}
        return found

    def statuses(self, limit: int = 60) -> list[tuple[str, dict[str, int]]]:
        """The newest sweeps, oldest first: when, and how many hosts had which status."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT generated_at, statuses FROM sweeps ORDER BY generated_at DESC, id DESC LIMIT ?", (limit,)
            ).fetchall()
        return [(word(at), _counts(told)) for at, told in reversed(rows)]

    def points(self, limit: int = 30) -> dict[str, list[Point]]:
        """By host, over the newest sweeps, oldest first."""
        found: dict[str, list[Point]] = defaultdict(list)
        with self._open() as connection:
            rows = connection.execute(
                "SELECT name, generated_at, status, handshake_ms FROM hosts JOIN ("
                "SELECT id, generated_at FROM sweeps ORDER BY generated_at DESC, id DESC LIMIT ?) ON id = sweep"
                " ORDER BY generated_at, id",
                (limit,),
            )
            for name, at, status, took in rows:
                found[word(name)].append(Point(word(at), word(status), _took(took)))
        return dict(found)


def _prepare(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > _VERSION:
        raise ReportError(f"the history is of version {version}, made by a newer version of this project")
    if version < _VERSION:
        connection.executescript(_TABLES + past.TABLES)
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def _hint(error: sqlite3.Error) -> str:
    told = str(error)
    if "full" in told:
        return " (the disk is full)"
    if "not a database" in told or "malformed" in told:
        return " (it is damaged: move it away, a new one is begun)"
    return " (the folder or the file is not writable)" if "readonly" in told or "unable to open" in told else ""


def _row(host: Mapping[str, Any]) -> tuple[Any, ...]:
    took = [sum(each["api"]["timings_ms"].values()) for each in gateways(host) if _shaken(each)]
    return to_text(host["name"]), host["status"], max(took, default=None), json.dumps(sorted(open_findings(host)))


def _shaken(gateway: Mapping[str, Any]) -> bool:
    return bool(gateway["api"] and gateway["api"]["ok"] and gateway["api"].get("timings_ms"))


# Others may have written the file. What no sweep of ours wrote is told, and keeps no other file from being written.


def _open_findings(told: Any) -> frozenset[OpenFinding]:
    found = from_json(told)
    if not isinstance(found, list) or not all(isinstance(each, list) and len(each) == 2 for each in found):
        raise damaged("troubles")
    return frozenset((word(gateway), word(code)) for gateway, code in found)


def _counts(told: Any) -> dict[str, int]:
    found = from_json(told)
    if not isinstance(found, dict) or not all(type(each) is int and 0 <= each < 1 << 32 for each in found.values()):
        raise damaged("statuses")
    return found


def _took(value: Any) -> Optional[float]:
    if value is None or (isinstance(value, (int, float)) and 0 <= value < 1e12):
        return value
    raise damaged("a time")
