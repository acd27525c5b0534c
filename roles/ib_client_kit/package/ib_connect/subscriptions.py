"""What a script has subscribed: noted while it asks, so that it can be asked for again in the next session."""

from __future__ import annotations

import functools
import inspect
import threading
from typing import Any, Callable, Iterator, Optional

#: Requests whose answers go on until they are cancelled, and what cancels them. The names are the same in all
#: libraries; the first argument is the request's number.
NUMBERED = {
    "reqAccountSummary": "cancelAccountSummary",
    "reqAccountUpdatesMulti": "cancelAccountUpdatesMulti",
    "reqHistoricalData": "cancelHistoricalData",
    "reqMktData": "cancelMktData",
    "reqMktDepth": "cancelMktDepth",
    "reqPnL": "cancelPnL",
    "reqPnLSingle": "cancelPnLSingle",
    "reqPositionsMulti": "cancelPositionsMulti",
    "reqRealTimeBars": "cancelRealTimeBars",
    "reqScannerSubscription": "cancelScannerSubscription",
    "reqTickByTickData": "cancelTickByTickData",
    "subscribeToGroupEvents": "unsubscribeFromGroupEvents",
}
#: Those without a number, and what cancels them.
UNNUMBERED = {
    "reqAccountUpdates": None,
    "reqMarketDataType": None,
    "reqNewsBulletins": "cancelNewsBulletins",
    "reqPositions": "cancelPositions",
}
#: What the libraries on asyncio ask for in each connect by themselves.
SYNCHRONIZED = {"reqAccountUpdates", "reqAccountUpdatesMulti", "reqPositions"}


class Subscription:
    """One request that goes on; stale: it was made in a session that is over."""

    def __init__(self, name: str, number: Optional[int], arguments: dict[str, Any]) -> None:
        self.name, self.number, self.arguments, self.stale = name, number, arguments, False

    def same(self, other: Subscription) -> bool:
        """Whether both ask for the same, whatever their numbers."""
        return self.name == other.name and self.arguments == other.arguments


class Subscriptions:
    """The subscriptions of one client object, whose request methods it overlays.

    numbers_are_the_script_s: with ibapi, a script knows its answers by the numbers that it gave, so they stay. With
    the libraries on asyncio each session has numbers of its own.
    """

    def __init__(self, client: Any, numbers_are_the_script_s: bool) -> None:
        self.client, self.own_numbers = client, numbers_are_the_script_s
        self.connecting = False
        self.ordered = False  # an order was placed, under the client id of today
        self._kept: list[Subscription] = []
        self._changing = threading.Lock()  # with ibapi, the script's threads and the session's
        self._plain: dict[str, Callable[..., Any]] = {}
        for name in (*NUMBERED, *UNNUMBERED):
            self._overlay(name, self._asked)
        for name in filter(None, (*NUMBERED.values(), *UNNUMBERED.values())):
            self._overlay(name, self._cancelled)
        self._overlay("placeOrder", self._placed)

    def _overlay(self, name: str, note: Callable[[str, dict[str, Any]], None]) -> None:
        plain = getattr(self.client, name, None)
        if plain is None:
            return
        signature = inspect.signature(plain)

        @functools.wraps(plain)
        def overlaid(*given: Any, **named: Any) -> Any:
            result = plain(*given, **named)
            note(name, dict(signature.bind(*given, **named).arguments))
            return result

        self._plain[name] = plain
        setattr(self.client, name, overlaid)

    def _placed(self, _name: str, _arguments: dict[str, Any]) -> None:
        self.ordered = True

    def _asked(self, name: str, arguments: dict[str, Any]) -> None:
        if self.connecting and not self.own_numbers and name in SYNCHRONIZED:
            return
        if arguments.get("snapshot") or arguments.get("regulatorySnapshot"):
            return
        if name == "reqHistoricalData" and not arguments.get("keepUpToDate"):
            return
        number = arguments.pop(next(iter(arguments))) if name in NUMBERED else None
        new = Subscription(name, number, arguments)
        goes_on = [new] if name != "reqAccountUpdates" or arguments.get("subscribe") else []
        with self._changing:
            self._kept = [each for each in self._kept if not self._replaced(each, new)] + goes_on

    def _replaced(self, old: Subscription, new: Subscription) -> bool:
        """Whether the new request stands for the old one: what a script subscribes again itself, nobody else does."""
        if old.name != new.name:
            return False
        if new.number is None:
            return new.name != "reqAccountUpdates" or old.arguments.get("acctCode") == new.arguments.get("acctCode")
        return old.number == new.number if self.own_numbers else old.stale and old.same(new)

    def _cancelled(self, name: str, arguments: dict[str, Any]) -> None:
        number = next(iter(arguments.values()), None)
        requests = {request for request, cancel in {**NUMBERED, **UNNUMBERED}.items() if cancel == name}
        with self._changing:
            self._kept = [each for each in self._kept if each.name not in requests or each.number != number]

    def end_of_session(self) -> None:
        """That no answer to what was asked so far will come any more."""
        for each in self._kept:
            each.stale = True

    def stale(self) -> Iterator[Subscription]:
        """What is to be asked for again, settings first; each is current once it was taken and asked for."""
        for each in sorted(self._kept, key=lambda kept: kept.name != "reqMarketDataType"):
            if each.stale:
                yield each

    def ask(self, each: Subscription, number: Optional[int]) -> None:
        """Makes the request again, under this number."""
        values = list(each.arguments.values())
        self._plain[each.name](*([] if number is None else [number]), *values)
        each.number, each.stale = number, False

    def cancel(self, each: Subscription) -> None:
        """Cancels the request, and keeps it for later."""
        name = NUMBERED.get(each.name)
        if name and each.number is not None:
            depth = [each.arguments["isSmartDepth"]] if each.name == "reqMktDepth" else []
            self._plain[name](each.number, *depth)

    def forget_stale(self) -> None:
        """That nobody is to ask again for what has not been asked for again."""
        with self._changing:
            self._kept = [each for each in self._kept if not each.stale]

    def forget_all(self) -> None:
        """That the script has begun anew, with an id that has placed no order yet."""
        with self._changing:
            self._kept, self.ordered = [], False
