"""The journal of what was meant and done to a host's gateways: the one source for limits, latches, unfinished acts.

What a crash may leave, and why it is neither lost nor damaged then:

- The first record is written by replacing: journal.jsonl comes into being whole. Only after that is the marker
  journal.id made, and only after that does append() return. So a marker without a journal was never left by a crash
  (it means that the journal was taken away: lost), and nothing was done under a journal without its marker.
- A record is appended with one write and one fsync. Half of it is a last line without its newline: torn, cut off at the
  next append. Whoever wrote it had not been told that it is on disk, so the act had not been done.
- Rotation puts a copy of the whole file in place as journal.jsonl.1, then replaces journal.jsonl by one that holds a
  checkpoint and the new record. Between the two, journal.jsonl is the old one and still complete.

Whoever appends holds the folder's lock. Readers need none: a file is replaced whole, and half a record is torn.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, List, NoReturn, Sequence, Tuple

from ..observe import processes
from .limits import needed
from .records import (
    CHECKPOINT,
    RELEASE,
    Moment,
    Record,
    bounded,
    clean,
    format_line,
    parse_line,
)
from .state_folder import ABSENT, OK, RESET, UNUSABLE, Folder, JournalUnusable

__all__ = ["ABSENT", "OK", "UNUSABLE", "Journal", "JournalUnusable", "append", "moment", "read", "reset", "set_aside"]

FILE = "journal.jsonl"
ROTATED = "journal.jsonl.1"
MARKER = "journal.id"
LOCK = "lock"

#: Bytes after which a new file is begun, and bytes that no file of ours ever has.
ROTATE_AT = 256 * 1024
_MOST = 16 * 1024 * 1024
_MOST_SET_ASIDE = 99


@dataclass(frozen=True)
class Journal:
    """What the journal says. state: absent (there never was one) or ok. records: those that count, in their order.

    torn: whether it ends with half a record. last: the number of the last record. good and size: the bytes of its
    whole lines, and of the file. marked: whether the marker stands.
    """

    state: str
    records: Tuple[Record, ...] = ()
    torn: bool = False
    last: int = 0
    good: int = 0
    size: int = 0
    marked: bool = False


def moment() -> Moment:
    """Now. On systems without a boot id or CLOCK_BOOTTIME the boot id is empty, and only the wall clock counts."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    try:
        return Moment(time.time(), processes.boot_id()[:64], time.clock_gettime(clock) if clock is not None else 0.0)
    except OSError:
        return Moment(time.time(), "", 0.0)


def read(folder: Folder) -> Journal:
    """The journal in the folder. Raises JournalUnusable when it is lost, damaged or not to be trusted."""
    data = folder.read(FILE, _MOST)
    marked = folder.exists(MARKER)
    if data is None and marked:
        data = folder.read(FILE, _MOST)  # it may have come into being between the two looks
        if data is None:
            raise JournalUnusable(
                "%s has been lost (%s says that there was one), so what was done to this host is not known; %s"
                % (folder.where(FILE), MARKER, RESET)
            )
    if data is None:
        return Journal(ABSENT)
    lines = data.split(b"\n")
    torn = lines.pop()
    if not lines:
        _damaged(folder, 1, "it is not whole")
    records, last = _parsed(folder, lines)
    return Journal(OK, tuple(records), bool(torn), last, len(data) - len(torn), len(data), marked)


def _damaged(folder: Folder, number: int, why: str) -> NoReturn:
    raise JournalUnusable("%s is damaged in line %d: %s; %s" % (folder.where(FILE), number, clean(why), RESET))


def _parsed(folder: Folder, lines: Sequence[bytes]) -> Tuple[List[Record], int]:
    records: List[Record] = []
    last = 0
    for number, line in enumerate(lines, 1):
        try:
            record = parse_line(line)
        except ValueError as error:
            _damaged(folder, number, str(error))
        if number == 1 and record.kind == CHECKPOINT:
            records.extend(record.kept)
        elif record.n != last + 1:
            _damaged(folder, number, "record %d stands where %d belongs" % (record.n, last + 1))
        elif record.kind == CHECKPOINT:
            _damaged(folder, number, "a checkpoint stands in the middle")
        else:
            records.append(record)
        last = record.n
    return records, last


