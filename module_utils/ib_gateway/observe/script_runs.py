"""What a command runs besides its program: the texts that it gives to a shell, and the scripts, followed into these.

A script is read only as a small regular file that the account or root owns, and nothing of it is kept. How deep, how
many and how much is bounded, so that whoever wrote them cannot have a look take for ever. What may not be read tells
nothing.
"""

from __future__ import annotations

import os
import re
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..base.command_line import is_interpreter, is_shell, run_of
from ..base.launchers import MULTIPLEXERS, TERMINALS
from ..base.shell_text import marked, placed_commands, simple_commands, unmarked, without_leads
from ..base.words import program_name
from .owned_text import owned_text
from .shell_state import Shell, assignments

_MOST_SCRIPT = 1 << 14
_MOST_SCRIPTS = 32
#: Paths that were tried in vain among them.
_MOST_TRIED = 512
#: Characters of texts behind -c, of files that are sourced and of values that are put in, all in all: each may be run
#: again and again.
_MOST_AGAIN = 1 << 16
#: A line runs a script that looks for a gateway, that one the start script, and that one IBC's.
_MOST_DEPTH = 6
MOST_WORDS = 32
#: Programs of the system itself: their arguments tell what they run.
_OF_SYSTEM = re.compile(r"^/(?:usr/(?!local/)|s?bin/|lib\w{0,4}/)")
_FIRST_LINE = re.compile(r"^#!\s*\S*/(?:env\s+(?:-S\s+)?)?(\S+)")
_SOURCES = (".", "source")
_VARIABLE = re.compile(r"^\$\{?([A-Za-z_]\w*)\}?$")
_SUBSTITUTED = re.compile(r"[$\4]\(([^()]*)\)|`([^`]*)`")
#: Are given a command as one text, after -c.
_TAKE_TEXT = ("flock", "su", "runuser", "script")
_TEXT_FOLLOWS = re.compile(r"^(?:-[a-z]{0,3}c|--command)$")
#: Run what they are given elsewhere, as a word or as several.
_HAND_ON = (*MULTIPLEXERS, *TERMINALS, "start-stop-daemon", "daemonize")


class Command(NamedTuple):
    """A command of a text. words: with the values of variables that are known; written: as the text has it, which is
    what may be shown: a value may come from a file that is not for everybody. given: assignments before it. script,
    line: where it stands; no script of a text behind -c."""

    words: List[str]
    written: List[str]
    given: Tuple[str, ...] = ()
    script: Optional[str] = None
    line: int = 0


