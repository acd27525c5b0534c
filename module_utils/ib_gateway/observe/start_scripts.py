"""Whether a shell's command, or a script that it runs, starts an entry's gateway.

A script is read only as a small regular file that the account or root owns, never through a link in its place, and
nothing of it is kept. What may not be read tells nothing: its name alone starts no gateway, unless it is IBC's.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Dict, Iterator, NamedTuple, Optional, Sequence

from ..base.classify import mode_word
from ..base.command_line import is_interpreter, is_shell, run_of
from ..base.launchers import (
    MULTIPLEXERS,
    TERMINALS,
    Launcher,
    is_ibc_script,
    runs_unknown,
    simple_commands,
    start_of,
    started_by,
)
from ..base.spec import GatewaySpec
from ..base.words import basename, program_name
from .keepers import runs_gateway

#: Of a table, and of a script.
MOST_BYTES = 1 << 16
_MOST_SCRIPT = 1 << 14
_MOST_SCRIPTS = 32
#: A line runs a script that looks for a gateway, that one the start script, and that one IBC's.
_MOST_DEPTH = 6
_MOST_WORDS = 32
#: Programs of the system itself: their arguments tell what they run.
_OF_SYSTEM = re.compile(r"^/(?:usr/(?!local/)|s?bin/|lib\w{0,4}/)")
_GATEWAY_PROGRAM = re.compile(r"(?i)ibcstart|gatewaystart|twsstart|IbcGateway|IbcTws|GWClient|ibgateway")
_MODE_IN_SCRIPT = re.compile(r"(?im)^[ \t]*(?:export\s+)?TRADING_?MODE=[\"']?(live|paper)\b")
_FOR_SHELL = re.compile(r"^#!\s*\S*/(?:env\s+(?:-S\s+)?)?(\S+)")
_HOME = re.compile(r"^(?:~|\$HOME|\$\{HOME\})(?=/|$)")
#: Are given a command as one text, after -c.
_TAKE_TEXT = ("flock", "su", "runuser", "script")
_TEXT_FOLLOWS = re.compile(r"^(?:-[a-z]{0,3}c|--command)$")
#: Run what they are given elsewhere, as a word or as several.
_HAND_ON = (*MULTIPLEXERS, *TERMINALS, "start-stop-daemon", "daemonize")


class Account(NamedTuple):
    """Who runs a command."""

    name: str
    uid: int
    home: str


class Search:
    """Looks for the command that starts an entry's gateway, in texts and in the scripts that these run.

    account: who runs them. uids: of those whose scripts are read.
    """

    def __init__(self, spec: GatewaySpec, account: Account, uids: Sequence[int]) -> None:
        self._spec = spec
        self._uids = (0, account.uid, *uids)
        self._home = account.home
        self._known: Dict[str, bool] = {}
        self._own = next(self._paths(spec.start_command, account.home, None), None)

    def command_in(self, text: str) -> Optional[Sequence[str]]:
        """The command of a shell's text that starts the gateway; None where none is known to."""
        return self._starting(text, self._home, None, 0) if "\0" not in text else None  # which no path has

    def _starting(self, text: str, folder: str, script: Optional[str], depth: int) -> Optional[Sequence[str]]:
        """script: the path of the one whose text it is; folder: where it runs."""
        for words in simple_commands(text) if depth < _MOST_DEPTH else ():
            if words[:1] == ["cd"] and len(words) > 1:
                folder = os.path.join(folder, _HOME.sub(self._home, words[1]))
            elif words and self._starts(words, folder, script, depth):
                return words
        return None

    def _starts(self, words: Sequence[str], folder: str, script: Optional[str], depth: int) -> bool:
        if not self._of_this_mode(words):
            return False
        if any(self._starting(each, folder, script, depth + 1) for each in _texts(words)):
            return True
        for path in self._paths(words, folder, script):
            if path == self._own:
                return True
            text = small_text(path, self._uids, _MOST_SCRIPT) if len(self._known) < _MOST_SCRIPTS else None
            if text is not None:
                return self._script_starts(path, text, words, depth)
        found = start_of(words)
        return found is not None and self._fits(found) and (found.again is not None or _names_ibc(words))

    def _script_starts(self, path: str, text: str, words: Sequence[str], depth: int) -> bool:
        """Whether a script starts the gateway: IBC's own by its name, any other by its text."""
        modes = {mode.lower() for mode in _MODE_IN_SCRIPT.findall(text)}
        if modes and self._spec.trading_mode not in modes:
            return False
        if is_ibc_script(basename(path)):
            found = start_of(words)
            return found is not None and self._fits(found)
        if path not in self._known:
            self._known[path] = False  # also while it is read: one that runs itself starts nothing by that
            self._known[path] = self._text_starts(path, text, words, depth)
        return self._known[path]

    def _text_starts(self, path: str, text: str, words: Sequence[str], depth: int) -> bool:
        if not _by_shell(words, text):
            return runs_gateway(text)
        if self._starting(text, os.path.dirname(path), path, depth + 1) is not None:
            return True
        return not started_by(text) and runs_unknown(text) and _GATEWAY_PROGRAM.search(text) is not None

    def _fits(self, found: Launcher) -> bool:
        spec = self._spec
        return found.keeps and found.product in (None, spec.product) and found.trading_mode in (None, spec.trading_mode)

    def _of_this_mode(self, words: Sequence[str]) -> bool:
        """Whether no word says that it is for the other mode alone, as start_paper.sh does."""
        told = {mode_word(part) for word in words[:_MOST_WORDS] for part in re.split(r"[^A-Za-z]+", word)} - {None}
        return not told or self._spec.trading_mode in told

    def _paths(self, words: Sequence[str], folder: str, script: Optional[str]) -> Iterator[str]:
        """Where a script may be that a command runs: its path, or beside the script that runs it."""
        for word in _run_by(words):
            word = _HOME.sub(self._home, word)
            path = os.path.normpath(os.path.join(folder, word))
            if "$" not in path and "`" not in path and not _OF_SYSTEM.match(path):
                yield os.path.realpath(os.path.dirname(path)) + "/" + os.path.basename(path)
            name = os.path.basename(word)
            if script is not None and not word.startswith("/") and "$" not in name:
                yield os.path.join(os.path.dirname(script), name)


