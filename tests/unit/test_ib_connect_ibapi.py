"""The kit with the official ibapi: a script's EClient gets a session, keeps it, and is told what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.wrapper import EWrapper
from unit.api_frames import ORDER_ID, raw_frame
from unit.api_peer import Peer, hang_up_after_the_version, keep_no_time, say, stall, stay_silent
from unit.client_kit import KIT, ib_connect, lock_folder, profile, write_profiles
from unit.market_peer import Market

MARKET_DATA, CANCEL_MARKET_DATA, BARS, ACCOUNT, MARKET_DATA_TYPE = "1", "2", "50", "6", "59"
LIVE = raw_frame("15", "1", "U7654321,")

Opening = Callable[..., Any]


class App(EWrapper, EClient):  # type: ignore[misc]  # the library has no types
    """A script's class, as its guide shows them."""

    def __init__(self) -> None:
        EClient.__init__(self, self)
        self.calls: List[Any] = []
        self.threads: set[str] = set()

    def note(self, *call: Any) -> None:
        self.calls.append(call)
        self.threads.add(threading.current_thread().name)

    def nextValidId(self, orderId: int) -> None:
        self.note("nextValidId", orderId)

    def managedAccounts(self, accountsList: str) -> None:
        self.note("managedAccounts", accountsList)

    def currentTime(self, time: int) -> None:
        self.note("currentTime", time)

    def tickPrice(self, reqId: int, *tick: Any) -> None:
        self.note("tickPrice", reqId, tick[1])

    def error(self, *told: Any) -> None:
        self.note("error", *told)

    def names(self) -> List[str]:
        return [each[0] for each in self.calls]


def stock() -> Any:
    contract = Contract()
    contract.symbol, contract.secType, contract.exchange, contract.currency = "AAPL", "STK", "SMART", "USD"
    return contract


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch) -> Iterator[Market]:
    monkeypatch.setattr(ib_connect, "backoff", lambda _attempt: 0.1)
    monkeypatch.setattr(ib_connect, "PATIENCE", 0.5)
    with Market() as market:
        yield market


@pytest.fixture
def opening(tmp_path: Path) -> Iterator[Opening]:
    """A connection of an app to a port, closed with the test."""
    made: List[Any] = []

    def connection(peer: Any, app: Any, mode: str = "paper", **options: Any) -> Any:
        file = write_profiles(tmp_path, **{mode: profile(peer.port, mode)})
        settings = {"profiles": file, "locks": lock_folder(tmp_path), "timeout": 20, **options}
        made.append(ib_connect.connect(mode, app=app, **settings))
        return made[-1]

    yield connection
    for each in made:
        each.close()
    ends = time.monotonic() + 10
    while any(each.name == "ib_connect" for each in threading.enumerate()) and time.monotonic() < ends:
        threading.Event().wait(0.02)
    assert not any(each.name == "ib_connect" for each in threading.enumerate())


def stay_until(connection: Any, true: Callable[[], Any]) -> None:
    while not true():
        connection.sleep(0.02)


def test_open_gives_the_app_with_its_accounts_and_order_id_there(market: Market, opening: Opening) -> None:
    app = App()
    connection = opening(market, app)
    assert connection.open() is app and connection.ib is app
    stay_until(connection, lambda: "nextValidId" in app.names())
    assert app.names()[:2] == ["managedAccounts", "nextValidId"]
    assert market.ids == [str(connection.client_id)] and connection.client_id >= ib_connect.FIRST_ID
    assert app.threads == {"ib_connect"}
    app.reqCurrentTime()
    stay_until(connection, lambda: "currentTime" in app.names())
    connection.close()
    assert not app.isConnected()


@pytest.mark.parametrize("words", [LIVE + ORDER_ID, ORDER_ID + LIVE], ids=["accounts first", "order id first"])
def test_a_script_that_trades_in_next_valid_id_never_does_it_on_the_wrong_login(
    market: Market, opening: Opening, words: bytes
) -> None:
    market.first_words = lambda: words
    app = App()
    with pytest.raises(ib_connect.WrongMode):
        opening(market, app).open()
    assert "nextValidId" not in app.names() and not app.isConnected()


