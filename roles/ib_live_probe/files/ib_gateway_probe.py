#!/usr/bin/env python3
"""Makes one API handshake with a gateway, and answers with an exit code and one line.

    ib_gateway_probe.py --port 4001                     container engines: 0 healthy, 1 unhealthy
    ib_gateway_probe.py --port 4001 --for readiness     orchestrators: 0 ready, 1 not ready
    ib_gateway_probe.py --port 4001 --for liveness      orchestrators: 1 only where a restart can help
    ib_gateway_probe.py --port 4001 --for nagios        monitoring: 0 OK, 1 warning, 2 critical, 3 unknown

It needs Python 3.8 or newer and nothing else, sends no order, and is done when its timeout is over.
"""

# Made by roles/ib_live_probe/package/assemble.py from the project's modules: make changes there.

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import re
import socket
import struct
import sys
import threading
import time
from types import MappingProxyType
from typing import (
    Any,
    Callable,
    Collection,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Match,
    NamedTuple,
    NoReturn,
    Optional,
    Sequence,
    Tuple,
    Union,
)

# --- module_utils/ib_gateway/base/probe.py ---------------------------------------------------------------------------

#: How much a handshake asks for: `full` also all that IB.connect reads before a script goes on.
QUICK, FULL = "quick", "full"


_NO_TIMINGS: Mapping[str, Any] = MappingProxyType({})


class Probe(NamedTuple):
    """What one API handshake came to. timings_ms: by stage, for the stages that were passed.

    stage: the last stage that was tried; ok: ready was reached and no error stands against it. accounts: masked.
    error: {"code": int or None, "message": str}, or None. notices: codes the gateway sent on its own, each at its
    newest place, farm notices left out. outcome: ready, refused, silent, dropped, stalled, incomplete, unanswered,
    unsupported or id_in_use. sync: milliseconds that each request of the stage sync took, None where its answer did
    not come; empty where none was made. farms: the broker's farms that the gateway called broken last, each
    {"serves", "name", "code"}.
    """

    outcome: str
    stage: str
    ok: bool
    engine: str = "socket"
    server_version: Optional[int] = None
    accounts: Tuple[str, ...] = ()
    trading_mode: Optional[str] = None
    client_id: Optional[int] = None
    error: Optional[Dict[str, Any]] = None
    notices: Tuple[int, ...] = ()
    timings_ms: Mapping[str, float] = _NO_TIMINGS
    sync: Mapping[str, Optional[float]] = _NO_TIMINGS
    farms: Tuple[Dict[str, Any], ...] = ()


# --- module_utils/ib_gateway/api/wire.py -----------------------------------------------------------------------------


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


# --- module_utils/ib_gateway/base/redaction.py -----------------------------------------------------------------------

#: Stands for one argument, or for an option's value.
HIDDEN = "***"

# Patterns are texts: `re` compiles one when it is first used and keeps it, and most command lines need few of them.

# --- texts -----------------------------------------------------------------------------------------------------------

_WORD = r"\S+"
# An advisor's number may end in an A, which stands for all of its accounts. In lower case a number has to stand alone,
# since hashes and names hold such signs too.
ACCOUNT = (
    r"(?<![A-Z0-9])(D[A-Z]{1,2}|[UFI])(-?\d{4,})(?!\d)"
    r"|(?<![A-Za-z0-9])([dD][a-zA-Z]{1,2}|[uUfFiI])(-?\d{5,})(?=[aA]?(?![A-Za-z0-9]))"
)
# Control characters of both sets, line and paragraph separators, and those that turn the direction of writing.
CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]"


def without_controls(text: str) -> str:
    """The text with a blank in the place of each control character; none of them can be printed."""
    return text if text.isprintable() else re.sub(CONTROL, " ", text)


def redaction_masked(found: Match[str]) -> str:
    """An account number that ACCOUNT has found, with its letters and last two digits."""
    letters = found.group(1) or found.group(3)
    digits = found.group(2) or found.group(4)
    return letters + "*" * (len(digits) - 2) + digits[-2:]


def mask_text(text: str) -> str:
    """The text with every account number masked and credentials in URLs hidden."""
    text = re.sub(ACCOUNT, redaction_masked, text)
    return re.sub(_WORD, _without_credentials, text) if "://" in text else text


def _without_credentials(found: Match[str]) -> str:
    """A word without what stands between :// and its last @, since a password may hold any sign.

    Each is looked for once: a pattern would begin anew at every :// of a hostile word.
    """
    word = found.group(0)
    scheme, at = word.find("://"), word.rfind("@")
    return word[: scheme + 3] + HIDDEN + word[at:] if 0 <= scheme < at - 3 else word


# --- module_utils/ib_gateway/api/protobuf.py -------------------------------------------------------------------------

Value = Union[int, str, bytes]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
_SIGN = 1 << 63


class BadMessage(ValueError):
    """The bytes are no protobuf message."""


def protobuf_encode(fields: Iterable[Tuple[int, Value]]) -> bytes:
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


# --- module_utils/ib_gateway/base/spec.py ----------------------------------------------------------------------------

LIVE = "live"
PAPER = "paper"


# --- module_utils/ib_gateway/base/host.py ----------------------------------------------------------------------------

#: What a gateway sends before a session is ready, its version and time, is well below this; every session that became
#: ready has had its accounts, its first order id and the farm notices, and is well above.
HELLO_BYTES = 100

#: What a client sends before its session is ready, its version range and start of the API, is well below this; the
#: libraries' first requests come on top as soon as it is ready.
OPENING_BYTES = 64


# --- module_utils/ib_gateway/observe/addresses.py --------------------------------------------------------------------

STATES = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    3: "SYN_RECV",
    4: "FIN_WAIT1",
    5: "FIN_WAIT2",
    6: "TIME_WAIT",
    7: "CLOSE",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "SYN_RECV",
}


class SocketRow(NamedTuple):
    """One TCP socket. Addresses are text, IPv4-mapped ones as IPv4.

    Queues: bytes, or connections of a listener. idle: seconds since data last went either way. sent: bytes the other
    end has acknowledged, received: bytes that have come from it. cookie: the kernel's own number for this socket, never
    used twice in a boot. lost_for: seconds since the other end last answered, where data that was sent again and again
    waits for its answer. None where the source does not say.
    """

    family: str
    state: str
    local: str
    local_port: int
    remote: str
    remote_port: int
    inode: int
    uid: int
    receive_queue: int
    send_queue: Optional[int]
    v6only: Optional[bool] = None
    idle: Optional[float] = None
    sent: Optional[int] = None
    cookie: Optional[int] = None
    received: Optional[int] = None
    lost_for: Optional[float] = None


def text_address(family: int, raw: bytes) -> str:
    """The text of an address in network order; an IPv4 one may be followed by anything."""
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[:4])
    return normalise(socket.inet_ntop(socket.AF_INET6, raw))


