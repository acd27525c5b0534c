"""As much of protobuf's wire format as the gateway's messages need: whole numbers and texts, by field number.

Written out, because the gateway also runs on lab hosts that have nothing but the standard library. The official
client's generated classes are its judges in the tests.
"""

from typing import Dict, Iterable, Tuple, Union

Value = Union[int, str]
Fields = Iterable[Tuple[int, Value]]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}


class BadMessage(ValueError):
    """The bytes are no protobuf message."""


def encode(fields: Fields) -> bytes:
    """A message of these fields, in this order; a negative number takes ten bytes, as proto3 has it."""
    message = b""
    for number, value in fields:
        if isinstance(value, str):
            data = value.encode()
            message += _varint(number << 3 | _BYTES) + _varint(len(data)) + data
        else:
            message += _varint(number << 3 | _VARINT) + _varint(value & 0xFFFFFFFFFFFFFFFF)
    return message


def decode(message: bytes) -> Dict[int, str]:
    """Field number -> value as text, a number in decimal; the last of a repeated field; fixed widths are passed over.

    Raises BadMessage.
    """
    fields: Dict[int, str] = {}
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            fields[number] = str(value - (1 << 64) if value >> 63 else value)
        elif kind == _BYTES:
            length, at = _read_varint(message, at)
            fields[number] = message[at : at + length].decode(errors="backslashreplace")
            at += length
        elif kind in _WIDTHS:
            at += _WIDTHS[kind]
        else:
            raise BadMessage(f"wire type {kind}")
    if at != len(message):
        raise BadMessage("cut short")
    return fields


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def _read_varint(message: bytes, at: int) -> Tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
    raise BadMessage("a number without an end")
