"""Which other gateways a start_command would end: those that a pkill or killall in its script's text meets.

Many start scripts make room so before they start their own; a host with live and paper loses the other one by it.
"""

from __future__ import annotations

import os
import re
from typing import Iterator, NamedTuple, Optional, Sequence, Tuple

from ..base.command_line import run_of
from ..base.host import Process
from ..base.launchers import simple_commands
from ..base.words import program_name
from .start_scripts import small_text

_MOST_BYTES = 1 << 14
_MOST_WORDS = 32
#: What the kernel keeps of a program's name.
_NAME = 15
#: Options of either that take the next word; what they say narrows whom it meets, and is not read.
_VALUED = ("-u", "-U", "-G", "-g", "-P", "-s", "-t", "-F", "-Z", "--signal", "--user", "--ns")
_SIGNALS_NOTHING = ("-0", "-l", "--list")


class Ending(NamedTuple):
    """A command of a start script, and the gateway that it would end."""

    words: Tuple[str, ...]
    gateway: Process


def ended_by_start(command: Sequence[str], uids: Sequence[int], others: Sequence[Process]) -> Optional[Ending]:
    """The first of the other gateways that a start_command would end; None where none is known to be.

    uids: of those whose scripts are read, and whose processes it may end, unless root's is first among them. What has
    a variable in it is known to the shell alone, and tells nothing.
    """
    for text in _texts(command, uids):
        for words in simple_commands(text):
            meets = _meets(words)
            found = (each for each in others if meets and meets.meet(each) and uids[0] in (0, each.uid))
            met = next(found, None)
            if met is not None:
                return Ending(tuple(words), met)
    return None


def _texts(command: Sequence[str], uids: Sequence[int]) -> Iterator[str]:
    """The texts that a command has a shell run: its own word after -c, and the script that it names."""
    for before, word in zip(("", *command), command[:_MOST_WORDS]):
        if before == "-c":
            yield word
        elif word.startswith("/"):
            yield small_text(os.path.realpath(word), (0, *uids), _MOST_BYTES) or ""


class _Meets(NamedTuple):
    """Whom a command meets. full: whether the whole command line is looked at, and not the program's name alone."""

    pattern: re.Pattern[str]
    full: bool = False
    exact: bool = False

    def meet(self, process: Process) -> bool:
        seen = " ".join(process.argv) if self.full else program_name(process.argv)[:_NAME]
        found = self.pattern.fullmatch(seen) if self.exact else self.pattern.search(seen)
        return found is not None


def _meets(words: Sequence[str]) -> Optional[_Meets]:
    run = run_of(words)
    name = program_name(words[run.program :]) if run.program is not None else ""
    if name not in ("pkill", "killall"):
        return None
    given = list(words[(run.program or 0) + 1 : _MOST_WORDS])
    options, named = [], []
    while given:
        word = given.pop(0)
        if not word.startswith("-"):
            named.append(word)
            continue
        options.append(word)
        if word in _VALUED and given:
            given.pop(0)
    if not named or "$" in named[-1] or "`" in named[-1] or any(each in _SIGNALS_NOTHING for each in options):
        return None
    short = "".join(each for each in options if re.match(r"^-[a-z0-9]+$", each))
    exact = (name == "killall" and "r" not in short) or (name == "pkill" and "x" in short) or "--exact" in options
    try:
        pattern = re.compile(re.escape(named[-1]) if name == "killall" and "r" not in short else named[-1])
    except re.error:
        return None
    return _Meets(pattern, name == "pkill" and ("f" in short or "--full" in options), exact)
