"""Whether a shell's command, or a script that it runs, starts an entry's gateway.

What may not be read tells nothing: its name alone starts no gateway, unless it is IBC's.
"""

from __future__ import annotations

import re
from typing import Dict, NamedTuple, Optional, Sequence

from ..base.classify import mode_word
from ..base.command_line import is_shell
from ..base.launchers import Launcher, is_ibc_script, runs_unknown, start_of, started_by
from ..base.spec import GatewaySpec
from ..base.words import basename
from .keepers import runs_gateway
from .script_runs import MOST_WORDS, Command, Scripts, interpreter_of, texts_of
from .shell_state import Shell

_GATEWAY_PROGRAM = re.compile(r"(?i)ibcstart|gatewaystart|twsstart|IbcGateway|IbcTws|GWClient|ibgateway")
_MODE_IN_SCRIPT = re.compile(r"(?im)^[ \t]*(?:export\s+)?TRADING_?MODE=[\"']?(live|paper)\b")
_MODE = ("TRADING_MODE", "TRADINGMODE")


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
        self._home = account.home
        self._scripts = Scripts((0, account.uid, *uids))
        self._known: Dict[str, bool] = {}
        self._own = next(self._scripts.paths(spec.start_command, self._shell()), None)

    def command_in(self, text: str) -> Optional[Sequence[str]]:
        """The command of a shell's text that starts the gateway, as written there; None where none is known to."""
        return self._starting(text, self._shell())

    def _shell(self) -> Shell:
        return Shell(self._home, self._home)

    def _starting(self, text: str, shell: Shell) -> Optional[Sequence[str]]:
        for command in self._scripts.commands(text, shell):
            if command.words and self._starts(command, shell):
                return command.written
        return None

    def _starts(self, command: Command, shell: Shell) -> bool:
        words = command.words
        if not self._of_this_mode(words, shell):
            return False
        if any(self._starting(each, shell.child(None, command.given)) for each in texts_of(words)):
            return True
        for path in self._scripts.paths(words, shell, beside=True):
            if path == self._own:
                return True
            text = self._scripts.text(path)
            if text is not None:
                return self._script_starts(path, text, command, shell)
        found = start_of(words)
        return found is not None and self._fits(found) and (found.again is not None or _names_ibc(words))

    def _script_starts(self, path: str, text: str, command: Command, shell: Shell) -> bool:
        """Whether a script starts the gateway: IBC's own by its name, any other by its text."""
        modes = {mode.lower() for mode in _MODE_IN_SCRIPT.findall(text)}
        if modes and self._spec.trading_mode not in modes:
            return False
        if is_ibc_script(basename(path)):
            found = start_of(command.words)
            return found is not None and self._fits(found)
        if path not in self._known:
            self._known[path] = False  # also while it is read: one that runs itself starts nothing by that
            self._known[path] = self._text_starts(path, text, command, shell)
        return self._known[path]

    def _text_starts(self, path: str, text: str, command: Command, shell: Shell) -> bool:
        name = interpreter_of(command.words, text)
        if name is not None and not is_shell(name):
            return runs_gateway(text)
        if self._starting(text, shell.child(path, command.given)) is not None:
            return True
        return not started_by(text) and runs_unknown(text) and _GATEWAY_PROGRAM.search(text) is not None

    def _fits(self, found: Launcher) -> bool:
        spec = self._spec
        return found.keeps and found.product in (None, spec.product) and found.trading_mode in (None, spec.trading_mode)

    def _of_this_mode(self, words: Sequence[str], shell: Shell) -> bool:
        """Whether nothing says that it is for the other mode alone: no word, as start_paper.sh does, no variable."""
        told = {mode_word(part) for word in words[:MOST_WORDS] for part in re.split(r"[^A-Za-z]+", word)} - {None}
        told = told or {mode_word(shell.value(name) or "") for name in _MODE} - {None}
        return not told or self._spec.trading_mode in told


def _names_ibc(words: Sequence[str]) -> bool:
    return any(is_ibc_script(basename(word)) for word in words[:MOST_WORDS])
