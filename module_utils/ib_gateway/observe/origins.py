"""Where a gateway comes from, and which ports it has had: what discovery asks of each gateway that nobody declared."""

from __future__ import annotations

import os
import re
from typing import Dict, FrozenSet, Iterable, List, Optional, Tuple

from ..base.command_line import is_shell, run_of
from ..base.host import Process
from ..base.installation import parse_ibc_ini
from ..base.launchers import LAUNCHER, launcher_of
from ..base.proposal import Starter
from ..base.redaction import redact_argv
from ..base.short_command import short
from ..base.spec import Container
from ..base.words import program_name
from . import processes, sockets, started_files

_PORT_RANGE = "/proc/sys/net/ipv4/ip_local_port_range"
#: The kernel's own default for it.
_FIRST_CLIENT_PORT = 32768
_CONTAINER = re.compile(r"(docker|libpod)[-/]([0-9a-f]{64})")
_ENGINES = {"docker": "docker", "libpod": "podman"}
#: Signs of an id that its engine takes in place of a name.
_SHORT_ID = 12
#: The script, and words that say nothing but how it runs.
_PLAIN_WORD = re.compile(r"^(?:-inline|--?(?:gateway|tws|g)|live|paper|--?mode=(?:live|paper)|\d{3,4})$", re.IGNORECASE)


def held_ports(gateways: Iterable[int]) -> FrozenSet[int]:
    """Ports on which these processes hold connections that somebody has made to them, whether they still listen or not.

    A port that the kernel gives to clients is one of the other end's. Raises OSError as sockets.listeners() does.
    """
    mine = {inode for pid in gateways for inode in processes.socket_inodes(pid) or ()}
    first = _first_client_port()
    return frozenset(
        row.local_port for row in sockets.every_connection() if row.inode in mine and row.local_port < first
    )


def _first_client_port() -> int:
    try:
        with open(_PORT_RANGE, encoding="ascii") as file:
            return int(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return _FIRST_CLIENT_PORT


def starter_of(gateway: int) -> Optional[Starter]:
    """The outermost start script above a gateway; None where nothing above it is one."""
    found: Optional[Starter] = None
    pid, seen = gateway, {gateway}
    while True:
        stat = processes.read_stat(pid)
        if stat is None or stat.ppid <= 1 or stat.ppid in seen:
            return found
        pid = stat.ppid
        seen.add(pid)
        argv = processes.read_argv(pid)
        launcher = launcher_of(argv, None)
        if launcher is None or launcher.kind != LAUNCHER:
            return found
        found = Starter(pid, short(redact_argv(argv)), _command(argv))


def _command(argv: Tuple[str, ...]) -> Tuple[str, ...]:
    """The command line of a script without what only its shell needs; empty where a word of it may be a secret."""
    run = run_of(argv)
    if run.program is None:
        return ()
    words: List[str] = list(argv[run.program :])
    if is_shell(program_name(words)):
        if run.script is None:
            return ()
        words = list(argv[run.script :])
    harmless = all(_PLAIN_WORD.match(word) for word in words[1:])
    return tuple(words) if words and words[0].startswith("/") and harmless else ()


def containers(gateways: Iterable[int]) -> Dict[int, Container]:
    """By pid, the container that a gateway runs in, by its control group; those that run in none are left out.

    Where this look is itself in a container, that one is the host.
    """
    own = _container("self")
    found = {pid: _container(str(pid)) for pid in gateways}
    return {pid: each for pid, each in found.items() if each is not None and each != own}


def _container(pid: str) -> Optional[Container]:
    try:
        with open("%s/%s/cgroup" % (processes.PROC, pid), encoding="ascii", errors="replace") as file:
            match = _CONTAINER.search(file.read(1 << 16))
    except OSError:
        return None
    return Container(_ENGINES[match.group(1)], match.group(2)[:_SHORT_ID]) if match else None


def ports_of_ibc(gateways: Iterable[Process]) -> Dict[int, int]:
    """By pid, the API port that the settings file of its IBC gives; those without one are left out."""
    found = {}
    for process in gateways:
        ini = process.gateway.ini if process.gateway else None
        text = started_files.read_as(process.pid, os.path.join(process.cwd or "/", ini)) if ini else None
        port = parse_ibc_ini(text).api_port if text is not None else None
        if port is not None:
            found[process.pid] = port
    return found
