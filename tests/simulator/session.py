"""One client's connection: the opening exchange, the session's opening, and the answers."""

import asyncio
import enum
import os
from typing import List, Optional, Sequence, cast

from . import messages, protocol
from .answers import FIRST_ORDER_ID, answer
from .desk import Desk
from .messages import Message
from .requests import START_API, Request, Unreadable

FARMS_OK = (2104, 2106, 2158)
FARMS_BROKEN = (2103, 2105, 2157)
UNREADABLE_REQUEST = 320
REQUEST_IDS = 8
TEXT_ONLY_VERSION = 100  # the shape of what is sent before a version is agreed on
EARLY_FRAMES_AHEAD = 0.1  # seconds; official clients read one frame of each piece that comes before the version
LONG_ZONE = b"x" * 300
STRANGE_ZONE = "\u4e2d\u56fd\u6807\u51c6\u65f6\u95f4".encode("gbk")  # a Chinese Windows' name of its zone: no UTF-8
REPLAYED_ORDERS = 20
OTHER_CLIENT = 99  # who placed the orders that are replayed
CLOSE_AFTER_REFUSAL = 0.5  # seconds; what the real gateway leaves the client to read the reason
TRICKLE_INTERVAL = 1.0  # seconds between two bytes


class Stage(enum.Enum):
    """How far a connection has come."""

    HELLO = enum.auto()
    START_API = enum.auto()
    WAITING = enum.auto()
    SERVED = enum.auto()
    MUTE = enum.auto()


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
        self._early: List[bytes] = []  # requests sent while waiting for a slot
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
        # In one piece: a client that leaves once it is ready must not be met by the rest, which would reset it.
        self._say(*self._opening())
        if "silent-after-ready" in self._faults:
            self.mute()
        for payload in self._early:
            self._answer(payload)

    def refuse(self, code: int) -> None:
        """Say why there is no session, and close a little later."""
        self.mute()
        self.notify(code)
        asyncio.get_running_loop().call_later(CLOSE_AFTER_REFUSAL, self.close)

    def notify(self, code: int) -> None:
        """Send a notice about the connection."""
        self._say(messages.error(self._version, -1, code))

    def mute(self) -> None:
        """Neither read nor answer any more; the connection stays."""
        self._stage = Stage.MUTE

    def close(self) -> None:
        """Close the connection from this side once what was sent is out."""
        self._stage = Stage.MUTE
        self._desk.leave_queue(self)
        self._transport.close()

    # What the client sends.

    def _take(self, payload: bytes) -> None:
        if self._stage is Stage.HELLO:
            self._greet(protocol.parse_hello(payload))
        elif self._stage is Stage.START_API:
            self._start(payload)
        elif self._stage is Stage.WAITING:
            self._early.append(payload)
        elif self._stage is Stage.SERVED:
            self._answer(payload)

    def _greet(self, hello: protocol.Hello) -> None:
        if self._faults & {"garbage", "huge-prefix"}:
            self.mute()
            self._send(os.urandom(64) if "garbage" in self._faults else b"\xff\xff\xff\xff176\0")
            return
        self._version = min(self._options.server_version, hello.highest)
        self._stage = Stage.MUTE if self._stalled else Stage.START_API
        if "early-frames" in self._options.quirks:
            for code in FARMS_OK:
                self._send(messages.encode(TEXT_ONLY_VERSION, messages.error(TEXT_ONLY_VERSION, -1, code)))
            asyncio.get_running_loop().call_later(EARLY_FRAMES_AHEAD, self._agree, hello)
        elif self._options.answer_after:
            asyncio.get_running_loop().call_later(self._options.answer_after, self._agree, hello)
        else:
            self._agree(hello)

    def _agree(self, hello: protocol.Hello) -> None:
        zone = protocol.own_zone()
        if "strange-zone" in self._options.quirks:
            zone = STRANGE_ZONE
        if "long-first-frame" in self._options.quirks:
            zone += LONG_ZONE
        self._send(protocol.server_version(self._version, zone))
        if "drop-after-hello" in self._faults or self._version < hello.lowest:
            self.close()

    def _start(self, payload: bytes) -> None:
        """Read startApi; a request sent before it is passed over."""
        try:
            request = Request(payload, self._version)
            if request.id != START_API:
                return
            self.client_id = request.number("client")
        except Unreadable as error:
            raise protocol.ProtocolError(f"startApi: {error}") from None
        self._stage = Stage.WAITING
        self._desk.apply(self)

    def _answer(self, payload: bytes) -> None:
        if self._stage is not Stage.SERVED:
            return
        try:
            request = Request(payload, self._version)
            if request.id != REQUEST_IDS or "no-order-id" not in self._faults:
                self._say(*answer(request, self._options.accounts))
        except Unreadable:
            self.notify(UNREADABLE_REQUEST)

    # What the client gets.

    def _opening(self) -> List[Message]:
        opening = []
        if "replayed-orders" in self._options.quirks:
            orders = range(1, REPLAYED_ORDERS + 1)
            opening += [messages.order_status(self._version, order, OTHER_CLIENT) for order in orders]
        opening.append(messages.managed_accounts(self._options.accounts))
        if "no-order-id" not in self._faults:
            opening.append(messages.next_valid_id(FIRST_ORDER_ID))
        codes: Sequence[int] = FARMS_BROKEN if "farms-broken" in self._faults else FARMS_OK
        if "upstream-lost" in self._faults:
            codes = (self._options.upstream_code,)
        return opening + [messages.error(self._version, -1, code) for code in codes]

    def _say(self, *said: Message) -> None:
        self._send(b"".join(messages.encode(self._version, message) for message in said))

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