def normalise(address: str) -> str:
    """An address in the one form used for comparing: IPv4-mapped IPv6 as IPv4, no zone."""
    address = address.partition("%")[0]
    lowered = address.lower()
    return lowered[7:] if lowered.startswith("::ffff:") and "." in lowered else lowered


# --- module_utils/ib_gateway/api/farms.py ----------------------------------------------------------------------------

MARKET_DATA, HISTORICAL_DATA, CONTRACT_DATA = "market data", "historical data", "contract data"

#: What each notice is about, and whether its farm is broken then. An inactive farm comes back when it is asked.
_NOTICES = {
    2103: (MARKET_DATA, True),
    2104: (MARKET_DATA, False),
    2105: (HISTORICAL_DATA, True),
    2106: (HISTORICAL_DATA, False),
    2107: (HISTORICAL_DATA, False),
    2108: (MARKET_DATA, False),
    2119: (MARKET_DATA, False),
    2157: (CONTRACT_DATA, True),
    2158: (CONTRACT_DATA, False),
}
#: A gateway knows some dozens of farms.
_MAX_FARMS = 200
#: Notices of inactive farms end in `... upon demand.NAME`; the others in `:NAME`.
_INACTIVE = (2107, 2108)
_DEMAND = re.compile(r"^demand\.", re.IGNORECASE)
_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class Farm(NamedTuple):
    """A broken farm: what it serves, its name as the notice has it (empty where none is told), the notice's code."""

    serves: str
    name: str
    code: int


class Farms:
    """What the notices of one session have said so far."""

    def __init__(self) -> None:
        self._broken: Dict[Tuple[str, str], int] = {}

    def take(self, code: int, text: str) -> bool:
        """Takes a notice; gives whether it is about a farm. text: as it came."""
        if code not in _NOTICES:
            return False
        serves, broken = _NOTICES[code]
        farm = (serves, _farms_name(code, text))
        if not broken:
            self._broken.pop(farm, None)
        elif len(self._broken) < _MAX_FARMS:
            self._broken[farm] = code
        return True

    @property
    def broken(self) -> Tuple[Farm, ...]:
        """The farms whose newest notice says that they are broken, in the order of their names."""
        return tuple(Farm(serves, name, code) for (serves, name), code in sorted(self._broken.items()))


def _farms_name(code: int, text: str) -> str:
    """The farm's name as the notice has it; empty where it has none, or none that is harmless to show."""
    name = text.rpartition(":")[2].strip() if ":" in text else ""
    if not name and code in _INACTIVE:
        name = _DEMAND.sub("", (text.split() or [""])[-1])
    return mask_text(name) if _HARMLESS.fullmatch(name) else ""


# --- module_utils/ib_gateway/base/plain_text.py ----------------------------------------------------------------------

_SECRET_WORD = r"(?:pw|pwd|pass|passwd|password|passphrase|secret|token|credential|api[-_.]?key|auth|bearer)"  # noqa: S105 - names, no secret
# Only the end of a name is looked for, and its tail is bounded: a stranger's text must not cost quadratic time.
_INLINE_SECRET = (
    r"""(?i)(%s[\w.-]{0,40}["']?(?:\s{0,4}[=:]\s{0,4}(?:bearer\s{1,4}|basic\s{1,4})?|\s{1,4}))("[^"]*"|'[^']*'|\S+)"""
    % _SECRET_WORD
)


def mask_account(account: str) -> str:
    """An account number with its letters and last two digits: DU1234567 becomes DU*****67. Anything else unchanged."""
    found = re.match(ACCOUNT, account)
    return redaction_masked(found) if found and found.end() == len(account) else account


def plain_text(text: str, limit: int = 300) -> str:
    """A stranger's text made fit for one line of output: control characters out, secrets hidden, cut to `limit`."""
    text = re.sub(_INLINE_SECRET, lambda found: found.group(1) + HIDDEN, without_controls(text))
    return mask_text(text)[:limit]


# --- module_utils/ib_gateway/observe/proc_net.py ---------------------------------------------------------------------


def read(states: int, ports: Tuple[int, ...], root: str = "/proc") -> List[SocketRow]:
    """The rows from procfs: no v6only, no idle time, no backlog. Raises OSError when tcp cannot be read."""
    rows: List[SocketRow] = []
    for name, family in (("tcp", "ipv4"), ("tcp6", "ipv6")):
        try:
            with open(f"{root}/net/{name}", encoding="ascii", errors="replace") as table:
                lines = table.read().splitlines()[1:]
        except FileNotFoundError:
            if family == "ipv4":
                raise
            continue  # a kernel without IPv6 has no tcp6
        rows.extend(row for row in map(parse_line, lines) if row and _wanted(row, states, ports))
    return rows


def _wanted(row: SocketRow, states: int, ports: Tuple[int, ...]) -> bool:
    in_state = any(states >> number & 1 for number, name in STATES.items() if name == row.state)
    return in_state and (not ports or row.local_port in ports or row.remote_port in ports)


def parse_line(line: str) -> Optional[SocketRow]:
    """One line of /proc/net/tcp or tcp6; None for a line that is not one (the file may change while it is read)."""
    fields = line.split()
    try:
        local, local_port = _proc_address(fields[1])
        remote, remote_port = _proc_address(fields[2])
        state = STATES[int(fields[3], 16)]
        send_queue, receive_queue = (int(part, 16) for part in fields[4].split(":"))
        uid, inode = int(fields[7]), int(fields[9])
    except (IndexError, ValueError, KeyError, OSError):
        return None
    return SocketRow(
        family="ipv4" if len(fields[1]) == 13 else "ipv6",
        state=state,
        local=local,
        local_port=local_port,
        remote=remote,
        remote_port=remote_port,
        inode=inode,
        uid=uid,
        receive_queue=receive_queue,
        send_queue=None if state == "LISTEN" else send_queue,
    )


