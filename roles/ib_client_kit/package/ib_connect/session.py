"""What a session can do, whichever library it is of, and how it is noticed that one has ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from abc import ABC, abstractmethod
from typing import Any, Optional

from .profiles import Profile
from .subscriptions import Subscriptions
from .watch import Watch

#: Seconds that a gateway may take to tell the time, before a session that has fallen silent is given up.
PATIENCE = 15.0
#: The gateway has its server again, and has forgotten what was subscribed.
DATA_LOST = 1101


class Session(ABC):
    """One library's client object: it connects, is watched, and gets its subscriptions back."""

    def __init__(self, client: Any, library: str, profile: Profile, subscriptions: Subscriptions) -> None:
        self.client, self.library, self.profile, self.subscriptions = client, library, profile, subscriptions
        self.kept = False  # by run() or sleep(): then lost data is asked for again too
        self.renewing = False  # the session that is being made is to get the subscriptions of the one before
        self.left = False  # the script has disconnected itself
        self.failure: Optional[BaseException] = None  # what a callback of the script raised, and so ended the session
        self.sessions = 0  # how many there have been
        self.gone = asyncio.Event()
        self._count, self._heard, self._asked = 0, time.monotonic(), False

    @abstractmethod
    async def attempt(self, client_id: int, seconds: float, handshake: float, options: dict[str, Any]) -> Watch:
        """One session within these seconds, `handshake` of them until it is ready; else a ConnectError."""

    @abstractmethod
    def connected(self) -> bool:
        """Whether there is a session."""

    @abstractmethod
    def received(self) -> int:
        """A number that grows with what the gateway says."""

    @abstractmethod
    def ask(self) -> None:
        """Asks the gateway for the time: the cheapest question."""

    @abstractmethod
    def renew(self) -> None:
        """Subscribes again what was subscribed before and the script has not subscribed again itself."""

    @abstractmethod
    async def drop(self) -> None:
        """Ends what is left of a session that answers nothing any more."""

    @abstractmethod
    def part(self) -> Optional[socket.socket]:
        """Says goodbye to the gateway; gives a handle on the socket, on which the gateway's goodbye will come."""

    @abstractmethod
    def forget(self) -> None:
        """In a forked child: nothing that it does may end its parent's session."""

    def start_anew(self) -> None:
        """Forgets what was subscribed before and is not subscribed now."""
        self.subscriptions.forget_stale()

    def begun(self) -> None:
        """That there is a session now."""
        self.left = False
        self.sessions += 1
        self.gone.clear()
        self._count, self._heard, self._asked = 0, time.monotonic(), False

    async def lost(self, heartbeat: float, seconds: Optional[float]) -> Optional[str]:
        """Waits for the end of the session, for so many seconds at most; gives why it has ended, None if it has not.

        heartbeat: seconds of silence after which the gateway is asked for the time; 0 never asks.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            await asyncio.sleep(0)
            if not self.connected():
                return "the session has ended"
            self.gone.clear()  # of a session before
            now = time.monotonic()
            if self.received() != self._count:
                self._count, self._heard, self._asked = self.received(), now, False
            due = self._heard + heartbeat if heartbeat else None
            if due is not None and now >= due:
                if self._asked:
                    return "the gateway answers nothing any more"
                self._ask_once(now + PATIENCE - heartbeat)
                continue
            waits = [each - now for each in (due, end) if each is not None]
            try:
                await asyncio.wait_for(self.gone.wait(), max(0.0, min(waits)) if waits else None)
            except asyncio.TimeoutError:
                if end is not None and time.monotonic() >= end:
                    return None

    def _ask_once(self, heard: float) -> None:
        self._asked, self._heard = True, heard
        with contextlib.suppress(ConnectionError):  # the next look finds that
            self.ask()
