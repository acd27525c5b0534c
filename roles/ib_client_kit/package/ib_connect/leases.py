"""Client ids that no other process of the host holds, and the folder where that is agreed."""

from __future__ import annotations

import contextlib
import os
import random
import stat
import tempfile
import time
from typing import Optional

from .common import PathName, log
from .errors import ClientIdInUse, ProfileError
from .locks import Lock, locks_work, read_holder
from .profiles import read_profiles

LOCK_FOLDER, LOCKS_VARIABLE = "/run/ib-connect", "IB_CONNECT_LOCKS"
#: Leased ids: none that scripts write down, that the clock's formula gives (100 to 10998) or that probes use.
FIRST_ID, LEASABLE_IDS = 20_000, 10_000


def lock_folder(given: Optional[PathName], from_file: Optional[str]) -> Optional[str]:
    """The folder for locks; None, with a warning, where there is none that can be used."""
    asked = given or os.environ.get(LOCKS_VARIABLE)
    first = os.fspath(asked or from_file or LOCK_FOLDER)
    if locks_work() and usable(first):
        return os.path.abspath(first)
    own = None if asked else own_folder()
    if own and usable(own):
        return own
    log.warning("no lock folder (%s): client ids come from the clock and may collide; nothing queues", first)
    return None


def usable(folder: str) -> bool:
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def own_folder() -> Optional[str]:
    """A folder of this account alone, for hosts without a shared one."""
    if not locks_work():
        return None
    folder = os.path.join(tempfile.gettempdir(), f"ib-connect-{os.getuid()}")
    with contextlib.suppress(OSError):
        os.mkdir(folder, 0o700)
    with contextlib.suppress(OSError):
        found = os.lstat(folder)
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
            return folder
    return None


def client_id(locks: Optional[PathName] = None) -> int:
    """A client id that no other process of this host holds, until this one ends; never 0.

    For scripts that keep their own connect call. Where no lock folder can be used it comes from the clock.
    """
    from_file = None
    with contextlib.suppress(ProfileError):
        from_file = read_profiles(None)[1]
    return lease(lock_folder(locks, from_file))[0]


def lease(
    folder: Optional[str], wanted: Optional[int] = None, owner: Optional[object] = None
) -> tuple[int, Optional[Lock]]:
    """A client id and its lock; without a folder there is no lock."""
    if folder is None:
        return wanted or int(time.time() % 10000) + random.randint(100, 999), None  # noqa: S311 - no secret
    # From the pid on: a log's client id leads to its process, and an id just given back, which the gateway may still
    # remember, is not the next one's.
    offered = (FIRST_ID + (os.getpid() + turn) % LEASABLE_IDS for turn in range(LEASABLE_IDS))
    for number in [wanted] if wanted else offered:
        lock = Lock.take(os.path.join(folder, f"id-{number}"), owner)
        if lock:
            return number, lock
    holder = read_holder(os.path.join(folder, f"id-{wanted}"))
    raise ClientIdInUse(f"client id {wanted} is leased by {holder}" if wanted else "every id is leased", "lease")
