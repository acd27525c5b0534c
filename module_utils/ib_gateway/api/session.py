"""The same handshake as a trading script makes it: through ib_insync's client, or ib_async's.

The library opens the session and must find it ready. A Dialogue reads along and names the stage, because the library
itself shows nearly every cause as the same empty TimeoutError, and only after its full timeout. It all runs in a
thread with an event loop of its own: a caller's loop is neither needed nor touched. asyncio and the libraries are
imported when a session is opened and not before, and only what a session uses: their event library imports numpy, which
takes twice as long as all the rest, and they themselves what fetches account statements over HTTP.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib.util
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Optional, Set

from ..base.probe import Probe
from .dialogue import DROPPED, READY, REFUSED, STALLED, Dialogue
from .handshake import (
    CLOSING_LIMIT,
    CURRENT_TIME_LIMIT,
    Address,
    Unreachable,
    resolve,
    turns,
    unreachable,
    with_client_id,
)
from .lazy_import import deferred, submodule

if TYPE_CHECKING:
    import asyncio

#: What can open a session, the preferred one first.
LIBRARIES = ("ib_insync", "ib_async")


class SessionUnavailable(Exception):
    """No library can open a session under this interpreter; the text says how to add one."""


def available() -> Optional[str]:
    """The library that probe() would use, found but not imported; None where there is none."""
    return next((name for name in LIBRARIES if importlib.util.find_spec(name)), None)


def probe(
    host: str, port: int, client_id: Optional[int] = None, timeout: float = 10.0, library: Optional[str] = None
) -> Probe:
    """One session through the library: connect, ready, current time, closed again; `engine` names the library.

    timeout: seconds, from the first packet on; importing the library comes before it. client_id: allocated where
    None. library: one of LIBRARIES, to use that one and no other. Raises SessionUnavailable, and ValueError for an
    argument that cannot be right; never anything because of the peer or the network.
    """
    if library is not None and library not in LIBRARIES:
        raise ValueError(f"library {library} is none of {', '.join(LIBRARIES)}")
    chosen = library or available()
    if chosen is None or not importlib.util.find_spec(chosen):
        raise SessionUnavailable(how_to_add(library or LIBRARIES[0]))
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(_run, chosen, host, port, client_id, timeout).result()


def how_to_add(library: str = LIBRARIES[0], what: str = "is not installed") -> str:
    """What to do on a host where available() finds nothing, or where the library does not work, in a sentence."""
    requirement = "ib_insync==0.9.86" if library == "ib_insync" else library
    return f"{library} {what}: pip install {requirement} for the interpreter {sys.executable}"


def _run(library: str, host: str, port: int, client_id: Optional[int], timeout: float) -> Probe:
    with _silenced(library, "eventkit", "asyncio"), _own_loop() as loop:
        try:
            client_class = _client_class(library)
        except ImportError as error:
            raise SessionUnavailable(how_to_add(library, f"cannot be imported ({error})")) from error

        def attempt(number: int, deadline: float) -> Probe:
            session = _Session(client_class, Dialogue(number, timeout), library)
            return loop.run_until_complete(session.probe(host, port, deadline))

        return with_client_id(port, client_id, timeout, attempt)


@functools.lru_cache(maxsize=None)
def _client_class(library: str) -> Any:
    """The library's client; kept, since submodule() imports it anew each time. Raises ImportError."""
    with deferred("numpy"):
        return submodule(library, "client").Client


@contextlib.contextmanager
def _own_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop, set as this thread's: the libraries ask for it, some of them while they are imported."""
    import asyncio

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # Python 3.14 makes none when it is asked for
    try:
        yield loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


@contextlib.contextmanager
def _silenced(*names: str) -> Iterator[None]:
    """Keeps these loggers, and those below them, from writing anywhere; puts them back as they were."""
    import logging

    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        for logger, (handlers, propagate) in zip(loggers, before):
            logger.handlers, logger.propagate = handlers, propagate


