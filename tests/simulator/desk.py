"""Who holds a session on the simulated gateway under which client id, and who waits for a slot."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Deque, Dict, Set

from .options import Options

if TYPE_CHECKING:
    from .session import Session

CLIENT_ID_IN_USE = 326
DISCLAIMER_PENDING = 10141


class Desk:
    """Hands out session slots and client ids, in order of arrival."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.connections: Set[Session] = set()
        self.taken = asyncio.Event()  # set once a first client holds a session
        self._holders: Dict[int, Session] = {}
        self._queue: Deque[Session] = deque()

    @property
    def occupied(self) -> bool:
        """Whether any client holds a session."""
        return bool(self._holders)

    def apply(self, session: "Session") -> None:
        """Give the session a slot, a place in the queue, or a refusal."""
        faults = self.options.faults
        if "disclaimer" in faults:
            session.refuse(DISCLAIMER_PENDING)
        elif "id-in-use" in faults or session.client_id in self._holders:
            if "close-on-used-id" in faults:
                session.close()
            else:
                session.refuse(CLIENT_ID_IN_USE)
        elif len(self._holders) < self.options.session_limit:
            self._holders[session.client_id] = session
            self.taken.set()
            session.serve()
        else:
            self._queue.append(session)

    def leave_queue(self, session: "Session") -> None:
        """Forget that the session waits for a slot."""
        if session in self._queue:
            self._queue.remove(session)

    def release(self, session: "Session") -> None:
        """Take back what a session that ended held and serve those who waited for it."""
        self.leave_queue(session)
        if self._holders.get(session.client_id) is session:
            del self._holders[session.client_id]
        while self._queue and len(self._holders) < self.options.session_limit:
            self.apply(self._queue.popleft())

    def tell(self, code: int) -> None:
        """Send a notice to everyone who holds a session."""
        for session in self._holders.values():
            session.notify(code)

    def mute(self) -> None:
        """Say nothing to anyone any more."""
        for session in list(self.connections):
            session.mute()

    def close(self) -> None:
        """Close every connection, whatever its stage."""
        for session in list(self.connections):
            session.close()
