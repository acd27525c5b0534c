"""The command lines that systemd runs where it starts or stops a unit: as which account, and where."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from .accounts import Account, account_of
from .base import Runs

_ARGV = re.compile(r"(?m)^\{ path=.*? ; argv\[\]=(.*?) ; (?:ignore_errors|flags)=([^;]*) ;")
#: What makes the unit's files and accounts others than those that can be looked at from here.
ELSEWHERE = ("RootDirectory", "RootImage")
_STARTS = ("ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost")
_STOPS = ("ExecStop", "ExecStopPost")
#: systemctl shows each of them a second time with its flags: which are run as root although the unit has a User=.
PROPERTIES = tuple(name + more for name in (*_STARTS, *_STOPS) for more in ("", "Ex"))
#: What those flags are called.
_AS_ROOT = ("privileged", "no-setuid")


def runs_of(shown: Mapping[str, str], account: Optional[Account], stops: bool) -> Tuple[Runs, ...]:
    """What a start of a unit runs; with stops what its end runs as well, also where its process has only ended.

    shown: what systemctl shows of it. account: whose systemd it is; None for the system's.
    """
    if any(shown.get(each) for each in ELSEWHERE):
        return ()
    found = _runs(shown, account, _STARTS, False) + (_runs(shown, account, _STOPS, True) if stops else [])
    return tuple(found)


def _runs(shown: Mapping[str, str], account: Optional[Account], names: Sequence[str], stop: bool) -> List[Runs]:
    by_uid: Dict[Optional[int], List[Tuple[str, ...]]] = {}
    own, as_root = uid_of(shown, account), as_root_of(shown, names)
    for name in names:
        for argv, _flags in _ARGV.findall(shown.get(name, "")):
            uid = 0 if argv in as_root and account is None else own
            by_uid.setdefault(uid, []).append(_words(argv))
    folder = folder_of(shown, account)
    return [Runs(tuple(commands), uid, folder, stop) for uid, commands in by_uid.items()]


def as_root_of(shown: Mapping[str, str], names: Sequence[str]) -> FrozenSet[str]:
    """The command lines that are run as root although the unit has a User=. names: of the properties to look at."""
    return frozenset(
        argv
        for name in names
        for argv, flags in _ARGV.findall(shown.get(name + "Ex", ""))
        if any(each in flags.split() for each in _AS_ROOT)
    )


def _words(argv: str) -> Tuple[str, ...]:
    """systemctl tells a command line without quotes, so that what follows -c is taken for one text. A dollar sign is
    written twice in a unit's file."""
    words = argv.replace("$$", "$").split()
    place = words.index("-c") + 1 if "-c" in words else len(words)
    return (*words[:place], *filter(None, [" ".join(words[place:])]))


def uid_of(shown: Mapping[str, str], account: Optional[Account]) -> Optional[int]:
    """As which account a unit runs its commands; None where it is of its own making."""
    user = shown.get("User", "")
    who = account or account_of(user or "root")
    return who.uid if who else int(user) if user.isdecimal() else None


def folder_of(shown: Mapping[str, str], account: Optional[Account]) -> Optional[str]:
    """Where a unit runs its commands; None where that is not certain. account: whose systemd it is. Pure."""
    folder = shown.get("WorkingDirectory", "")
    return folder if folder.startswith("/") else None if folder else account.home if account else "/"
