"""Which other gateways a start would end: those that its commands, or the text of its script, look for and kill.

Many start scripts make room so before they start their own; a host with live and paper loses the other one by it.
"""

from __future__ import annotations

import itertools
import os
import re
from typing import Iterator, List, NamedTuple, Optional, Pattern, Sequence, Tuple

from ..base.command_line import run_of
from ..base.host import Process
from ..base.launchers import simple_commands
from ..base.words import program_name
from .start_scripts import small_text

_MOST_BYTES = 1 << 14
_MOST_WORDS = 32
#: What the kernel keeps of a program's name.
_NAME = 15
#: Commands between one that finds processes and the kill that it is for.
_FAR = 6
_SUBSTITUTED = re.compile(r"\$\(([^()]*)\)|`([^`]*)`")
_REDIRECTS = re.compile(r"^(?:\d|&)?[<>]")
#: Options that take the next word; what they say narrows whom a command meets, and is not read.
_VALUED = ("-u", "-U", "-G", "-g", "-P", "-s", "-t", "-F", "-Z", "--signal", "--user", "--ns")
_SIGNALS_NOTHING = ("-0", "-l", "-L", "--list")
#: A pattern that is tried: one gap for each alternative and nothing repeated, so that whoever wrote it cannot have a
#: look take for ever.
_PLAIN = r"(?:[\w/=:@%, -]|\\\.|\.(?!\*)|\[[\w.-]{1,8}\])*"
_SIMPLE = re.compile(r"^\^?%s(?:\.\*%s)?$" % (_PLAIN, _PLAIN))
#: Characters of a command line that are looked at.
_MOST_SEEN = 4096
#: What stands for the script's own processes.
_OWN = ("$!", "$$", "${!}")


class Ending(NamedTuple):
    """A command of a start, and the gateway that it would end."""

    words: Tuple[str, ...]
    gateway: Process


def ended_by_start(commands: Sequence[Sequence[str]], uid: int, others: Sequence[Process]) -> Optional[Ending]:
    """The first of the other gateways that a start would end by one of its commands; None where none is known to be.

    uid: of the account that runs them, whose scripts are read, and root's; unless it is root, it ends none but its own.
    What has a variable in it is known to the shell alone, and tells nothing.
    """
    for command in commands:
        texts = (list(_commands(text)) for text in _texts(command, (0, uid)))
        for words, meets in itertools.chain.from_iterable(map(_ending, ([list(command)], *texts))):
            met = next((each for each in others if meets.meet(each) and uid in (0, each.uid)), None)
            if met is not None:
                return Ending(tuple(words), met)
    return None


def _texts(command: Sequence[str], uids: Sequence[int]) -> Iterator[str]:
    """The texts that a command has a shell run: its own word after -c, and the script that it names."""
    for before, word in zip(("", *command), command[:_MOST_WORDS]):
        if before == "-c":
            yield word
        elif word.startswith("/"):
            yield small_text(os.path.realpath(word), uids, _MOST_BYTES) or ""


def _commands(text: str) -> Iterator[List[str]]:
    """The commands of a text in their order, those among them whose output a word of another one is."""
    for words in simple_commands(text):
        yield words
        for inner in _SUBSTITUTED.findall(" ".join(words)):
            yield from simple_commands(inner[0] or inner[1])


class _Meets(NamedTuple):
    """Whom a command meets. full: whether the whole command line is looked at, and not the program's name alone."""

    pattern: Pattern[str]
    full: bool = False
    exact: bool = False

    def meet(self, process: Process) -> bool:
        seen = " ".join(process.argv)[:_MOST_SEEN] if self.full else program_name(process.argv)[:_NAME]
        found = self.pattern.fullmatch(seen) if self.exact else self.pattern.search(seen)
        return found is not None


def _ending(commands: Sequence[List[str]]) -> Iterator[Tuple[List[str], _Meets]]:
    """The commands that end whom they meet: by themselves, or by a kill near them that is given what they find."""
    for place, words in enumerate(commands):
        name, given = _program(words)
        kills = name in ("pkill", "killall")
        finds = name in ("pgrep", "pidof") or (
            name == "grep" and place > 0 and _program(commands[place - 1])[0] == "ps"
        )
        if kills or (finds and any(map(_kills, commands[max(0, place - 2) : place + _FAR]))):
            meets = _meets(name, given)
            if meets is not None:
                yield words, meets


def _program(words: Sequence[str]) -> Tuple[str, List[str]]:
    """(the name of the program that a command runs, its arguments without redirections)."""
    run = run_of(words)
    if run.program is None:
        return "", []
    given = itertools.takewhile(lambda word: not _REDIRECTS.match(word), words[run.program + 1 : _MOST_WORDS])
    return program_name(words[run.program :]), list(given)


def _kills(words: Sequence[str]) -> bool:
    """Whether a command signals what others have found."""
    name, given = _program(words)
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
    while given:
        word = given.pop(0)
        (options if word.startswith("-") else named).append(word)
        if word in _VALUED and given:
            given.pop(0)
    pattern = named[0 if name == "grep" else -1] if named else "$"
    short = "".join(each for each in options if re.match(r"^-[a-zA-Z0-9]+$", each) and not each[1:].isupper())
    if "$" in pattern or "`" in pattern or any(each in _SIGNALS_NOTHING for each in options):
        return None
    if name == "grep" and "v" in short:
        return None
    by_name = name == "pidof" or (name == "killall" and "r" not in short)
    if not by_name and not all(map(_SIMPLE.match, pattern.split("|"))):
        return None
    try:
        found = re.compile(re.escape(pattern) if by_name else pattern)
    except re.error:
        return None
    full = name == "grep" or (name in ("pkill", "pgrep") and ("f" in short or "--full" in options))
    return _Meets(found, full, by_name or (name in ("pkill", "pgrep") and ("x" in short or "--exact" in options)))
