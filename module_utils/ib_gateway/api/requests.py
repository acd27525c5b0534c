"""What a handshake asks for: the opening of the session, the time, and what `IB.connect` reads before a script goes on.

None of it places, changes or cancels an order, and what subscribes is cancelled again. Pure.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

from . import messages, protobuf, wire

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
    fields: Tuple[Tuple[int, protobuf.Value], ...]
    binary_since: int
    account: str = ""


def encode(request: Request, server_version: int) -> bytes:
    """The request as a frame of this server version."""
    if server_version >= request.binary_since:
        return wire.prefixed(wire.raw_id(request.id + wire.PROTOBUF_ID) + protobuf.encode(request.fields))
    text = request.text
    if request.name == messages.EXECUTIONS and server_version >= _EXECUTIONS_BY_DAY:
        text = (*text, _ANY_DAY, 0)
    if server_version >= wire.RAW_ID_VERSION:
        return wire.prefixed(wire.raw_id(request.id) + wire.joined(text))
    return wire.frame(request.id, *text)


def start_api(client_id: int) -> Request:
    """Opens the session under this client id, without optional capabilities."""
    return Request(START_API, 71, (2, client_id, ""), ((1, client_id),), 213)


def current_time() -> Request:
    """Asks for the gateway's clock."""
    return Request(CURRENT_TIME, 49, (1,), (), 213)


def positions() -> Request:
    """Asks for the positions of all accounts, and for each change of them until it is cancelled."""
    return Request(messages.POSITIONS, 61, (1,), (), 207)


def cancel_positions() -> Request:
    """Ends what positions() began."""
    return Request(messages.POSITIONS, 64, (1,), (), 207)


def open_orders() -> Request:
    """Asks for the open orders of this client id."""
    return Request(messages.OPEN_ORDERS, 5, (1,), (), 204)


def completed_orders() -> Request:
    """Asks for the orders that have ended, whoever placed them."""
    return Request(messages.COMPLETED_ORDERS, 99, (0,), (), 204)


def account_updates(account: str) -> Request:
    """Asks for the values of one account, and for each change of them until it is cancelled."""
    return Request(messages.ACCOUNT_UPDATES, 6, (2, 1, account), ((1, 1), (2, account)), 207, account)


def cancel_account_updates(account: str) -> Request:
    """Ends what account_updates() began."""
    return Request(messages.ACCOUNT_UPDATES, 6, (2, 0, account), ((2, account),), 207, account)


def executions() -> Request:
    """Asks for the executions of all clients."""
    nothing = ("",) * 6  # account, time, symbol, security type, exchange, side
    any_client = protobuf.encode([(1, 0)])
    return Request(messages.EXECUTIONS, 7, (3, EXECUTIONS_ID, 0, *nothing), ((1, EXECUTIONS_ID), (2, any_client)), 201)
