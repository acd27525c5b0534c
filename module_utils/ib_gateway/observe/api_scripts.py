"""Which running scripts use the API, by the text of their files: also those that hold no connection now.

A script that waits for a gateway which does not answer has no connection that a look could see. What it imports tells
that it is a client, and a number in its command line or its text which port it is waiting for.
"""

from __future__ import annotations

import os
import re
from typing import Collection, List, NamedTuple, Optional, Sequence, Tuple

from ..base.command_line import is_interpreter, run_of
from ..base.redaction import redact_argv
from ..base.words import program_name
from . import processes, started_files

_IMPORTS = re.compile(r"(?m)^[ \t]*(?:from|import)\s+(ib_insync|ib_async|ibapi|ib_connect)\b")
#: Scripts whose text is read in one look; a desk has a handful.
_MOST_TEXTS = 200
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class ApiScript(NamedTuple):
    """A script that runs and uses the API. command: redacted; age: seconds; library: what it imports.

    ports: those of the ports asked about that its command line names, else its text.
    """

    pid: int
    user: str
    command: Tuple[str, ...]
    age: float
    library: str
    ports: Tuple[int, ...]


def api_scripts(ports: Collection[int], without: Collection[int]) -> Tuple[ApiScript, ...]:
    """The scripts that use the API. ports: of interest. without: pids that are known already."""
    own_run = processes.ancestors(os.getpid())
    users, uptime = processes.Users(), processes.uptime()
    found: List[ApiScript] = []
    texts = 0
    for pid, raw in processes.scan(processes.pids()):
        argv = processes.parse_cmdline(raw)
        script = None if pid in own_run or pid in without else _script(argv)
        if script is None or texts >= _MOST_TEXTS:
            continue
        texts += 1
        text = started_files.read_as(pid, os.path.join(processes.read_cwd(pid) or "/", script)) or ""
        library = _IMPORTS.search(text)
        stat, uid = processes.read_stat(pid), processes.read_real_uid(pid)
        if library is None or stat is None or uid is None or stat.state in "ZX":
            continue
        age = max(0.0, uptime - stat.started_ticks / _TICKS)
        named = named_ports(argv, ports) or named_ports([text], ports)
        found.append(ApiScript(pid, users.name(uid), redact_argv(argv), age, library.group(1), named))
    return tuple(sorted(found))


def _script(argv: Sequence[str]) -> Optional[str]:
    """The file that an interpreter runs; None for everything else."""
    run = run_of(argv)
    if run.program is None or run.script is None or run.module is not None:
        return None
    return argv[run.script] if is_interpreter(program_name(argv[run.program :])) else None


def named_ports(texts: Sequence[str], ports: Collection[int]) -> Tuple[int, ...]:
    """Those of the ports that stand in the texts as numbers of their own. Pure."""
    words = {int(each) for text in texts for each in re.findall(r"(?<![\w.])\d{4,5}(?![\w.])", text)}
    return tuple(sorted(words & set(ports)))
