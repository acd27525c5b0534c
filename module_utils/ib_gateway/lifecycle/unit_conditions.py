"""What keeps systemd from starting a unit that is whole: its conditions, and the units that it requires.

systemctl does not show a unit's conditions, so they are read from its files. Of their kinds those are looked at that
name a path: what the others ask for, as the kernel's version, is what it was when the gateway was started last.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

from . import unit_ties
from .accounts import Account
from .unit_facts import Show, UnitFacts, show_each, trouble_of
from .unit_text import settings_of, text_of

#: What a unit is that cannot be started whatever is done to it.
_NEVER = {"not-found": "does not exist", "masked": "is masked"}
_UP = ("active", "reloading", "activating")
_AT_REST = ("inactive", "failed")
_LINE = re.compile(r"(?:Condition|Assert)\w*")


def _found(path: str) -> Optional[os.stat_result]:
    """What a path leads to; None where there is nothing. Raises OSError where that cannot be looked at."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is(path: str, kind: Callable[[int], bool]) -> bool:
    found = _found(path)
    return found is not None and kind(found.st_mode)


def _read_write(path: str) -> bool:
    return _found(path) is not None and not os.statvfs(path).f_flag & os.ST_RDONLY


def _not_empty(path: str) -> bool:
    found = _found(path)
    return found is not None and stat.S_ISREG(found.st_mode) and found.st_size > 0


def _executable(path: str) -> bool:
    found = _found(path)
    return found is not None and stat.S_ISREG(found.st_mode) and bool(found.st_mode & 0o111)


def _matches(pattern: str) -> Optional[bool]:
    import glob  # few units have such a condition, and every host whose start is looked at would load it

    return True if glob.glob(pattern) else None if "{" in pattern else False  # systemd knows {a,b}


def _mounted(path: str) -> Optional[bool]:
    """A bind mount within one file system does not look like one."""
    return True if os.path.ismount(os.path.realpath(path)) else None


def _linked(path: str) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


#: By kind, whether a path is as it has to be; None where that cannot be told, as by an OSError.
_KINDS: Dict[str, Callable[[str], Optional[bool]]] = {
    "PathExists": lambda path: _found(path) is not None,
    "PathExistsGlob": _matches,
    "PathIsDirectory": lambda path: _is(path, stat.S_ISDIR),
    "PathIsSymbolicLink": _linked,
    "PathIsMountPoint": _mounted,
    "PathIsReadWrite": _read_write,
    "DirectoryNotEmpty": lambda path: _is(path, stat.S_ISDIR) and bool(os.listdir(path)),
    "FileNotEmpty": _not_empty,
    "FileIsExecutable": _executable,
}


class Condition(NamedTuple):
    """One line of a unit's file. kind: as _KINDS has it, or another; triggers: whether one of all those is enough."""

    line: str
    kind: str
    path: str
    negated: bool = False
    triggers: bool = False

    def holds(self) -> Optional[bool]:
        """Whether it holds now; None where that cannot be told."""
        test = _KINDS.get(self.kind)
        if test is None or "%" in self.path:  # systemd puts in what stands for a name or a folder
            return None
        try:
            found = test(self.path)
        except OSError:
            return None
        return None if found is None else found is not self.negated


def prevented(
    facts: UnitFacts, shown: Mapping[str, str], show: Show, account: Optional[Account] = None
) -> Optional[str]:
    """Why systemd would not start a unit that is loaded, with the cure; None where nothing is known to keep it from it.

    shown: what systemctl shows of it; show: asks the same systemd about others. account: whose that is; None for the
    system's.
    """
    if facts.state is None or facts.state.load != "loaded":
        return None
    forgotten = _forgotten(facts, shown) if facts.losing else None
    if forgotten:
        return forgotten
    skipped = unmet(shown)
    if skipped:
        return "systemd would not start %s, because %s does not hold now: see to that first" % (facts.unit, skipped)
    if facts.losing and shown.get("CanStop") == "no":
        return "%s may not be stopped by hand (RefuseManualStop=), and a signal would go round that" % facts.unit
    if facts.losing and shown.get("ExecCondition"):
        text = "the ExecCondition= of %s decides at each start whether there is one, and cannot be asked before: "
        return text % facts.unit + "restart it by hand"
    names = unit_ties.required(shown)
    journal = "journalctl --user-unit" if facts.state.account else "journalctl -u"
    told = show_each(names, show) if names else {}
    missing = _missing(told, facts.losing, journal) or _not_up(told, shown) or _unusable(told, account)
    return "%s cannot start: %s" % (facts.unit, missing) if missing else None


