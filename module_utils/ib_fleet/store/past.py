"""What the history keeps of each gateway: observations of the kept sweeps, incidents, counters. SQL and its shapes.

Observations go with their sweep. Incidents and counters stay when the sweeps they were made from are forgotten.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..document import incidents, tallies
from ..document.incidents import Incident, Observation, Standing
from .checks import code, damaged, from_json, is_code, is_moment, moment, to_text, word


@dataclass(frozen=True)
class Past:
    """The gateways over the sweeps that are kept. since: the oldest one's time. Both mappings are by host."""

    sweeps: int
    since: str
    standings: Mapping[str, Mapping[str, Standing]]
    counters: Mapping[str, Mapping[tallies.Tally, int]]

    def as_dict(self, names: Iterable[str]) -> dict[str, Any]:
        """The key `history` of a document of these hosts."""
        return {
            "since": self.since,
            "sweeps": self.sweeps,
            "gateways": [
                _told(name, standing, self.counters.get(to_text(name), {}))
                for name in names
                for _, standing in sorted(self.standings.get(to_text(name), {}).items())
            ],
        }


def _told(host: str, standing: Standing, counted: Mapping[tallies.Tally, int]) -> dict[str, Any]:
    repairs: dict[str, dict[str, int]] = {}
    refusals: dict[str, int] = {}
    for tally, times in sorted(counted.items()):
        if tally.gateway == standing.gateway and tally.kind == tallies.REPAIR:
            repairs.setdefault(tally.action, {})[tally.result] = times
        elif tally.gateway == standing.gateway:
            refusals[tally.action] = times
    return {
        "host": host,
        "gateway": standing.gateway,
        "status": standing.status,
        "verdict": standing.verdict,
        "since": standing.since,
        "since_seen": standing.since_seen,
        "last_healthy": standing.last_healthy,
        "uptime": standing.uptime,
        "repairs": repairs,
        "refusals": refusals,
        "incidents": [_incident_told(each) for each in standing.incidents],
    }


def _incident_told(each: Incident) -> dict[str, Any]:
    return {
        "cause": each.cause,
        "begun_at": each.begun_at,
        "begun_seen": each.begun_seen,
        "ended_at": each.ended_at,
        "seconds": each.seconds,
        "acts": [{"at": at, "action": action, "result": result} for at, action, result in each.acts],
    }


TABLES = """
CREATE TABLE IF NOT EXISTS looks (
    sweep INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE, host TEXT NOT NULL, part INTEGER NOT NULL,
    at TEXT NOT NULL, gateway TEXT NOT NULL, status TEXT NOT NULL, verdict TEXT NOT NULL, acts TEXT NOT NULL,
    PRIMARY KEY (sweep, host, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS incidents (
    host TEXT NOT NULL, gateway TEXT NOT NULL, begun_at TEXT NOT NULL, begun_seen INTEGER NOT NULL,
    cause TEXT NOT NULL, ended_at TEXT, acts TEXT NOT NULL, PRIMARY KEY (host, gateway, begun_at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (
    host TEXT NOT NULL, gateway TEXT NOT NULL, kind TEXT NOT NULL, action TEXT NOT NULL, result TEXT NOT NULL,
    times INTEGER NOT NULL, PRIMARY KEY (host, gateway, kind, action, result)
) WITHOUT ROWID;
"""


def add(connection: sqlite3.Connection, sweep: int, fleet: Mapping[str, Any], again: bool) -> None:
    """Takes in what a document saw. again: it was in before, so that its repairs are counted already."""
    connection.executemany(
        "INSERT INTO looks VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (sweep, to_text(host["name"]), part, seen.at, *map(to_text, seen[1:4]), json.dumps(seen.acts))
            for host in fleet["hosts"]
            for part, seen in enumerate(incidents.observations(host, fleet))
            if _readable(seen)
        ],
    )
    if again:
        return
    connection.executemany(
        "INSERT INTO counters VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET times = times + excluded.times",
        [
            (to_text(host["name"]), *map(to_text, tally), times)
            for host in fleet["hosts"]
            for tally, times in tallies.tallies(host, fleet).items()
            if is_code(tally.action)
        ],
    )


