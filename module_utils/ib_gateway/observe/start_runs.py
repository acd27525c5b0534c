"""All commands that a start runs: its own, and those of the texts and scripts that it leads to.

Of a script that is told what to do, those that this start can reach.
"""

from __future__ import annotations

import os
import pwd
import re
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..base.command_line import is_interpreter, is_shell, run_of
from ..base.control_scripts import part_run
from ..base.words import program_name
from .script_runs import MOST_WORDS, Command, Scripts, in_place, interpreter_of, texts_of
from .shell_state import Shell

#: Shells whose language is read.
_READ = ("sh", "bash", "dash", "ash")
#: Of distributions: libraries that leave the words of a script that sources them as they are.
_NEUTRAL = re.compile(r"^(?:/usr)?/lib/(?:lsb/init-functions|init/vars\.sh)$|^/etc/(?:rc\.d/)?init\.d/functions$")
_REDIRECT = re.compile(r"^\d?[<>]{1,3}[&|]?")
#: What a shell may make other words of, or of which only it knows what it is.
_UNKNOWN = re.compile(r"[$`*?\[{~]")
#: How often one script is read for other words each time.
_MOST_READINGS = 12
#: Characters of texts that are gone through for what a call reaches, all in all; others are read as a whole.
_MOST_REACHED = 1 << 18


class _Given(NamedTuple):
    """The words that a script is given, as far as they are known; more: whether others may follow."""

    words: Tuple[str, ...]
    more: bool


class StartRuns:
    """All commands that a start runs. uid: of the account that runs them."""

    def __init__(self, uid: int) -> None:
        self._scripts = Scripts((0, uid), links=True)
        #: What finding out which files are sourced costs is not taken from what the others may read.
        self._sources = Scripts((0, uid), links=True)
        self._home = _home(uid)
        self._left = _MOST_REACHED
        self._read: Dict[str, Set[Optional[_Given]]] = {}

    def runs(self, words: Sequence[str], folder: Optional[str]) -> Iterator[List[Command]]:
        """The command itself, and the commands of each text that it leads to, each text's in their order."""
        command, shell = Command(list(words), list(words)), Shell(folder, self._home)
        yield [command]
        yield from self._followed(command, shell)
        # What a program that nobody knows is given may be the script that it runs.
        for path in filter(os.path.isabs, command.words[:MOST_WORDS]):
            if path not in self._read:
                yield from self._script(path, Command([path], [path]), shell, None)

    def _followed(self, command: Command, shell: Shell) -> Iterator[List[Command]]:
        for text in texts_of(command.words):
            name = program_name(command.words[(run_of(command.words).program or 0) :])
            inner = shell.child(None, command.given)
            yield from self._commands(self._reached(text, name if is_shell(name) else "sh", None, inner), inner)
        for path in self._scripts.paths(command.words, shell):
            yield from self._script(path, command, shell, _given_to(path, command.words))

    def _script(self, path: str, command: Command, shell: Shell, given: Optional[_Given]) -> Iterator[List[Command]]:
        readings = self._read.setdefault(path, set())
        given = given if len(readings) < _MOST_READINGS else None
        if given in readings or None in readings:
            return
        text = self._scripts.text(path)
        readings.add(given)
        name = interpreter_of(command.words, text) if text is not None else None
        if text is not None and (name is None or is_shell(name) or not is_interpreter(name)):
            inner = shell.child(path, command.given)
            yield from self._commands(self._reached(text, name or "sh", given, inner), inner)

    def _reached(self, text: str, name: str, given: Optional[_Given], shell: Shell) -> str:
        """What of a text a shell of this name can reach."""
        self._left -= len(text)
        if name not in _READ or self._left < 0:
            return text
        bash = name == "bash" or (name == "sh" and os.path.basename(os.path.realpath("/bin/sh")) == "bash")
        sourced = _Sourced(self._sources, text, shell)
        return part_run(text, given and given.words, given is not None and given.more, sourced.text, bash)

    def _commands(self, text: str, shell: Shell) -> Iterator[List[Command]]:
        found = []
        for command in self._scripts.commands(text, shell):
            found.append(command)
            yield from self._followed(command, shell)
        yield found


class _Sourced:
    """The files that a text sources, by the lines where it does."""

    def __init__(self, scripts: Scripts, text: str, shell: Shell) -> None:
        self._scripts = scripts
        self._text = text
        self._shell = shell
        self._paths: Optional[Dict[int, List[Optional[str]]]] = None

    def text(self, line: int) -> Optional[str]:
        """The text of the one in a line, empty for one that is not there; None where it is not known."""
        if self._paths is None:
            self._paths = {}
            shell = self._shell.child(self._shell.script)
            for at, path in self._scripts.sources(self._text, shell):
                self._paths.setdefault(at, []).append(path)
        paths = self._paths.get(line, [])
        path = paths[0] if len(paths) == 1 else None
        if path is None:
            return None
        return "" if _NEUTRAL.match(path) or not os.path.lexists(path) else self._scripts.text(in_place(path))


def _given_to(path: str, words: Sequence[str]) -> Optional[_Given]:
    """The words that a command gives to the script that it runs; None where they are not known."""
    run = run_of(words)
    place = run.program if run.script is None else run.script
    # Of a program that hands the script on, its own words and the script's are not told apart.
    if place is None or os.path.basename(words[place]) != os.path.basename(path):
        return None
    found: List[str] = []
    left = list(words[place + 1 : place + MOST_WORDS])
    while left:
        word = left.pop(0)
        redirect = _REDIRECT.match(word)
        if redirect:
            left = left[1:] if redirect.end() == len(word) else left
        elif _UNKNOWN.search(word):
            return _Given(tuple(found), True)
        else:
            found.append(word)
    return _Given(tuple(found), len(words) > place + MOST_WORDS)


def _home(uid: int) -> Optional[str]:
    try:
        return pwd.getpwuid(uid).pw_dir
    except (KeyError, OverflowError):
        return None