def _forgotten(facts: UnitFacts, shown: Mapping[str, str]) -> Optional[str]:
    """Why systemd would not know a unit any more once what it carries has ended."""
    path = shown.get("FragmentPath", "")
    if shown.get("Transient") == "yes":
        text = (
            "systemd forgets %s, which systemd-run has made, once it has ended: give it a file, or restart it by hand"
        )
        return text % facts.unit
    text = "systemd forgets %s once it has ended, because its file %s does not exist: bring that back"
    return text % (facts.unit, path) if path and not os.path.lexists(path) else None


def _missing(told: Mapping[str, Mapping[str, str]], losing: bool, journal: str) -> Optional[str]:
    """What of the units that one requires is not to be had. told: by name, what systemctl shows of them; journal: what
    shows their output. Pure.

    A program that has ended in failure, as a display that crashed, comes up the next time. What has failed at its one
    task, or too often, may do so again; that is worth a try only where nothing is lost by it.
    """
    for name, shown in told.items():
        load = _NEVER.get(shown.get("LoadState", ""))
        if load:
            return "it requires %s, which %s" % (name, load)
        hard = shown.get("Type") == "oneshot" or shown.get("Result") == "start-limit-hit"
        if losing and hard and shown.get("ActiveState") == "failed":
            return "it requires %s, which has failed: `%s %s` shows why" % (name, journal, name)
    return None


def _not_up(told: Mapping[str, Mapping[str, str]], shown: Mapping[str, str]) -> Optional[str]:
    """What would have to be up already: systemd does not start it for the sake of one that only asks for it. Pure."""
    for name in unit_ties.must_be_up(shown):
        state = told.get(name, {}).get("ActiveState", "active")
        if state not in _UP:
            return "it asks for %s to be up already (Requisite=), and that is %s" % (name, state)
    return None


def _unusable(told: Mapping[str, Mapping[str, str]], account: Optional[Account]) -> Optional[str]:
    """What of the units that one requires would have to be started with it, and cannot be. told: as in _missing()."""
    for name, shown in told.items():
        trouble = trouble_of(shown, account) if shown.get("ActiveState") in _AT_REST else None
        if trouble:
            return "it requires %s, which cannot be started: %s" % (name, trouble)
    return None


def unmet(shown: Mapping[str, str]) -> Optional[str]:
    """What keeps systemd from starting a unit, as its file has it; None where nothing is known to.

    shown: what systemctl shows of it.
    """
    text = text_of(shown)
    if text is None:
        return None
    for word in ("Condition", "Assert"):
        found = _unmet(conditions_of(text, word))
        if found is not None:
            return found
    return None


def _unmet(conditions: Sequence[Condition]) -> Optional[str]:
    """The first that does not hold; of those of which one is enough, the first where none of them holds."""
    for each in conditions:
        if not each.triggers and each.holds() is False:
            return each.line
    enough = [each for each in conditions if each.triggers]
    return enough[0].line if enough and all(each.holds() is False for each in enough) else None


def conditions_of(text: str, word: str) -> List[Condition]:
    """The conditions, or the asserts, that a unit's files set, all of them one after the other. Pure."""
    found: List[Condition] = []
    for name, value in settings_of(text, _LINE):
        if not name.startswith(word):
            continue
        if not value:  # an empty one takes back all that stand before it, of whatever kind
            found = []
            continue
        path = value
        triggers, path = path.startswith("|"), path[1:].lstrip() if path.startswith("|") else path
        negated, path = path.startswith("!"), path[1:].lstrip() if path.startswith("!") else path
        found.append(Condition("%s=%s" % (name, value), name[len(word) :], path, negated, triggers))
    return found
