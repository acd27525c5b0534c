"""One attempt to connect, watched: which stage it reached, what ended it, and what that is called."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Optional, Sequence

from .errors import ClientIdInUse, ConnectError, Dropped, Refused, Silent, Stalled, WrongMode
from .profiles import Profile

#: The first letter of an account number: the mode it belongs to. Others are not judged.
ACCOUNT_MODES = {"D": "paper", "U": "live", "F": "live", "I": "live"}
#: Codes without a request that mean nothing bad: data farms that are connected or idle.
HARMLESS = {*range(2104, 2109), 2158, 2159}
#: Codes that no gateway sends: what ibapi says itself about a connection that it could not make.
LIBRARY_S_OWN = range(501, 600)


def mask(account: str) -> str:
    """DU1234567 as DU*****67."""
    letters = len(account) - len(account.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    return account[:letters] + "*" * max(0, len(account) - letters - 2) + account[letters:][-2:]


def wrong_mode(profile: Profile, accounts: Sequence[str]) -> Optional[WrongMode]:
    """The error for accounts of the other mode than the profile's."""
    modes = {ACCOUNT_MODES.get(each[:1]) for each in accounts}
    if not modes & ({"live", "paper"} - {profile.mode}):
        return None
    return WrongMode(f"the profile is {profile.mode}, the accounts are not: {', '.join(map(mask, accounts))}")


class Watch:
    """What is known of an attempt. Used in one event loop; `ready` is set with the accounts, `over` with an error."""

    def __init__(self, profile: Profile, library: str, client_id: int) -> None:
        self.profile, self.library, self.client_id = profile, library, client_id
        self.stage = "tcp"
        self.error: Optional[ConnectError] = None
        self.timings: dict[str, float] = {}
        self.version: Optional[int] = None
        self.accounts: list[str] = []
        self.ready, self.over = asyncio.Event(), asyncio.Event()
        self.notice, self._mark = 0, time.monotonic()

    def passed(self, stage: str, following: str) -> None:
        """That a stage is done, and which is next."""
        now = time.monotonic()
        self.timings[stage], self._mark, self.stage = now - self._mark, now, following

    def greeted(self, version: int) -> None:
        """That the server version came."""
        self.version = version
        self.passed("server_version", "start_api")

    def started(self, accounts: Sequence[str]) -> None:
        """That accounts and order id came."""
        self.accounts = list(accounts)
        self.passed("start_api", "synchronize")
        wrong = wrong_mode(self.profile, accounts)
        if wrong:
            self.fail(wrong)
        self.ready.set()

    def told(self, request: int, code: int) -> None:
        """That the gateway sent a code; request is -1 where it means the connection."""
        if code == 326:
            self.fail(ClientIdInUse(f"client id {self.client_id} is in use (error 326)"))
        elif request == -1 and code not in HARMLESS:
            self.notice = code

    def closed(self, message: str = "") -> None:
        """That the gateway closed the connection."""
        self.fail(self.hung_up(message))

    def hung_up(self, message: str = "") -> Dropped:
        """The error for a connection that the gateway closed."""
        came = f"after server version {self.version}" if self.version else "before a server version came"
        return Dropped(f"the gateway closed the connection {came}{message and f' ({message})'}", self.stage)

    def fail(self, error: ConnectError) -> None:
        """That the attempt is over; the first error counts."""
        if self.error is None:
            if self.notice:
                error.detail += f"; before that the gateway sent code {self.notice}"
            error.server_version, self.error = self.version, error
            self.ready.set()
            self.over.set()

    def verdict(self, problem: Optional[BaseException], seconds: float) -> ConnectError:
        """What to raise for an attempt that came to nothing within these seconds, or with this exception."""
        if self.error is None:
            self.fail(self._cause(problem, seconds))
        assert self.error
        return self.error

    def _cause(self, problem: Optional[BaseException], seconds: float) -> ConnectError:
        if self.stage == "tcp":
            known = isinstance(problem, OSError) and problem.errno is not None
            return Refused(f"no connection: {problem}" if known else f"no connection within {seconds:.1f} s")
        if problem is not None and not isinstance(problem, (asyncio.TimeoutError, OSError)):
            error = ConnectError(f"{self.library} failed: {problem!r}", self.stage)
            error.__cause__ = problem
            return error
        if self.version is None:
            return Silent(f"connected, but no server version came within {seconds:.1f} s")
        missing = (
            "nextValidId and managedAccounts" if self.stage == "start_api" else "the answers to the first requests"
        )
        return Stalled(f"server version {self.version} came, {missing} did not within {seconds:.1f} s", self.stage)


async def first(waited: asyncio.Future[Any], event: asyncio.Event, seconds: float) -> None:
    """Waits until the one is done or the other set, or the seconds are over."""
    setting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({waited, setting}, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
    finally:
        setting.cancel()
