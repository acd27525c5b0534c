"""The API's wire format: frames, and the few messages that a handshake consists of. Pure: bytes in, values out.

A frame is a big-endian uint32 length and that many bytes of NUL-terminated text fields; the first field is the
message's id. What a peer sends may be anything: nothing here raises anything but ProtocolError because of it, and
nothing is kept beyond one frame of at most MAX_FRAME bytes.
"""

from __future__ import annotations

import re
import struct
from typing import Iterator, NamedTuple, Optional, Sequence, Tuple, Union

from ..base.redaction import mask_account, plain_text
from ..base.spec import LIVE, PAPER

#: The server versions offered; 176 is the highest that ib_insync speaks, and everything here is plain text up to it.
MIN_VERSION, MAX_VERSION = 100, 176
#: Bytes. The largest frames of a handshake (account lists) have a few kilobytes.
MAX_FRAME = 1 << 20
#: Bytes. A server version and a time: what claims to be longer is another protocol.
MAX_HELLO_FRAME = 256
#: From this server version an error has no version field, and its time at the end.
ERROR_WITHOUT_VERSION = 194

_LENGTH = struct.Struct(">I")
# Short on purpose: int() is quadratic in the number of digits before Python 3.11, and takes "1_0" and other scripts.
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_VERSION = re.compile(r"[0-9]{1,3}")
_MAX_TEXT = 300
#: More accounts than any login manages; the rest of a longer list is left out.
_MAX_ACCOUNTS = 1000
# The settings of a gateway are right by rule: a text that sends a person there is not passed on.
_ABOUT_SETTINGS = re.compile(r"(?i)setting|configur|\benable\b|trusted")

Fields = Tuple[str, ...]


class ProtocolError(Exception):
    """The peer sent something that is not the API protocol; the text says what and quotes nothing of it."""


class Hello(NamedTuple):
    """The server's answer to the hello: its version, and its clock as it prints it."""

    version: int
    connected_at: str


class ManagedAccounts(NamedTuple):
    """The accounts of the login, masked, and what they say about the trading mode (None: mixed or not known)."""

    accounts: Tuple[str, ...]
    trading_mode: Optional[str]


class NextValidId(NamedTuple):
    """The first order id that this session may use."""

    order_id: int


class ApiError(NamedTuple):
    """An error or a notice; request_id is -1 where it is about the connection.

    raw: its text as it came, cut; it is never shown. text: the same, fit to be shown.
    """

    request_id: int
    code: int
    raw: str

    @property
    def text(self) -> str:
        """Worked out when it is asked for: a peer could send thousands of texts that are slow to mask."""
        return _shown(self.raw)


class CurrentTime(NamedTuple):
    """The gateway's clock in seconds since the epoch: the cheapest proof that it serves requests."""

    epoch: int


Message = Union[ManagedAccounts, NextValidId, ApiError, CurrentTime]


def frame(*fields: object) -> bytes:
    """One frame with these fields, each as text and NUL-terminated."""
    return _prefixed("".join(f"{field}\0" for field in fields).encode())


def hello() -> bytes:
    """What a client says first: the API mark, and a frame with the versions it speaks (this one without any NUL)."""
    return b"API\0" + _prefixed(b"v%d..%d" % (MIN_VERSION, MAX_VERSION))


def start_api(client_id: int) -> bytes:
    """The request to open the session under this client id, without optional capabilities."""
    return frame(71, 2, client_id, "")


def request_current_time() -> bytes:
    """The request for the gateway's clock."""
    return frame(49, 1)


def _prefixed(payload: bytes) -> bytes:
    return _LENGTH.pack(len(payload)) + payload


