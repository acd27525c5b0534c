"""The API's wire format: frames, and what is in them for a message to be read. Pure: bytes in, bytes out.

A frame is a big-endian uint32 length and that many bytes. Up to server version 200 these are NUL-terminated text
fields, the message's id first. From 201 on the id is a raw big-endian uint32, and what follows is text as before, or
protobuf where the id is greater than 200. What a peer sends may be anything: nothing here raises anything but
ProtocolError because of it, and nothing is kept beyond one frame of at most MAX_FRAME bytes.
"""

from __future__ import annotations

import struct
from typing import Iterable, Iterator, NamedTuple, Optional, Tuple


class Versions(NamedTuple):
    """A range of server versions, both ends included."""

    lowest: int
    highest: int

    def __str__(self) -> str:
        return "%d to %d" % self


#: The versions offered first. A gateway answers with the highest one offered that it speaks: up to 176, the highest of
#: ib_insync, all is text.
OFFERED = Versions(100, 176)
#: All that can be read here. It is offered to a server that refuses the first range; 226 is the newest one seen.
SPOKEN = Versions(100, 226)
RAW_ID_VERSION, PROTOBUF_ID = 201, 200
#: Bytes. The largest frames of a handshake (account lists) have a few kilobytes.
MAX_FRAME = 1 << 20
#: Bytes. A server version and a time, in whatever words the host has for its zone; other protocols claim far more.
MAX_HELLO_FRAME = 1 << 16

_LENGTH = struct.Struct(">I")
Fields = Tuple[str, ...]


class ProtocolError(Exception):
    """The peer sent something that is not the API protocol; the text says what and quotes nothing of it."""


def frame(*fields: object) -> bytes:
    """One frame with these fields, each as text and NUL-terminated."""
    return prefixed(joined(fields))


def joined(fields: Iterable[object]) -> bytes:
    """These fields, each as text and NUL-terminated."""
    return "".join(f"{field}\0" for field in fields).encode()


def prefixed(payload: bytes) -> bytes:
    """A frame with this payload."""
    return _LENGTH.pack(len(payload)) + payload


def raw_id(number: int) -> bytes:
    """A message's id as server versions from 201 on have it."""
    return _LENGTH.pack(number)


def hello(offered: Versions = OFFERED) -> bytes:
    """What a client says first: the API mark, and a frame with the versions it speaks (this one without any NUL)."""
    return b"API\0" + prefixed(b"v%d..%d" % offered)


class FrameDecoder:
    """Cuts a byte stream into the payloads of its frames, however the bytes are cut into pieces.

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

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yields the payload of each frame that `data` completes; a generator, so nothing happens until it is stepped.

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
            yield payload
        if self._broken:
            self._buffer.clear()
            raise ProtocolError(self._broken)


def split(payload: bytes) -> Fields:
    """The text fields of a payload; what follows the last NUL is no field: the other clients drop it too."""
    return tuple(part.decode(errors="backslashreplace") for part in payload.split(b"\0")[:-1])


def cut_id(payload: bytes) -> Tuple[int, bytes]:
    """(the raw id of a message, what follows it), for server versions from 201 on."""
    if len(payload) < _LENGTH.size:
        raise ProtocolError("a frame without a message id")
    return _LENGTH.unpack_from(payload)[0], payload[_LENGTH.size :]
