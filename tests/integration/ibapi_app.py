"""A script's class on the official ibapi, as small as it can be, that waits for its answers."""

from __future__ import annotations

import threading
from typing import Any

from ibapi.client import EClient
from ibapi.wrapper import EWrapper


class App(EWrapper, EClient):  # type: ignore[misc]  # the library has no types
    """Its reqCurrentTime() returns when the answer is there."""

    def __init__(self) -> None:
        EClient.__init__(self, self)
        self.answered = threading.Event()

    def currentTime(self, time: int) -> None:  # noqa: ARG002 - the library passes it
        self.answered.set()

    def reqCurrentTime(self) -> bool:
        super().reqCurrentTime()
        return self.answered.wait(20)

    def error(self, *told: Any) -> None:
        """Silent: the kit tells."""
