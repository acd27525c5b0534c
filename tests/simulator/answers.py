"""What a ready session answers: every request a library makes while it connects, and the proofs of life.

The simulated accounts hold cash and nothing else, so lists of positions, orders and executions are empty: only their
end markers are sent. A request that is not here gets no answer.
"""

import time
from typing import Callable, Dict, Iterator, List, Sequence

from . import messages
from .market import MARKET
from .messages import Message
from .protocol import Field
from .requests import Request

FIRST_ORDER_ID = 1

# key, value, currency
ACCOUNT_VALUES = (
    ("AccountReady", "true", ""),
    ("NetLiquidation", "1000000.00", "USD"),
    ("TotalCashValue", "1000000.00", "USD"),
    ("BuyingPower", "4000000.00", "USD"),
)

Answer = Callable[[Request, Sequence[str]], Iterator[Message]]


def answer(request: Request, accounts: Sequence[str]) -> Iterator[Message]:
    """The messages that answer one request; raises requests.Unreadable."""
    if request.id in MARKET:
        return MARKET[request.id](request)
    handler = _ANSWERS.get(request.id)
    return handler(request, accounts) if handler else iter(())


def _account_updates(request: Request, accounts: Sequence[str]) -> Iterator[Message]:
    account = request.text("account") or accounts[0]
    if request.text("subscribe") != "1":
        return
    for key, value, currency in ACCOUNT_VALUES:
        named = [(1, key), (2, value), (3, currency), (4, account)]
        yield Message(messages.ACCOUNT_VALUE, [2, key, value, currency, account], named)
    now = time.strftime("%H:%M")
    yield Message(messages.ACCOUNT_TIME, [1, now], [(1, now)])
    yield Message(messages.ACCOUNT_END, [1, account], [(1, account)])


def _account_updates_multi(request: Request, accounts: Sequence[str]) -> Iterator[Message]:
    number, wanted, model = request.number("request"), request.text("account"), request.text("model")
    for account in [wanted] if wanted else accounts:
        for entry in ACCOUNT_VALUES:
            row: List[Field] = [number, account, model, *entry]
            yield Message(messages.UPDATE_MULTI, [1, *row], list(enumerate(row, 1)))
    yield Message(messages.UPDATE_MULTI_END, [1, number], [(1, number)])


def _account_summary(request: Request, accounts: Sequence[str]) -> Iterator[Message]:
    number, tags = request.number("request"), request.text("tags").split(",")
    for account in accounts:
        for entry in ACCOUNT_VALUES:
            if entry[0] in tags:
                row: List[Field] = [number, account, *entry]
                yield Message(messages.SUMMARY, [1, *row], list(enumerate(row, 1)))
    yield Message(messages.SUMMARY_END, [1, number], [(1, number)])


def _open_orders(_request: Request, _accounts: Sequence[str]) -> Iterator[Message]:
    yield Message(messages.OPEN_ORDERS_END, [1])


def _executions(request: Request, _accounts: Sequence[str]) -> Iterator[Message]:
    number = request.number("request")
    yield Message(messages.EXECUTIONS_END, [1, number], [(1, number)])


def _order_ids(_request: Request, _accounts: Sequence[str]) -> Iterator[Message]:
    yield messages.next_valid_id(FIRST_ORDER_ID)


def _managed_accounts(_request: Request, accounts: Sequence[str]) -> Iterator[Message]:
    yield messages.managed_accounts(accounts)


def _current_time(_request: Request, _accounts: Sequence[str]) -> Iterator[Message]:
    yield messages.current_time()


def _time_in_millis(_request: Request, _accounts: Sequence[str]) -> Iterator[Message]:
    now = int(time.time() * 1000)
    yield Message(messages.TIME_IN_MILLIS, [now], [(1, now)])


def _positions(_request: Request, _accounts: Sequence[str]) -> Iterator[Message]:
    yield Message(messages.POSITIONS_END, [1])


def _positions_multi(request: Request, _accounts: Sequence[str]) -> Iterator[Message]:
    number = request.number("request")
    yield Message(messages.POSITIONS_MULTI_END, [1, number], [(1, number)])


def _completed_orders(_request: Request, _accounts: Sequence[str]) -> Iterator[Message]:
    yield Message(messages.COMPLETED_ORDERS_END, [])


def _user_info(request: Request, _accounts: Sequence[str]) -> Iterator[Message]:
    number = request.number("request")
    yield Message(messages.USER_INFO, [number, ""], [(1, number), (2, "")])


_ANSWERS: Dict[int, Answer] = {
    5: _open_orders,
    6: _account_updates,
    7: _executions,
    8: _order_ids,
    16: _open_orders,
    17: _managed_accounts,
    49: _current_time,
    61: _positions,
    62: _account_summary,
    74: _positions_multi,
    76: _account_updates_multi,
    99: _completed_orders,
    104: _user_info,
    105: _time_in_millis,
}
