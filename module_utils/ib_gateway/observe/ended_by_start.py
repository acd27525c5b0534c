"""Which other processes a start would end: those that its commands, or the text of its script, look for and kill, and
those whose unit they stop.

Many start scripts make room so before they start their own; a host with live and paper loses the other one by it.
"""

from __future__ import annotations

import itertools
import pwd
import re
from typing import FrozenSet, Iterator, List, NamedTuple, Optional, Pattern, Sequence, Tuple

from ..base.command_line import run_of
from ..base.host import Process
from ..base.words import program_name
from .named_endings import Asks, Meets, in_files, named_endings
from .script_runs import MOST_WORDS, Command
from .start_runs import StartRuns

#: What the kernel keeps of a program's name.
_NAME = 15
#: Commands between one that finds processes and the kill that it is for.
_FAR = 6
_REDIRECTS = re.compile(r"^(?:\d|&)?[<>]")
#: Options that take the next word. What they say narrows whom a command meets; only accounts are read.
_VALUED = ("-u", "-U", "-G", "-g", "-P", "-s", "-t", "-F", "-Z", "--signal", "--user", "--ns", "--parent")
_OF_ACCOUNTS = ("-u", "-U", "--user")
_OF_PARENT = ("-P", "--parent")
_SIGNALS_NOTHING = ("-0", "-l", "-L", "--list")
#: A pattern that is tried: one gap for each alternative and nothing repeated, so that whoever wrote it cannot have a
#: look take for ever.
_PLAIN = r"(?:[\w/=:@%, -]|\\\.|\.(?!\*)|\[[\w.-]{1,8}\])*"
_SIMPLE = re.compile(r"^\^?%s(?:\.\*%s)?$" % (_PLAIN, _PLAIN))
#: Characters of a command line that are looked at.
_MOST_SEEN = 4096
_FINDERS = ("pgrep", "pidof", "grep", "cat")
#: What stands for the script's own processes.
_OWN = ("$!", "$$", "${!}")


class Ending(NamedTuple):
    """A command, and the process that it would end, or that it finds for a kill near it. script, line: where the
    command stands; None for one that stands in no script."""

    words: Tuple[str, ...]
    process: Process
    script: Optional[str] = None
    line: int = 0
    finds: bool = False


def ended_by_start(
    commands: Sequence[Sequence[str]],
    uid: int,
    others: Sequence[Process],
    folder: Optional[str] = None,
    asks: Optional[Asks] = None,
) -> Optional[Ending]:
    """The first of the others that one of the commands would end; None where none is known to be.

    uid: of the account that runs them, whose scripts are read, and root's; unless it is root, it ends none but its own.
    folder: where they are run; None where that is not known. asks: systemd and container engines; without them a unit
    has nobody but whom its name tells, and a container nobody. What only the shell can know tells nothing.
    """
    start = StartRuns(uid)
    for command in commands:
        for texts_commands in start.runs(command, folder):
            for each, meets in _ending(texts_commands, uid, asks):
                met = next((other for other in others if uid in (0, other.uid) and meets(other)), None)
                if met is not None:
                    finds = _program(each)[0] in _FINDERS
                    return Ending(tuple(each.written), met, each.script, each.line, finds)
    return None


class _Meets(NamedTuple):
    """Whom a command meets. full: whether the whole command line is looked at, and not the program's name alone."""

    pattern: Pattern[str]
    full: bool = False
    exact: bool = False
    #: The accounts whose processes it meets; None for those of all.
    uids: Optional[FrozenSet[int]] = None
    #: Whether it meets all others.
    inverse: bool = False

    def meet(self, process: Process) -> bool:
        if self.inverse:
            return not self._replace(inverse=False).meet(process)
        if self.uids is not None and process.uid is not None and process.uid not in self.uids:
            return False
        seen = " ".join(process.argv)[:_MOST_SEEN] if self.full else program_name(process.argv)[:_NAME]
        found = self.pattern.fullmatch(seen) if self.exact else self.pattern.search(seen)
        return found is not None


class _All(NamedTuple):
    """Whom all of these meet."""

    each: Tuple[_Meets, ...]

    def meet(self, process: Process) -> bool:
        return all(one.meet(process) for one in self.each)


