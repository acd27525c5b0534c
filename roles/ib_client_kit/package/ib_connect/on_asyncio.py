"""Sessions of ib_insync and ib_async: the library connects, and what it sees is read along."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from types import ModuleType
from typing import Any, Iterator, Optional

from .common import log
from .errors import Dropped
from .profiles import Profile
from .session import DATA_LOST, Session
from .subscriptions import Subscription, Subscriptions
from .watch import Watch, first

#: The libraries' tables from a request's number to what its answers go into, and the reverse.
FROM_NUMBER = ("reqId2Ticker", "reqId2Subscriber", "reqId2PnL", "reqId2PnlSingle", "_reqId2Contract")
TO_NUMBER = ("pnlKey2ReqId", "pnlSingleKey2ReqId")
TABLES = (*FROM_NUMBER, *TO_NUMBER, "tickers", "ticker2ReqId")


class AsyncioSession(Session):
    """A session of either library; `client` is its IB object. To be made inside the event loop that it will live in."""

    def __init__(self, module: ModuleType, profile: Profile) -> None:
        ib = module.IB()
        super().__init__(ib, module.__name__, profile, Subscriptions(ib.client, numbers_are_the_script_s=False))
        self._loop = asyncio.get_event_loop()
        self._tables: dict[str, Any] = {}
        self._ours = False  # this file is what disconnects
        self._disconnect, ib.client.disconnect = ib.client.disconnect, self._on_disconnect
        self._end_events, ib.wrapper.setEventsDone = ib.wrapper.setEventsDone, self._on_events_done
        ib.client.conn.disconnected += self._on_end
        ib.errorEvent += self._on_code

    # --- connecting ---

    async def attempt(self, client_id: int, seconds: float, handshake: float, options: dict[str, Any]) -> Watch:
        """See Session."""
        watch, began = WireWatch(self.client, self.profile, self.library, client_id), time.monotonic()
        handshake = min(seconds, handshake)
        arguments = {"clientId": client_id, "timeout": max(1.0, min(handshake, seconds / 3)), **options}
        self.subscriptions.connecting = True
        try:
            with watch.hooked():
                address = (self.profile.host, self.profile.port)
                opening = asyncio.ensure_future(self.client.connectAsync(*address, **arguments))
                try:
                    await first(opening, watch.ready, handshake)
                    if watch.ready.is_set():
                        await first(opening, watch.over, began + seconds - time.monotonic())
                    problem = opening.exception() if opening.done() else asyncio.TimeoutError()
                    if not problem and time.monotonic() - began > arguments["timeout"]:
                        problem = await self._no_answer(handshake)
                    if problem or watch.error:
                        raise watch.verdict(problem, time.monotonic() - began)
                except BaseException:
                    await self._abandon(opening)
                    raise
        finally:
            self.subscriptions.connecting = False
        watch.passed("synchronize", "done")
        self.begun()
        return watch

    async def _no_answer(self, seconds: float) -> Optional[BaseException]:
        """Asks for the time, where requests of the library may have timed out: ib_async only logs that they did."""
        try:
            await asyncio.wait_for(self.client.reqCurrentTimeAsync(), seconds)
        except (asyncio.TimeoutError, ConnectionError) as error:
            return error
        return None

    async def drop(self) -> None:
        """See Session."""
        self.subscriptions.end_of_session()
        if self.client.client.conn.transport is not None:
            await self._abandon(None)

    async def _abandon(self, opening: Optional[asyncio.Future[Any]]) -> None:
        """Ends an attempt or a session so that nothing of it reaches into the next."""
        transport = self.client.client.conn.transport
        self._ours = True
        try:
            if opening:
                opening.cancel()
                await asyncio.gather(opening, return_exceptions=True)
            with contextlib.suppress(Exception):
                self.client.client.disconnect()
            if transport is not None:
                transport.abort()
            for _turn in range(10):
                if self.client.client.conn.transport is not None:
                    await asyncio.sleep(0)
        finally:
            self._ours = False

    # --- while it stands ---

    def connected(self) -> bool:
        """See Session."""
        return bool(self.client.isConnected())

    def received(self) -> int:
        """See Session."""
        return int(self.client.client.connectionStats().numBytesRecv) if self.connected() else 0

    def ask(self) -> None:
        """See Session."""
        self.client.client.reqCurrentTime()

    def _on_disconnect(self) -> None:
        self.left = self.left or (not self._ours and self.client.client.isReady())
        self._disconnect()

    def _on_events_done(self) -> None:
        """The library ends every event with its session; those of what will be subscribed again are to go on."""
        wrapper = self.client.wrapper
        tickers, subscribers = wrapper.tickers, wrapper.reqId2Subscriber
        if self.kept and not self.left:
            wrapper.tickers, wrapper.reqId2Subscriber = {}, {}
        self._end_events()
        wrapper.tickers, wrapper.reqId2Subscriber = tickers, subscribers

    def _on_end(self, _message: str) -> None:
        self.gone.set()

    def _on_code(self, _request: int, code: int, *_more: Any) -> None:
        if code == DATA_LOST and self.kept and self.connected():
            # In the next turn of the loop: a script's own handler comes first, and what it subscribes counts.
            self.subscriptions.end_of_session()
            self._loop.call_soon(self._renew_lost_data)

    def _renew_lost_data(self) -> None:
        if self.connected():
            for each in self.subscriptions.stale():
                self.subscriptions.cancel(each)
            self.renew()

    # --- subscriptions ---

    def renew(self) -> None:
        """See Session. The objects that a script holds are those that are fed again."""
        again = list(self.subscriptions.stale())
        for each in again:
            number = None
            if each.number is not None:
                number = self.client.client.getReqId()
                self._move(each, number)
            self.subscriptions.ask(each, number)
        self.start_anew()
        log.info("subscriptions made again: %d", len(again))

    def start_anew(self) -> None:
        """See Session."""
        super().start_anew()
        # The library makes new tables when a session ends and leaves these as they were.
        self._tables = {name: getattr(self.client.wrapper, name) for name in TABLES}

    def _move(self, each: Subscription, number: int) -> None:
        """Has the answers to this number go to where the answers to the old one went."""
        wrapper, before, old = self.client.wrapper, self._tables, each.number
        for name in FROM_NUMBER:
            target = before[name].pop(old, None)
            if target is not None:
                getattr(wrapper, name)[number] = target
        for name in TO_NUMBER:
            for key in [key for key, held in before[name].items() if held == old]:
                getattr(wrapper, name)[key] = number
        ticker, live = wrapper.reqId2Ticker.get(number), wrapper.reqId2Subscriber.get(number)
        if ticker is not None:
            self._move_ticker(ticker, old, number)
        if hasattr(live, "reqId"):
            live.reqId = number
        if each.name == "reqHistoricalData" and live is not None:
            self._refill(live, number)

    def _move_ticker(self, ticker: Any, old: Optional[int], number: int) -> None:
        wrapper, before = self.client.wrapper, self._tables
        for key in [key for key, held in before["tickers"].items() if held is ticker]:
            wrapper.tickers[key] = ticker
        for kind, numbers in list(before["ticker2ReqId"].items()):
            if numbers.get(ticker) == old:
                wrapper.ticker2ReqId[kind][ticker] = number

    def _refill(self, bars: Any, number: int) -> None:
        """Has the bars replaced by those that the new request begins with: among them are the ones that were missed."""

        def take(done: asyncio.Future[Any]) -> None:
            if not done.cancelled() and done.exception() is None and done.result():
                bars[:] = done.result()

        self.client.wrapper.startReq(number, bars.contract).add_done_callback(take)

    # --- its end ---

    def part(self) -> Optional[socket.socket]:
        """See Session."""
        self.kept = False
        for table in ("tickers", "reqId2Subscriber"):
            for each in self._tables.get(table, {}).values():
                each.updateEvent.set_done()  # nobody is to wait for more of it
        handle, transport = None, self.client.client.conn.transport
        if transport is not None:
            with contextlib.suppress(Exception):
                handle = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
            try:
                self.client.disconnect()
            except Exception as error:  # such as a loop that the script has closed
                log.debug("disconnect: %r", error)
        return handle

    def forget(self) -> None:
        """See Session."""
        self.client.client.connState, self.client.client.conn.transport = 0, None


class WireWatch(Watch):
    """Reads along with the library while it connects."""

    def __init__(self, ib: Any, profile: Profile, library: str, client_id: int) -> None:
        super().__init__(profile, library, client_id)
        self._ib, self._head = ib, b""

    @contextlib.contextmanager
    def hooked(self) -> Iterator[None]:
        """With the library's connection telling this watch what it sees, always after the library itself."""
        client = self._ib.client
        link, start = client.conn.connectAsync, client.connectAsync

        async def connect_tcp(host: str, port: int) -> None:
            await link(host, port)
            if client.conn.transport.get_extra_info("sockname") == client.conn.transport.get_extra_info("peername"):
                raise ConnectionRefusedError(111, "no listener; TCP connected to itself")
            self.passed("tcp", "server_version")

        async def connect_api(host: str, port: int, number: int, _timeout: Any = None) -> None:
            await start(host, port, number, 0)  # without the library's own timeout, which names no stage

        client.conn.connectAsync, client.connectAsync = connect_tcp, connect_api
        client.conn.hasData += self._on_data
        client.conn.disconnected += self.closed
        self._ib.errorEvent += self._on_error
        try:
            yield
        finally:
            self._ib.errorEvent -= self._on_error
            client.conn.disconnected -= self.closed
            client.conn.hasData -= self._on_data
            del client.conn.connectAsync, client.connectAsync

    def _on_data(self, data: bytes) -> None:
        if self.version is None:
            self._on_hello(data)
        client = self._ib.client
        if self.stage == "start_api" and client.isReady():
            self.started(client.getAccounts())

    def _on_hello(self, data: bytes) -> None:
        """The first frame: four bytes of length, then the server version and the connection time, NUL-terminated."""
        self._head += data[:1024]
        size = int.from_bytes(self._head[:4], "big")
        fields = self._head[4 : 4 + size].split(b"\0")
        if len(self._head) >= 4 and (size > 1000 or (len(self._head) >= 4 + size and not fields[0].isdigit())):
            self.fail(Dropped("the answer is not the API protocol"))
        elif 4 < 4 + size <= len(self._head):
            self.greeted(int(fields[0]))
            if not self._ib.client.isConnected():
                self.fail(Dropped(f"{self.library} does not take server version {self.version}", "start_api"))
                self.error.retry = False  # type: ignore[union-attr]

    def _on_error(self, request: int, code: int, *_more: Any) -> None:
        self.told(request, code)