def test_the_order_id_waits_for_the_accounts_and_then_comes(market: Market, opening: Opening) -> None:
    market.first_words = lambda: ORDER_ID + raw_frame("15", "1", "DU1234567,")
    app = App()
    connection = opening(market, app)
    connection.open()
    stay_until(connection, lambda: "nextValidId" in app.names())
    assert app.names()[:2] == ["managedAccounts", "nextValidId"]


@pytest.mark.parametrize(
    ("script", "kind", "stage"),
    [
        (stay_silent, "Silent", "server_version"),
        (stall, "Stalled", "start_api"),
        (keep_no_time, "Stalled", "synchronize"),
        (hang_up_after_the_version, "Dropped", "start_api"),
        (say(raw_frame("hello", "there")), "Dropped", "server_version"),
    ],
    ids=["silent", "stalled", "silent after the handshake", "hangs up", "other protocol"],
)
def test_what_goes_wrong_is_named_within_the_deadline(opening: Opening, script: Any, kind: str, stage: str) -> None:
    with Peer(script) as peer:
        began = time.monotonic()
        with pytest.raises(ib_connect.ConnectError) as caught:
            opening(peer, App(), timeout=1.3).open()
    assert (type(caught.value).__name__, caught.value.stage) == (kind, stage)
    assert time.monotonic() - began < 10


def test_a_port_without_a_listener_is_refused(opening: Opening) -> None:
    app = App()
    with Peer(stall) as peer:
        pass
    with pytest.raises(ib_connect.Refused, match="no connection") as caught:
        opening(peer, app, timeout=1).open()
    assert "gateway sent" not in str(caught.value)  # 502 is the library's own word
    assert app.calls == []  # and what it advises is not said


def test_a_refused_id_is_replaced_by_another(market: Market, opening: Opening) -> None:
    first = ib_connect.FIRST_ID + os.getpid() % ib_connect.LEASABLE_IDS
    market.refuse = {str(first)}
    connection = opening(market, App())
    connection.open()
    assert market.ids == [str(first), str(connection.client_id)] and connection.client_id != first


def test_what_is_subscribed_is_subscribed_again_under_the_script_s_own_numbers(
    market: Market, opening: Opening
) -> None:
    app = App()
    connection = opening(market, app)
    connection.open()
    app.reqMarketDataType(3)
    app.reqMktData(7, stock(), "", False, False, [])
    app.reqMktData(
        reqId=8, contract=stock(), genericTickList="", snapshot=False, regulatorySnapshot=False, mktDataOptions=[]
    )
    app.reqMktData(9, stock(), "", True, False, [])
    app.reqRealTimeBars(10, stock(), 5, "TRADES", 0, [])
    app.reqAccountUpdates(True, "DU1234567")
    app.cancelMktData(8)
    stay_until(connection, lambda: ("tickPrice", 7, 101.25) in app.calls)
    app.calls.clear()
    market.hang_up()
    stay_until(connection, lambda: ("tickPrice", 7, 101.25) in app.calls and market.asked(1, ACCOUNT))
    assert [each[2] for each in market.asked(1, MARKET_DATA)] == ["7"]
    assert [each[2] for each in market.asked(1, BARS)] == ["10"]
    assert market.asked(1, MARKET_DATA_TYPE, MARKET_DATA, BARS, ACCOUNT)[0][0] == MARKET_DATA_TYPE


def test_what_the_script_subscribes_in_next_valid_id_is_not_asked_for_twice(market: Market, opening: Opening) -> None:
    class Subscriber(App):
        def nextValidId(self, *_given: int) -> None:
            self.reqMktData(7, stock(), "", False, False, [])

    connection = opening(market, Subscriber())
    connection.open()
    stay_until(connection, lambda: market.asked(0, MARKET_DATA))
    market.hang_up()
    stay_until(connection, lambda: market.asked(1, MARKET_DATA))
    connection.sleep(0.2)
    assert len(market.asked(1, MARKET_DATA)) == 1