class Scripts:
    """Follows what commands run. uids: of those whose scripts are read.

    links: whether a link in a script's place is followed to it.
    """

    def __init__(self, uids: Sequence[int], links: bool = False) -> None:
        self._uids = uids
        self._links = links
        self._texts: Dict[str, Optional[str]] = {}
        self._left = _MOST_AGAIN

    def commands(self, text: str, shell: Shell) -> Iterator[Command]:
        """The commands of a text in their order, those of the files that it sources among them, and those whose output
        a word of another one is. While one is told, the shell is as it is when that runs."""
        if "\0" in text or shell.depth >= _MOST_DEPTH or not self._may_read(text, shell):
            return
        for line, signs, raw in placed_commands(marked(text)):
            shell.arrive(signs, raw)
            words = without_leads(raw)
            command = self._command(words, shell, assignments(raw), line)
            yield command
            within = [inner[0] or inner[1] for inner in _SUBSTITUTED.findall(" ".join(raw))]
            more = _run_within(command.words, shell) if words else ""
            if more and self._may_read(more, shell):
                within.append(marked(more))
            for inner in within:
                for each in simple_commands(inner):
                    yield self._command(each, shell, (), line)
            shell.run(signs, raw)
            if len(words) > 1 and words[0] in _SOURCES:
                yield from self._sourced(words[1], shell)
                if "||" in signs:  # it may not have been run
                    shell.forget()

    def sources(self, text: str, shell: Shell) -> Iterator[Tuple[int, Optional[str]]]:
        """(the line, the path) of each file that a text itself sources; no path for one that is not known."""
        for command in self.commands(text, shell):
            if command.words[:1] and command.words[0] in _SOURCES and not shell.sources:
                word = command.words[1] if len(command.words) > 1 else ""
                yield command.line, shell.path(word) if "/" in word else None  # others are looked for along PATH

    def paths(self, words: Sequence[str], shell: Shell, beside: bool = False) -> Iterator[str]:
        """Where the scripts may be that a command runs.

        beside: also where they are by their name alone, in the folder of the script that runs them.
        """
        for word in _run_by(words):
            path = shell.path(word)
            if path is not None and not _OF_SYSTEM.match(path):
                yield in_place(path)
            name = os.path.basename(word)
            if beside and shell.script is not None and not word.startswith("/") and "$" not in name:
                folder = os.path.dirname(shell.script)
                yield os.path.normpath(os.path.join(folder, word))
                yield os.path.join(folder, name)

    def text(self, path: str) -> Optional[str]:
        """The text of a script; None for what may not be read, or is too much."""
        if path not in self._texts:
            read = sum(text is not None for text in self._texts.values())
            if read >= _MOST_SCRIPTS or len(self._texts) >= _MOST_TRIED:
                return None
            self._texts[path] = owned_text(self._place(path), self._uids, _MOST_SCRIPT)
        return self._texts[path]

    def _place(self, path: str) -> str:
        try:
            return os.path.realpath(path) if self._links else path
        except (OSError, ValueError):
            return path

    def _may_read(self, text: str, shell: Shell) -> bool:
        if shell.depth == 0 or (shell.script is not None and not shell.sources):
            return True
        self._left -= len(text)
        return self._left >= 0

    def _command(self, raw: Sequence[str], shell: Shell, given: Tuple[str, ...], line: int) -> Command:
        written = [unmarked(word) for word in raw]
        words = [unmarked(shell.put_in(word)) for word in raw]
        self._left -= max(0, sum(map(len, words)) - sum(map(len, written)))
        script = shell.sources[-1] if shell.sources else shell.script
        return Command(words if self._left >= 0 else written, written, given, script, line)

    def _sourced(self, word: str, shell: Shell) -> Iterator[Command]:
        """The commands of another file that a shell runs as its own."""
        path = shell.path(shell.put_in(word))
        text = self.text(in_place(path)) if path else None
        if text is None:
            if path is None or os.path.lexists(path):
                shell.forget()
            return
        with shell.sourcing(in_place(path or "")):
            yield from self.commands(text, shell)


def in_place(path: str) -> str:
    """A path through no link but one in its place."""
    return os.path.realpath(os.path.dirname(path)).rstrip("/") + "/" + os.path.basename(path)


def _run_within(words: Sequence[str], shell: Shell) -> str:
    """The text that a command has the shell itself run, now or later; empty for none."""
    variable = _VARIABLE.match(words[0])
    if variable:
        return " ".join((shell.value(variable.group(1)) or "", *words[1:]))
    if words[0] == "alias":
        return "\n".join(word.partition("=")[2] for word in words[1:])
    return " ".join(words[1:]) if words[0] == "eval" else "".join(words[1:2]) if words[0] == "trap" else ""


def texts_of(words: Sequence[str]) -> Iterator[str]:
    """The shell's texts that a command is given to run."""
    takes = False
    for place, word in enumerate(words[:MOST_WORDS]):
        name = program_name([word])
        if takes and _TEXT_FOLLOWS.match(word) and place + 1 < len(words):
            yield words[place + 1]
        elif place and " " in word and program_name(words).lower() in _HAND_ON:
            yield word
        takes = takes or is_shell(name) or name in _TAKE_TEXT


def interpreter_of(words: Sequence[str], text: str) -> Optional[str]:
    """What runs a script: the program that a command gives it to, else the one that its first line names; None where
    neither does, and it is the shell itself."""
    run = run_of(words)
    if run.script is not None:
        return program_name(words[run.program or 0 :])
    first = _FIRST_LINE.match(text)
    return program_name([first.group(1)]) if first else None


def _run_by(words: Sequence[str]) -> Iterator[str]:
    """The words of a command that name what it runs: a script, a program that may be one."""
    run = run_of(words)
    if run.program is None or run.module is not None:
        return
    name = program_name(words[run.program :])
    if run.script is not None:
        yield words[run.script]
    elif name.lower() in _HAND_ON:
        yield from (word for word in words[run.program + 1 : MOST_WORDS] if "/" in word and " " not in word)
    elif "/" in words[run.program] and not is_interpreter(name):
        yield words[run.program]
