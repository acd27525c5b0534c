"""What can go wrong: one exception for each cause, and the stage at which it showed."""

from __future__ import annotations

from typing import Optional

from .locks import Holder


class ConnectError(ConnectionError):
    """No session. stage: where it ended; cause: why, one fixed word; detail: the evidence in a sentence.

    attempts and elapsed (seconds) say what was tried; server_version is set from the stage start_api on.
    """

    cause, stage, retry = "failed", "setup", False

    def __init__(self, detail: str, stage: Optional[str] = None) -> None:
        super().__init__(detail)
        self.detail, self.stage = detail, stage or self.stage
        self.where = ""
        self.attempts, self.elapsed = 0, 0.0
        self.server_version: Optional[int] = None

    def __str__(self) -> str:
        tried = f" (attempts: {self.attempts}, {self.elapsed:.1f} s)" if self.attempts else ""
        return f"{self.where}{self.cause} at stage {self.stage}: {self.detail}{tried}"


class ProfileError(ConnectError):
    """The profile is missing or wrong; the text names file, profile and key."""

    cause, stage = "profile", "profile"


class LiveNotSaid(ProfileError):
    """The profile is live, and the call does not say so."""

    cause = "live_not_said"


class LibraryMissing(ConnectError):
    """Neither ib_insync nor ib_async can be imported."""

    cause = "library_missing"


class LoopRunning(ConnectError, RuntimeError):
    """The synchronous connect() was called inside a running event loop."""

    cause = "loop_running"


class SlotBusy(ConnectError):
    """Other scripts held the API slot for as long as this one could wait; holders: who."""

    cause, stage = "slot_busy", "slot"

    def __init__(self, detail: str, holders: tuple[Holder, ...] = ()) -> None:
        super().__init__(detail)
        self.holders = holders


class Refused(ConnectError):
    """No TCP connection."""

    cause, stage, retry = "refused", "tcp", True


class Silent(ConnectError):
    """Connected, but no server version came."""

    cause, stage, retry = "silent", "server_version", True


class Stalled(ConnectError):
    """The server version came, the session did not: what a bare library shows as `TimeoutError()`."""

    cause, stage, retry = "stalled", "start_api", True


class Dropped(ConnectError):
    """The gateway closed the connection, or sent what is not its protocol."""

    cause, stage, retry = "dropped", "server_version", True


class ClientIdInUse(ConnectError):
    """Error 326, or an asked-for id that another process of this host leases."""

    cause, stage, retry = "id_in_use", "start_api", True


class WrongMode(ConnectError):
    """The login's accounts are paper where the profile is live, or live where it is paper."""

    cause, stage = "wrong_trading_mode", "ready"
