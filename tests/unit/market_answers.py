"""What a market says to each request of a script, spelled out: the first answer at once, and nothing after it."""

from __future__ import annotations

import time
from typing import Callable, Dict, List

from unit.api_frames import TIME, raw_frame

PRICE = "101.25"
BAR = ("100.0", "102.0", "99.0", "101.0", "10", "100.5", "3")  # open, high, low, close, volume, average, count


def _bars(fields: List[str]) -> bytes:
    two = [value for hour in ("14", "15") for value in (f"20250425  {hour}:00:00", *BAR)]
    return raw_frame("17", fields[1], "20250424  16:00:00", "20250425  16:00:00", "2", *two)


def _now() -> str:
    return str(int(time.time()))


#: Message id of a request: what answers it.
ANSWERS: Dict[str, Callable[[List[str]], bytes]] = {
    "1": lambda fields: raw_frame("1", "6", fields[2], "4", PRICE, "10", "0"),
    "5": lambda _fields: raw_frame("53", "1"),
    "6": lambda fields: raw_frame("54", "1", fields[3]),
    "7": lambda fields: raw_frame("55", "1", fields[2]),
    "20": _bars,
    "49": lambda _fields: TIME,
    "50": lambda fields: raw_frame("50", "3", fields[2], _now(), *BAR),
    "61": lambda _fields: raw_frame("62", "1"),
    "76": lambda fields: raw_frame("74", "1", fields[2]),
    "92": lambda fields: raw_frame("94", fields[1], "12.5", "3.5", "9.0"),
    "97": lambda fields: raw_frame("99", fields[1], "1", _now(), PRICE, "10", "0", "SMART", ""),
    "99": lambda _fields: raw_frame("102"),
}


def answer(fields: List[str]) -> bytes:
    """The frames that answer one request; none for what is not here."""
    return ANSWERS[fields[0]](fields) if fields[0] in ANSWERS else b""


def error(version: int, code: int) -> bytes:
    """A code that means the connection, in the shape of the version."""
    return raw_frame("4", "2", "-1", str(code), "a text", *([""] if version >= 166 else []))