class FrameDecoder:
    """Cuts a byte stream into the fields of its frames, however the bytes are cut into pieces.

    limit: bytes; a frame that claims to be larger is an error as soon as its length is read. It may be changed
    between two frames.
    """

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._broken: Optional[str] = None

    @property
    def buffered(self) -> int:
        """How many bytes wait for the rest of their frame; never more than limit and the four of its length."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[Fields]:
        """Yields the fields of every frame that `data` completes; a generator, so nothing happens until it is stepped.

        Raises ProtocolError after the last good frame, and on every call from then on.
        """
        if not self._broken:
            self._buffer += data
        while not self._broken and len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if not 0 < length <= self.limit:
                self._broken = f"a frame of {length} bytes"
                break
            if len(self._buffer) < _LENGTH.size + length:
                return
            payload = bytes(self._buffer[_LENGTH.size : _LENGTH.size + length])
            del self._buffer[: _LENGTH.size + length]
            # What follows the last NUL is no field: the other clients of this protocol drop it too.
            fields = tuple(part.decode(errors="backslashreplace") for part in payload.split(b"\0")[:-1])
            if fields:
                yield fields
            else:
                self._broken = "a frame without fields"
        if self._broken:
            self._buffer.clear()
            raise ProtocolError(self._broken)


def parse_hello(fields: Sequence[str]) -> Hello:
    """The server's first frame: exactly two fields, its version (1 to 999) and its time."""
    if len(fields) != 2:
        raise ProtocolError(f"a first frame of {len(fields)} fields instead of 2")
    if not _VERSION.fullmatch(fields[0]) or int(fields[0]) == 0:
        raise ProtocolError("a first frame without a server version")
    return Hello(int(fields[0]), _shown(fields[1]))


def parse(fields: Sequence[str], server_version: int) -> Optional[Message]:
    """A message after the first frame; None for the kinds that a handshake has no use for."""
    kind = _integer(fields, 0)
    if kind == 4:
        first = 1 if server_version >= ERROR_WITHOUT_VERSION else 2
        raw = _field(fields, first + 2)[: 2 * _MAX_TEXT]
        return ApiError(_integer(fields, first), _integer(fields, first + 1), raw)
    if kind == 9:
        return NextValidId(_integer(fields, 2))
    if kind == 15:
        accounts = [name.strip() for name in _field(fields, 2).split(",", _MAX_ACCOUNTS)[:_MAX_ACCOUNTS]]
        accounts = [name for name in accounts if name]
        return ManagedAccounts(tuple(_masked(name) for name in accounts), trading_mode(accounts))
    if kind == 49:
        return CurrentTime(_integer(fields, 2))
    return None


def trading_mode(accounts: Sequence[str]) -> Optional[str]:
    """What account numbers say, by IBKR's convention: D... is paper, U, F and I are live; None if mixed or unknown."""
    modes = {{"D": PAPER, "U": LIVE, "F": LIVE, "I": LIVE}.get(account[:1]) for account in accounts}
    return modes.pop() if len(modes) == 1 else None


def _masked(account: str) -> str:
    """What stands in an account list is an account, whatever it looks like: an unknown shape keeps two characters."""
    account = _printable(account)[:32]
    masked = mask_account(account)
    return masked if masked != account else "*" * (len(account) - 2) + account[-2:]


def _shown(text: str) -> str:
    """A text of the server, fit to be shown; empty where none of it is."""
    # Cut before and after: patterns are slow on a megabyte, and what masking makes shorter needs the room.
    text = plain_text(_printable(text[: 2 * _MAX_TEXT]), _MAX_TEXT)
    return "" if _ABOUT_SETTINGS.search(text) else text


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _field(fields: Sequence[str], index: int) -> str:
    if index >= len(fields):
        raise ProtocolError(f"a message {_kind(fields)} of {len(fields)} fields")
    return fields[index]


def _integer(fields: Sequence[str], index: int) -> int:
    text = _field(fields, index)
    if not _INTEGER.fullmatch(text):
        raise ProtocolError(f"a message {_kind(fields)} whose field {index} is no number")
    return int(text)


def _kind(fields: Sequence[str]) -> str:
    return fields[0] if fields and _INTEGER.fullmatch(fields[0]) else "without an id"