def test_a_request_that_is_made_while_the_gateway_is_away_is_made_when_it_is_back(
    market: Market, opening: Opening
) -> None:
    app = App()
    connection = opening(market, app)
    connection.open()
    market.hang_up()
    ends = time.monotonic() + 20
    while app.isConnected() and time.monotonic() < ends:
        threading.Event().wait(0.02)
    app.reqMktData(7, stock(), "", False, False, [])
    stay_until(connection, lambda: market.asked(1, MARKET_DATA))


def test_lost_data_are_asked_for_again_in_the_same_session(market: Market, opening: Opening) -> None:
    app = App()
    connection = opening(market, app)
    connection.open()
    app.reqMktData(7, stock(), "", False, False, [])
    stay_until(connection, lambda: market.asked(0, MARKET_DATA))
    market.tell(1101)
    stay_until(connection, lambda: len(market.asked(0, MARKET_DATA)) == 2)
    assert [each[2] for each in market.asked(0, MARKET_DATA, CANCEL_MARKET_DATA)] == ["7", "7", "7"]
    assert any(each[0] == "error" and 1101 in each for each in app.calls)


def test_a_session_that_falls_silent_is_given_up_and_made_anew(market: Market, opening: Opening) -> None:
    app = App()
    connection = opening(market, app, heartbeat=0.2)
    connection.open()
    connection.sleep(1)
    assert len(market.requests) == 1
    market.mute.add(0)
    stay_until(connection, lambda: len(market.requests) == 2)


def test_run_ends_when_a_callback_disconnects(market: Market, opening: Opening) -> None:
    class Finished(App):
        def currentTime(self, *_given: int) -> None:
            self.disconnect()

    app = Finished()
    connection = opening(market, app)
    connection.open()
    app.reqCurrentTime()
    connection.run()
    assert len(market.requests) == 1


def test_run_ends_as_well_when_the_callback_disconnects_because_of_an_error(market: Market, opening: Opening) -> None:
    class Careful(App):
        def currentTime(self, *given: int) -> None:
            try:
                raise ValueError(given)
            except ValueError:
                self.disconnect()

    app = Careful()
    connection = opening(market, app)
    connection.open()
    app.reqCurrentTime()
    connection.run()
    assert len(market.requests) == 1


def test_a_script_is_told_of_no_session_that_is_given_up(market: Market, opening: Opening) -> None:
    app = App()
    market.mute.add(0)
    connection = opening(market, app, attempt_timeout=0.5)
    connection.open()
    stay_until(connection, lambda: "nextValidId" in app.names())
    assert [each for each in app.calls if each[0] == "nextValidId"] == [("nextValidId", 200)]


def test_run_raises_what_a_callback_of_the_script_raised(market: Market, opening: Opening) -> None:
    class Broken(App):
        def currentTime(self, *_given: int) -> None:
            raise ZeroDivisionError("the script's own")

    app = Broken()
    connection = opening(market, app)
    connection.open()
    app.reqCurrentTime()
    with pytest.raises(ZeroDivisionError, match="the script's own"):
        connection.run()


def test_a_callback_that_takes_its_time_is_waited_for_and_the_script_goes_on(
    market: Market, opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ib_connect, "THREAD_ENDS_WITHIN", 0.1)
    busy, done = threading.Event(), threading.Event()

    class Slow(App):
        def currentTime(self, *_given: int) -> None:
            busy.set()
            done.wait(20)

    app = Slow()
    connection = opening(market, app)
    connection.open()
    app.reqCurrentTime()
    busy.wait(20)
    market.hang_up()
    threading.Timer(2, done.set).start()
    stay_until(connection, lambda: len(market.requests) == 2)
    assert done.is_set()


