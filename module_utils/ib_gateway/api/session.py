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
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Callable, Collection, Dict, Iterator, List, Optional, Set

from ..base.probe import QUICK, Probe
from . import handshake, messages, requests
from .client_ids import with_client_id
from .dialogue import DROPPED, READY, REFUSED, STALLED, UNSUPPORTED, Dialogue
from .handshake import CLOSING_LIMIT, Address, Unreachable, patience, resolve, turns, unreachable
from .lazy_import import deferred, submodule
from .wire import Versions

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
    host: str,
    port: int,
    client_id: Optional[int] = None,
    timeout: float = 10.0,
    library: Optional[str] = None,
    depth: str = QUICK,
    avoid: Collection[int] = (),
) -> Probe:
    """One session through the library, as handshake.probe makes it; `engine` names the library.

    timeout: seconds, from the first packet on; importing the library comes before it. library: one of LIBRARIES, to
    use that one and no other. Raises SessionUnavailable, and ValueError for an argument that cannot be right; never
    anything because of the peer or the network.
    """
    if library is not None and library not in LIBRARIES:
        raise ValueError(f"library {library} is none of {', '.join(LIBRARIES)}")
    chosen = library or available()
    if chosen is None or not importlib.util.find_spec(chosen):
        raise SessionUnavailable(how_to_add(library or LIBRARIES[0]))
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(_run, chosen, host, port, client_id, timeout, depth, avoid).result()


def how_to_add(library: str = LIBRARIES[0], what: str = "is not installed") -> str:
    """What to do on a host where available() finds nothing, or where the library does not work, in a sentence."""
    requirement = "ib_insync==0.9.86" if library == "ib_insync" else library
    missing = f"{library} {what} for the interpreter {sys.executable}: "
    if sys.prefix != sys.base_prefix:
        return f"{missing}{sys.executable} -m pip install {requirement}"
    # The system's own Python often has no pip, or one that refuses to install anything.
    return (
        f"{missing}playbooks/install_host_runtime.yml brings it; by hand: python3 -m venv /opt/ib-session && "
        f"/opt/ib-session/bin/pip install {requirement}, and in the inventory "
        "ansible_python_interpreter: /opt/ib-session/bin/python"
    )


def _run(
    library: str,
    host: str,
    port: int,
    client_id: Optional[int],
    timeout: float,
    depth: str,
    avoid: Collection[int],
) -> Probe:
    with _silenced(library, "eventkit", "asyncio"), _own_loop() as loop:
        try:
            client_class = _client_class(library)
        except ImportError as error:
            raise SessionUnavailable(how_to_add(library, f"cannot be imported ({error})")) from error

        def attempt(number: int, deadline: float) -> Probe:
            session = _Session(client_class, library, number, timeout, depth)
            found = loop.run_until_complete(session.probe(host, port, deadline))
            return _told_apart(found, host, port, deadline)

        return with_client_id(port, client_id, timeout, attempt, avoid)


def _told_apart(found: Probe, host: str, port: int, deadline: float) -> Probe:
    """The probe; where the server closed without a version, the socket engine finds out whether only the library's
    versions are refused.
    """
    remaining = deadline - time.monotonic()
    if found.outcome != DROPPED or found.server_version is not None or remaining <= 0:
        return found
    other = handshake.probe(host, port, found.client_id, remaining)
    if other.server_version is None:
        return found
    message = f"speaks server version {other.server_version}, and refuses those of {found.engine}"
    return found._replace(
        outcome=UNSUPPORTED, server_version=other.server_version, error={"code": None, "message": message}
    )


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


#: Which executions: all of them.
_ANY = SimpleNamespace(clientId=0, acctCode="", time="", symbol="", secType="", exchange="", side="")
#: How the library makes each request.
_WAYS: Dict[str, Callable[[Any, requests.Request], None]] = {
    requests.CURRENT_TIME: lambda client, _: client.reqCurrentTime(),
    messages.POSITIONS: lambda client, _: client.reqPositions(),
    messages.OPEN_ORDERS: lambda client, _: client.reqOpenOrders(),
    messages.COMPLETED_ORDERS: lambda client, _: client.reqCompletedOrders(False),
    messages.ACCOUNT_UPDATES: lambda client, request: client.reqAccountUpdates(True, request.account),
    messages.EXECUTIONS: lambda client, _: client.reqExecutions(requests.EXECUTIONS_ID, _ANY),
}


class _Wrapper:
    """Takes every call that the library makes to its user; the Dialogue has read the same messages."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_arguments, **_options: None


class _Session:
    """One attempt: the library's client, and the dialogue that reads along with it."""

    def __init__(
        self, client_class: Callable[[_Wrapper], Any], library: str, client_id: int, timeout: float, depth: str
    ) -> None:
        client = client_class(_Wrapper())
        spoken = Versions(client.MinClientVersion, client.MaxClientVersion)
        self._client, self._library = client, library
        self._dialogue = Dialogue(client_id, timeout, depth, offered=spoken, spoken=spoken, speaker=library)
        self._wanted: List[requests.Request] = []
        self._opened = False

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
        self._wanted += self._dialogue.receive(data)
        if self._opened:
            self._ask()
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
            self._opened = True
            self._ask()
            await _either(None, self._over, patience(deadline) - time.monotonic())
            self._wanted += self._dialogue.time_is_late()
            self._ask()
            await _either(None, self._over, deadline - time.monotonic())
        elif self._dialogue.outcome == READY:
            self._dialogue.settle(STALLED, f"the gateway was ready, but {self._library} did not find it so")
        self._dialogue.expired()

    def _ask(self) -> None:
        """Make the requests that the dialogue wants, by the library's own means."""
        while self._wanted:
            request = self._wanted.pop(0)
            if request.name != requests.START_API:  # the library has opened the session itself
                _WAYS[request.name](self._client, request)

    def _part(self) -> None:
        """End the subscriptions that were made."""
        for request in self._dialogue.parting() if self._client.isConnected() else ():
            if request.name == messages.POSITIONS:
                self._client.cancelPositions()
            else:
                self._client.reqAccountUpdates(False, request.account)

    async def _close(self, opening: asyncio.Future[None]) -> None:
        """End our side, give the gateway a moment to end its own, and close; what comes meanwhile is not read."""
        import asyncio

        transport = self._client.conn.transport
        if transport is not None:
            with contextlib.suppress(OSError):
                self._part()
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
