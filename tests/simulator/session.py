"""One client's connection, and the desk that hands out session slots and client ids."""

import asyncio
import enum
import os
from collections import deque
from typing import Deque, Dict, List, Optional, Set, cast

from . import protocol
from .answers import FIRST_ORDER_ID, answer
from .options import Options

FARM_NOTICES = (2104, 2106, 2158)
CLIENT_ID_IN_USE = 326
UNREADABLE_REQUEST = 320
CLOSE_AFTER_REFUSAL = 0.5  # seconds; what the real gateway leaves the client to read the reason
TRICKLE_INTERVAL = 1.0  # seconds between two bytes


class Stage(enum.Enum):
    """How far a connection has come."""

    HELLO = enum.auto()
    START_API = enum.auto()
    WAITING = enum.auto()
    SERVED = enum.auto()
    MUTE = enum.auto()


class Desk:
    """Which client holds a session under which id, and who waits for a slot, in order of arrival."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.connections: Set[Session] = set()
        self._holders: Dict[int, Session] = {}
        self._queue: Deque[Session] = deque()

    @property
    def occupied(self) -> bool:
        """Whether any client holds a session."""
        return bool(self._holders)

    def apply(self, session: "Session") -> None:
        """Give the session a slot, a place in the queue, or error 326."""
        if "id-in-use" in self.options.faults or session.client_id in self._holders:
            session.refuse_id()
        elif len(self._holders) < self.options.session_limit:
            self._holders[session.client_id] = session
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

    def close(self) -> None:
        """Close every connection, whatever its stage."""
        for session in list(self.connections):
            session.close()


class Session(asyncio.Protocol):
    """The server's side of one connection. `stalled` makes it fall silent after the server version."""

    def __init__(self, desk: Desk, stalled: bool = False) -> None:
        self.client_id = -1
        self._desk = desk
        self._options = desk.options
        self._faults = desk.options.faults
        self._stalled = stalled or "stall" in self._faults
        self._stage = Stage.MUTE if "silent" in self._faults else Stage.HELLO
        self._reader = protocol.FrameReader(protocol.PREAMBLE)
        self._version = 0
        self._early: List[List[str]] = []  # requests sent while waiting for a slot
        self._trickle: bytearray = bytearray()
        self._trickling: Optional[asyncio.TimerHandle] = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._desk.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._stage is Stage.MUTE:
            return
        try:
            for payload in self._reader.feed(data):
                self._take(payload)
        except protocol.ProtocolError:
            self.close()

    def eof_received(self) -> bool:
        return "no-close" in self._faults  # asyncio then keeps the socket: CLOSE_WAIT

    def connection_lost(self, exc: Optional[Exception]) -> None:  # noqa: ARG002 - asyncio passes it
        self._desk.connections.discard(self)
        if self._trickling:
            self._trickling.cancel()
        if "no-close" not in self._faults:
            self._desk.release(self)

    # What the desk decides.

    def serve(self) -> None:
        """Start the session: accounts, order id, notices, then whatever the client asked meanwhile."""
        self._stage = Stage.SERVED
        codes = (self._options.upstream_code,) if "upstream-lost" in self._faults else FARM_NOTICES
        opening = [protocol.managed_accounts(self._options.accounts), protocol.next_valid_id(FIRST_ORDER_ID)]
        opening += [protocol.error(self._version, -1, code) for code in codes]
        # In one piece: a client that leaves once it is ready must not be met by the rest, which would reset it.
        self._send(b"".join(opening))
        for fields in self._early:
            self._answer(fields)

    def refuse_id(self) -> None:
        """Say that the client id is taken, and close a little later."""
        self._stage = Stage.MUTE
        self._send(protocol.error(self._version, -1, CLIENT_ID_IN_USE))
        asyncio.get_running_loop().call_later(CLOSE_AFTER_REFUSAL, self.close)

    def close(self) -> None:
        """Close the connection from this side once what was sent is out."""
        self._stage = Stage.MUTE
        self._desk.leave_queue(self)
        self._transport.close()

    # What the client sends.

    def _take(self, payload: bytes) -> None:
        if self._stage is Stage.HELLO:
            self._greet(protocol.parse_hello(payload))
            return
        fields = protocol.split_fields(payload)
        if self._stage is Stage.START_API:
            self._start(fields)
        elif self._stage is Stage.WAITING:
            self._early.append(fields)
        elif self._stage is Stage.SERVED:
            self._answer(fields)

    def _greet(self, hello: protocol.Hello) -> None:
        if self._faults & {"garbage", "huge-prefix"}:
            self._stage = Stage.MUTE
            self._send(os.urandom(64) if "garbage" in self._faults else b"\xff\xff\xff\xff176\0")
            return
        self._version = min(self._options.server_version, hello.highest)
        self._send(protocol.server_version(self._version))
        if "drop-after-hello" in self._faults or self._version < hello.lowest:
            self.close()
        else:
            self._stage = Stage.MUTE if self._stalled else Stage.START_API

    def _start(self, fields: List[str]) -> None:
        """Read startApi; a request sent before it is passed over."""
        if fields[:1] != [protocol.START_API]:
            return
        try:
            self.client_id = int(fields[2])
        except (IndexError, ValueError):
            raise protocol.ProtocolError("startApi without a client id") from None
        self._stage = Stage.WAITING
        self._desk.apply(self)

    def _answer(self, fields: List[str]) -> None:
        try:
            self._send(b"".join(answer(fields, self._options.accounts)))
        except IndexError:
            self._send(protocol.error(self._version, -1, UNREADABLE_REQUEST))

    # What the client gets.

    def _send(self, data: bytes) -> None:
        if "trickle" not in self._faults:
            self._transport.write(data)
            return
        self._trickle += data
        if self._trickling is None:
            self._send_next_byte()

    def _send_next_byte(self) -> None:
        self._trickling = None
        if self._trickle:
            self._transport.write(self._trickle[:1])
            del self._trickle[:1]
            self._trickling = asyncio.get_running_loop().call_later(TRICKLE_INTERVAL, self._send_next_byte)
