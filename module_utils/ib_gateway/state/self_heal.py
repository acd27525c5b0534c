"""Whether a host heals itself, and when it last looked: from the record that its own service writes. Reading only.

`{"v":1,"at":"2026-11-22T18:00:00Z","every":360,"result":"healthy"}`, beside the journal. The role ib_self_heal writes
it when it installs the timer, then the service after each of its runs. No file: the host does not heal itself. A file
that is not exactly that is unknown, and never taken for a host that looks after itself.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

from .records import clean, epoch, load_json, rfc3339
from .state_folder import Folder, JournalUnusable

FILE = "self-heal.json"
WAITING, HEALTHY, NOT_HEALTHY, FAILED, UNKNOWN = "waiting", "healthy", "not_healthy", "failed", "unknown"
#: What a run of the service can have come to; waiting: there was none yet.
RESULTS = (WAITING, HEALTHY, NOT_HEALTHY, FAILED)
_MOST = 4096
#: Seconds; a year.
_LONGEST = 366 * 86400.0
#: Seconds that a run with a repair in it may take beyond its turn before the timer counts as stopped.
_RUN = 900.0


def read(folder: Folder, now: float) -> Optional[Dict[str, Any]]:
    """How the host heals itself; None where it does not. Never raises.

    {every: seconds between two runs at most, or None; looked_at: when the last run ended, RFC 3339 UTC, or None;
    result: one of RESULTS or unknown; overdue: whether two runs have been missed; note: why it is unknown, or ''}.
    now: seconds since the epoch.
    """
    try:
        data = folder.read(FILE, _MOST)
        return None if data is None else parse(data, now)
    except (JournalUnusable, ValueError) as error:
        return {"every": None, "looked_at": None, "result": UNKNOWN, "overdue": False, "note": clean(str(error))}


def parse(data: bytes, now: float) -> Dict[str, Any]:
    """The file's content as read() returns it. Raises ValueError that says what is wrong."""
    raw = load_json(data)
    if not isinstance(raw, dict):
        raise ValueError("%s is no object" % FILE)
    every, result, at = raw.get("every"), raw.get("result"), raw.get("at")
    if isinstance(every, bool) or not isinstance(every, (int, float)) or not 0 < every <= _LONGEST:
        raise ValueError("%s does not say how often the host looks" % FILE)
    if result not in RESULTS or not isinstance(at, str):
        raise ValueError("%s does not say what the last run came to" % FILE)
    ended = epoch(at)
    return {
        "every": float(every),
        "looked_at": None if result == WAITING else rfc3339(ended),
        "result": result,
        "overdue": now - ended > 2 * every + _RUN,
        "note": "",
    }
