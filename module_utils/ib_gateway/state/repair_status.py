"""What a host's repair state says, for a look that writes nothing: one failed open where there are none.

Most hosts have none, so what reads them is loaded only where there are some.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Dict, Sequence

from .state_folder import ABSENT, UNUSABLE, Folder, JournalUnusable

if TYPE_CHECKING:
    from .journal import Journal
    from .records import Moment, Record


def read_status(state_dir: str) -> Dict[str, Any]:
    """The repair state in a folder ('' for the default): reading only, never raises.

    {journal: absent, ok or unusable; note: what is worth knowing about it, or ''; paused: a text or None; latched:
    [{gateway, since, reason}]; unfinished: [{gateway, action, at, run}]; lease: {by, since} or None; self_heal: as
    self_heal.read has it}. Times are RFC 3339 UTC. Acts of the run that is under way are not unfinished.
    """
    found = _empty()
    try:
        folder = Folder.open(state_dir)
        if folder is None:
            return found
        with folder:
            _read(folder, found)
    except JournalUnusable as unusable:
        found.update(journal=UNUSABLE, note=str(unusable))
    return found


def _empty() -> Dict[str, Any]:
    return {
        "journal": ABSENT,
        "note": "",
        "paused": None,
        "latched": [],
        "unfinished": [],
        "lease": None,
        "self_heal": None,
    }


def _read(folder: Folder, found: Dict[str, Any]) -> None:
    """Fills in what can be read; what cannot ends it. Raises JournalUnusable."""
    from . import journal, pause, self_heal
    from .limits import latched, unfinished

    now = journal.moment()
    paused = pause.read(os.path.join(folder.path, pause.FILE), now.at)
    found["paused"] = paused.text if paused else None
    found["self_heal"] = self_heal.read(folder, now.at)
    running = _lease(folder, found, now)
    book = journal.read(folder)
    found.update(
        journal=book.state,
        note=note(book),
        latched=[
            {"gateway": gateway, "since": latch.since, "reason": latch.reason}
            for gateway, latch in sorted(latched(book.records).items())
        ],
        unfinished=acts(each for each in unfinished(book.records) if each.run != running),
    )


def _lease(folder: Folder, found: Dict[str, Any], now: Moment) -> str:
    """The run whose lease stands, after telling of it; '' for none."""
    from . import lease

    one = lease.read(folder)
    if one is None or lease.void(one, now):
        return ""
    found["lease"] = {"by": one.by, "since": one.since, "until": lease.ends_at(one, now)}
    return one.run


def note(book: Journal) -> str:
    """What is worth knowing about a journal that can be used; '' for nothing."""
    return "its last record is torn: a run was cut off while it wrote" if book.torn else ""


def acts(intents: Any) -> Sequence[Dict[str, Any]]:
    """Intents as rows to return."""
    return [_act(each) for each in intents]


def _act(intent: Record) -> Dict[str, Any]:
    from .records import clean

    return {
        "gateway": intent.gateway,
        "action": clean(intent.action, 60),
        "at": intent.when,
        "run": clean(intent.run, 64),
    }
