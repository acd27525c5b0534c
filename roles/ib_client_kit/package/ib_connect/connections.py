"""The two kinds of connection: for blocking code and for coroutines."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Coroutine, Optional, TypeVar

from .base import Base, farewell
from .exits import open_connections
from .loops import blocking_loop, nested

T = TypeVar("T")


class Connection(Base):
    """A session for blocking code; as a context manager, or by open() and close() in the same thread.

    profile: its name; see find_profile() for `live`. app: with the official ibapi, the script's EClient; without, the
    session is one of ib_insync or ib_async. timeout: seconds for all of it: queue, attempts, pauses. wait: seconds of
    them to queue for the API slot; 0 fails at once. attempt_timeout: seconds for one handshake. outage: seconds that
    the gateway may be away in run() and sleep(); None for as long as it takes. heartbeat: seconds of silence after
    which they ask the gateway for the time; 0 never. readonly, account: the library's own options. client_id: only for
    a script that must find its earlier orders again; leased like any other. library: ib_insync or ib_async. profiles,
    locks: other paths than the host's.

    After it is open: `ib`, `client_id`, `server_version`, and `timings`, in seconds by stage.
    """

    _loop: asyncio.AbstractEventLoop
    _loop_is_ours = False

    def open(self) -> Any:
        """Gives the library's IB object, or the app, connected and synchronized; raises a ConnectError otherwise."""
        self._loop, made = blocking_loop()
        self._loop_is_ours = made and threading.current_thread() is not threading.main_thread()
        try:
            self._begin()
            return self._run(self._open())
        except BaseException:
            self._drop_loop()
            raise

    def run(self) -> None:
        """Keeps the session until the script disconnects or is ended; what was subscribed is subscribed again.

        Raises a ConnectError when the gateway is away for longer than `outage`, or has another login.
        """
        self._run(self._stay())

    def sleep(self, seconds: float) -> None:
        """Like ib.sleep(), and like run() meanwhile: it takes longer when the gateway is away."""
        self._run(self._stay(seconds))

    def reopen(self, timeout: Optional[float] = None) -> Any:
        """The same IB object with a session again, if the gateway has ended it: same client id, same slot.

        Subscriptions are the script's to make anew; run() and sleep() make them again themselves.
        """
        return self._run(self._reopen(timeout))

    def close(self) -> None:
        """Disconnects and gives everything back; without effect on what is closed."""
        if self not in open_connections:
            return
        try:
            handle = self._part()
            if handle and (self._loop.is_closed() or (self._loop.is_running() and not nested(self._loop))):
                handle.close()
            elif handle:
                self._run(farewell(handle))
        finally:
            self._let_go()
            self._drop_loop()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        task = self._loop.create_task(work)
        try:
            return self._loop.run_until_complete(task)
        except BaseException:
            if not task.done():  # a signal's exception came from outside of it
                task.cancel()
                self._loop.run_until_complete(asyncio.wait({task}))
            if not task.cancelled():
                task.exception()
            raise

    def _drop_loop(self) -> None:
        if self._loop_is_ours:
            self._loop_is_ours = False
            self._loop.close()
            asyncio.set_event_loop(None)

    def __enter__(self) -> Any:
        return self.open()

    def __exit__(self, *_error: object) -> None:
        self.close()


class AsyncConnection(Base):
    """Connection for coroutines: `async with`, or await open(), run(), sleep(), reopen() and close()."""

    async def open(self) -> Any:
        """Gives the library's IB object, or the app, connected and synchronized; raises a ConnectError otherwise."""
        self._begin()
        return await self._open()

    async def run(self) -> None:
        """Keeps the session until the script disconnects or this is cancelled; see Connection.run()."""
        await self._stay()

    async def sleep(self, seconds: float) -> None:
        """Like asyncio.sleep(), and like run() meanwhile; see Connection.sleep()."""
        await self._stay(seconds)

    async def reopen(self, timeout: Optional[float] = None) -> Any:
        """The same IB object with a session again; see Connection.reopen()."""
        return await self._reopen(timeout)

    async def close(self) -> None:
        """Disconnects and gives everything back; without effect on what is closed."""
        if self in open_connections:
            try:
                handle = self._part()
                if handle:
                    await farewell(handle)
            finally:
                self._let_go()

    async def __aenter__(self) -> Any:
        return await self.open()

    async def __aexit__(self, *_error: object) -> None:
        await self.close()


connect = Connection
connect_async = AsyncConnection
