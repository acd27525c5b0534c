"""What `IB.connect` reads before a script goes on: each request, and when its answer was complete. Pure, but for time.

A session that opens in full and answers none of it looks healthy to who only waits for nextValidId, and is a
TimeoutError to every script.
"""

from __future__ import annotations

import time
from typing import Dict, List, Optional

from . import messages, requests
from .requests import Request

#: From this server version on completed orders can be asked for.
_COMPLETED_ORDERS_SINCE = 150
#: The gateway takes a request for invalid, as it does one that an account or a client may not make. It is an answer.
_INVALID_REQUEST = 321
#: Of the requests without a number, the ones that are refused to some, the likeliest first.
_REFUSABLE = (messages.COMPLETED_ORDERS, messages.OPEN_ORDERS, messages.ACCOUNT_UPDATES)


class Sync:
    """The requests of one session. answered: whether any of them got a part of its answer."""

    def __init__(self) -> None:
        self.began: Optional[float] = None
        self.answered = False
        self._open: List[str] = []
        self._took: Dict[str, Optional[float]] = {}
        self._cancels: List[Request] = []

    def begin(self, account: str, server_version: int) -> List[Request]:
        """The requests to send now. account: whose values are asked for; none where it is empty."""
        asked = [requests.positions(), requests.open_orders()]
        self._cancels = [requests.cancel_positions()]
        if server_version >= _COMPLETED_ORDERS_SINCE:
            asked.append(requests.completed_orders())
        if account:
            asked.append(requests.account_updates(account))
            self._cancels.append(requests.cancel_account_updates(account))
        asked.append(requests.executions())
        self.began = time.monotonic()
        self._open = [each.name for each in asked]
        self._took = dict.fromkeys(self._open)
        return asked

    def cancels(self) -> List[Request]:
        """What ends the subscriptions that begin() made; each time it is called."""
        return list(self._cancels)

    def take(self, message: messages.Message) -> bool:
        """Takes a message that came after begin(); gives whether it belonged to one of the requests."""
        if isinstance(message, messages.Answer) and message.request in self._took:
            self.answered = True
            if message.complete:
                self._close(message.request)
            return True
        if isinstance(message, messages.ApiError):
            name = self._about(message)
            if name:
                self.answered = True
                self._close(name)
            return name is not None
        return False

    @property
    def complete(self) -> bool:
        """Whether each request has its whole answer."""
        return self.began is not None and not self._open

    @property
    def missing(self) -> List[str]:
        """The requests without a whole answer, in the order in which they were sent."""
        return list(self._open)

    @property
    def took_ms(self) -> Dict[str, Optional[float]]:
        """Request -> milliseconds until its whole answer had come; None while it has not."""
        return dict(self._took)

    def _about(self, error: messages.ApiError) -> Optional[str]:
        if error.request_id == requests.EXECUTIONS_ID and messages.EXECUTIONS in self._open:
            return messages.EXECUTIONS
        if error.code != _INVALID_REQUEST or error.request_id not in messages.NO_REQUEST:
            return None
        return next((name for name in _REFUSABLE if name in self._open), None)

    def _close(self, name: str) -> None:
        if name in self._open and self.began is not None:
            self._open.remove(name)
            self._took[name] = round((time.monotonic() - self.began) * 1000, 1)
