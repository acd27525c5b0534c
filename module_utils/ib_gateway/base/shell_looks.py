"""Commands of a shell's text that only look who runs: what they find goes to nobody. Pure."""

from __future__ import annotations

import re
from typing import Any

from .shell_tree import COMMAND, OTHER, Command, Pipeline, Redirect

#: What the greps and others behind a finder hand on is a part of what it has found, and they write no file.
_BETWEEN = ("grep", "egrep", "fgrep", "head", "tail", "cut", "tr", "wc")
_GREPS = ("grep", "egrep", "fgrep")
#: Switches without a value, in one word: a letter behind one that takes a value would be that.
_SWITCHES = {"grep": re.compile(r"^-[EFGPivwxhHnsqc]+$"), "pgrep": re.compile(r"^-[acfilnovwx]+$")}
_LONG = {"grep": ("--count", "--quiet", "--silent"), "pgrep": ("--count",)}
#: Narrow whom pgrep finds.
_VALUED = ("-u", "-U", "-G", "-P")
_NOWHERE = "/dev/null"


def only_look(pipeline: Pipeline, bash: bool) -> bool:
    """Whether it looks for processes, and tells what it finds to nobody: whether there are any, or how many.

    bash: whether the shell surely is one, to which `&>` is no & and a >.
    """
    names = [_name(each) for each in pipeline.commands]
    if names[0] not in ("pgrep", "pidof", "ps") or not all(name in _BETWEEN for name in names[1:]):
        return False
    commands = pipeline.commands
    if any(part.kind in (COMMAND, OTHER) for each in commands for word in each.words for part in word.parts):
        return False
    if not all(_harmless(each, bash) for command in commands for each in command.redirects):
        return False
    last = commands[-1]
    return any(_of_output(each, bash) for each in last.redirects) or _counts(names[-1], last)


def _name(command: Any) -> str:
    """The name of a simple command's program; empty for any other."""
    if not isinstance(command, Command) or command.kind != "simple" or not command.words:
        return ""
    return (command.words[0].plain() or "").rpartition("/")[2]


def _of_output(redirect: Redirect, bash: bool) -> bool:
    signs = (">", "1>", ">>", "1>>", "&>", "&>>", ">&") if bash else (">", "1>", ">>", "1>>")
    return redirect.sign in signs and redirect.target.raw == _NOWHERE


def _harmless(redirect: Redirect, bash: bool) -> bool:
    """Whether it hands what is found to no other place."""
    if redirect.sign in ("2>&", "2>", "2>>"):
        return redirect.target.raw in (_NOWHERE, "1")
    return _of_output(redirect, bash)


def _counts(name: str, command: Command) -> bool:
    """Whether a command tells how many it finds, or whether it finds any, and not which."""
    if name == "wc":
        return True
    kind = "grep" if name in _GREPS else name
    words = [word.plain() or "" for word in command.words[1:]]
    told = ""
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in _VALUED and kind == "pgrep" and words and not words[0].startswith("-"):
            words.pop(0)
        elif kind in _SWITCHES and _SWITCHES[kind].match(word):
            told += word
        elif word in _LONG.get(kind, ()):
            told += "c"
        else:  # it may take the next word
            return False
    return "c" in told or (kind == "grep" and "q" in told)
