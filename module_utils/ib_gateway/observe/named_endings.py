"""Whom a command ends that names no process: units, containers, an account, a terminal's server, a file with a pid."""

from __future__ import annotations

import fnmatch
import os
import pwd
import re
from typing import Callable, FrozenSet, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..base.host import Process
from ..base.words import program_name
from . import processes
from .owned_text import regular_text

#: What systemctl and service can do to a unit that ends who lives in it, and what has others end that are in conflict.
STOPPING = ("stop", "restart", "try-restart", "kill", "condrestart", "force-reload", "reload-or-restart")
STARTING = ("start", "restart", "try-restart", "condrestart", "reload-or-restart", "isolate")
_SUFFIXED = re.compile(r"\.(?:service|scope|slice|socket|target|timer|path|mount)$")
_UNKNOWN = re.compile(r"[$`]")
_ENDS_CONTAINERS = ("stop", "kill", "restart", "rm")
#: `$(cat FILE)`, `$(< FILE)`, and the same between back quotes.
_FROM_FILE = re.compile(r"(?:\$\(|`)\s*(?:(?:/usr)?/bin/)?(?:cat\s+|<\s*)\"?(/[^\s)\"`$]+)\"?\s*(?:\)|`)")
_MOST_DIGITS = 10


class Asks(NamedTuple):
    """What only systemd and container engines can tell: the pids of those that end.

    units: by a verb of systemctl's, unit names, the uid of the account that gives the order, whether to its own
    systemd. containers: by an engine's program, names, that uid.
    """

    units: Callable[[str, Sequence[str], int, bool], FrozenSet[int]]
    containers: Callable[[str, Sequence[str], int], FrozenSet[int]]


#: Whether a process is one of those that a command ends.
Meets = Callable[[Process], bool]


def named_endings(name: str, given: Sequence[str], uid: int, asks: Optional[Asks]) -> Iterator[Meets]:
    """Whom a program with these arguments ends by a name. uid: of the account that runs it."""
    for found in (
        _units(name, given, uid, asks),
        _containers(name, given, uid, asks),
        _logins(name, given),
        _terminal(name, given, uid),
        _by_file(name, given),
    ):
        if found is not None:
            yield found


def _words(given: Sequence[str]) -> List[str]:
    return [word for word in given if not word.startswith("-")]


def _pids(found: FrozenSet[int]) -> Optional[Meets]:
    return (lambda process: process.pid in found) if found else None


def _units(name: str, given: Sequence[str], uid: int, asks: Optional[Asks]) -> Optional[Meets]:
    words, users = _words(given), "--user" in given
    if name == "service" and len(words) == 2:
        words = [words[1], words[0]]
    if name not in ("systemctl", "service") or not words or words[0] not in (*STOPPING, *STARTING):
        return None
    verb, names = words[0], [each if _SUFFIXED.search(each) else each + ".service" for each in words[1:]]
    if any(map(_UNKNOWN.search, names)):
        return None
    plain = [each for each in names if not re.search(r"[*?\[]", each)]
    ended = asks.units(verb, plain, uid, users) if asks is not None and plain else frozenset()

    def meet(process: Process) -> bool:
        unit = process.user_unit if users else process.unit
        stopped = verb in STOPPING and unit is not None and any(fnmatch.fnmatchcase(unit, each) for each in names)
        return stopped or process.pid in ended

    return meet


def _containers(name: str, given: Sequence[str], uid: int, asks: Optional[Asks]) -> Optional[Meets]:
    words = _words(given)
    words = words[1:] if words[:1] == ["container"] else words
    if name not in ("podman", "docker") or asks is None or not words or words[0] not in _ENDS_CONTAINERS:
        return None
    if "--all" in given or "-a" in given:
        return lambda process: processes.pid_inside(process.pid) is not None
    return _pids(asks.containers(name, [each for each in words[1:] if not _UNKNOWN.search(each)], uid))


def _logins(name: str, given: Sequence[str]) -> Optional[Meets]:
    """`loginctl terminate-user` ends an account's sessions and its own systemd, and no service of the system's."""
    words = _words(given)
    if name != "loginctl" or not words or words[0] not in ("terminate-user", "kill-user"):
        return None
    uids = {uid for uid in map(_uid, words[1:]) if uid is not None}
    return lambda process: process.uid in uids and process.unit is None


def _uid(account: str) -> Optional[int]:
    try:
        return int(account) if account.isdecimal() else pwd.getpwnam(account).pw_uid
    except KeyError:
        return None


def _terminal(name: str, given: Sequence[str], uid: int) -> Optional[Meets]:
    """The end of a terminal's server is that of all that runs in it."""
    if name != "tmux" or "kill-server" not in given:
        return None

    def meet(process: Process) -> bool:
        above = processes.ancestors(process.pid) - {process.pid}
        return any(
            program_name(processes.read_argv(each))[:4] == "tmux" and processes.read_real_uid(each) == uid
            for each in above
        )

    return meet


def _by_file(name: str, given: Sequence[str]) -> Optional[Meets]:
    """`kill "$(cat FILE)"`, `pkill -F FILE`, `start-stop-daemon --stop --pidfile FILE`."""
    if name == "kill":
        return in_files(_FROM_FILE.findall(" ".join(given)))
    if name == "pkill":
        return in_files(_valued(given, ("-F", "--pidfile")))
    if name == "start-stop-daemon" and ("--stop" in given or "-K" in given):
        return in_files(_valued(given, ("-p", "--pidfile")))
    return None


def in_files(paths: Sequence[str]) -> Meets:
    """Those whose pid stands in one of the files now; a path that is none of the root folder's is not looked at."""
    found = {_pid_in(path) for path in paths if os.path.isabs(path)}
    return lambda process: process.pid in found


def _valued(given: Sequence[str], names: Tuple[str, ...]) -> List[str]:
    behind = [given[place + 1] for place, word in enumerate(given[:-1]) if word in names]
    joined = [word.partition("=")[2] for word in given if word.partition("=")[0] in names and "=" in word]
    return [each for each in (*behind, *joined) if os.path.isabs(each)]


def _pid_in(path: str) -> Optional[int]:
    words = (regular_text(path, 64) or "").split()
    return int(words[0]) if words and words[0].isdecimal() and len(words[0]) <= _MOST_DIGITS else None
