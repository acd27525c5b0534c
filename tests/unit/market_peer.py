"""A gateway in a thread whose sessions can be looked at and ended: what it heard, and what it says next."""

from __future__ import annotations

import contextlib
import re
import socket
from typing import Callable, List, Sequence, Tuple

from unit.api_frames import raw_frame
from unit.api_peer import Line, Peer
from unit.market_answers import answer, error

Request = Sequence[str]


class Market(Peer):
    """Each of its sessions is answered as market_answers says, until the test says otherwise.

    requests: for each session the requests it has made, as lists of fields. refuse: the client ids that get error
    326. mute: the sessions, counted from 0, that get no more answers.
    """

    def __init__(self, accounts: str = "DU1234567,") -> None:
        super().__init__(self._session)
        self.accounts, self.refuse = accounts, set[str]()
        self.mute = set[int]()
        self.requests: List[List[Request]] = []
        self.ids: List[str] = []
        self.first_words: Callable[[], bytes] = self._accounts_and_order_id
        self._open: List[Tuple[Line, int]] = []

    def __enter__(self) -> Market:
        super().__enter__()
        return self

    def _accounts_and_order_id(self) -> bytes:
        """Each session counts from another number, so that one of the session before is never right by chance."""
        return raw_frame("15", "1", self.accounts) + raw_frame("9", "1", str(100 * len(self.requests)))

    def _session(self, line: Line) -> None:
        version = self._greet(line)
        line.frame()
        number = line.heard[-1].split(b"\0")[2].decode()
        self.ids.append(number)
        if number in self.refuse:
            line.say(error(version, 326))
            line.until_closed()
            return
        heard: List[Request] = []
        number_of_session = len(self.requests)
        self.requests.append(heard)
        self._open.append((line, version))
        line.say(self.first_words())
        while True:
            fields = line.frame().decode().split("\0")[:-1]
            heard.append(fields)
            if number_of_session not in self.mute:
                line.say(answer(fields))

    @staticmethod
    def _greet(line: Line) -> int:
        """Takes the hello and gives the highest version that both know."""
        assert line.read(4) == b"API\0"
        version = min(176, int(re.split(rb"\.\.|v", line.frame())[-1]))
        line.say(raw_frame(str(version), "20250425 15:23:54 EST"))
        return version

    def asked(self, session: int, *messages: str) -> List[Request]:
        """The requests of one session that have one of these message ids."""
        return [each for each in self.requests[session] if each[0] in messages] if len(self.requests) > session else []

    def say(self, data: bytes) -> None:
        """To the newest session."""
        self._open[-1][0].say(data)

    def tell(self, code: int) -> None:
        """Sends the newest session a code that means the connection."""
        self.say(error(self._open[-1][1], code))

    def hang_up(self) -> None:
        """Ends the newest session, as a gateway does that restarts."""
        with contextlib.suppress(OSError):
            self._open[-1][0].connection.shutdown(socket.SHUT_RDWR)
