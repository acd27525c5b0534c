"""What a ready session answers: every request a library makes while it connects, and the proofs of life.

The simulated accounts hold cash and nothing else, so lists of positions, orders and executions are empty: only their
end markers are sent. A request that is not here gets no answer.
"""

import time
from typing import Callable, Dict, Iterator, Sequence

from .market import MARKET
from .protocol import frame, managed_accounts, next_valid_id

FIRST_ORDER_ID = 1

# key, value, currency
ACCOUNT_VALUES = (
    ("AccountReady", "true", ""),
    ("NetLiquidation", "1000000.00", "USD"),
    ("TotalCashValue", "1000000.00", "USD"),
    ("BuyingPower", "4000000.00", "USD"),
)

Fields = Sequence[str]
Answer = Callable[[Fields, Sequence[str]], Iterator[bytes]]


def answer(fields: Fields, accounts: Sequence[str]) -> Iterator[bytes]:
    """The frames that answer one request; a request with too few fields raises IndexError."""
    if fields[0] in MARKET:
        return MARKET[fields[0]](fields)
    handler = _ANSWERS.get(fields[0])
    return handler(fields, accounts) if handler else iter(())


def _account_updates(fields: Fields, accounts: Sequence[str]) -> Iterator[bytes]:
    subscribe, account = fields[2], fields[3] or accounts[0]
    if subscribe != "1":
        return
    for key, value, currency in ACCOUNT_VALUES:
        yield frame(6, 2, key, value, currency, account)
    yield frame(8, 1, time.strftime("%H:%M"))
    yield frame(54, 1, account)


def _account_updates_multi(fields: Fields, accounts: Sequence[str]) -> Iterator[bytes]:
    request_id, wanted, model = fields[2], fields[3], fields[4]
    for account in [wanted] if wanted else accounts:
        for key, value, currency in ACCOUNT_VALUES:
            yield frame(73, 1, request_id, account, model, key, value, currency)
    yield frame(74, 1, request_id)


def _account_summary(fields: Fields, accounts: Sequence[str]) -> Iterator[bytes]:
    request_id, tags = fields[2], fields[4].split(",")
    for account in accounts:
        for key, value, currency in ACCOUNT_VALUES:
            if key in tags:
                yield frame(63, 1, request_id, account, key, value, currency)
    yield frame(64, 1, request_id)


def _open_orders(_fields: Fields, _accounts: Sequence[str]) -> Iterator[bytes]:
    yield frame(53, 1)


def _executions(fields: Fields, _accounts: Sequence[str]) -> Iterator[bytes]:
    yield frame(55, 1, fields[2])


def _order_ids(_fields: Fields, _accounts: Sequence[str]) -> Iterator[bytes]:
    yield next_valid_id(FIRST_ORDER_ID)


def _managed_accounts(_fields: Fields, accounts: Sequence[str]) -> Iterator[bytes]:
    yield managed_accounts(accounts)


def _current_time(_fields: Fields, _accounts: Sequence[str]) -> Iterator[bytes]:
    yield frame(49, 1, int(time.time()))


def _positions(_fields: Fields, _accounts: Sequence[str]) -> Iterator[bytes]:
    yield frame(62, 1)


def _positions_multi(fields: Fields, _accounts: Sequence[str]) -> Iterator[bytes]:
    yield frame(72, 1, fields[2])


def _completed_orders(_fields: Fields, _accounts: Sequence[str]) -> Iterator[bytes]:
    yield frame(102)


def _user_info(fields: Fields, _accounts: Sequence[str]) -> Iterator[bytes]:
    yield frame(107, fields[1], "")


_ANSWERS: Dict[str, Answer] = {
    "5": _open_orders,
    "6": _account_updates,
    "7": _executions,
    "8": _order_ids,
    "16": _open_orders,
    "17": _managed_accounts,
    "49": _current_time,
    "61": _positions,
    "62": _account_summary,
    "74": _positions_multi,
    "76": _account_updates_multi,
    "99": _completed_orders,
    "104": _user_info,
}