def small_text(path: str, uids: Sequence[int], most: int) -> Optional[str]:
    """The text of a regular file of at most so many bytes that one of these accounts owns; None for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW)
    except (OSError, ValueError):
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > most or found.st_uid not in uids:
            return None
        raw = os.read(descriptor, most)
        return None if b"\0" in raw else raw.decode("utf-8", "backslashreplace")
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _run_by(words: Sequence[str]) -> Iterator[str]:
    """The words of a command that name what it runs: a script, a program that may be one."""
    run = run_of(words)
    if run.program is None or run.module is not None:
        return
    name = program_name(words[run.program :])
    if run.script is not None:
        yield words[run.script]
    elif name.lower() in _HAND_ON:
        yield from (word for word in words[run.program + 1 : _MOST_WORDS] if "/" in word and " " not in word)
    elif "/" in words[run.program] and not is_interpreter(name):
        yield words[run.program]


def _texts(words: Sequence[str]) -> Iterator[str]:
    """The shell's texts that a command is given to run."""
    takes = False
    for place, word in enumerate(words[:_MOST_WORDS]):
        name = program_name([word])
        if takes and _TEXT_FOLLOWS.match(word) and place + 1 < len(words):
            yield words[place + 1]
        elif place and " " in word and program_name(words).lower() in _HAND_ON:
            yield word
        takes = takes or is_shell(name) or name in _TAKE_TEXT


def _names_ibc(words: Sequence[str]) -> bool:
    return any(is_ibc_script(basename(word)) for word in words[:_MOST_WORDS])


def _by_shell(words: Sequence[str], text: str) -> bool:
    """Whether it is a shell that runs a script."""
    run = run_of(words)
    if run.script is not None:
        return is_shell(program_name(words[run.program or 0 :]))
    first = _FOR_SHELL.match(text)
    return first is None or is_shell(program_name([first.group(1)]))
