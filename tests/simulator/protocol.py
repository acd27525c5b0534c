"""The API's wire format: frames, and the opening exchange in which both ends agree on a server version.

A frame is a big-endian uint32 length and that many bytes. What is in a session's frames is in messages.py and
requests.py.
"""

import re
import time
from typing import Iterable, List, NamedTuple, Union

PREAMBLE = b"API\0"
LENGTH_BYTES = 4
LONGEST_FRAME = 0xFFFFFF

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


def join_fields(fields: Iterable[Field]) -> bytes:
    """Text fields, each ended by NUL."""
    return "".join(f"{field}\0" for field in fields).encode()


def frame(*fields: Field) -> bytes:
    """A frame of text fields."""
    return prefixed(join_fields(fields))


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


def server_version(version: int, zone: bytes) -> bytes:
    """The server's first frame: negotiated version and connection time, its zone in whatever bytes the host has."""
    return prefixed(b"%d\0%s %s\0" % (version, time.strftime("%Y%m%d %H:%M:%S").encode(), zone))


def own_zone() -> bytes:
    """This host's time zone, as the gateway writes it."""
    return time.strftime("%Z").encode(errors="replace")
