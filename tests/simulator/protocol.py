"""The API's wire format: frames, the opening exchange and the messages that make a session ready.

A frame is a big-endian uint32 length and that many bytes: NUL-terminated text fields, the first one the message id.
"""

import re
import time
from typing import List, NamedTuple, Sequence, Union

PREAMBLE = b"API\0"
START_API = "71"
LENGTH_BYTES = 4
LONGEST_FRAME = 0xFFFFFF

# Server versions at which the error message changes shape.
ADVANCED_REJECT_VERSION = 166
ERROR_TIME_VERSION = 194

NOTICES = {
    320: "Server error when reading an API client request.",
    326: "Unable to connect as the client id is already in use. Retry with a unique client id.",
    1100: "Connectivity between IBKR and Trader Workstation has been lost.",
    2104: "Market data farm connection is OK:usfarm",
    2106: "HMDS data farm connection is OK:ushmds",
    2110: "Connectivity between Trader Workstation and server is broken. It will be restored automatically.",
    2158: "Sec-def data farm connection is OK:secdefil",
}

Field = Union[str, int]


class ProtocolError(Exception):
    """The other end does not speak this protocol."""


class Hello(NamedTuple):
    """The range of server versions a client understands, both ends included."""

    lowest: int
    highest: int


class FrameReader:
    """Cuts a byte stream into frame payloads; the stream may open with a fixed preamble."""

    def __init__(self, preamble: bytes = b"") -> None:
        self._preamble = preamble
        self._buffer = b""

    def feed(self, data: bytes) -> List[bytes]:
        """Take in bytes as they came; return the payloads that are complete now, possibly none."""
        self._buffer += data
        if self._preamble:
            head = self._buffer[: len(self._preamble)]
            if not self._preamble.startswith(head):
                raise ProtocolError("no API preamble")
            if len(head) < len(self._preamble):
                return []
            self._buffer = self._buffer[len(head) :]
            self._preamble = b""
        payloads = []
        while len(self._buffer) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
            if end > LENGTH_BYTES + LONGEST_FRAME:
                raise ProtocolError("frame too long")
            if len(self._buffer) < end:
                break
            payloads.append(self._buffer[LENGTH_BYTES:end])
            self._buffer = self._buffer[end:]
        return payloads


def prefixed(payload: bytes) -> bytes:
    """The payload as a frame."""
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload


def frame(*fields: Field) -> bytes:
    """A frame of these fields."""
    return prefixed("".join(f"{field}\0" for field in fields).encode())


def split_fields(payload: bytes) -> List[str]:
    """The text fields of a payload; what follows the last NUL is dropped."""
    return payload.decode(errors="backslashreplace").split("\0")[:-1]


def parse_hello(payload: bytes) -> Hello:
    """Read a client's first frame, `v157..176` or `v176`, with connect options after a blank."""
    match = re.match(rb"v(\d{1,9})(?:\.\.(\d{1,9}))?(?: |$)", payload)
    if match is None:
        raise ProtocolError("no version range")
    lowest, highest = match.groups()
    return Hello(int(lowest), int(highest or lowest))


def server_version(version: int) -> bytes:
    """The server's first frame: negotiated version and connection time."""
    return frame(version, time.strftime("%Y%m%d %H:%M:%S %Z"))


def managed_accounts(accounts: Sequence[str]) -> bytes:
    """The account list; like the real one it ends in a comma."""
    return frame(15, 1, ",".join(accounts) + ",")


def next_valid_id(order_id: int) -> bytes:
    """The first order id this client may use."""
    return frame(9, 1, order_id)


def error(version: int, request_id: int, code: int) -> bytes:
    """An error or notice in the shape of the negotiated version; request_id -1 means the connection."""
    text = NOTICES.get(code, "")
    if version >= ERROR_TIME_VERSION:
        return frame(4, request_id, code, text, "", int(time.time() * 1000))
    advanced = [""] if version >= ADVANCED_REJECT_VERSION else []
    return frame(4, 2, request_id, code, text, *advanced)
