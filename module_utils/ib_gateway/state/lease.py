"""The lease: this host is being repaired by that run, from its begin to its end, over many module calls.

One run has it at a time. It is renewed by each act and void after its seconds, or with the boot, so that a run that
died does not hold a host for long; at once where the run is proven to have ended, as one of this machine can be. The
folder's lock guards its file; each act proves under that lock that the lease is its run's own, so a run whose lease was
taken over does nothing more.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Optional

from .holder import has_ended
from .records import Moment, clean, epoch, load_json, rfc3339
from .state_folder import Folder

FILE = "lease.json"
#: Seconds without an act after which a lease is void, unless the one who begins says otherwise.
SECONDS = 900.0
MOST_SECONDS = 86400.0
_MOST = 65536
#: Characters of what names a run's process.
HOLDER = 160


@dataclass(frozen=True)
class Lease:
    """Who repairs this host. since: RFC 3339 UTC. boottime: of its last renewal. seconds: how long it stands then.

    run is empty for a file that says nothing sensible: such a lease is nobody's, and void. holder: the run's process,
    as holder.py has it; empty where its controller could not tell.
    """

    run: str
    by: str
    since: str
    boot_id: str
    boottime: float
    seconds: float
    holder: str = ""


UNREADABLE = Lease("", "", "", "", 0.0, 0.0)


def read(folder: Folder) -> Optional[Lease]:
    """The lease in the folder, void or not; None where there is none. Raises JournalUnusable.

    What stands in the file may be anything; it is never a reason to fail, because without it a run only has to begin.
    """
    data = folder.read(FILE, _MOST)
    if data is None:
        return None
    try:
        return _parse(data)
    except ValueError:
        return UNREADABLE


def _parse(data: bytes) -> Lease:
    raw = load_json(data)
    if not isinstance(raw, dict):
        raise ValueError("it is no object")
    texts = [raw.get(key) for key in ("run", "by", "since", "boot_id")]
    numbers = [raw.get(key) for key in ("boottime", "seconds")]
    if not all(isinstance(each, str) for each in texts):
        raise ValueError("a text is missing")
    if not all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in numbers):
        raise ValueError("a number is missing")
    boottime, seconds = float(numbers[0] or 0), float(numbers[1] or 0)
    if not (0 <= boottime < 1e12 and 0 < seconds <= MOST_SECONDS and texts[0]):
        raise ValueError("a number is out of range")
    since = rfc3339(epoch(str(texts[2])))
    process = clean(str(raw.get("holder") or ""), HOLDER)
    return Lease(clean(str(texts[0]), 64), clean(str(texts[1])), since, str(texts[3])[:64], boottime, seconds, process)


def void(lease: Lease, now: Moment) -> str:
    """Why a lease holds nobody off any more; '' when it stands. The wall clock has no say in it."""
    if not lease.run:
        return "it could not be read"
    if not lease.boot_id or lease.boot_id != now.boot_id:
        return "the host has been restarted since"
    passed = now.boottime - lease.boottime
    if passed < -1.0:  # what is on disk is rounded
        return "it is from the future"
    if has_ended(lease.holder):
        return "its run has ended without giving it back"
    return "it was not renewed for %g s" % lease.seconds if passed > lease.seconds else ""


def held_text(lease: Optional[Lease]) -> str:
    """Who holds a host, as a reason not to touch it. lease: what the file says, if anything."""
    if lease is None or not lease.run:
        return "this host is being worked on by another run just now; run again later"
    return "this host is being repaired by %s since %s (run %s)" % (lease.by or "somebody", lease.since, lease.run)


def ends_text(lease: Lease, now: Moment) -> str:
    """When a lease that stands ends where nobody renews it any more, as the end of a sentence."""
    return "; if that run has died, its hold ends by itself at %s" % ends_at(lease, now)


def ends_at(lease: Lease, now: Moment) -> str:
    """When a lease that stands ends where nobody renews it any more."""
    return rfc3339(now.at + lease.seconds - (now.boottime - lease.boottime) + 1)


def take(folder: Folder, run: str, by: str, now: Moment, seconds: float = SECONDS, holder: str = "") -> Lease:
    """Writes a run's lease, under the lock; the caller has looked whose it was. Raises JournalUnusable."""
    lease = Lease(clean(run, 64), clean(by), rfc3339(now.at), now.boot_id, now.boottime, seconds, holder)
    _write(folder, lease)
    return lease


def renew(folder: Folder, lease: Lease, now: Moment) -> Lease:
    """Lets a lease stand for its seconds from now on, under the lock. Raises JournalUnusable."""
    renewed = replace(lease, boot_id=now.boot_id, boottime=now.boottime)
    _write(folder, renewed)
    return renewed


def _write(folder: Folder, lease: Lease) -> None:
    text = json.dumps(
        {
            "v": 1,
            "run": lease.run,
            "by": lease.by,
            "since": lease.since,
            "boot_id": lease.boot_id,
            "boottime": round(lease.boottime, 3),
            "seconds": lease.seconds,
            "holder": lease.holder,
        }
    )
    folder.replace(FILE, text.encode("ascii") + b"\n")


def release(folder: Folder) -> None:
    """Gives the lease back, under the lock. Raises JournalUnusable."""
    folder.remove(FILE)