def _readable(seen: Observation) -> bool:
    """Whether it can be read again; what could not would make the whole file useless."""
    words = (seen.status, seen.verdict, *(each for act in seen.acts for each in act))
    return is_moment(seen.at) and all(map(is_code, words))


def standings(connection: sqlite3.Connection) -> dict[str, dict[str, Standing]]:
    """By host and gateway: how it stands, with the incidents of sweeps that are no longer kept."""
    older: dict[str, dict[str, list[Incident]]] = defaultdict(lambda: defaultdict(list))
    for host, gateway, *rest in connection.execute(
        "SELECT host, gateway, cause, begun_at, begun_seen, ended_at, acts FROM incidents"
    ):
        older[word(host)][word(gateway)].append(_incident(*rest))
    found = {host: incidents.standings(sweeps) for host, sweeps in _observed(connection)}
    for host, ones in found.items():
        for gateway, standing in ones.items():
            standing.continued(older[host][gateway])
    return found


def keep(connection: sqlite3.Connection, found: Mapping[str, Mapping[str, Standing]]) -> None:
    """Writes the incidents down, before the sweeps that show them are forgotten."""
    connection.execute("DELETE FROM incidents")
    connection.executemany(
        "INSERT OR REPLACE INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (host, gateway, each.begun_at, each.begun_seen, each.cause, each.ended_at, json.dumps(each.acts))
            for host, ones in found.items()
            for gateway, standing in ones.items()
            for each in standing.incidents
        ],
    )


def counters(connection: sqlite3.Connection) -> dict[str, dict[tallies.Tally, int]]:
    """By host: what was done and refused, since the history was begun."""
    found: dict[str, dict[tallies.Tally, int]] = defaultdict(dict)
    for host, gateway, kind, action, result, times in connection.execute(
        "SELECT host, gateway, kind, action, result, times FROM counters"
    ):
        if not isinstance(times, int) or not 0 <= times <= 1_000_000_000:
            raise damaged("a count")
        tally = tallies.Tally(word(gateway), code(kind), code(action), code(result) if result else "")
        found[word(host)][tally] = times
    return found


def _observed(connection: sqlite3.Connection) -> Iterator[tuple[str, list[list[Observation]]]]:
    """Each host with its observations, sweep by sweep, oldest first."""
    rows = connection.execute(
        "SELECT host, id, at, gateway, status, verdict, acts FROM looks JOIN sweeps ON id = sweep"
        " ORDER BY host, generated_at, id, part"
    )
    for host, of_host in itertools.groupby(rows, key=lambda row: word(row[0])):
        by_sweep = itertools.groupby(of_host, key=lambda row: int(row[1]))
        yield host, [[_observation(*row[2:]) for row in ones] for _, ones in by_sweep]


def _observation(at: Any, gateway: Any, status: Any, verdict: Any, acts: Any) -> Observation:
    return Observation(moment(at), word(gateway), code(status), code(verdict), _acts(acts))


def _acts(told: Any) -> tuple[tallies.Act, ...]:
    return () if told == "[]" else tuple(tallies.Act(*map(code, each)) for each in _lists(told, 2))


def _incident(cause: Any, begun_at: Any, begun_seen: Any, ended_at: Any, acts: Any) -> Incident:
    ended = None if ended_at is None else moment(ended_at)
    done = tuple((moment(at), code(action), code(result)) for at, action, result in _lists(acts, 3))
    return Incident(code(cause), moment(begun_at), bool(begun_seen), ended, done)


def _lists(told: Any, length: int) -> list[list[str]]:
    found = from_json(told)
    if not isinstance(found, list) or not all(isinstance(each, list) and len(each) == length for each in found):
        raise damaged("acts")
    return [[word(each) for each in one] for one in found]
