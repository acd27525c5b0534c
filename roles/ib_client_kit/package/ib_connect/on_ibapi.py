"""Sessions of the official ibapi: a script's EClient connects and is served in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import threading
import time
from typing import Any, Callable, Optional

from .common import log
from .errors import ConnectError, Dropped, Refused
from .profiles import Profile
from .session import DATA_LOST, Session
from .subscriptions import Subscriptions
from .watch import LIBRARY_S_OWN, Watch, first, wrong_mode

#: Seconds for a thread to end after its connection has.
THREAD_ENDS_WITHIN = 5.0
#: EClient's connState.
CONNECTING, CONNECTED = 1, 2
#: What EClient.reset() clears although the script has set it.
SETTINGS = ("connectOptions", "connectionOptions", "optCapab")


class IbapiSession(Session):
    """A session of an EClient; `client` is the script's object. To be made inside the event loop that waits for it.

    connect() of the library neither raises nor ends when the gateway is silent, and run() must go on for anything to
    arrive: both happen in one thread here. The script's callbacks run in that thread.
    """

    def __init__(self, app: Any, profile: Profile) -> None:
        super().__init__(app, "ibapi", profile, Subscriptions(app, numbers_are_the_script_s=True))
        app.ib_connect_session = self
        self._loop = asyncio.get_event_loop()
        self._watch: Optional[Watch] = None
        self._ended: Optional[asyncio.Future[Optional[BaseException]]] = None
        self._thread: Optional[threading.Thread] = None
        self._accounts: Optional[list[str]] = None
        self._order_id: Optional[int] = None
        self._next_valid_id: Callable[..., None] = app.wrapper.nextValidId
        self._messages, self._questions = 0, 0
        self._alive = asyncio.Event()  # it has told the time, so it answers
        self._begun = False  # nextValidId has been passed on, so the script takes this for its session
        self._deciding = threading.Lock()  # whether it is one: the waiting thread may be giving it up
        self._settings = {name: getattr(app, name) for name in SETTINGS if getattr(app, name, None)}
        self._overlay(app, "setConnState", self._on_state)
        self._overlay(app, "msgLoopRec", self._on_message)
        self._overlay(app, "disconnect", self._on_disconnect)
        self._overlay(app.wrapper, "managedAccounts", self._on_accounts)
        self._overlay(app.wrapper, "nextValidId", self._on_order_id)
        self._overlay(app.wrapper, "currentTime", self._on_time)
        self._overlay(app.wrapper, "error", self._on_error)
        self._overlay(app, "run", self._on_run)

    @staticmethod
    def is_on(app: Any) -> bool:
        """Whether the object has a session, of the kit or of the script's own making."""
        return bool(app.isConnected())

    @classmethod
    def of(cls, app: Any, profile: Profile) -> IbapiSession:
        """The session of this object: one that was closed is used again, since its methods are laid over already."""
        session = getattr(app, "ib_connect_session", None)
        if not isinstance(session, cls):
            return cls(app, profile)
        session.profile, session.gone, session._loop = profile, asyncio.Event(), asyncio.get_event_loop()
        session.kept, session.renewing = False, False
        session.subscriptions.forget_all()
        return session

    @staticmethod
    def _overlay(target: Any, name: str, instead: Callable[..., None]) -> None:
        plain = getattr(target, name)
        setattr(target, name, lambda *given, **named: instead(plain, *given, **named))

    # --- connecting ---

    async def attempt(self, client_id: int, seconds: float, handshake: float, options: dict[str, Any]) -> Watch:
        """See Session; there are no options."""
        del options  # the libraries on asyncio have some
        if self._ended is not None and not self._ended.done():
            error = ConnectError("a callback of the script has not returned from the session before", "setup")
            error.retry = True
            raise error
        watch, began = Watch(self.profile, self.library, client_id), time.monotonic()
        ended: asyncio.Future[Optional[BaseException]] = self._loop.create_future()
        self._watch, self._ended, self._accounts, self._order_id, self.failure = watch, ended, None, None, None
        self._questions, self._alive, self._begun = 0, asyncio.Event(), False
        for name, value in self._settings.items():
            setattr(self.client, name, value)
        # Its threads are daemons like itself: ibapi's reader would otherwise keep a script from ending.
        self._thread = threading.Thread(target=self._live, args=(client_id, ended), name="ib_connect", daemon=True)
        self._thread.start()
        try:
            ends = began + min(seconds, handshake)
            await first(ended, watch.ready, ends - time.monotonic())
            if watch.ready.is_set() and not watch.error:
                await first(ended, self._alive, ends - time.monotonic())
            if not self._decide():
                raise self._verdict(watch, time.monotonic() - began)
        except BaseException:
            self._decide()
            await self.drop()
            raise
        watch.passed("synchronize", "done")
        self.begun()
        return watch

    def _decide(self) -> bool:
        """Whether the script has its session; from here on it cannot get this one any more."""
        with self._deciding:
            self._watch = None
            return self._begun

    def _verdict(self, watch: Watch, seconds: float) -> ConnectError:
        ended = self._ended
        problem = ended.result() if ended is not None and ended.done() else None
        if problem is not None and watch.stage == "server_version":
            watch.fail(Dropped("the answer is not the API protocol"))
        elif problem is None and ended is not None and ended.done():
            watch.fail(Refused("no connection") if watch.stage == "tcp" else watch.hung_up())
        return watch.verdict(problem, seconds)

    def _live(self, client_id: int, ended: asyncio.Future[Optional[BaseException]]) -> None:
        """The thread: from connect() to the end of the session."""
        problem: Optional[BaseException] = None
        try:
            self.client.connect(self.profile.host, self.profile.port, client_id)
            if self.client.isConnected():
                self.client.run()
        except Exception as error:
            problem = self.failure = error
            with contextlib.suppress(Exception):
                self.client.disconnect()  # which the library leaves out
            if self._accounts is not None:
                log.exception("a callback of the script failed, which has ended its session")
        finally:
            self._tell(self._on_thread_end, ended, problem)

    def _on_thread_end(self, ended: asyncio.Future[Optional[BaseException]], problem: Optional[BaseException]) -> None:
        if not ended.done():
            ended.set_result(problem)
        if ended is self._ended:
            self.gone.set()

    def _tell(self, what: Callable[..., None], *arguments: Any) -> None:
        """Has it done in the loop's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(what, *arguments)

    async def drop(self) -> None:
        """See Session."""
        self.subscriptions.end_of_session()
        ended = self._ended
        if ended is None or ended.done():
            return
        connection = self.client.conn
        if connection is not None and connection.socket is not None:
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(asyncio.TimeoutError):  # a callback that goes on; the next attempt finds that
            await asyncio.wait_for(asyncio.shield(ended), THREAD_ENDS_WITHIN)

    # --- what the thread sees ---

    def _on_state(self, plain: Callable[[int], None], state: int) -> None:
        plain(state)
        watch, connection = self._watch, self.client.conn
        if watch is None or connection is None or connection.socket is None:
            return
        if state == CONNECTING:
            with contextlib.suppress(OSError):
                peer, own = connection.socket.getpeername(), connection.socket.getsockname()
                if peer == own:
                    self._tell(watch.fail, Refused("no listener; TCP connected to itself"))
                self._tell(watch.passed, "tcp", "server_version")
        elif state == CONNECTED:
            self._tell(watch.greeted, self.client.serverVersion())

    def _on_accounts(self, plain: Callable[[str], None], accountsList: str) -> None:
        self._accounts, watch = [each for each in accountsList.split(",") if each], self._watch
        if not self._begun and wrong_mode(self.profile, self._accounts):
            if watch is not None:
                self._tell(watch.started, self._accounts)
            return
        plain(accountsList)
        if self._order_id is not None and watch is not None:
            self._started(watch)

    def _on_order_id(self, plain: Callable[[int], None], orderId: int) -> None:
        if self._begun:
            plain(orderId)
            return
        self._order_id, self._next_valid_id, watch = orderId, plain, self._watch
        if watch is not None and self._accounts is not None and not wrong_mode(self.profile, self._accounts):
            self._started(watch)

    def _started(self, watch: Watch) -> None:
        self._tell(watch.started, self._accounts)
        self.ask()

    def _on_time(self, plain: Callable[[int], None], time: int) -> None:
        if not self._questions:
            plain(time)
            return
        self._questions -= 1  # the kit's own: the script has not asked
        # Scripts begin to trade in nextValidId, so it waits until here: the accounts are of the right mode, and the
        # gateway answers.
        with self._deciding:
            if self._watch is None or self._order_id is None:
                return
            order_id, self._order_id, self._begun = self._order_id, None, True
        self._tell(self._alive.set)
        self._next_valid_id(order_id)
        # Only now, since what the script has subscribed itself is not to be subscribed a second time.
        if self.renewing:
            self._subscribe_again()

    def _on_error(self, plain: Callable[..., None], *given: Any, **named: Any) -> None:
        # (request, code, text, ...) or, since version 10.33, (request, time, code, text, ...)
        numbers = [each for each in given[:3] if isinstance(each, int)]
        if len(numbers) > 1:
            request, code = numbers[0], numbers[-1]
            if self._watch is not None:
                if request == -1 and code in LIBRARY_S_OWN:
                    return  # its words about an attempt are a guess; the ConnectError has the evidence
                self._tell(self._watch.told, request, code)
            elif code == DATA_LOST and self.kept:
                self.subscriptions.end_of_session()
        plain(*given, **named)
        if len(numbers) > 1 and numbers[-1] == DATA_LOST and self.kept and self._watch is None:
            for each in self.subscriptions.stale():
                self.subscriptions.cancel(each)
            self._subscribe_again()

    def _on_message(self, plain: Callable[[], None]) -> None:
        self._messages += 1
        plain()

    def _on_run(self, plain: Callable[[], None]) -> None:
        if threading.current_thread() is self._thread or not self.connected():
            plain()
        elif self._thread is not None:
            self._thread.join()  # a script that calls run() as it used to: the messages are handled already

    def _on_disconnect(self, plain: Callable[[], None]) -> None:
        # The library calls it too, when its run() ends; that is no word of the script's.
        caller = sys._getframe(2).f_globals.get("__name__")
        open_still = self.client.conn is not None and self.client.conn.isConnected()
        self.left = self.left or (open_still and caller not in ("ibapi.client", __name__))
        plain()

    # --- while it stands ---

    def connected(self) -> bool:
        """See Session."""
        return bool(self.client.isConnected())

    def received(self) -> int:
        """See Session."""
        return self._messages

    def ask(self) -> None:
        """See Session."""
        self._questions += 1
        # The library's own, whatever the script has made of it.
        sys.modules["ibapi.client"].EClient.reqCurrentTime(self.client)

    def renew(self) -> None:
        """See Session. The session's thread does it, as soon as the script's nextValidId has returned."""

    def _subscribe_again(self) -> None:
        """The numbers that the script gave stay."""
        again = list(self.subscriptions.stale())
        for each in again:
            self.subscriptions.ask(each, each.number)
        log.info("subscriptions made again: %d", len(again))

    # --- its end ---

    def part(self) -> Optional[socket.socket]:
        """See Session. May be called by a signal's handler, in the middle of anything that the library does."""
        handle, connection = None, self.client.conn
        if connection is not None and connection.socket is not None:
            with contextlib.suppress(OSError):
                handle = socket.socket(fileno=os.dup(connection.socket.fileno()))
                handle.shutdown(socket.SHUT_WR)
            if not connection.lock.locked():  # else this thread may be the one that holds it
                self.client.disconnect()
        return handle

    def forget(self) -> None:
        """See Session."""
        self.client.connState, self.client.conn = 0, None
