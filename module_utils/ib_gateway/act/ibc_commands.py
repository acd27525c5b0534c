"""Sends a command to a gateway by IBC's command server: only to a listener that is proven, right before, to be its own.

Proven are the process (pid, start, command line) and that it alone listens on that port, at the address and with the
socket that the plan named: before the connection is made, and again before the command is sent.
"""

from __future__ import annotations

from typing import Callable

from ..base.command_server import ANSWERS_WITHIN, ServerAddress
from ..lifecycle import ibc
from ..lifecycle.ibc import CommandFailed
from ..observe.command_port import server_of

#: Makes sure that a process is the one that is meant. Raises what its caller knows.
Prove = Callable[[], None]


def prove_listener(pid: int, server: ServerAddress, prove: Prove) -> None:
    """Makes sure that it is the gateway itself that would get a command. Raises CommandFailed, and what prove does."""
    prove()
    try:
        found = server_of(pid, server.port)
    except OSError as error:
        raise CommandFailed("who listens on port %d cannot be seen: %s" % (server.port, error)) from None
    if found != server:
        raise CommandFailed("pid %d no longer listens alone on port %d for commands" % (pid, server.port))


def send(pid: int, server: ServerAddress, command: str, prove: Prove) -> str:
    """Sends one command and returns IBC's answer. Raises CommandFailed, and what prove does."""
    prove_listener(pid, server, prove)
    return ibc.ask(server, command, ANSWERS_WITHIN, lambda: prove_listener(pid, server, prove))
