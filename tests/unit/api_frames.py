"""The API's messages spelled out by hand, so that the code under test never checks itself."""

from __future__ import annotations

from typing import Iterable, List, Tuple, Union

from hypothesis import strategies as st


def raw_frame(*fields: str) -> bytes:
    """A frame: big-endian length, then each field with a NUL after it."""
    payload = b"".join(field.encode() + b"\0" for field in fields)
    return len(payload).to_bytes(4, "big") + payload


def notice(code: int, text: str = "a text") -> bytes:
    """An error about the connection, as server version 176 sends it."""
    return raw_frame("4", "2", "-1", str(code), text, "")


def proto_frame(kind: int, *fields: Tuple[int, Union[int, str]]) -> bytes:
    """A protobuf message as server versions from 201 on send it."""
    body = b""
    for number, value in fields:
        data = _varint(value % (1 << 64)) if isinstance(value, int) else _varint(len(value)) + value.encode()
        body += bytes([number * 8 + (0 if isinstance(value, int) else 2)]) + data
    return (4 + len(body)).to_bytes(4, "big") + (200 + kind).to_bytes(4, "big") + body


def _varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value % 128 + 128]) + _varint(value // 128)


HELLO = raw_frame("176", "20250425 15:23:54 EST")
ACCOUNTS = raw_frame("15", "1", "DU1234567,")
ORDER_ID = raw_frame("9", "1", "1")
TIME = raw_frame("49", "1", "1745600000")
#: The ends of the answers to what IB.connect reads, in the order in which it is asked for.
SYNCED = (
    raw_frame("62", "1"),
    raw_frame("53", "1"),
    raw_frame("102"),
    raw_frame("54", "1", "DU1234567"),
    raw_frame("55", "1", "1"),
)

#: Where to cut a stream into pieces; cut() takes them modulo its length.
CUTS = st.lists(st.integers(0, 10_000), max_size=20)


def cut(data: bytes, places: Iterable[int]) -> List[bytes]:
    """The data in pieces."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in zip(ends, ends[1:])]
