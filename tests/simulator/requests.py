"""What a client asks for in a session, read in any shape: text, text behind a raw id, or protobuf."""

from typing import Dict, List, Tuple

from . import protobuf
from .messages import ID_BYTES, PROTOBUF_ID, RAW_ID_VERSION
from .protocol import split_fields

START_API = 71

# Request id -> name of a field -> its place in a text message, counted from the message id, and its protobuf number.
LAYOUT: Dict[int, Dict[str, Tuple[int, int]]] = {
    1: {"request": (2, 1)},
    6: {"subscribe": (2, 1), "account": (3, 2)},
    7: {"request": (2, 1)},
    20: {"request": (1, 1)},
    50: {"request": (2, 1)},
    62: {"request": (2, 1), "tags": (4, 3)},
    START_API: {"client": (2, 1)},
    74: {"request": (2, 1)},
    76: {"request": (2, 1), "account": (3, 2), "model": (4, 3)},
    92: {"request": (1, 1)},
    97: {"request": (1, 1)},
    104: {"request": (1, 1)},
}


class Unreadable(ValueError):
    """The request has too few fields, or a word where a number belongs."""


class Request:
    """One request. `id` is the message id of the text protocol, whatever shape the request came in."""

    def __init__(self, payload: bytes, version: int) -> None:
        self.fields: Dict[int, str] = {}
        self.texts: List[str] = []
        self.binary = False
        if version < RAW_ID_VERSION:
            self.texts = split_fields(payload)
            self.id = _number(self.texts[0] if self.texts else "")
            return
        self.id, body = int.from_bytes(payload[:ID_BYTES], "big"), payload[ID_BYTES:]
        self.binary = self.id > PROTOBUF_ID
        if self.binary:
            self.id -= PROTOBUF_ID
            try:
                self.fields = protobuf.decode(body)
            except protobuf.BadMessage as error:
                raise Unreadable(str(error)) from None
        else:
            self.texts = [str(self.id), *split_fields(body)]

    def text(self, name: str) -> str:
        """A field's text; what a protobuf message leaves out is empty."""
        place, number = LAYOUT[self.id][name]
        if self.binary:
            return self.fields.get(number, "")
        if place >= len(self.texts):
            raise Unreadable(f"{name} is missing")
        return self.texts[place]

    def number(self, name: str) -> int:
        """A field's whole number; what a protobuf message leaves out is 0."""
        return _number(self.text(name) or ("0" if self.binary else ""))


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Unreadable("not a number") from None
