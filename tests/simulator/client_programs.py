"""The programs of clients/ as tests start them: bots, viewers, relays, and what stands in the way of a connection."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from . import disguise
from .keepers import supervisord
from .launch import CLIENTS, HeldSession, free_port
from .program import Program


@dataclass
class FullBacklog(Program):
    """A port on loopback whose queue is full: who connects to it stays in SYN-SENT."""

    name: str = "full-backlog"
    port: int = field(default_factory=free_port)
    lifetime: float = 300.0

    def command(self) -> List[str]:
        """The argv."""
        return [sys.executable, str(CLIENTS / "full_backlog.py"), *_bounds(self), f"--port={self.port}"]


@dataclass
class Bot(HeldSession):
    """A trading script with several connections; its ids begin at `client_id`."""

    name: str = "bot"
    connections: int = 2

    def command(self) -> List[str]:
        """The argv; the ids stand in it as scripts have them."""
        return [*super().command(), f"--connections={self.connections}"]


@dataclass
class NohupBot(Bot):
    """The same, started with nohup from a shell that is gone: its parent is whoever adopts orphans."""

    name: str = "nohup-bot"

    def command(self) -> List[str]:
        """The shell's argv."""
        return ["/bin/sh", "-c", 'nohup "$@" >/dev/null 2>&1 &', "sh", *super().command()]

    @property
    def pid(self) -> int:
        """The bot's own process id; the shell has ended."""
        return int(self.ready_state()["pid"])

    def is_own(self, state: "dict[str, object]") -> bool:
        """The bot's pid is only in its ready file."""
        return "pid" in state

    def has_failed(self) -> bool:
        """Never known from the shell's end."""
        return False


@dataclass
class SupervisedBot(NohupBot):
    """The same, below a program like supervisord."""

    name: str = "supervised-bot"

    def command(self) -> List[str]:
        """The supervisor's argv."""
        configuration = self.folder / "supervisord.conf"
        line = " ".join(Bot.command(self))
        configuration.write_text(f"[supervisord]\nnodaemon=true\n\n[program:bot]\ncommand={line}\n", encoding="utf-8")
        return supervisord(self.folder, configuration, gap=1.0, lifetime=self.lifetime)


@dataclass
class HungBot(HeldSession):
    """A script that holds its session and reads no more: it works on for ever at something else."""

    name: str = "hung-bot"

    def command(self) -> List[str]:
        """The argv."""
        return [*super().command(), "--hang=yes"]


@dataclass
class Viewer(Program):
    """A dashboard: a bare connection that logs on, asks for the account again and again, and never trades."""

    name: str = "viewer"
    port: int = 0
    client_id: int = 99
    lifetime: float = 300.0

    def command(self) -> List[str]:
        """The argv."""
        own = [f"--port={self.port}", f"--client-id={self.client_id}"]
        return [sys.executable, str(CLIENTS / "viewer.py"), *_bounds(self), *own]


@dataclass
class Relay(Program):
    """A process with a listener of its own that passes every connection on to `target`.

    `argv` is what it looks like, `socat` by default or `ssh_tunnel`; its /proc/PID/exe has that name, too.
    """

    name: str = "relay"
    port: int = field(default_factory=free_port)
    target: int = 0
    argv: Sequence[str] = ()
    lifetime: float = 300.0

    @property
    def looks(self) -> List[str]:
        """The argv that /proc shows."""
        return list(self.argv or socat(self.port, self.target))

    def command(self) -> List[str]:
        """One word: what it looks like and does is in its environment."""
        return [disguise.first_word(self.looks)]

    @property
    def program(self) -> Optional[str]:
        """A Python under the name in argv[0]."""
        return str(disguise.program(self.folder / "bin", Path(self.looks[0]).name))

    @property
    def environment(self) -> Dict[str, str]:
        """How it shall look, what it passes on, and to where."""
        arguments = [*_bounds(self), f"--port={self.port}", f"--target={self.target}"]
        looks = disguise.environment(self.folder / "bin", self.looks, CLIENTS / "relay.py", arguments)
        return {**super().environment, **looks}


def socat(port: int, target: int) -> List[str]:
    """socat's argv for such a relay."""
    return ["socat", f"TCP-LISTEN:{port},fork,reuseaddr", f"TCP:127.0.0.1:{target}"]


def ssh_tunnel(port: int, target: int) -> List[str]:
    """The argv of an ssh that forwards a local port."""
    return ["ssh", "-N", "-L", f"{port}:127.0.0.1:{target}", "trader@desk.example.com"]


def _bounds(program: Program) -> List[str]:
    lifetime = getattr(program, "lifetime", 300.0)  # every program here has one
    return [f"--lifetime={lifetime}", f"--exit-with={os.getpid()}", f"--ready-file={program.ready_file}"]
