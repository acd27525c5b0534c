"""IBC's command server: plain TCP, a line is a command, a line that begins with OK or ERROR is its answer.

Who listens there has to be proven by the caller, which is asked once more between connecting and sending.
"""

from __future__ import annotations

import re
import socket
import time
from typing import Callable, List

from ..base.command_server import ServerAddress

STOP, RESTART = "STOP", "RESTART"
#: Both halves of the link to the broker: orders and accounts, market data.
RECONNECTS = ("RECONNECTACCOUNT", "RECONNECTDATA")

#: A prompt may stand before an answer, and lines with INFO between them.
_ANSWER = re.compile(r"\b(OK|ERROR)\b ?([ -~]{0,120})")
_MOST_BYTES = 4096


class CommandFailed(Exception):
    """IBC has not taken the command; the message says why. sent: whether it was sent, so that IBC may still obey."""

    def __init__(self, text: str, sent: bool = False) -> None:
        super().__init__(text)
        self.sent = sent


def ask(server: ServerAddress, command: str, seconds: float, prove: Callable[[], None]) -> str:
    """Sends one command, and returns IBC's answer: what follows its last OK.

    seconds: for all of it. prove: called once the connection is made; what it raises keeps the command from being
    sent. Raises CommandFailed.
    """
    deadline = time.monotonic() + seconds
    try:
        connection = socket.create_connection((server.address, server.port), seconds)
    except OSError as error:
        raise CommandFailed(
            "no connection to IBC's command server on port %d: %s" % (server.port, error.strerror or error)
        ) from None
    with connection:
        prove()
        try:
            connection.settimeout(_left(deadline))
            connection.sendall(command.encode("ascii") + b"\n")
            answers = _answers(connection, deadline, more=command == RESTART)
        except OSError as error:
            raise CommandFailed("IBC's command server broke off at %s: %s" % (command, error), sent=True) from None
    if not answers:
        raise CommandFailed("IBC did not answer %s within %g s" % (command, seconds), sent=True)
    for word, text in answers:
        if word == "ERROR":
            raise CommandFailed("IBC refused %s: %s" % (command, text or "no reason given"), sent=True)
    return answers[-1][1]


def _answers(connection: socket.socket, deadline: float, more: bool) -> List[List[str]]:
    """[OK or ERROR, text] of each line that is an answer. more: whether IBC says more until it closes."""
    data = b""
    while len(data) < _MOST_BYTES:
        try:
            part = connection.recv(_MOST_BYTES)
        except socket.timeout:
            part = b""
        data += part
        lines = data.decode("ascii", "replace").split("\n")
        found = [[match.group(1), match.group(2).strip()] for match in map(_ANSWER.search, lines[:-1]) if match]
        if not part or (found and not more):
            return found
        connection.settimeout(_left(deadline))
    return []


def _left(deadline: float) -> float:
    """Seconds until then, never 0: that would mean not to wait for what is there already."""
    return max(0.001, deadline - time.monotonic())
