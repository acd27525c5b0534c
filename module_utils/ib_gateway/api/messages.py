"""The few messages that a handshake reads, in any shape: text, text behind a raw id, or protobuf. Pure.

Nothing here raises anything but ProtocolError because of what a peer sends.
"""

from __future__ import annotations

import re
from typing import Dict, NamedTuple, Optional, Sequence, Tuple, Union

from ..base.plain_text import mask_account, plain_text
from ..base.spec import LIVE, PAPER
from . import protobuf
from .wire import PROTOBUF_ID, RAW_ID_VERSION, Fields, ProtocolError, cut_id, split

#: From this server version an error has no version field, and its time at the end.
ERROR_WITHOUT_VERSION = 194
#: Where an error is about the connection, in place of a request's number.
NO_REQUEST = (-1, 2**31 - 1)

POSITIONS, OPEN_ORDERS, COMPLETED_ORDERS = "positions", "open_orders", "completed_orders"
ACCOUNT_UPDATES, EXECUTIONS = "account_updates", "executions"

# Short on purpose: int() is quadratic in the number of digits before Python 3.11, and takes "1_0" and other scripts.
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_VERSION = re.compile(r"[0-9]{1,3}")
_MAX_TEXT = 300
#: More accounts than any login manages; the rest of a longer list is left out.
_MAX_ACCOUNTS = 1000
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,32}")
# The settings of a gateway are right by rule: a text that sends a person there is not passed on.
_ABOUT_SETTINGS = re.compile(r"(?i)setting|configur|\benable\b|trusted|read.?only")

_ERROR, _NEXT_VALID_ID, _MANAGED_ACCOUNTS, _CURRENT_TIME = 4, 9, 15, 49
#: The last message of each answer, and those before it. Orders are left out: they also come unasked.
_ENDS = {53: OPEN_ORDERS, 54: ACCOUNT_UPDATES, 55: EXECUTIONS, 62: POSITIONS, 102: COMPLETED_ORDERS}
_ROWS = {
    6: ACCOUNT_UPDATES,
    7: ACCOUNT_UPDATES,
    8: ACCOUNT_UPDATES,
    11: EXECUTIONS,
    61: POSITIONS,
    101: COMPLETED_ORDERS,
}


class ManagedAccounts(NamedTuple):
    """The accounts of the login, masked, and what they say about the trading mode (None: mixed or not known).

    first: the account to ask about, as it came; it is never shown. Empty where none looks like one.
    """

    accounts: Tuple[str, ...]
    trading_mode: Optional[str]
    first: str = ""


class NextValidId(NamedTuple):
    """The first order id that this session may use."""

    order_id: int


class ApiError(NamedTuple):
    """An error or a notice; request_id is one of NO_REQUEST where it is about the connection.

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


class Answer(NamedTuple):
    """A part of the answer to a request; complete: the last part."""

    request: str
    complete: bool


Message = Union[ManagedAccounts, NextValidId, ApiError, CurrentTime, Answer]


def server_version(payload: bytes) -> Optional[int]:
    """The server's version (1 to 999) from its first frame, which has exactly two fields: the version and its time.

    None for a message that came before it; official clients pass these over too.
    """
    fields = split(payload)
    if len(fields) == 2 and _VERSION.fullmatch(fields[0]) and int(fields[0]):
        return int(fields[0])
    if len(fields) == 2 or not fields or not _INTEGER.fullmatch(fields[0]):
        raise ProtocolError("a first frame without a server version")
    return None


def parse_early(payload: bytes) -> Optional[ApiError]:
    """The error or notice that came before the server version; None for any other message."""
    fields = split(payload)
    return _error(fields, 0) if fields and fields[0] == str(_ERROR) else None


def parse(payload: bytes, server_version: int) -> Optional[Message]:
    """A message after the server version; None for the kinds that a handshake has no use for."""
    if server_version < RAW_ID_VERSION:
        fields = split(payload)
        if not fields:
            raise ProtocolError("a frame without fields")
        return _from_text(_integer(fields, 0), fields, server_version)
    kind, body = cut_id(payload)
    if kind <= PROTOBUF_ID:
        return _from_text(kind, (str(kind), *split(body)), server_version)
    try:
        return _from_protobuf(kind - PROTOBUF_ID, body)
    except protobuf.BadMessage as error:
        raise ProtocolError(f"a message {kind} with {error}") from None


def _from_text(kind: int, fields: Fields, server_version: int) -> Optional[Message]:
    if kind == _ERROR:
        return _error(fields, server_version)
    if kind == _NEXT_VALID_ID:
        return NextValidId(_integer(fields, 2))
    if kind == _MANAGED_ACCOUNTS:
        return _accounts(_field(fields, 2))
    if kind == _CURRENT_TIME:
        return CurrentTime(_integer(fields, 2))
    return _answer(kind)


def _from_protobuf(kind: int, body: bytes) -> Optional[Message]:
    if kind not in (_ERROR, _NEXT_VALID_ID, _MANAGED_ACCOUNTS, _CURRENT_TIME):
        return _answer(kind)
    fields = protobuf.decode(body)
    if kind == _ERROR:
        code = fields.get(3)
        if not isinstance(code, int):
            return None
        return ApiError(_number(fields, 1, -1), code, _text(fields, 4)[: 2 * _MAX_TEXT])
    if kind == _NEXT_VALID_ID:
        return NextValidId(_number(fields, 1))
    if kind == _MANAGED_ACCOUNTS:
        return _accounts(_text(fields, 1))
    return CurrentTime(_number(fields, 1))


def _answer(kind: int) -> Optional[Answer]:
    if kind in _ENDS:
        return Answer(_ENDS[kind], True)
    return Answer(_ROWS[kind], False) if kind in _ROWS else None


def _error(fields: Fields, server_version: int) -> Optional[ApiError]:
    """The error in the shape of its server version, else in the other; None where neither fits.

    A message that cannot be read is no reason to think that the session is broken.
    """
    usual, other = (1, 2) if server_version >= ERROR_WITHOUT_VERSION else (2, 1)
    for first in (usual, other):
        head = fields[first : first + 2]
        if len(head) == 2 and _INTEGER.fullmatch(head[0]) and _INTEGER.fullmatch(head[1]) and int(head[1]) >= 0:
            raw = fields[first + 2] if len(fields) > first + 2 else ""
            return ApiError(int(head[0]), int(head[1]), raw[: 2 * _MAX_TEXT])
    return None


def _accounts(listed: str) -> ManagedAccounts:
    names = [name.strip() for name in listed.split(",", _MAX_ACCOUNTS)[:_MAX_ACCOUNTS]]
    names = [name for name in names if name]
    # An advisor's own account, F or DF, is asked about only where there is no other.
    plain = [name for name in names if _ACCOUNT.fullmatch(name)]
    first = next((name for name in plain if not name.startswith(("F", "DF"))), plain[0] if plain else "")
    return ManagedAccounts(tuple(_masked(name) for name in names), trading_mode(names), first)


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


def _number(fields: Dict[int, Union[int, bytes]], number: int, absent: int = 0) -> int:
    value = fields.get(number, absent)
    return value if isinstance(value, int) else absent


def _text(fields: Dict[int, Union[int, bytes]], number: int) -> str:
    value = fields.get(number, b"")
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else ""
