"""The environment that a gateway is started with: what it ran with, and what its entry adds.

A gateway that is ended before it is started anew, maybe by two calls of two modules, leaves what it ran with in a file
that only this run's account can read, and which processes it ran below. Only names of a fixed list are ever taken from
a process; no value is shown.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from typing import Any, Dict, Optional, Tuple

from ..base.spec import GatewaySpec
from ..observe import processes
from . import places
from .accounts import Account

#: What a gateway needs of the session that it was started in.
NAMES = ("DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "LANG", "JAVA_HOME")
#: Far above any environment of a process that was started by a person.
_LIMIT = 1 << 20


def environment_for(spec: GatewaySpec, account: Account, pid: Optional[int]) -> Dict[str, str]:
    """The environment for a gateway of an entry: a login's, what its gateway has or had, what the entry says.

    pid: of its gateway that runs; None without one.
    """
    found = account.environment()
    found.update(known(spec.name, account, pid) or {})
    found.update(spec.start_environment)
    return found


def known(name: str, account: Account, pid: Optional[int]) -> Optional[Dict[str, str]]:
    """What an entry's gateway runs with, or ran with when it was ended; None where neither is known."""
    now = None
    if pid is not None and processes.read_real_uid(pid) == account.uid:
        now = environment_of(pid)
    return kept(name, account.uid) if now is None else now


def environment_of(pid: int) -> Optional[Dict[str, str]]:
    """Those variables of a process that a gateway needs; None where they may not be read."""
    try:
        with open("%s/%d/environ" % (processes.PROC, pid), "rb") as listed:
            data = listed.read(_LIMIT)
    except OSError:
        return None
    found = {}
    for item in data.split(b"\0"):
        name, equals, value = item.partition(b"=")
        if equals and name.decode("ascii", "replace") in NAMES:
            found[name.decode("ascii")] = os.fsdecode(value)
    return found


def keep(name: str, pid: int) -> None:
    """Keeps what an entry's gateway runs with, before it is ended. What cannot be kept is not: it ends all the same."""
    from ..observe.parents import above  # a look needs none of it

    found, uid = environment_of(pid), processes.read_real_uid(pid)
    if found is None or uid is None:
        return
    text = json.dumps(
        {
            "boot_id": processes.boot_id(),
            "uid": uid,
            "environment": {**(kept(name, uid) or {}), **found},
            "parents": above(pid),
        }
    )
    with contextlib.suppress(OSError):
        folder = places.environment_folder()
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if not _is_own(folder):
            return
        descriptor, path = tempfile.mkstemp(dir=folder)  # mode 0600
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        os.replace(path, _path(name))


def kept(name: str, uid: int) -> Optional[Dict[str, str]]:
    """What an entry's gateway of this account ran with when it was last ended; None where that is not known."""
    try:
        found = _read(name)
        if found is None or found["uid"] != uid:
            return None
        return {each: str(value) for each, value in found["environment"].items() if each in NAMES}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def parents_of_ended(name: str) -> Tuple[Tuple[int, int], ...]:
    """(pid, started_ticks) of the processes above an entry's gateway when that was last ended in this boot."""
    try:
        found = _read(name)
        return tuple((int(pid), int(ticks)) for pid, ticks in found["parents"]) if found else ()
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def _read(name: str) -> Optional[Dict[str, Any]]:
    """What was kept of an entry's gateway in this boot. Raises OSError, ValueError, KeyError, TypeError."""
    if not _is_own(places.environment_folder()):
        return None
    with open(_path(name), encoding="utf-8", errors="surrogateescape") as file:
        found: Dict[str, Any] = json.load(file)
    return found if found["boot_id"] == processes.boot_id() else None


def _path(name: str) -> str:
    return os.path.join(places.environment_folder(), name + ".environment.json")


def _is_own(folder: str) -> bool:
    """Whether nobody else can put a file into the folder."""
    found = os.lstat(folder)
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022
