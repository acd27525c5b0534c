"""Which processes are an entry's start_command, run by whom ever: the surest keepers of its gateway. Linux only."""

from __future__ import annotations

import os
from typing import FrozenSet, Mapping, NamedTuple, Sequence, Tuple

from ..base.classify import gateway_kind
from ..base.command_line import run_of
from ..base.same_command import runs_command
from . import processes


class StartCommand(NamedTuple):
    """What starts an entry's gateway. folder: where it is run."""

    command: Tuple[str, ...]
    folder: str


#: By entry.
StartCommands = Mapping[str, StartCommand]


def started_by(pid: int, argv: Sequence[str], commands: StartCommands) -> FrozenSet[str]:
    """The names of the entries whose start_command a process is; none for a gateway, which has started already."""

    def is_it(wanted: StartCommand) -> bool:
        def same_file(word: str, meant: str) -> bool:
            cwd = processes.read_cwd(pid)
            absolute = cwd is not None or word.startswith("/")
            return absolute and _real(cwd or "/", word) == _real(wanted.folder, meant)

        return runs_command(argv, wanted.command, same_file)

    found = frozenset(name for name, wanted in commands.items() if is_it(wanted))
    return frozenset() if found and gateway_kind(argv[run_of(argv).program or 0 :]) is not None else found


def _real(folder: str, path: str) -> str:
    return os.path.realpath(os.path.join(folder, path))