class _Wrapper:
    """Takes every call that the library makes to its user; the Dialogue has read the same messages."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_arguments, **_options: None


class _Session:
    """One attempt: the library's client, and the dialogue that reads along with it."""

    def __init__(self, client_class: Callable[[_Wrapper], Any], dialogue: Dialogue, library: str) -> None:
        self._client = client_class(_Wrapper())
        self._dialogue = dialogue
        self._library = library

    async def probe(self, host: str, port: int, deadline: float) -> Probe:
        """Open the session, see it ready and serving, close it."""
        self._watch()
        try:
            opening = await self._connect(host, port, deadline)
        except Unreachable as why:
            self._dialogue.settle(REFUSED, str(why))
            return self._dialogue.probe(self._library)
        try:
            await self._converse(opening, deadline)
        finally:
            await self._close(opening)
        return self._dialogue.probe(self._library)

    def _watch(self) -> None:
        """Have the dialogue told of what the library's connection sees, always after the library itself."""
        import asyncio

        self._linked, self._over, self._ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        link = self._client.conn.connectAsync

        async def connect(*arguments: Any) -> None:
            await link(*arguments)
            self._dialogue.connected()  # the hello is the library's to send
            self._linked.set()

        # The library tells nobody that TCP has connected.
        self._client.conn.connectAsync = connect
        self._client.conn.hasData += self._on_data
        self._client.conn.disconnected += self._on_end

    def _on_data(self, data: bytes) -> None:
        self._dialogue.receive(data)
        version = self._dialogue.server_version
        if version is not None and not self._client.isConnected():
            self._dialogue.settle(DROPPED, f"{self._library} does not take server version {version}")
        if self._dialogue.done:
            self._over.set()

    def _on_end(self, message: str) -> None:
        self._dialogue.ended(message)
        self._over.set()
        self._ended.set()

    async def _connect(self, host: str, port: int, deadline: float) -> asyncio.Future[None]:
        """TCP to the first address that answers; gives the library's own opening, which goes on until it is ready."""
        import asyncio

        errors: List[BaseException] = []
        for address, seconds in turns(resolve(host, port, deadline), deadline):
            opening = asyncio.ensure_future(self._open(address, port))
            await _either(opening, self._linked, seconds)
            if self._linked.is_set():
                return opening
            opening.cancel()
            try:
                await opening
            except asyncio.CancelledError:
                errors.append(TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)))
            except OSError as error:
                errors.append(error)
        raise unreachable(host, port, errors)

    async def _open(self, address: Address, port: int) -> None:
        # 0: without the library's own timeout; the deadline is kept here.
        await self._client.connectAsync(address.sockaddr[0], port, self._dialogue.client_id, 0)

    async def _converse(self, opening: asyncio.Future[None], deadline: float) -> None:
        await _either(opening, self._over, deadline - time.monotonic())
        if opening.done() and not self._dialogue.done:
            opening.result()  # raises what went wrong inside the library
            self._client.reqCurrentTime()
            await _either(None, self._over, min(CURRENT_TIME_LIMIT, deadline - time.monotonic()))
        elif self._dialogue.outcome == READY:
            self._dialogue.settle(STALLED, f"the gateway was ready, but {self._library} did not find it so")
        self._dialogue.expired()

    async def _close(self, opening: asyncio.Future[None]) -> None:
        """End our side, give the gateway a moment to end its own, and close; what comes meanwhile is not read."""
        import asyncio

        transport = self._client.conn.transport
        if transport is not None:
            with contextlib.suppress(OSError):
                transport.write_eof()
            await _either(None, self._ended, CLOSING_LIMIT)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        self._client.disconnect()
        if transport is not None:
            transport.abort()  # does nothing to a closed one
            await _either(None, self._ended, CLOSING_LIMIT)


async def _either(future: Optional[asyncio.Future[None]], event: asyncio.Event, seconds: float) -> None:
    """Wait until one of the two is done or set, or the seconds are over."""
    import asyncio

    waiting = asyncio.ensure_future(event.wait())
    wanted: Set[asyncio.Future[Any]] = {waiting}
    if future is not None:
        wanted.add(future)
    await asyncio.wait(wanted, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