def _proc_address(field: str) -> Tuple[str, int]:
    address, _colon, port = field.partition(":")
    raw = bytes.fromhex(address)
    if len(raw) not in (4, 16):
        raise ValueError("an address of %d bytes" % len(raw))
    words = struct.unpack(">%dL" % (len(raw) // 4), raw)
    # The kernel prints each 32-bit word in the host's order.
    native = struct.pack("=%dL" % len(words), *words)
    family = socket.AF_INET if len(native) == 4 else socket.AF_INET6
    return text_address(family, native), int(port, 16)


# --- module_utils/ib_gateway/api/messages.py -------------------------------------------------------------------------

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


def messages_server_version(payload: bytes) -> Optional[int]:
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
    except BadMessage as error:
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
    fields = decode(body)
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
    return ManagedAccounts(tuple(_masked(name) for name in names), messages_trading_mode(names), first)


def messages_trading_mode(accounts: Sequence[str]) -> Optional[str]:
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


# --- module_utils/ib_gateway/observe/sockets.py ----------------------------------------------------------------------

_SYN_SENT, _LISTEN = 2, 10
# Everything a client and a gateway can hold between them: no listeners, no TIME_WAIT, no closed sockets.
_CONNECTED = sum(1 << state for state in (1, 2, 3, 4, 5, 8, 9, 11))

_NETLINK_SOCK_DIAG = 4
# The older of two requests, since the newer one asks for one family at a time, and the kernel then walks its table of
# connections twice: a quarter of a million buckets on a host with 16 GiB, whether they hold anything or not.
_TCPDIAG_GETSOCK = 18
_DUMP_REQUEST = 0x301  # NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_ATTR_BYTECODE, _ATTR_INFO, _ATTR_V6ONLY = 1, 2, 11
_BC_JMP, _BC_S_EQ, _BC_D_EQ = 1, 11, 12
_HEADER = struct.Struct("=LHHLL")
_REQUEST = struct.Struct("=BxxB48xL4x")
_DIAG = struct.Struct("=BBBB2s2s16s16s4xLLLLLLL")
_NO_COOKIE = (0, (1 << 64) - 1)
_ATTR = struct.Struct("=HH")
_OP = struct.Struct("=BBH")
_NETLINK_TIMEOUT = 5.0
# A dump comes in datagrams of at most this many bytes, however much room the reader has.
_DATAGRAM = 1 << 15
_SEQUENCE = 1
#: So often in a row the same data was sent again: about seven seconds without an answer at the usual times.
_MANY_RETRANSMITS = 5


def sockets_listeners() -> List[SocketRow]:
    """Every listening TCP socket of this network namespace. Raises OSError when neither source can be read."""
    return _read(1 << _LISTEN, ())


def sockets_connections(ports: Iterable[int]) -> List[SocketRow]:
    """Every TCP connection with one of these ports at either end. Raises OSError as listeners() does."""
    wanted = tuple(sorted(set(ports)))
    return _read(_CONNECTED, wanted) if wanted else []


def _read(states: int, ports: Tuple[int, ...]) -> List[SocketRow]:
    try:
        return read_netlink(states, ports)
    except (OSError, struct.error):  # refused, or more ports than a filter holds
        return read(states, ports)


def read_netlink(states: int, ports: Tuple[int, ...]) -> List[SocketRow]:
    """The rows over netlink. states: a bit for each TCP state; ports: empty for any. Raises OSError."""
    rows: List[SocketRow] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(_NETLINK_TIMEOUT)
        netlink.send(_request(states, ports))
        done = False
        while not done:
            messages, done = parse_netlink(netlink.recv(_DATAGRAM), _SEQUENCE)
            rows.extend(messages)
    return rows


def _request(states: int, ports: Tuple[int, ...]) -> bytes:
    body = _REQUEST.pack(socket.AF_INET, 1 << (_ATTR_INFO - 1), states)  # it answers for both families
    if ports:
        code = port_filter(ports)
        body += _ATTR.pack(_ATTR.size + len(code), _ATTR_BYTECODE) + code
    return _HEADER.pack(_HEADER.size + len(body), _TCPDIAG_GETSOCK, _DUMP_REQUEST, _SEQUENCE, 0) + body


def port_filter(ports: Tuple[int, ...]) -> bytes:
    """Kernel byte code that accepts a socket with any of these ports at either end.

    Each test is two operations (the second one carries the port): a hit falls through to a jump to the very end,
    which accepts; a miss skips that jump. After the last test a miss lands behind the end, which rejects.
    """
    tests = [(code, port) for port in ports for code in (_BC_S_EQ, _BC_D_EQ)]
    test_size, jump_size = 2 * _OP.size, _OP.size
    total = len(tests) * (test_size + jump_size) - jump_size
    code = b""
    for index, (kind, port) in enumerate(tests):
        code += _OP.pack(kind, test_size, test_size + jump_size) + _OP.pack(0, 0, port)
        if index < len(tests) - 1:
            code += _OP.pack(_BC_JMP, jump_size, total - len(code))
    return code


def parse_netlink(data: bytes, sequence: int) -> Tuple[List[SocketRow], bool]:
    """(rows, whether the dump has ended) of one datagram. Raises OSError on an error message or a broken datagram."""
    rows: List[SocketRow] = []
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _flags, answered, _pid = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size or offset + length > len(data):
            raise OSError(errno.EBADMSG, "netlink message does not fit its datagram")
        payload = data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3
        if answered != sequence:
            continue
        if kind == _NLMSG_DONE:
            return rows, True
        if kind == _NLMSG_ERROR:
            code = -struct.unpack_from("=i", payload)[0] if len(payload) >= 4 else errno.EBADMSG
            raise OSError(code or errno.EBADMSG, "sock_diag refused the request")
        if kind == _TCPDIAG_GETSOCK and len(payload) >= _DIAG.size:
            rows.append(_diag_row(payload))
    return rows, False


def _diag_row(payload: bytes) -> SocketRow:
    fields = _DIAG.unpack_from(payload)
    family, state, _timer, _retrans, sport, dport, src, dst, low, high, _expires, rqueue, wqueue, uid, inode = fields
    cookie = low | high << 32
    v6only, info = None, TcpInfo()
    for kind, value in _attributes(payload[_DIAG.size :]):
        if kind == _ATTR_V6ONLY and value:
            v6only = bool(value[0])
        elif kind == _ATTR_INFO and state != _LISTEN:
            info = tcp_info(value)
    return SocketRow(
        family="ipv4" if family == socket.AF_INET else "ipv6",
        state=STATES.get(state, str(state)),
        local=text_address(family, src),
        local_port=int.from_bytes(sport, "big"),
        remote=text_address(family, dst),
        remote_port=int.from_bytes(dport, "big"),
        inode=inode,
        uid=uid,
        receive_queue=rqueue,
        send_queue=wqueue,
        v6only=v6only,
        idle=info.idle,
        sent=info.sent,
        cookie=None if cookie in _NO_COOKIE else cookie,
        received=info.received,
        lost_for=info.lost_for,
    )


class TcpInfo(NamedTuple):
    """What of struct tcp_info the rows tell; as SocketRow has it."""

    idle: Optional[float] = None
    sent: Optional[int] = None
    received: Optional[int] = None
    lost_for: Optional[float] = None


def tcp_info(value: bytes) -> TcpInfo:
    """Reads struct tcp_info, which older kernels cut short. Pure.

    tcpi_retransmits is byte 2, tcpi_unacked a word at byte 24; tcpi_last_data_sent, tcpi_last_data_recv and
    tcpi_last_ack_recv are milliseconds at bytes 44, 52 and 56; tcpi_bytes_acked is at byte 120, tcpi_bytes_received
    at 128.
    """
    idle = min(struct.unpack_from("=L4xL", value, 44)) / 1000 if len(value) >= 56 else None
    sent = struct.unpack_from("=Q", value, 120)[0] if len(value) >= 128 else None
    received = struct.unpack_from("=Q", value, 128)[0] if len(value) >= 136 else None
    lost_for = None
    if len(value) >= 60 and value[2] >= _MANY_RETRANSMITS and struct.unpack_from("=L", value, 24)[0]:
        lost_for = struct.unpack_from("=L", value, 56)[0] / 1000
    return TcpInfo(idle, sent, received, lost_for)


def _attributes(data: bytes) -> Iterator[Tuple[int, bytes]]:
    offset = 0
    while offset + _ATTR.size <= len(data):
        length, kind = _ATTR.unpack_from(data, offset)
        if length < _ATTR.size or offset + length > len(data):
            return
        yield kind, data[offset + _ATTR.size : offset + length]
        offset += (length + 3) & ~3


# --- module_utils/ib_gateway/api/requests.py -------------------------------------------------------------------------

START_API = "start_api"
CURRENT_TIME = "current_time"
#: The number of the only request that has one; the gateway's error about it carries it.
EXECUTIONS_ID = 1
#: From this server version the request for executions says for which days; none are named here.
_EXECUTIONS_BY_DAY = 200
_ANY_DAY = 2**31 - 1


class Request(NamedTuple):
    """One request in both shapes: text fields behind the message id, and protobuf fields by number.

    binary_since: the server version from which the official client sends it as protobuf. account: whose values it is
    about, where it is about one's.
    """

    name: str
    id: int
    text: Tuple[object, ...]
    fields: Tuple[Tuple[int, Value], ...]
    binary_since: int
    account: str = ""


def requests_encode(request: Request, server_version: int) -> bytes:
    """The request as a frame of this server version."""
    if server_version >= request.binary_since:
        return prefixed(raw_id(request.id + PROTOBUF_ID) + protobuf_encode(request.fields))
    text = request.text
    if request.name == EXECUTIONS and server_version >= _EXECUTIONS_BY_DAY:
        text = (*text, _ANY_DAY, 0)
    if server_version >= RAW_ID_VERSION:
        return prefixed(raw_id(request.id) + joined(text))
    return frame(request.id, *text)


def start_api(client_id: int) -> Request:
    """Opens the session under this client id, without optional capabilities."""
    return Request(START_API, 71, (2, client_id, ""), ((1, client_id),), 213)


def current_time() -> Request:
    """Asks for the gateway's clock."""
    return Request(CURRENT_TIME, 49, (1,), (), 213)


def positions() -> Request:
    """Asks for the positions of all accounts, and for each change of them until it is cancelled."""
    return Request(POSITIONS, 61, (1,), (), 207)


def cancel_positions() -> Request:
    """Ends what positions() began."""
    return Request(POSITIONS, 64, (1,), (), 207)


def open_orders() -> Request:
    """Asks for the open orders of this client id."""
    return Request(OPEN_ORDERS, 5, (1,), (), 204)


def completed_orders() -> Request:
    """Asks for the orders that have ended, whoever placed them."""
    return Request(COMPLETED_ORDERS, 99, (0,), (), 204)


def account_updates(account: str) -> Request:
    """Asks for the values of one account, and for each change of them until it is cancelled."""
    return Request(ACCOUNT_UPDATES, 6, (2, 1, account), ((1, 1), (2, account)), 207, account)


def cancel_account_updates(account: str) -> Request:
    """Ends what account_updates() began."""
    return Request(ACCOUNT_UPDATES, 6, (2, 0, account), ((2, account),), 207, account)


def executions() -> Request:
    """Asks for the executions of all clients."""
    nothing = ("",) * 6  # account, time, symbol, security type, exchange, side
    any_client = protobuf_encode([(1, 0)])
    return Request(EXECUTIONS, 7, (3, EXECUTIONS_ID, 0, *nothing), ((1, EXECUTIONS_ID), (2, any_client)), 201)


# --- module_utils/ib_gateway/api/sync.py -----------------------------------------------------------------------------

#: From this server version on completed orders can be asked for.
_COMPLETED_ORDERS_SINCE = 150
#: The gateway takes a request for invalid, as it does one that an account or a client may not make. It is an answer.
_INVALID_REQUEST = 321
#: Of the requests without a number, the ones that are refused to some, the likeliest first.
_REFUSABLE = (COMPLETED_ORDERS, OPEN_ORDERS, ACCOUNT_UPDATES)


class Sync:
    """The requests of one session. answered: whether any of them got a part of its answer."""

    def __init__(self) -> None:
        self.began: Optional[float] = None
        self.answered = False
        self._open: List[str] = []
        self._took: Dict[str, Optional[float]] = {}
        self._cancels: List[Request] = []

    def begin(self, account: str, server_version: int) -> List[Request]:
        """The requests to send now. account: whose values are asked for; none where it is empty."""
        asked = [positions(), open_orders()]
        self._cancels = [cancel_positions()]
        if server_version >= _COMPLETED_ORDERS_SINCE:
            asked.append(completed_orders())
        if account:
            asked.append(account_updates(account))
            self._cancels.append(cancel_account_updates(account))
        asked.append(executions())
        self.began = time.monotonic()
        self._open = [each.name for each in asked]
        self._took = dict.fromkeys(self._open)
        return asked

    def cancels(self) -> List[Request]:
        """What ends the subscriptions that begin() made; each time it is called."""
        return list(self._cancels)

    def take(self, message: Message) -> bool:
        """Takes a message that came after begin(); gives whether it belonged to one of the requests."""
        if isinstance(message, Answer) and message.request in self._took:
            self.answered = True
            if message.complete:
                self._close(message.request)
            return True
        if isinstance(message, ApiError):
            name = self._about(message)
            if name:
                self.answered = True
                self._close(name)
            return name is not None
        return False

    @property
    def complete(self) -> bool:
        """Whether each request has its whole answer."""
        return self.began is not None and not self._open

    @property
    def missing(self) -> List[str]:
        """The requests without a whole answer, in the order in which they were sent."""
        return list(self._open)

    @property
    def took_ms(self) -> Dict[str, Optional[float]]:
        """Request -> milliseconds until its whole answer had come; None while it has not."""
        return dict(self._took)

    def _about(self, error: ApiError) -> Optional[str]:
        if error.request_id == EXECUTIONS_ID and EXECUTIONS in self._open:
            return EXECUTIONS
        if error.code != _INVALID_REQUEST or error.request_id not in NO_REQUEST:
            return None
        return next((name for name in _REFUSABLE if name in self._open), None)

    def _close(self, name: str) -> None:
        if name in self._open and self.began is not None:
            self._open.remove(name)
            self._took[name] = round((time.monotonic() - self.began) * 1000, 1)


# --- module_utils/ib_gateway/api/dialogue.py -------------------------------------------------------------------------

READY = "ready"
REFUSED = "refused"
SILENT = "silent"
DROPPED = "dropped"
STALLED = "stalled"
INCOMPLETE = "incomplete"
UNANSWERED = "unanswered"
UNSUPPORTED = "unsupported"
ID_IN_USE = "id_in_use"

CLIENT_ID_IN_USE = 326
UPSTREAM_LOST = (1100, 2110)
UPSTREAM_BACK = (1101, 1102)
#: With these a server says that it does not speak a version of ours.
_REFUSED_VERSION = (503, 506)
_HARMLESS_NOTICES = frozenset((2104, 2106, 2107, 2108, 2119, 2158, 2159))
_MAX_NOTICES = 100
#: Of the whole time, the share that a gateway must have been silent for after it was ready, for that to say anything.
_FAIR_SHARE = 0.5


class Dialogue:
    """A client's side of one handshake without its socket: bytes in, requests to send out, and in the end a Probe.

    outcome: None until it is certain. done: nothing that may still come would change the Probe. offered: the server
    versions that the hello names; spoken: those that can be read, and speaker: by whom.
    """

    def __init__(
        self,
        client_id: int,
        timeout: float,
        depth: str = QUICK,
        offered: Versions = OFFERED,
        spoken: Versions = SPOKEN,
        speaker: str = "this project",
    ) -> None:
        self.client_id = client_id
        self.outcome: Optional[str] = None
        self.done = False
        self.server_version: Optional[int] = None
        self.versions_refused = False
        self._timeout, self._depth = timeout, depth
        self._offered, self._spoken, self._speaker = offered, spoken, speaker
        self._decoder = FrameDecoder(MAX_HELLO_FRAME)
        self._stage = "tcp"
        self._timings: Dict[str, float] = {}
        self._mark = time.monotonic()
        self._ready_at = self._mark
        self._answered: Optional[float] = None
        self._accounts: Optional[ManagedAccounts] = None
        self._has_order_id = False
        self._sync = Sync()
        self._farms = Farms()
        self._notices: List[int] = []
        self._last_notice: Optional[ApiError] = None
        self._upstream: Optional[ApiError] = None
        self._error: Optional[Dict[str, Any]] = None

    def connected(self) -> bytes:
        """The connection stands; gives the hello."""
        self._pass("tcp", "server_version")
        return hello(self._offered)

    @property
    def awaits_time(self) -> bool:
        """Whether the session is ready and only its clock was asked for so far."""
        return self.outcome == READY and self._sync.began is None

    def receive(self, data: bytes) -> List[Request]:
        """Takes what the gateway sent; gives what to ask for now. Once done it takes nothing more."""
        wanted: List[Request] = []
        if self.done:
            return wanted
        try:
            for payload in self._decoder.feed(data):
                wanted += self._hello(payload) if self.server_version is None else self._message(payload)
                if self.done:
                    break
        except ProtocolError as broken:
            self.settle(DROPPED, f"answered with something that is not the API protocol: {broken}")
        return wanted

    def time_is_late(self) -> List[Request]:
        """The gateway was given long enough to tell the time; gives what to ask for instead."""
        return self._begin_sync() if self.awaits_time and not self.done else []

    def parting(self) -> List[Request]:
        """What to send before the connection is closed, so that no subscription is left behind."""
        return self._sync.cancels()

    def ended(self, how: str = "") -> None:
        """The gateway closed or reset the connection; how: the error's name."""
        when = {
            "server_version": "before it told its version",
            "ready": "as soon as the session was ready",
            "current_time": "as soon as the session was ready",
            "sync": "instead of answering the first requests",
        }
        message = f"closed the connection {when.get(self._stage, 'before the session was ready')}"
        if self.versions_refused:
            self.settle(UNSUPPORTED, f"refuses the server versions offered, {self._offered}")
        self.settle(DROPPED, f"{message} ({how})" if how else message)

    def expired(self) -> None:
        """The time is over; a session that was ready is judged by what it has answered."""
        if self.outcome == READY:
            self._judge_sync()
        elif self.server_version is None:
            some = f" (bytes that came: {self._decoder.buffered})" if self._decoder.buffered else ""
            self.settle(SILENT, f"connected, but no server version came within {self._timeout:g} s{some}")
        else:
            needed = {"nextValidId": self._has_order_id, "managedAccounts": bool(self._accounts)}
            missing = " and ".join(name for name, came in needed.items() if not came)
            came = " and ".join([f"server version {self.server_version}", *(name for name in needed if needed[name])])
            outcome = INCOMPLETE if any(needed.values()) else STALLED
            self.settle(outcome, f"{came} came, {missing} did not within {self._timeout:g} s")

    def settle(self, outcome: str, message: str) -> None:
        """Ends it with this outcome, unless it has ended. A notice that came before is part of the error."""
        if self.done:
            return
        self.outcome, self.done = outcome, True
        notice = self._upstream or self._last_notice
        self._error = {"code": None, "message": message}
        if notice:
            self._error = {"code": notice.code, "message": f"{message}; before that: {_in_words(notice)}"}

    def probe(self, engine: str) -> Probe:
        """What the handshake came to; call it once the outcome is certain."""
        error = self._error
        if error is None and self._upstream:
            error = {"code": self._upstream.code, "message": _in_words(self._upstream)}
        return Probe(
            outcome=self.outcome or SILENT,
            stage=self._stage,
            ok=self.outcome == READY and error is None,
            engine=engine,
            server_version=self.server_version,
            accounts=self._accounts.accounts if self._accounts else (),
            trading_mode=self._accounts.trading_mode if self._accounts else None,
            client_id=self.client_id,
            error=error,
            notices=tuple(self._notices),
            timings_ms=dict(self._timings),
            sync=self._sync.took_ms,
            farms=tuple(each._asdict() for each in self._farms.broken),
        )

    def _pass(self, stage: str, following: str) -> None:
        now = time.monotonic()
        self._timings[stage] = round((now - self._mark) * 1000, 1)
        self._mark, self._stage = now, following

    def _hello(self, payload: bytes) -> List[Request]:
        version = messages_server_version(payload)
        if version is None:
            early = parse_early(payload)
            if early:
                self.versions_refused = self.versions_refused or early.code in _REFUSED_VERSION
                self._on_error(early)
            return []
        self.server_version = version
        self._decoder.limit = MAX_FRAME
        self._pass("server_version", "start_api")
        if not self._spoken.lowest <= version <= self._spoken.highest:
            self.settle(UNSUPPORTED, f"speaks server version {version}, {self._speaker} {self._spoken}")
            return []
        return [start_api(self.client_id)]

    def _message(self, payload: bytes) -> List[Request]:
        message = parse(payload, self.server_version or 0)
        if self._answered is None:
            self._answered = time.monotonic()
        if message is None:
            return []
        if self._sync.began is not None and self._sync.take(message):
            return self._on_synced()
        if isinstance(message, ApiError):
            self._on_error(message)
        elif isinstance(message, NextValidId):
            self._has_order_id = True
        elif isinstance(message, ManagedAccounts) and message.accounts:
            self._accounts = message
        elif isinstance(message, CurrentTime) and self.outcome == READY:
            return self._on_time()
        if self.outcome is None and self._has_order_id and self._accounts:
            return self._on_ready(self._answered)
        return []

    def _on_ready(self, answered: float) -> List[Request]:
        self.outcome = READY
        # start_api took until the first word after it, ready until the last one that was needed.
        self._timings["start_api"] = round((answered - self._mark) * 1000, 1)
        self._mark = answered
        self._pass("ready", "ready")
        self._ready_at = self._mark
        return [current_time()]

    def _on_time(self) -> List[Request]:
        if "current_time" in self._timings:
            return []
        late = self._sync.began is not None
        self._timings["current_time"] = round((time.monotonic() - self._ready_at) * 1000, 1)
        if self._depth != FULL:
            self._stage, self.done = "current_time", True
            return []
        if late:
            return []
        self._stage = "current_time"
        return self._begin_sync()

    def _begin_sync(self) -> List[Request]:
        self._stage = "sync"
        return self._sync.begin(self._accounts.first if self._accounts else "", self.server_version or 0)

    def _on_synced(self) -> List[Request]:
        if self._sync.complete:
            self._timings["sync"] = max((took for took in self._sync.took_ms.values() if took), default=0.0)
            self.done = True
        return []

    def _judge_sync(self) -> None:
        """A ready session whose time is over: whether what it did not answer says that it serves nobody."""
        waited = time.monotonic() - self._ready_at
        if self._sync.began is None or self.done:
            self.done = True
        elif not self._sync.answered and waited >= self._timeout * _FAIR_SHARE:
            told = "only the time was told" if "current_time" in self._timings else "nothing was answered"
            self.settle(UNANSWERED, f"the session opened in full, and {told} within {waited:.1f} s after that")
        else:
            self.done = True
            if EXECUTIONS in self._sync.missing:
                missing = ", ".join(self._sync.missing).replace("_", " ")
                self._error = {"code": None, "message": f"within {waited:.1f} s not answered in full: {missing}"}

    def _on_error(self, error: ApiError) -> None:
        if error.code == CLIENT_ID_IN_USE:
            self.outcome, self.done = ID_IN_USE, True
            self._error = {"code": error.code, "message": _in_words(error)}
        elif error.request_id in NO_REQUEST:
            known = self._farms.take(error.code, error.raw)
            if known or error.code in _HARMLESS_NOTICES:
                return
            if error.code in self._notices:
                self._notices.remove(error.code)  # of a code that comes again the newest place counts
            if len(self._notices) < _MAX_NOTICES:
                self._notices.append(error.code)
            self._last_notice = error
            if error.code in UPSTREAM_LOST:
                self._upstream = error
            elif error.code in UPSTREAM_BACK:
                self._upstream = None


def _in_words(error: ApiError) -> str:
    return error.text or f"error {error.code}"


# --- module_utils/ib_gateway/api/client_ids.py -----------------------------------------------------------------------

#: Few, and the same ones for ever: the gateway keeps the next order id of each client id that it has seen. In a range
#: that scripts do not use, and outside of the ids that ib_connect leases (20000 to 29999).
PROBE_IDS = tuple(range(900_000_001, 900_000_009))
#: Seconds; what is longer is a mistake.
MAX_TIMEOUT = 3600.0
_MAX_CLIENT_ID = 2**31 - 1
#: One release of the gateway closes without a word where an id is in use; so many such closes are the gateway's way.
_SILENT_CLOSES = 3


def with_client_id(
    port: int,
    client_id: Optional[int],
    timeout: float,
    attempt: Callable[[int, float], Probe],
    avoid: Collection[int] = (),
) -> Probe:
    """Runs attempt(client id, deadline): with the id given, or with each of PROBE_IDS until one is free.

    deadline: seconds on the monotonic clock, the same for all attempts. avoid: ids that others of this host use.
    Raises ValueError for what cannot be probed.
    """
    if client_id == 0:
        raise ValueError("client id 0 is not for probes: its session takes over the orders entered by hand in TWS")
    if client_id is not None and not 0 < client_id <= _MAX_CLIENT_ID:
        raise ValueError(f"client id {client_id} is not within 1 and {_MAX_CLIENT_ID}")
    if not 0 < port < 65536:
        raise ValueError(f"port {port} is not within 1 and 65535")
    if not 0 < timeout <= MAX_TIMEOUT:
        raise ValueError(f"timeout {timeout:g} is not within 0 and {MAX_TIMEOUT:g} seconds")
    deadline = time.monotonic() + timeout
    if client_id is not None:
        return attempt(client_id, deadline)
    closes = 0
    for number in _free(avoid):
        began = time.monotonic()
        probe = attempt(number, deadline)
        now = time.monotonic()
        closes += _closed_without_a_word(probe)
        may_be_the_id = probe.outcome == ID_IN_USE or (_closed_without_a_word(probe) and closes < _SILENT_CLOSES)
        if not may_be_the_id or deadline - now < now - began:
            break  # a turn that is cut short would find less than this one did
    return probe


def _free(avoid: Collection[int]) -> Collection[int]:
    # Whoever names all of them in an argv must not keep the look from one.
    return [each for each in PROBE_IDS if each not in avoid] or PROBE_IDS[-1:]


def _closed_without_a_word(probe: Probe) -> bool:
    told = probe.notices or (probe.error or {}).get("code")
    return probe.outcome == DROPPED and probe.stage == "start_api" and not told


# --- roles/ib_live_probe/package/ib_live_probe/judge.py --------------------------------------------------------------

HEALTHCHECK, READINESS, LIVENESS, NAGIOS = "healthcheck", "readiness", "liveness", "nagios"
PURPOSES = (HEALTHCHECK, READINESS, LIVENESS, NAGIOS)
#: Nagios: the exit code of each status.
_OK, _WARNING, _CRITICAL, _UNKNOWN = "OK", "WARNING", "CRITICAL", "UNKNOWN"
_CODES = {_OK: 0, _WARNING: 1, _CRITICAL: 2, _UNKNOWN: 3}
#: The gateway took the connection and did not open the session, nor close it: what a new process can cure.
_STUCK = (SILENT, STALLED, INCOMPLETE, UNANSWERED)


class Verdict(NamedTuple):
    """The status in the words of the purpose, the exit code, and one line of text."""

    status: str
    exit_code: int
    text: str


class Sockets(NamedTuple):
    """What the kernel shows of the gateway's port: how many connections wait to be accepted, and the sessions.

    waiting: None where nobody listens.
    """

    waiting: Optional[int]
    working: int


def sockets_of(port: int, listeners: Sequence[SocketRow], connections: Sequence[SocketRow]) -> Sockets:
    """The sockets on this port. A session works where both ends have said more than an opening needs, or none tells."""
    waiting = [row.receive_queue for row in listeners if row.local_port == port]
    working = [
        row
        for row in connections
        if row.local_port == port
        and row.state == "ESTABLISHED"
        and (row.sent is None or row.sent > HELLO_BYTES)
        and (row.received is None or row.received > OPENING_BYTES)
    ]
    return Sockets(max(waiting) if waiting else None, len(working))


def judged(purpose: str, probe: Probe, sockets: Optional[Sockets] = None) -> Verdict:
    """What this handshake means for the purpose. sockets: for liveness; None where they could not be read."""
    if purpose == LIVENESS:
        return _liveness(probe, sockets)
    if purpose == NAGIOS:
        return _nagios(probe)
    good = probe.ok
    words = ("healthy", "unhealthy") if purpose == HEALTHCHECK else ("ready", "not ready")
    return Verdict(words[not good], int(not good), judge_told(probe))


def could_not_ask(purpose: str, why: str) -> Verdict:
    """No handshake was made. For liveness that is no reason to restart anything."""
    if purpose == LIVENESS:
        return Verdict("alive", 0, "nothing was asked: " + why)
    return Verdict("unknown", 1, why) if purpose != NAGIOS else Verdict(_UNKNOWN, _CODES[_UNKNOWN], why)


def judge_told(probe: Probe) -> str:
    """The handshake in one line."""
    message = str((probe.error or {}).get("message") or "")
    if probe.outcome == READY:
        facts = ["session ready in %.0f ms" % sum(probe.timings_ms.values())]
        facts += ["server version %s" % probe.server_version, probe.trading_mode or "trading mode not known"]
        message = "; ".join([", ".join(facts), *([message] if message else [])])
    farms = ["%s farm %s is down" % (each["serves"], each["name"] or "without a name") for each in probe.farms]
    return "; ".join([message, *farms])


def _nagios(probe: Probe) -> Verdict:
    if probe.outcome == READY and probe.ok:
        status = _WARNING if probe.farms else _OK
    elif probe.outcome == UNSUPPORTED:
        status = _UNKNOWN
    elif probe.outcome == ID_IN_USE or (probe.outcome == READY and not _upstream_lost(probe)):
        status = _WARNING  # it serves others, or it serves and left something out
    else:
        status = _CRITICAL
    # What stands behind a bar is measured values; nothing that a peer said may look like one.
    text = judge_told(probe).replace("|", "/")
    if probe.outcome == READY:
        text += " | time=%.3fs;;;0" % (sum(probe.timings_ms.values()) / 1000)
    return Verdict(status, _CODES[status], text)


def _liveness(probe: Probe, sockets: Optional[Sockets]) -> Verdict:
    reason = _reason_to_wait(probe, sockets)
    if reason:
        return Verdict("alive", 0, "%s: %s" % (reason, judge_told(probe)))
    return Verdict("stuck", 1, judge_told(probe))


def _reason_to_wait(probe: Probe, sockets: Optional[Sockets]) -> str:
    """Why a restart would cure nothing or end what works; empty where nothing speaks against one."""
    if probe.outcome == READY:
        return "it serves"
    never_accepts = probe.outcome == REFUSED and sockets is not None and bool(sockets.waiting)
    if probe.outcome == REFUSED and not never_accepts:
        return "the port is closed, as in a start, a login or the wait for a second factor"
    if probe.outcome not in _STUCK and not never_accepts:
        return "it answers"
    if _upstream_lost(probe):
        return "it has no way to the broker, and a restart brings none"
    if sockets is None:
        return "the sockets could not be read, so sessions may work"
    if sockets.working:
        return "%d session%s may work" % (sockets.working, "" if sockets.working == 1 else "s")
    return ""


def _upstream_lost(probe: Probe) -> bool:
    return (probe.error or {}).get("code") in UPSTREAM_LOST


# --- module_utils/ib_gateway/api/handshake.py ------------------------------------------------------------------------

#: Seconds that a ready session may take to tell the time, and that a peer may take to close its end after ours.
CURRENT_TIME_LIMIT = 2.0
CLOSING_LIMIT = 0.05
_CHUNK = 1 << 16


class Address(NamedTuple):
    """One place to connect to: an address family, and the numeric address in the shape that family takes."""

    family: int
    sockaddr: Tuple[Any, ...]


class Unreachable(Exception):
    """No connection came about; the text says why, with the names of the system's errors."""


def handshake_probe(
    host: str,
    port: int,
    client_id: Optional[int] = None,
    timeout: float = 5.0,
    depth: str = QUICK,
    avoid: Collection[int] = (),
) -> Probe:
    """One handshake over a plain socket, done in `timeout` seconds whatever the peer does, and closed cleanly.

    client_id: one of client_ids.PROBE_IDS where None, none of `avoid`. depth: probe.QUICK or FULL. Never raises
    because of the peer or the network; ValueError for an argument that cannot be right.
    """

    def attempt(number: int, deadline: float) -> Probe:
        offered, refused = _attempt(host, port, Dialogue(number, timeout, depth), deadline)
        if not refused:
            return offered
        # It may speak only what is newer than the first offer.
        wider = Dialogue(number, timeout, depth, offered=SPOKEN)
        wider.versions_refused = offered.outcome == UNSUPPORTED
        found, _ = _attempt(host, port, wider, deadline)
        return found if found.server_version is not None or found.outcome == UNSUPPORTED else offered

    return with_client_id(port, client_id, timeout, attempt, avoid)


def resolve(host: str, port: int, deadline: float) -> List[Address]:
    """The addresses of a host; a name that is not resolved by the deadline, or never, raises Unreachable."""
    try:
        return _look_up(host, port, socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        pass  # a name, not an address
    answers: List[Any] = []

    def look_up() -> None:
        try:
            answers.append(_look_up(host, port))
        except (OSError, UnicodeError) as error:
            answers.append(error)

    # The resolver knows no deadline of ours; a thread that is left behind ends with the process.
    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()))
    answer = answers[0] if answers else TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    if isinstance(answer, Exception):
        raise Unreachable(f"the host name {host} has no address: {error_name(answer)}")
    found: List[Address] = answer
    return found


def _look_up(host: str, port: int, flags: int = 0) -> List[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [Address(family, sockaddr) for family, _type, _protocol, _name, sockaddr in found]


def turns(addresses: List[Address], deadline: float) -> Iterator[Tuple[Address, float]]:
    """Each address with the seconds it may take: an equal share of what is left for it and those after it."""
    for index, address in enumerate(addresses):
        yield address, max(0.001, deadline - time.monotonic()) / (len(addresses) - index)


def unreachable(host: str, port: int, errors: Iterable[BaseException]) -> Unreachable:
    """What to raise when every address failed, each with its error."""
    names = ", ".join(dict.fromkeys(error_name(error) for error in errors))
    return Unreachable(f"no connection to {host} port {port}: {names}")


def error_name(error: BaseException) -> str:
    """A system error by name and meaning: ECONNREFUSED (Connection refused)."""
    if isinstance(error, socket.gaierror):
        names = (name for name in dir(socket) if name.startswith("EAI_") and getattr(socket, name) == error.errno)
        return f"{next(names, 'getaddrinfo')} ({error.strerror})"
    # A timeout of Python's own has no error number.
    number = errno.ETIMEDOUT if isinstance(error, socket.timeout) else getattr(error, "errno", None)
    if number is None:
        return type(error).__name__
    return f"{errno.errorcode.get(number, number)} ({os.strerror(number)})"


def _attempt(host: str, port: int, dialogue: Dialogue, deadline: float) -> Tuple[Probe, bool]:
    """(what one connection came to, whether it was closed in answer to the versions that were offered)."""
    try:
        connection = _reach(host, port, deadline)
    except Unreachable as why:
        dialogue.settle(REFUSED, str(why))
        return dialogue.probe("socket"), False
    try:
        closed = _converse(connection, dialogue, deadline)
    finally:
        _handshake_close(connection, dialogue)
    return dialogue.probe("socket"), closed and dialogue.server_version is None


def _reach(host: str, port: int, deadline: float) -> socket.socket:
    errors = []
    for address, seconds in turns(resolve(host, port, deadline), deadline):
        try:
            return _connect(address, seconds)
        except OSError as error:
            errors.append(error)
    raise unreachable(host, port, errors)


def _connect(address: Address, seconds: float) -> socket.socket:
    connection = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect(address.sockaddr)
        if connection.getsockname() == connection.getpeername():
            # With no listener on a port of the ephemeral range, TCP may connect a socket to itself.
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    except BaseException:
        connection.close()
        raise
    return connection


def _converse(connection: socket.socket, dialogue: Dialogue, deadline: float) -> bool:
    """Carries bytes between the socket and the dialogue until nothing more matters or the time is over.

    Gives whether the peer ended it.
    """
    try:
        outgoing, time_limit = dialogue.connected(), None
        while not dialogue.done:
            if dialogue.awaits_time and time_limit is None:
                time_limit = patience(deadline)
            until = deadline if time_limit is None or not dialogue.awaits_time else time_limit
            try:
                data = _exchange(connection, outgoing, until)
            except socket.timeout:
                wanted = dialogue.time_is_late()
                if not wanted:
                    raise
            else:
                if not data:
                    dialogue.ended()
                    return True
                wanted = dialogue.receive(data)
            outgoing = b"".join(requests_encode(each, dialogue.server_version or 0) for each in wanted)
    except socket.timeout:
        dialogue.expired()
    except OSError as error:
        dialogue.ended(error_name(error))
        return True
    return False


def patience(deadline: float) -> float:
    """Until when a ready session may take to tell the time, so that there is time left to ask for something else."""
    now = time.monotonic()
    return now + min(CURRENT_TIME_LIMIT, (deadline - now) / 2)


def _exchange(connection: socket.socket, outgoing: bytes, until: float) -> bytes:
    if outgoing:
        _limit(connection, until)
        connection.sendall(outgoing)
    _limit(connection, until)
    return connection.recv(_CHUNK)


def _limit(connection: socket.socket, deadline: float) -> None:
    """Lets the next call on the socket take what is left of the time; raises socket.timeout when that is nothing."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise socket.timeout
    connection.settimeout(remaining)


def _handshake_close(connection: socket.socket, dialogue: Dialogue) -> None:
    """Ends the subscriptions and our side, gives the peer a moment to end its own, and closes.

    A socket that is closed with something unread sends a reset, which a gateway may log as a failed client.
    """
    with contextlib.closing(connection), contextlib.suppress(OSError):
        until = time.monotonic() + CLOSING_LIMIT
        for request in dialogue.parting():
            _limit(connection, until)
            connection.sendall(requests_encode(request, dialogue.server_version or 0))
        connection.shutdown(socket.SHUT_WR)
        while True:
            _limit(connection, until)
            if not connection.recv(_CHUNK):
                return


# --- roles/ib_live_probe/package/ib_live_probe/command.py ------------------------------------------------------------

#: Liveness looks at the gateway's own sockets, so it has to run where they are.
_BESIDE_IT = ("127.0.0.1", "::1", "localhost")


class _CannotBe(Exception):
    """The command line asks for something that cannot be."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse ends with 2, which container engines reserve and Nagios takes for critical.
        raise _CannotBe(message)


def options(arguments: List[str]) -> argparse.Namespace:
    """The command line read. Raises _CannotBe."""
    parser = _Parser(prog="ib_gateway_probe.py", description="Makes one API handshake with a gateway.")
    parser.add_argument("--host", default="127.0.0.1", help="the gateway's address (default: %(default)s)")
    parser.add_argument("--port", type=int, required=True, help="its API port")
    parser.add_argument("--client-id", type=int, help="never 0; by default the first free one of eight of its own")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds for all of it (default: %(default)g)")
    parser.add_argument(
        "--depth", choices=(QUICK, FULL), default=QUICK, help="full: also what IB.connect reads (default: %(default)s)"
    )
    parser.add_argument(
        "--for", dest="purpose", choices=PURPOSES, default=HEALTHCHECK, help="who asks (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON in place of the text")
    chosen = parser.parse_args(arguments)
    if chosen.purpose == LIVENESS and chosen.host not in _BESIDE_IT:
        raise _CannotBe("liveness is asked beside the gateway: --host must be one of %s" % ", ".join(_BESIDE_IT))
    if not 0 < chosen.timeout <= MAX_TIMEOUT:
        raise _CannotBe("--timeout must be more than 0 and at most %g seconds" % MAX_TIMEOUT)
    return chosen


def command_asked(chosen: argparse.Namespace) -> Probe:
    """The handshake made. Raises _CannotBe."""
    try:
        return handshake_probe(chosen.host, chosen.port, chosen.client_id, chosen.timeout, chosen.depth)
    except ValueError as error:
        raise _CannotBe(str(error)) from None


def seen(port: int) -> Optional[Sockets]:
    """The gateway's sockets; None where they cannot be read."""
    try:
        return sockets_of(port, sockets_listeners(), sockets_connections([port]))
    except OSError:
        return None


def command_shown(verdict: Verdict, purpose: str, probe: Optional[Probe], as_json: bool) -> str:
    """The line to print."""
    if not as_json:
        return "%s: %s" % (verdict.status, verdict.text)
    found: Dict[str, Any] = {"for": purpose, **verdict._asdict()}
    found["probe"] = None
    if probe:
        found["probe"] = {**probe._asdict(), "timings_ms": dict(probe.timings_ms), "sync": dict(probe.sync)}
    return json.dumps(found)


def main(arguments: List[str]) -> int:
    """Runs the probe, prints one line, gives the exit code."""
    # What cannot be read as a whole still says who asks.
    purpose = next((each for each in PURPOSES if each in arguments or "--for=" + each in arguments), HEALTHCHECK)
    probe = None
    try:
        chosen = options(arguments)
        purpose, probe = chosen.purpose, command_asked(chosen)
        verdict = judged(purpose, probe, seen(chosen.port) if purpose == LIVENESS else None)
    except _CannotBe as error:
        verdict = could_not_ask(purpose, str(error))
    except Exception as error:  # a fault of this program's own is no reason to restart a gateway
        verdict = could_not_ask(purpose, "this probe failed: %s" % type(error).__name__)
    line = command_shown(verdict, purpose, probe, "--json" in arguments)
    print(line.encode("ascii", "backslashreplace").decode())
    return verdict.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
