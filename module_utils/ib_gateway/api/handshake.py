"""The staged API handshake over a plain socket: one deadline for all of it, whatever the peer does.

It needs nothing but the standard library, and no asyncio, whose import alone takes longer than the handshake.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from typing import Any, Collection, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from ..base.probe import QUICK, Probe
from . import wire
from .client_ids import with_client_id
from .dialogue import REFUSED, UNSUPPORTED, Dialogue
from .requests import encode

#: Seconds that a ready session may take to tell the time, and that a peer may take to close its end after ours.
CURRENT_TIME_LIMIT = 2.0
CLOSING_LIMIT = 0.05
_CHUNK = 1 << 16


class Address(NamedTuple):
    """One place to connect to: an address family, and the numeric address in the shape that family takes."""

    family: int
    sockaddr: Tuple[Any, ...]


class Unreachable(Exception):
    """No connection came about; the text says why, with the names of the system's errors."""


def probe(
    host: str,
    port: int,
    client_id: Optional[int] = None,
    timeout: float = 5.0,
    depth: str = QUICK,
    avoid: Collection[int] = (),
) -> Probe:
    """One handshake over a plain socket, done in `timeout` seconds whatever the peer does, and closed cleanly.

    client_id: one of client_ids.PROBE_IDS where None, none of `avoid`. depth: probe.QUICK or FULL. Never raises
    because of the peer or the network; ValueError for an argument that cannot be right.
    """

    def attempt(number: int, deadline: float) -> Probe:
        offered, refused = _attempt(host, port, Dialogue(number, timeout, depth), deadline)
        if not refused:
            return offered
        # It may speak only what is newer than the first offer.
        wider = Dialogue(number, timeout, depth, offered=wire.SPOKEN)
        wider.versions_refused = offered.outcome == UNSUPPORTED
        found, _ = _attempt(host, port, wider, deadline)
        return found if found.server_version is not None or found.outcome == UNSUPPORTED else offered

    return with_client_id(port, client_id, timeout, attempt, avoid)


def resolve(host: str, port: int, deadline: float) -> List[Address]:
    """The addresses of a host; a name that is not resolved by the deadline, or never, raises Unreachable."""
    try:
        return _look_up(host, port, socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        pass  # a name, not an address
    answers: List[Any] = []

    def look_up() -> None:
        try:
            answers.append(_look_up(host, port))
        except (OSError, UnicodeError) as error:
            answers.append(error)

    # The resolver knows no deadline of ours; a thread that is left behind ends with the process.
    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()))
    answer = answers[0] if answers else TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    if isinstance(answer, Exception):
        raise Unreachable(f"the host name {host} has no address: {error_name(answer)}")
    found: List[Address] = answer
    return found


def _look_up(host: str, port: int, flags: int = 0) -> List[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [Address(family, sockaddr) for family, _type, _protocol, _name, sockaddr in found]


def turns(addresses: List[Address], deadline: float) -> Iterator[Tuple[Address, float]]:
    """Each address with the seconds it may take: an equal share of what is left for it and those after it."""
    for index, address in enumerate(addresses):
        yield address, max(0.001, deadline - time.monotonic()) / (len(addresses) - index)


def unreachable(host: str, port: int, errors: Iterable[BaseException]) -> Unreachable:
    """What to raise when every address failed, each with its error."""
    names = ", ".join(dict.fromkeys(error_name(error) for error in errors))
    return Unreachable(f"no connection to {host} port {port}: {names}")


def error_name(error: BaseException) -> str:
    """A system error by name and meaning: ECONNREFUSED (Connection refused)."""
    if isinstance(error, socket.gaierror):
        names = (name for name in dir(socket) if name.startswith("EAI_") and getattr(socket, name) == error.errno)
        return f"{next(names, 'getaddrinfo')} ({error.strerror})"
    # A timeout of Python's own has no error number.
    number = errno.ETIMEDOUT if isinstance(error, socket.timeout) else getattr(error, "errno", None)
    if number is None:
        return type(error).__name__
    return f"{errno.errorcode.get(number, number)} ({os.strerror(number)})"


def _attempt(host: str, port: int, dialogue: Dialogue, deadline: float) -> Tuple[Probe, bool]:
    """(what one connection came to, whether it was closed in answer to the versions that were offered)."""
    try:
        connection = _reach(host, port, deadline)
    except Unreachable as why:
        dialogue.settle(REFUSED, str(why))
        return dialogue.probe("socket"), False
    try:
        closed = _converse(connection, dialogue, deadline)
    finally:
        _close(connection, dialogue)
    return dialogue.probe("socket"), closed and dialogue.server_version is None


def _reach(host: str, port: int, deadline: float) -> socket.socket:
    errors = []
    for address, seconds in turns(resolve(host, port, deadline), deadline):
        try:
            return _connect(address, seconds)
        except OSError as error:
            errors.append(error)
    raise unreachable(host, port, errors)


def _connect(address: Address, seconds: float) -> socket.socket:
    connection = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect(address.sockaddr)
        if connection.getsockname() == connection.getpeername():
            # With no listener on a port of the ephemeral range, TCP may connect a socket to itself.
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    except BaseException:
        connection.close()
        raise
    return connection


def _converse(connection: socket.socket, dialogue: Dialogue, deadline: float) -> bool:
    """Carries bytes between the socket and the dialogue until nothing more matters or the time is over.

    Gives whether the peer ended it.
    """
    try:
        outgoing, time_limit = dialogue.connected(), None
        while not dialogue.done:
            if dialogue.awaits_time and time_limit is None:
                time_limit = patience(deadline)
            until = deadline if time_limit is None or not dialogue.awaits_time else time_limit
            try:
                data = _exchange(connection, outgoing, until)
            except socket.timeout:
                wanted = dialogue.time_is_late()
                if not wanted:
                    raise
            else:
                if not data:
                    dialogue.ended()
                    return True
                wanted = dialogue.receive(data)
            outgoing = b"".join(encode(each, dialogue.server_version or 0) for each in wanted)
    except socket.timeout:
        dialogue.expired()
    except OSError as error:
        dialogue.ended(error_name(error))
        return True
    return False


def patience(deadline: float) -> float:
    """Until when a ready session may take to tell the time, so that there is time left to ask for something else."""
    now = time.monotonic()
    return now + min(CURRENT_TIME_LIMIT, (deadline - now) / 2)


def _exchange(connection: socket.socket, outgoing: bytes, until: float) -> bytes:
    if outgoing:
        _limit(connection, until)
        connection.sendall(outgoing)
    _limit(connection, until)
    return connection.recv(_CHUNK)


def _limit(connection: socket.socket, deadline: float) -> None:
    """Lets the next call on the socket take what is left of the time; raises socket.timeout when that is nothing."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise socket.timeout
    connection.settimeout(remaining)


def _close(connection: socket.socket, dialogue: Dialogue) -> None:
    """Ends the subscriptions and our side, gives the peer a moment to end its own, and closes.

    A socket that is closed with something unread sends a reset, which a gateway may log as a failed client.
    """
    with contextlib.closing(connection), contextlib.suppress(OSError):
        until = time.monotonic() + CLOSING_LIMIT
        for request in dialogue.parting():
            _limit(connection, until)
            connection.sendall(encode(request, dialogue.server_version or 0))
        connection.shutdown(socket.SHUT_WR)
        while True:
            _limit(connection, until)
            if not connection.recv(_CHUNK):
                return
