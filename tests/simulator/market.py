"""What the simulated market says to each subscription: its first answer at once, and nothing after it.

So each answer stands for one request, and a script that gets a second one has subscribed a second time.
"""

import time
from typing import Callable, Dict, Iterator, Sequence

from .protocol import frame

PRICE = 101.25
LAST_PRICE = 4  # a tick's type
BAR = ("100.0", "102.0", "99.0", "101.0")  # open, high, low, close

Fields = Sequence[str]


def market_data(fields: Fields) -> Iterator[bytes]:
    yield frame(1, 6, fields[2], LAST_PRICE, str(PRICE), "10", 0)


def real_time_bars(fields: Fields) -> Iterator[bytes]:
    yield frame(50, 3, fields[2], int(time.time()), *BAR, "10", "100.5", 3)


def historical_data(fields: Fields) -> Iterator[bytes]:
    bars = [(f"20250425  {hour}:00:00", *BAR, "10", "100.5", 3) for hour in ("14", "15")]
    yield frame(17, fields[1], "20250424  16:00:00", "20250425  16:00:00", 2, *bars[0], *bars[1])


def profit_and_loss(fields: Fields) -> Iterator[bytes]:
    yield frame(94, fields[1], "12.5", "3.5", "9.0")


def trades(fields: Fields) -> Iterator[bytes]:
    yield frame(99, fields[1], 1, int(time.time()), str(PRICE), "10", 0, "SMART", "")


#: Message id of a request: what answers it.
MARKET: Dict[str, Callable[[Fields], Iterator[bytes]]] = {
    "1": market_data,
    "20": historical_data,
    "50": real_time_bars,
    "92": profit_and_loss,
    "97": trades,
}