def _ending(commands: Sequence[Command], uid: int, asks: Optional[Asks]) -> Iterator[Tuple[Command, Meets]]:
    """The commands that end whom they meet: by themselves, or by a kill near them that is given what they find."""
    for place, command in enumerate(commands):
        name, given = _program(command)
        for named in named_endings(name, given, uid, asks):
            yield command, named
        nearby = commands[max(0, place - 2) : place + _FAR]
        if name == "cat" and any(map(_kills, nearby)):
            yield command, in_files(given)
        kills = name in ("pkill", "killall")
        finds = name in ("pgrep", "pidof") or (
            name == "grep" and place > 0 and _program(commands[place - 1])[0] == "ps"
        )
        if kills or (finds and any(map(_kills, nearby))):
            meets = _meets(name, given)
            if meets is not None:
                all_ = _All((meets, *_narrowed(commands[place + 1 :])))
                yield command, all_.meet if name == "grep" else meets.meet


def _narrowed(commands: Sequence[Command]) -> Iterator[_Meets]:
    """What the greps behind one that has found processes leave of these."""
    for name, given in map(_program, commands):
        if name != "grep":
            return
        meets = _meets(name, given)
        if meets is not None:
            yield meets


def _program(command: Command) -> Tuple[str, List[str]]:
    """(the name of the program that a command runs, its arguments without redirections)."""
    words = command.words
    run = run_of(words)
    if run.program is None:
        return "", []
    given = itertools.takewhile(lambda word: not _REDIRECTS.match(word), words[run.program + 1 : MOST_WORDS])
    return program_name(words[run.program :]), list(given)


def _kills(command: Command) -> bool:
    """Whether a command signals what others have found."""
    name, given = _program(command)
    if any(each in _SIGNALS_NOTHING for each in given):
        return False
    named = [word for word in given if word not in _OWN]
    return (name == "xargs" and "kill" in given) or (
        name == "kill" and any("$" in word or "`" in word for word in named)
    )


def _meets(name: str, given: List[str]) -> Optional[_Meets]:
    """Whom a command with these arguments meets; None where they do not tell, or it ends nobody."""
    options: List[str] = []
    named: List[str] = []
    accounts = ""
    parents: List[str] = []
    while given:
        word = given.pop(0)
        (options if word.startswith("-") else named).append(word)
        if word in _VALUED and given:
            value = given.pop(0)
            accounts = value if word in _OF_ACCOUNTS else accounts
            parents += [value] if word in _OF_PARENT else []
    pattern = named[0 if name == "grep" else -1] if named else "$"
    short = "".join(each for each in options if re.match(r"^-[a-zA-Z0-9]+$", each) and not each[1:].isupper())
    if "$" in pattern or "`" in pattern or any(each in _SIGNALS_NOTHING for each in options):
        return None
    if name == "grep" and "v" in short:
        return None
    inverse = name in ("pkill", "pgrep") and ("--inverse" in options or (name == "pgrep" and "v" in short))
    if name in ("pkill", "pgrep") and parents == ["$$"] and not inverse:  # what the script itself has started
        return None
    by_name = name == "pidof" or (name == "killall" and "r" not in short)
    if not by_name and not all(map(_SIMPLE.match, pattern.split("|"))):
        return None
    try:
        found = re.compile(re.escape(pattern) if by_name else pattern)
    except re.error:
        return None
    full = name == "grep" or (name in ("pkill", "pgrep") and ("f" in short or "--full" in options))
    exact = by_name or (name in ("pkill", "pgrep") and ("x" in short or "--exact" in options))
    return _Meets(found, full, exact, _uids(accounts) if accounts and name != "grep" else None, inverse)


def _uids(accounts: str) -> Optional[FrozenSet[int]]:
    """The accounts of a list of names and numbers; None where one of them is none of this host's."""
    found = set()
    for each in accounts.split(","):
        try:
            found.add(int(each) if each.isdecimal() else pwd.getpwnam(each).pw_uid)
        except KeyError:
            return None
    return frozenset(found)
