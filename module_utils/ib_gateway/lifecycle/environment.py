"""The environment that a gateway is started with: what it ran with, and what its entry adds.

A gateway that is ended before it is started anew, maybe by two calls of two modules, leaves what it ran with in a file
that only this run's account can read, and which processes it ran below. Only names of a fixed list are ever taken from
a process; no value is shown. Whether it can be left there is asked before anything is ended: the next gateway would be
started without a display, and end at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

from ..base.spec import GatewaySpec
from ..observe import processes
from . import places
from .accounts import Account

#: What a gateway needs of the session that it was started in.
NAMES = ("DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "LANG", "JAVA_HOME")
#: Far above any environment of a process that was started by a person.
_LIMIT = 1 << 20
#: What a command that brings a display of its own sets by itself.
_DISPLAY = ("DISPLAY", "XAUTHORITY")
_NOT_OWN = "others than this run's account could put a file into %s: chown %d %s && chmod 0700 %s"


class NotKept(Exception):
    """What a gateway runs with was not kept; the message says why, with the cure."""


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


def only_there(spec: GatewaySpec, account: Account, pid: int, brings_display: bool) -> Tuple[str, ...]:
    """The names of what an entry's gateway runs with and nothing else would give the next one as it is.

    brings_display: whether what starts the next one gives it a display.
    """
    found = environment_of(pid) if processes.read_real_uid(pid) == account.uid else None
    given = {**account.environment(), **(kept(spec.name, account.uid) or {})}
    brought = _DISPLAY if brings_display else ()
    return tuple(name for name in _beyond(found or {}, given, spec) if name not in brought)


def only_kept(spec: GatewaySpec, account: Account) -> Tuple[str, ...]:
    """The names of what was kept of an entry's ended gateway and nothing else gives the next one as it is."""
    return _beyond(kept(spec.name, account.uid) or {}, account.environment(), spec)


def _beyond(found: Mapping[str, str], given: Mapping[str, str], spec: GatewaySpec) -> Tuple[str, ...]:
    """The names of what is found and neither given, with the same text, nor named by the entry."""
    said = {name for name, _text in spec.start_environment}
    return tuple(name for name in NAMES if name in found and name not in said and found[name] != given.get(name))


def cannot_keep() -> Optional[str]:
    """Why what a gateway runs with could not be kept, with the cure; None where nothing speaks against it.

    Writes nothing: it is asked by looks.
    """
    folder = places.environment_folder()
    try:
        if os.path.isdir(folder) and not os.path.islink(folder) and not _is_own(folder):
            return _NOT_OWN % (folder, os.geteuid(), folder, folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        return "%s cannot be looked at: %s" % (folder, error.strerror)
    return places.cannot_hold(folder)


def would_lose(names: Sequence[str], why: str) -> str:
    """What a start_command would start its gateway without, and how that is mended, in words. Pure."""
    told = ", ".join(names)
    text = "the next gateway would lack %s, which only the running one has and which cannot be kept: %s; or give %s in "
    return text % (told, why, told) + "the entry's start_environment"


def keep(name: str, pid: int) -> None:
    """Keeps what an entry's gateway runs with, before it is ended: all of it, or what was kept before stays as it is.

    Raises NotKept.
    """
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
    folder = places.environment_folder()
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if not _is_own(folder):
            raise NotKept(cannot_keep() or "%s is not this run's account's alone" % folder)
        _write(folder, path_of(name), text)
    except OSError as error:
        raise NotKept("%s cannot be written: %s" % (path_of(name), error.strerror)) from None
    if any((kept(name, uid) or {}).get(each) != value for each, value in found.items()):
        raise NotKept("%s does not hold what was written to it: look at its disk" % path_of(name))


def keep_for(name: str, pid: int, only_in: Optional[Callable[[int], Sequence[str]]]) -> None:
    """The same, where the next gateway of the entry is started by what only_in tells of; None where it is not.

    What cannot be kept is not where that one lacks nothing. Raises NotKept.
    """
    try:
        keep(name, pid)
    except NotKept as failure:
        names = only_in(pid) if only_in is not None else ()
        if names:
            raise NotKept(would_lose(names, str(failure))) from None


def _write(folder: str, path: str, text: str) -> None:
    """Writes a file as a whole, or leaves no trace. Raises OSError."""
    descriptor, new = tempfile.mkstemp(dir=folder)  # mode 0600
    try:
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)  # some disks say only then that they are full
        os.replace(new, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise


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
    with open(path_of(name), encoding="utf-8", errors="surrogateescape") as file:
        found: Dict[str, Any] = json.load(file)
    return found if found["boot_id"] == processes.boot_id() else None


def path_of(name: str) -> str:
    """The file in which it is kept what an entry's gateway ran with."""
    return os.path.join(places.environment_folder(), name + ".environment.json")


def _is_own(folder: str) -> bool:
    """Whether nobody else can put a file into the folder."""
    found = os.lstat(folder)
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022
