"""What every connection does: an id, a slot, attempts within one deadline, a session that is kept, a way out."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import random
import socket
import time
from logging import INFO, WARNING
from typing import Any, Optional

from .common import PathName, log
from .errors import ClientIdInUse, ConnectError
from .exits import Closing, give_signals_back, open_connections, take_signals
from .leases import lease, lock_folder
from .locks import Lock
from .loops import LIBRARIES, load_library
from .on_asyncio import AsyncioSession
from .on_ibapi import IbapiSession
from .profiles import find_profile, read_profiles
from .session import Session
from .slots import Queue
from .watch import Watch, mask

#: Seconds: the longest pause before the second attempt, and before any; each is drawn between zero and its longest.
BACKOFF_FIRST, BACKOFF_LONGEST = 0.5, 15.0
#: Seconds: an attempt with less time than this would prove nothing.
SHORTEST_ATTEMPT = 0.5
#: Seconds that a gateway may take to close its end after ours, before the slot goes to the next script.
FAREWELL = 0.25


class Base(Closing):
    """What both kinds of connection share."""

    def __init__(
        self,
        profile: str,
        *,
        live: Optional[bool] = None,
        app: Any = None,
        readonly: bool = False,
        timeout: float = 60.0,
        wait: Optional[float] = None,
        attempt_timeout: float = 10.0,
        outage: Optional[float] = None,
        heartbeat: float = 60.0,
        client_id: Optional[int] = None,
        account: str = "",
        library: Optional[str] = None,
        profiles: Optional[PathName] = None,
        locks: Optional[PathName] = None,
    ) -> None:
        if client_id is not None and not 0 < client_id < 2**31:
            raise ValueError(f"client_id {client_id}: give 1 to 2147483647, or none; 0 takes over orders made by hand")
        if not (timeout > 0 and attempt_timeout > 0):
            raise ValueError("timeout and attempt_timeout are seconds above 0")
        if heartbeat < 0 or (outage is not None and outage <= 0):
            raise ValueError("heartbeat is seconds, or 0 for none; outage is seconds above 0, or None for any")
        if library not in (None, *LIBRARIES):
            raise ValueError(
                f"library {library!r}: give ib_insync or ib_async; for ibapi, give app: the EClient object"
            )
        if app is not None and (isinstance(app, type) or getattr(app, "wrapper", None) is None):
            raise ValueError("app: give an object, not a class, whose __init__ calls EClient.__init__(self, self)")
        if app is not None and (readonly or account or library):
            raise ValueError("readonly, account and library are for ib_insync and ib_async: leave them out beside app")
        self.profile = find_profile(profile, live, profiles)
        self.ib: Any = None
        self.client_id = 0
        self.server_version: Optional[int] = None
        self.timings: dict[str, float] = {}
        self._timeout, self._wait, self._attempt_timeout = timeout, wait, attempt_timeout
        self._outage, self._heartbeat = outage, heartbeat
        self._wanted, self._library, self._app = client_id, library, app
        self._options = {"readonly": readonly, "account": account}
        self._locks, self._profiles = locks, profiles

    def __repr__(self) -> str:
        state = f"client {self.client_id}" if self in open_connections else "closed"
        return f"<{type(self).__name__} {self._where} {state}>"

    @property
    def _where(self) -> str:
        return f"{self.profile.name} ({self.profile.host} port {self.profile.port})"

    # --- opening ---

    def _begin(self) -> None:
        """What comes before the clock starts."""
        if self in open_connections:
            raise RuntimeError(f"{self!r} is open")
        if self._app is not None and IbapiSession.is_on(self._app):
            raise RuntimeError("the app is connected already: give each connection an EClient object of its own")
        self._module = None if self._app is not None else load_library(self._library)
        self._folder = lock_folder(self._locks, read_profiles(self._profiles)[1])
        open_connections.add(self)
        take_signals()

    async def _open(self) -> Any:
        began = time.monotonic()
        deadline = deadline_of(began, self._timeout)
        try:
            self._take_id()
            if self._folder:
                until = deadline if self._wait is None else min(deadline, began + self._wait)
                await Queue(self._folder, self.profile, self).slot(until)
            self.timings = {"slot": time.monotonic() - began}
            self._connecting = asyncio.Lock()
            session = self._session = self._new_session()
            self.ib = session.client
            await self._establish(session, began, deadline)
            session.start_anew()
        except ConnectError as error:
            error.where = error.where or f"{self._where}: "
            error.elapsed = time.monotonic() - began
            self._let_go()
            raise
        except BaseException as error:
            self._let_go()
            if isinstance(error, OSError):
                raise ConnectError(f"the lock folder {self._folder} fails: {error}") from error
            raise
        return self.ib

    def _new_session(self) -> Session:
        if self._module is not None:
            return AsyncioSession(self._module, self.profile)
        return IbapiSession.of(self._app, self.profile)

    def _take_id(self) -> None:
        # An id that the gateway refused stays leased, so that no neighbour runs into it.
        self.client_id = lease(self._folder, self._wanted, self)[0]

    async def _establish(self, session: Session, began: float, deadline: float) -> None:
        """Attempts until there is a session, or until there is no time for one more."""
        for attempt in itertools.count(1):
            try:
                watch = await self._attempt(session, max(SHORTEST_ATTEMPT / 2, deadline - time.monotonic()))
                break
            except ConnectError as error:
                room = deadline - time.monotonic() - SHORTEST_ATTEMPT
                error.where, error.attempts, error.elapsed = f"{self._where}: ", attempt, time.monotonic() - began
                if not error.retry or room <= 0:
                    raise
                pause = min(room, backoff(attempt))
                # A weekend has thousands of attempts: after the first ten only each power of two is worth a warning.
                loud = attempt <= 10 or not attempt & (attempt - 1)
                log.log(WARNING if loud else INFO, "%s; again in %.1f s", error, pause)
                if isinstance(error, ClientIdInUse) and self._wanted is None:
                    self._take_other_id(session)
            await asyncio.sleep(pause)
        self.server_version = watch.version
        self.timings = {"slot": self.timings["slot"], **watch.timings}
        log.info(
            "connected to %s, %s, as client %d, server version %s, accounts %s, attempts: %d; seconds: %s",
            *(self._where, self.profile.mode, self.client_id, watch.version, ", ".join(map(mask, watch.accounts))),
            *(attempt, ", ".join(f"{stage} {seconds:.3f}" for stage, seconds in self.timings.items())),
        )

    def _take_other_id(self, session: Session) -> None:
        # An order belongs to the id that placed it: under another one the script could not cancel it any more.
        if not session.subscriptions.ordered:
            self._take_id()

    async def _attempt(self, session: Session, seconds: float) -> Watch:
        watch = await session.attempt(self.client_id, seconds, self._attempt_timeout, self._options)
        if watch.notice:
            log.warning("%s: connected, and the gateway sent code %d meanwhile", self._where, watch.notice)
        return watch

    # --- while it is open ---

    async def _reopen(self, timeout: Optional[float]) -> Any:
        session = self._must_be_open()
        async with self._connecting:
            if not session.connected():
                began = time.monotonic()
                await self._connect_again(session, began, deadline_of(began, timeout or self._timeout), renewing=False)
                session.start_anew()
        return self.ib

    async def _stay(self, seconds: Optional[float] = None) -> None:
        """For so many seconds, or until the script disconnects: each session that ends is followed by another."""
        session = self._must_be_open()
        session.kept = True
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            left, sessions = None if end is None else max(0.0, end - time.monotonic()), session.sessions
            why = await session.lost(self._heartbeat, left)
            if why is None:
                return
            if session.left:
                await asyncio.sleep(left or 0.0)
                return
            async with self._connecting:
                if session.sessions == sessions:  # else another task of the script has done it meanwhile
                    log.warning("%s: %s; connects again", self._where, why)
                    began = time.monotonic()
                    ends = math.inf if self._outage is None else began + self._outage
                    await self._connect_again(session, began, ends, renewing=True)
                    session.renew()

    async def _connect_again(self, session: Session, began: float, deadline: float, renewing: bool) -> None:
        await session.drop()
        if session.failure is not None:
            raise session.failure
        session.renewing = renewing
        await self._establish(session, began, deadline)

    def _must_be_open(self) -> Session:
        if self not in open_connections or self._session is None:
            raise RuntimeError(f"{self!r} is not open")
        return self._session

    # --- closing ---

    def _part(self) -> Optional[socket.socket]:
        handle = self._session.part() if self._session is not None else None
        log.info("disconnected from %s, client %d", self._where, self.client_id)
        return handle

    def _let_go(self) -> None:
        open_connections.discard(self)
        Lock.release_all(self)
        give_signals_back()

    def _close_at_exit(self) -> None:
        try:
            handle = self._part()
            if handle:
                with handle, contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_WR)
                    handle.settimeout(FAREWELL)
                    while handle.recv(65536):
                        pass
        finally:
            self._let_go()


def deadline_of(began: float, timeout: float) -> float:
    """When to stop trying, so that the error comes within the timeout: a tenth of it, at most 1 s, is the way out's."""
    return began + timeout - min(1.0, 0.1 * timeout)


def backoff(attempt: int) -> float:
    """The pause after this attempt, the first is 1: drawn from zero to a bound that doubles, so that scripts spread."""
    return random.uniform(0, min(BACKOFF_LONGEST, BACKOFF_FIRST * 2 ** min(attempt - 1, 16)))  # noqa: S311 - no secret


async def farewell(handle: socket.socket) -> None:
    """Waits a moment for the gateway to close its end: by then it has freed the slot."""

    async def drain() -> None:
        while await asyncio.get_running_loop().sock_recv(handle, 65536):
            pass

    with handle, contextlib.suppress(OSError, asyncio.TimeoutError):
        handle.setblocking(False)
        await asyncio.wait_for(drain(), FAREWELL)
