"""What the simulated market says to each subscription: its first answer at once, and nothing after it.

So each answer stands for one request, and a script that gets a second one has subscribed a second time.
"""

import time
from typing import Callable, Dict, Iterator

from .messages import Message
from .requests import Request

PRICE = 101.25
LAST_PRICE = 4  # a tick's type
BAR = ("100.0", "102.0", "99.0", "101.0")  # open, high, low, close


def market_data(request: Request) -> Iterator[Message]:
    yield Message(1, [6, request.number("request"), LAST_PRICE, str(PRICE), "10", 0])


def real_time_bars(request: Request) -> Iterator[Message]:
    yield Message(50, [3, request.number("request"), int(time.time()), *BAR, "10", "100.5", 3])


def historical_data(request: Request) -> Iterator[Message]:
    bars = [(f"20250425  {hour}:00:00", *BAR, "10", "100.5", 3) for hour in ("14", "15")]
    span = ("20250424  16:00:00", "20250425  16:00:00")
    yield Message(17, [request.number("request"), *span, 2, *bars[0], *bars[1]])


def profit_and_loss(request: Request) -> Iterator[Message]:
    yield Message(94, [request.number("request"), "12.5", "3.5", "9.0"])


def trades(request: Request) -> Iterator[Message]:
    yield Message(99, [request.number("request"), 1, int(time.time()), str(PRICE), "10", 0, "SMART", ""])


#: Message id of a request: what answers it.
MARKET: Dict[int, Callable[[Request], Iterator[Message]]] = {
    1: market_data,
    20: historical_data,
    50: real_time_bars,
    92: profit_and_loss,
    97: trades,
}
