"""What a gateway says in a session, in the shape of the negotiated server version.

Up to version 200 a message is text: its id and its fields, each ended by NUL. From 201 on the id is a raw big-endian
integer, and from a version of its own on each message is protobuf, with its id plus 200.
"""

import time
from typing import Dict, List, NamedTuple, Sequence, Tuple

from . import protobuf
from .protocol import Field, join_fields, prefixed

RAW_ID_VERSION = 201
PROTOBUF_ID = 200
ID_BYTES = 4

# Server versions at which text messages change shape.
MARKET_CAP_VERSION = 131
NO_ORDER_STATUS_VERSION = 145
ADVANCED_REJECT_VERSION = 166
ERROR_TIME_VERSION = 194

ORDER_STATUS, ERROR, NEXT_VALID_ID, MANAGED_ACCOUNTS, CURRENT_TIME = 3, 4, 9, 15, 49
ACCOUNT_VALUE, ACCOUNT_TIME, ACCOUNT_END = 6, 8, 54
OPEN_ORDERS_END, EXECUTIONS_END, COMPLETED_ORDERS_END = 53, 55, 102
POSITIONS_END, SUMMARY, SUMMARY_END = 62, 63, 64
POSITIONS_MULTI_END, UPDATE_MULTI, UPDATE_MULTI_END = 72, 73, 74
USER_INFO, TIME_IN_MILLIS = 107, 109

# The server version from which a message is protobuf; the official client has such a table for its requests.
PROTOBUF_SINCE: Dict[int, int] = {
    EXECUTIONS_END: 201,
    **dict.fromkeys((ORDER_STATUS, ERROR), 203),
    **dict.fromkeys((OPEN_ORDERS_END, COMPLETED_ORDERS_END), 204),
    **dict.fromkeys((ACCOUNT_VALUE, ACCOUNT_TIME, ACCOUNT_END, MANAGED_ACCOUNTS, POSITIONS_END), 207),
    **dict.fromkeys((SUMMARY, SUMMARY_END, POSITIONS_MULTI_END, UPDATE_MULTI, UPDATE_MULTI_END), 207),
    USER_INFO: 212,
    **dict.fromkeys((NEXT_VALID_ID, CURRENT_TIME, TIME_IN_MILLIS), 213),
}

NOTICES = {
    320: "Server error when reading an API client request.",
    326: "Unable to connect as the client id is already in use. Retry with a unique client id.",
    1100: "Connectivity between IBKR and Trader Workstation has been lost.",
    1102: "Connectivity between IBKR and Trader Workstation has been restored - data maintained.",
    2103: "Market data farm connection is broken:usfarm",
    2104: "Market data farm connection is OK:usfarm",
    2105: "HMDS data farm connection is broken:ushmds",
    2106: "HMDS data farm connection is OK:ushmds",
    2110: "Connectivity between Trader Workstation and server is broken. It will be restored automatically.",
    2157: "Sec-def data farm connection is broken:secdefil",
    2158: "Sec-def data farm connection is OK:secdefil",
    10141: "Paper trading disclaimer must first be accepted for API connection.",
}


class Message(NamedTuple):
    """One message in both shapes: the text fields behind the id, and the protobuf fields by number."""

    id: int
    text: Sequence[Field]
    fields: Sequence[Tuple[int, protobuf.Value]] = ()


def encode(version: int, message: Message) -> bytes:
    """The message as a frame of this server version."""
    if version >= PROTOBUF_SINCE.get(message.id, version + 1):
        return prefixed((message.id + PROTOBUF_ID).to_bytes(ID_BYTES, "big") + protobuf.encode(message.fields))
    if version >= RAW_ID_VERSION:
        return prefixed(message.id.to_bytes(ID_BYTES, "big") + join_fields(message.text))
    return prefixed(join_fields([message.id, *message.text]))


def managed_accounts(accounts: Sequence[str]) -> Message:
    """The account list; like the real one it ends in a comma."""
    listed = ",".join(accounts) + ","
    return Message(MANAGED_ACCOUNTS, [1, listed], [(1, listed)])


def next_valid_id(order_id: int) -> Message:
    """The first order id this client may use."""
    return Message(NEXT_VALID_ID, [1, order_id], [(1, order_id)])


def current_time() -> Message:
    """The time in seconds since 1970."""
    now = int(time.time())
    return Message(CURRENT_TIME, [1, now], [(1, now)])


def error(version: int, request_id: int, code: int) -> Message:
    """An error or notice; request_id -1 means the connection."""
    text = NOTICES.get(code, "")
    now = int(time.time() * 1000)
    fields: List[Tuple[int, protobuf.Value]] = [(1, request_id), (2, now), (3, code), (4, text)]
    if version >= ERROR_TIME_VERSION:
        return Message(ERROR, [request_id, code, text, "", now], fields)
    advanced = [""] if version >= ADVANCED_REJECT_VERSION else []
    return Message(ERROR, [2, request_id, code, text, *advanced], fields)


def order_status(version: int, order_id: int, client_id: int) -> Message:
    """An order that another client placed and that waits at the exchange."""
    leading = [] if version >= NO_ORDER_STATUS_VERSION else [6]
    text: List[Field] = [*leading, order_id, "Submitted", 0, 100, 0, 1000 + order_id, 0, 0, client_id, ""]
    if version >= MARKET_CAP_VERSION:
        text.append(0)
    fields: List[Tuple[int, protobuf.Value]] = [
        (1, order_id),
        (2, "Submitted"),
        (3, "0"),
        (4, "100"),
        (6, 1000 + order_id),
        (9, client_id),
    ]
    return Message(ORDER_STATUS, text, fields)