def test_what_the_kit_asks_is_not_answered_to_the_script(market: Market, opening: Opening) -> None:
    app = App()
    connection = opening(market, app, heartbeat=0.05)
    connection.open()
    connection.sleep(0.5)
    assert len(market.asked(0, "49")) > 1 and "currentTime" not in app.names()
    app.reqCurrentTime()
    stay_until(connection, lambda: "currentTime" in app.names())


def test_a_script_that_calls_run_as_it_used_to_waits_for_the_end_of_the_session(
    market: Market, opening: Opening
) -> None:
    app = App()
    opening(market, app).open()
    old_habit = threading.Thread(target=app.run)
    old_habit.start()
    for _ in range(20):
        app.reqCurrentTime()
    ends = time.monotonic() + 20
    while app.names().count("currentTime") < 20 and time.monotonic() < ends:
        threading.Event().wait(0.01)
    assert old_habit.is_alive() and app.threads == {"ib_connect"}
    market.hang_up()
    old_habit.join(20)
    assert not old_habit.is_alive()


def test_a_script_that_never_closes_ends_all_the_same(market: Market, tmp_path: Path) -> None:
    write_profiles(tmp_path, paper=profile(market.port, "paper"))
    program = f"""
import sys; sys.path.insert(0, {str(KIT)!r})
import ib_connect
from ibapi.client import EClient
from ibapi.wrapper import EWrapper
folder = {str(tmp_path)!r}
app = EClient(EWrapper())
ib_connect.connect("paper", app=app, profiles=folder + "/profiles.json", locks={str(lock_folder(tmp_path))!r}).open()
"""
    subprocess.run([sys.executable, "-c", program], timeout=30, check=True, capture_output=True)
    assert list((tmp_path / "locks").iterdir()) == []


def test_a_wrapper_of_its_own_works_as_well(market: Market, opening: Opening) -> None:
    class Wrapper(EWrapper):  # type: ignore[misc]  # the library has no types
        def __init__(self) -> None:
            super().__init__()
            self.order_ids: List[int] = []

        def nextValidId(self, orderId: int) -> None:
            self.order_ids.append(orderId)

    wrapper = Wrapper()
    connection = opening(market, EClient(wrapper))
    connection.open()
    stay_until(connection, lambda: wrapper.order_ids == [100])


def test_an_app_can_be_closed_and_opened_again(market: Market, opening: Opening) -> None:
    app = App()
    connection = opening(market, app)
    for session in range(3):
        with connection:
            app.reqMktData(7, stock(), "", False, False, [])
            stay_until(connection, lambda session=session: market.asked(session, MARKET_DATA))  # type: ignore[misc]
    assert [len(market.asked(session, MARKET_DATA)) for session in range(3)] == [1, 1, 1]


def test_an_app_has_one_connection_at_a_time_and_any_number_after_each_other(market: Market, opening: Opening) -> None:
    app = App()
    first, second = opening(market, app), opening(market, app)
    first.open()
    with pytest.raises(RuntimeError, match="connected already"):
        second.open()
    first.close()
    second.open()
    app.reqMktData(7, stock(), "", False, False, [])
    market.hang_up()
    stay_until(second, lambda: market.asked(2, MARKET_DATA))
    second.sleep(0.1)
    assert len(market.asked(2, MARKET_DATA)) == 1


def test_what_is_no_app_is_refused_with_what_to_give(market: Market, opening: Opening) -> None:
    class Forgetful(EWrapper, EClient):  # type: ignore[misc]  # the library has no types
        def __init__(self) -> None:
            pass

    for wrong in (App, object(), Forgetful()):
        with pytest.raises(ValueError, match=r"EClient\.__init__"):
            opening(market, wrong)
    with pytest.raises(ValueError, match="for ibapi, give app"):
        opening(market, None, library="ibapi")


def test_options_of_the_other_libraries_are_refused(market: Market, opening: Opening) -> None:
    for options in ({"readonly": True}, {"account": "DU1"}, {"library": "ib_async"}):
        with pytest.raises(ValueError, match="leave them out beside app"):
            opening(market, App(), **options)
