"""As much of protobuf's wire format as a handshake needs: whole numbers, texts and messages, by field number. Pure.

Written out, because trading hosts need nothing installed and the generated classes of the official client need a
library of several megabytes.
"""

from __future__ import annotations

from typing import Dict, Iterable, Tuple, Union

Value = Union[int, str, bytes]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
_SIGN = 1 << 63


class BadMessage(ValueError):
    """The bytes are no protobuf message."""


def encode(fields: Iterable[Tuple[int, Value]]) -> bytes:
    """A message of these fields, (number, value), in this order; a message inside of it is given as its bytes."""
    message = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            message += _varint(number << 3 | _VARINT) + _varint(value & (2 * _SIGN - 1))
        else:
            data = value.encode() if isinstance(value, str) else value
            message += _varint(number << 3 | _BYTES) + _varint(len(data)) + data
    return bytes(message)


def decode(message: bytes) -> Dict[int, Union[int, bytes]]:
    """Field number -> value; of a repeated field the last one. Fields of fixed width are passed over.

    Raises BadMessage.
    """
    fields: Dict[int, Union[int, bytes]] = {}
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            fields[number] = value - 2 * _SIGN if value & _SIGN else value
        elif kind == _BYTES:
            length, at = _read_varint(message, at)
            fields[number] = message[at : at + length]
            at += length
        elif kind in _WIDTHS:
            at += _WIDTHS[kind]
        else:
            raise BadMessage("a field of an unknown kind")
    if at != len(message):
        raise BadMessage("a field that is cut short")
    return fields


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def _read_varint(message: bytes, at: int) -> Tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(message):
            break
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if not byte & 0x80:
            return value & (2 * _SIGN - 1), at
    raise BadMessage("a number without an end")