def append(folder: Folder, journal: Journal, now: Moment, kind: str, run: str, by: str, **more: Any) -> Journal:
    """Writes one record, and returns the journal with it; it is on disk then. Raises JournalUnusable.

    journal: as read() or append() returned it, under the lock that the caller still holds. more: fields of Record.
    After a failure the journal has to be read again.
    """
    record = _record(journal.last + 1, now, kind, run, by, more)
    line = _proven(record)
    if journal.state == ABSENT:
        folder.replace(FILE, line)
        size = len(line)
    elif journal.good + len(line) > ROTATE_AT and _worth_it(journal, now):
        record = replace(record, n=record.n + 1)
        size = _rotate(folder, journal, now, record)
    else:
        folder.append(FILE, line, journal.good, journal.size)
        size = journal.good + len(line)
    if not journal.marked:
        folder.replace(MARKER, b"A journal has been kept in this folder since %s.\n" % record.when.encode("ascii"))
    return Journal(OK, (*journal.records, record), False, record.n, size, size, True)


def _proven(record: Record) -> bytes:
    """The record's line, if read() takes it. Raises JournalUnusable: what nobody can read is not written."""
    line = format_line(record)
    try:
        parse_line(line[:-1])
    except ValueError as error:
        raise JournalUnusable("a record of kind %s cannot be journalled: %s" % (record.kind, error)) from None
    return line


def _record(n: int, now: Moment, kind: str, run: str, by: str, more: Any) -> Record:
    for key, limit in (("action", 60), ("reason", 300)):
        if key in more:
            more[key] = clean(more[key], limit)
    if "target" in more:
        more["target"] = bounded(more["target"])
    boottime = max(now.boottime, 0.0)
    return Record(n, kind, now.at, now.boot_id, boottime, clean(run, 64), clean(by), **more)


def _checkpoint(journal: Journal, now: Moment) -> Record:
    kept = tuple(replace(each, target=bounded(each.target)) for each in needed(journal.records, now))
    return replace(_record(journal.last + 1, now, CHECKPOINT, "", "", {}), kept=kept)


def _worth_it(journal: Journal, now: Moment) -> bool:
    """Whether a new file would be much shorter: not when nearly everything still counts."""
    return 2 * len(format_line(_checkpoint(journal, now))) < journal.good


def _rotate(folder: Folder, journal: Journal, now: Moment, record: Record) -> int:
    """Begins a new file with a checkpoint and the record; its size. The old one stays as journal.jsonl.1, for people.

    A crash before the second replace leaves the old file in place, whole.
    """
    folder.replace(ROTATED, (folder.read(FILE, _MOST) or b"")[: journal.good])
    data = _proven(_checkpoint(journal, now)) + _proven(record)
    folder.replace(FILE, data)
    return len(data)


def reset(folder: Folder, now: Moment, by: str, reason: str) -> str:
    """Sets the journal aside and begins a new one that says so; the old one's new name, or '' where none was left.

    For a journal that cannot be used, by a person's will, under the lock. Raises JournalUnusable.
    """
    aside = set_aside(folder, FILE)
    text = "new journal, the old one is %s: %s" % (aside or "lost", reason)
    append(folder, Journal(ABSENT, marked=folder.exists(MARKER)), now, RELEASE, "", by, reason=text)
    return aside


def set_aside(folder: Folder, name: str) -> str:
    """Gives a file that cannot be used another name, which is returned; '' where there is none."""
    if not folder.exists(name):
        return ""
    names = ["%s.corrupt-%d" % (name, number) for number in range(1, _MOST_SET_ASIDE + 1)]
    aside = next((each for each in names if not folder.exists(each)), "")
    if not aside:
        raise JournalUnusable(
            "%s.corrupt-1 to -%d are all there; remove those that nobody needs, then run again"
            % (folder.where(name), _MOST_SET_ASIDE)
        )
    folder.rename(name, aside)
    return aside
