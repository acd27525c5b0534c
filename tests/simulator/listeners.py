"""The gateway's listening sockets: the API port, dual-stack like a JVM's, and ports beside it that are no API."""

import asyncio
import contextlib
import functools
import os
import socket
from typing import List, Optional, Tuple

from .desk import Desk
from .session import Session

BACKLOG = 50  # a JVM's default
BROKER_PAUSE = 1.0  # seconds between two attempts to reach the broker


def open_listener(bind: Optional[str], port: int) -> socket.socket:
    """A socket as Java opens one: on every address unless `bind` names one, IPv4 only where the host has no IPv6.

    Raises OSError.
    """
    if bind is not None:
        return listen(bind, port)
    try:
        return listen("::", port)
    except OSError:
        if os.path.exists("/proc/net/if_inet6"):
            raise  # IPv6 is there: the port itself is the trouble
        return listen("0.0.0.0", port)  # noqa: S104 - the real gateway listens on every address


def listen(address: str, port: int) -> socket.socket:
    """A listening TCP socket for asyncio. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on and every answer waits 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((address, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


async def accept_clients(listener: socket.socket, desk: Desk) -> None:
    """Accept until cancelled, or until a fault ends it; the listener is closed then unless the fault keeps it."""
    loop = asyncio.get_running_loop()
    fragile = "close-listener-on-second" in desk.options.faults
    deaf = "stop-accepting" in desk.options.faults
    last = False
    with listener:
        while not last:
            connection, _ = await loop.sock_accept(listener)
            last = fragile and desk.occupied
            if last:
                listener.close()  # before the client hears a word: who sees the stall also sees the port refuse
            await loop.connect_accepted_socket(functools.partial(Session, desk, last), connection)
            if deaf:
                await desk.taken.wait()
                await asyncio.Event().wait()


async def accept_strangers(listener: socket.socket) -> None:
    """Accept whoever comes and say nothing, as an agent's port does to who does not speak its protocol."""
    loop = asyncio.get_running_loop()
    kept: List[socket.socket] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(listener)
        while True:
            connection, _ = await loop.sock_accept(listener)
            kept.append(stack.enter_context(connection))


async def keep_broker(address: Tuple[str, int]) -> None:
    """Hold one connection to the broker, and try again for ever where there is none."""
    while True:
        writer = None
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(*address)
            while await reader.read(65536):
                pass
        if writer:
            writer.close()
        await asyncio.sleep(BROKER_PAUSE)
