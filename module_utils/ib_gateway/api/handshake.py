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
from typing import Any, Callable, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from ..base.probe import Probe
from .dialogue import ID_IN_USE, READY, REFUSED, Dialogue

#: Seconds that a ready session may take to tell the time, and that a peer may take to close its end after ours.
CURRENT_TIME_LIMIT = 2.0
CLOSING_LIMIT = 0.05
#: Seconds; what is longer is a mistake.
MAX_TIMEOUT = 3600.0

_FIRST_PROBE_ID = 900_000_000
_NEXT_PROBE_ID = 1_000_000
_MAX_CLIENT_ID = 2**31 - 1
_CHUNK = 1 << 16


class Address(NamedTuple):
    """One place to connect to: an address family, and the numeric address in the shape that family takes."""

    family: int
    sockaddr: Tuple[Any, ...]


class Unreachable(Exception):
    """No connection came about; the text says why, with the names of the system's errors."""


def allocate_client_id() -> int:
    """A client id that no other probe of this host uses at this moment, in a range that scripts do not use."""
    return _FIRST_PROBE_ID + os.getpid()


def with_client_id(
    port: int, client_id: Optional[int], timeout: float, attempt: Callable[[int, float], Probe]
) -> Probe:
    """Runs attempt(client id, deadline): with the id given, or with allocated ones until one is free, at most three.

    deadline: seconds on the monotonic clock, the same for all attempts. Raises ValueError for what cannot be probed.
    """
    if client_id == 0:
        raise ValueError("client id 0 is not for probes: its session takes over the orders entered by hand in TWS")
    if client_id is not None and not 0 < client_id <= _MAX_CLIENT_ID:
        raise ValueError(f"client id {client_id} is not within 1 and {_MAX_CLIENT_ID}")
    if not 0 < port < 65536:
        raise ValueError(f"port {port} is not within 1 and 65535")
    if not 0 < timeout <= MAX_TIMEOUT:
        raise ValueError(f"timeout {timeout:g} is not within 0 and {MAX_TIMEOUT:g} seconds")
    deadline = time.monotonic() + timeout
    if client_id is not None:
        return attempt(client_id, deadline)
    # A gateway may take a moment to forget the last probe of this process, or a dead process's of the same pid.
    for number in (allocate_client_id() + turn * _NEXT_PROBE_ID for turn in range(3)):
        began = time.monotonic()
        probe = attempt(number, deadline)
        now = time.monotonic()
        if probe.outcome != ID_IN_USE or deadline - now < now - began:
            break  # a turn that is cut short would find less than this one did
    return probe


def probe(host: str, port: int, client_id: Optional[int] = None, timeout: float = 5.0) -> Probe:
    """One handshake over a plain socket, done in `timeout` seconds whatever the peer does, and closed cleanly.

    client_id: allocated where None. Never raises because of the peer or the network; ValueError for an argument
    that cannot be right.
    """
    return with_client_id(
        port, client_id, timeout, lambda number, deadline: _attempt(host, port, number, timeout, deadline)
    )


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


def _attempt(host: str, port: int, client_id: int, timeout: float, deadline: float) -> Probe:
    dialogue = Dialogue(client_id, timeout)
    try:
        connection = _reach(host, port, deadline)
    except Unreachable as why:
        dialogue.settle(REFUSED, str(why))
    else:
        try:
            _converse(connection, dialogue, deadline)
        finally:
            _close(connection)
    return dialogue.probe("socket")


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


def _converse(connection: socket.socket, dialogue: Dialogue, deadline: float) -> None:
    """Carries bytes between the socket and the dialogue until nothing more matters or the time is over."""
    try:
        answer = dialogue.connected()
        while not dialogue.done:
            if dialogue.outcome == READY:  # only the time is still to come
                deadline = min(deadline, time.monotonic() + CURRENT_TIME_LIMIT)
            if answer:
                _limit(connection, deadline)
                connection.sendall(answer)
            _limit(connection, deadline)
            data = connection.recv(_CHUNK)
            if data:
                answer = dialogue.receive(data)
            else:
                dialogue.ended()
    except socket.timeout:
        dialogue.expired()
    except OSError as error:
        dialogue.ended(error_name(error))


def _limit(connection: socket.socket, deadline: float) -> None:
    """Lets the next call on the socket take what is left of the time; raises socket.timeout when that is nothing."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise socket.timeout
    connection.settimeout(remaining)


def _close(connection: socket.socket) -> None:
    """Ends our side, gives the peer a moment to end its own, and closes.

    A socket that is closed with something unread sends a reset, which a gateway may log as a failed client.
    """
    with contextlib.closing(connection), contextlib.suppress(OSError):
        until = time.monotonic() + CLOSING_LIMIT
        connection.shutdown(socket.SHUT_WR)
        while True:
            _limit(connection, until)
            if not connection.recv(_CHUNK):
                return
