"""Sessions that go on: what a gateway's restart, its silence and lost data do to a script on ib_insync or ib_async."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
from unit.api_frames import raw_frame
from unit.client_kit import ib_connect, lock_folder, profile, write_profiles
from unit.market_peer import Market

MARKET_DATA, BARS, HISTORY, PROFIT, TRADES = "1", "50", "20", "92", "97"
CANCEL_MARKET_DATA = "2"
EVERYTHING = (MARKET_DATA, BARS, HISTORY, PROFIT, TRADES)

Opening = Callable[..., Any]


@pytest.fixture(params=["ib_insync", "ib_async"])
def library(request: pytest.FixtureRequest) -> Any:
    ib_connect.load_library(request.param)
    return importlib.import_module(request.param)


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch) -> Iterator[Market]:
    monkeypatch.setattr(ib_connect, "backoff", lambda _attempt: 0.1)
    monkeypatch.setattr(ib_connect, "PATIENCE", 0.3)
    with Market() as market:
        yield market


@pytest.fixture
def opening(market: Market, library: Any, tmp_path: Path) -> Iterator[Opening]:
    """A connection to the market, closed with the test."""
    made: List[Any] = []

    def connection(**options: Any) -> Any:
        file = write_profiles(tmp_path, paper=profile(market.port, "paper"))
        settings = {"profiles": file, "locks": lock_folder(tmp_path), "library": library.__name__, "timeout": 20}
        made.append(ib_connect.connect("paper", **{**settings, **options}))
        return made[-1]

    yield connection
    for each in made:
        each.close()


def stay_until(connection: Any, true: Callable[[], Any]) -> None:
    """Sleeps as a script would until it is true; the test's own limit ends it otherwise."""
    while not true():
        connection.sleep(0.02)


def subscribe(ib: Any, library: Any) -> Any:
    """One subscription of each kind; gives the contract and the objects that are fed."""
    contract = library.Stock("AAPL", "SMART", "USD", conId=265598)
    ticker = ib.reqMktData(contract)
    bars = ib.reqRealTimeBars(contract, 5, "TRADES", False)
    history = ib.reqHistoricalData(contract, "", "1 D", "1 hour", "TRADES", True, keepUpToDate=True)
    profit = ib.reqPnL("DU1234567")
    ib.reqTickByTickData(contract, "Last")
    return contract, ticker, bars, history, profit


def numbers(market: Market, session: int) -> Any:
    """The requests of a session by message, with their numbers."""
    place = {MARKET_DATA: 2, BARS: 2, HISTORY: 1, PROFIT: 1, TRADES: 1}
    return [(each[0], each[place[each[0]]]) for each in market.asked(session, *EVERYTHING)]


def test_what_is_subscribed_is_subscribed_again_and_feeds_the_same_objects(
    market: Market, library: Any, opening: Opening
) -> None:
    connection = opening()
    ib = connection.open()
    contract, ticker, bars, history, profit = subscribe(ib, library)
    stay_until(connection, lambda: bars and ticker.tickByTicks and ticker.last == ticker.last)
    ticker.last, profit.dailyPnL = 0.0, 0.0
    history[:] = history[:1]
    updates: List[Any] = []
    ticker.updateEvent += updates.append
    market.hang_up()
    stay_until(connection, lambda: len(market.asked(1, *EVERYTHING)) == 5 and len(bars) == 2 and updates)
    stay_until(connection, lambda: profit.dailyPnL and len(history) == 2)
    assert ticker.last == 101.25 and ib.ticker(contract) is ticker
    assert sorted(each[0] for each in market.asked(1, *EVERYTHING)) == sorted(EVERYTHING)
    new = dict(numbers(market, 1))
    assert len(set(new.values())) == 5
    assert (bars.reqId, history.reqId) == (int(new[BARS]), int(new[HISTORY]))
    ib.cancelMktData(contract)
    stay_until(connection, lambda: market.asked(1, CANCEL_MARKET_DATA))
    assert market.asked(1, CANCEL_MARKET_DATA)[0][2] == new[MARKET_DATA]


def test_what_was_cancelled_or_was_a_single_question_is_not_asked_again(
    market: Market, library: Any, opening: Opening
) -> None:
    connection = opening()
    ib = connection.open()
    contract, _ticker, bars, history, _profit = subscribe(ib, library)
    ib.cancelMktData(contract)
    ib.cancelRealTimeBars(bars)
    ib.cancelHistoricalData(history)
    ib.cancelPnL("DU1234567")
    ib.reqHistoricalData(contract, "", "1 D", "1 hour", "TRADES", True)
    ib.reqMktData(library.Stock("MSFT", "SMART", "USD", conId=272093), snapshot=True)
    market.hang_up()
    stay_until(connection, lambda: market.asked(1, TRADES))
    connection.sleep(0.1)
    assert [each[0] for each in market.asked(1, *EVERYTHING)] == [TRADES]


def test_subscriptions_last_over_any_number_of_restarts_and_are_made_once_in_each(
    market: Market, library: Any, opening: Opening
) -> None:
    connection = opening()
    subscribe(connection.open(), library)
    stay_until(connection, lambda: len(market.asked(0, *EVERYTHING)) == 5)
    for session in (1, 2, 3):
        market.hang_up()
        stay_until(connection, lambda session=session: len(market.asked(session, *EVERYTHING)) >= 5)  # type: ignore[misc]
    connection.sleep(0.1)
    assert [len(market.asked(session, *EVERYTHING)) for session in range(4)] == [5, 5, 5, 5]


def test_a_script_that_subscribes_in_connected_event_is_not_subscribed_twice(
    market: Market, library: Any, opening: Opening
) -> None:
    connection = opening()
    ib = connection.open()
    contract = library.Stock("AAPL", "SMART", "USD", conId=265598)
    ib.connectedEvent += lambda: ib.reqMktData(contract)
    ib.reqMktData(contract)
    market.hang_up()
    stay_until(connection, lambda: market.asked(1, MARKET_DATA))
    connection.sleep(0.1)
    assert len(market.asked(1, MARKET_DATA)) == 1


def test_reopen_leaves_the_subscriptions_to_the_script(market: Market, library: Any, opening: Opening) -> None:
    connection = opening()
    ib = connection.open()
    ib.reqMktData(library.Stock("AAPL", "SMART", "USD", conId=265598))
    market.hang_up()
    with pytest.raises(ConnectionError):
        ib.sleep(10)
    assert connection.reopen() is ib
    connection.sleep(0.1)
    market.hang_up()
    stay_until(connection, lambda: len(market.requests) == 3)
    assert not market.asked(1, MARKET_DATA) and not market.asked(2, MARKET_DATA)


def test_a_session_that_falls_silent_is_given_up_and_made_anew(market: Market, library: Any, opening: Opening) -> None:
    connection = opening(heartbeat=0.1)
    ib = connection.open()
    ib.reqMktData(library.Stock("AAPL", "SMART", "USD", conId=265598))
    connection.sleep(0.5)  # silent, but it tells the time when it is asked
    assert len(market.requests) == 1 and market.asked(0, "49")
    market.mute.add(0)
    stay_until(connection, lambda: market.asked(1, MARKET_DATA))


def test_without_a_heartbeat_silence_is_nothing(market: Market, opening: Opening) -> None:
    connection = opening(heartbeat=0)
    connection.open()
    market.mute.add(0)
    connection.sleep(0.6)
    assert len(market.requests) == 1 and not market.asked(0, "49")


def test_data_that_the_gateway_has_lost_is_asked_for_again_in_the_same_session(
    market: Market, library: Any, opening: Opening
) -> None:
    connection = opening()
    ib = connection.open()
    contract, ticker, *_rest = subscribe(ib, library)
    connection.sleep(0)
    market.tell(1101)
    stay_until(connection, lambda: len(market.asked(0, *EVERYTHING)) == 10)
    old, new = numbers(market, 0)[:5], numbers(market, 0)[5:]
    assert not {number for _, number in old} & {number for _, number in new}
    assert market.asked(0, CANCEL_MARKET_DATA)[0][2] == dict(old)[MARKET_DATA]
    assert ib.ticker(contract) is ticker and len(market.requests) == 1


def test_a_notice_that_the_data_were_kept_changes_nothing(market: Market, library: Any, opening: Opening) -> None:
    connection = opening()
    connection.open().reqMktData(library.Stock("AAPL", "SMART", "USD", conId=265598))
    market.tell(1102)
    connection.sleep(0.2)
    assert len(market.asked(0, MARKET_DATA)) == 1


def test_run_ends_when_the_script_disconnects(market: Market, opening: Opening) -> None:
    connection = opening()
    ib = connection.open()
    asyncio.get_event_loop().call_later(0.1, ib.disconnect)
    connection.run()
    assert len(market.requests) == 1 and not ib.isConnected()


def test_an_outage_longer_than_allowed_is_an_error_with_its_reason(market: Market, opening: Opening) -> None:
    connection = opening(outage=0.8)
    connection.open()
    market.first_words = lambda: b""
    market.hang_up()
    with pytest.raises(ib_connect.Stalled) as caught:
        connection.run()
    assert caught.value.attempts >= 1


def test_another_login_on_the_port_ends_run_at_once(market: Market, opening: Opening) -> None:
    connection = opening()
    connection.open()
    market.accounts = "U7654321,"
    market.hang_up()
    with pytest.raises(ib_connect.WrongMode):
        connection.run()


def test_an_id_that_is_still_taken_after_a_restart_is_exchanged(market: Market, opening: Opening) -> None:
    connection = opening()
    connection.open()
    first = connection.client_id
    market.refuse = {str(first)}
    market.hang_up()
    stay_until(connection, lambda: len(market.requests) == 2)
    assert connection.client_id != first and market.ids[-1] == str(connection.client_id)


def test_an_id_that_has_placed_orders_is_kept_until_the_gateway_lets_it_go(
    market: Market, library: Any, opening: Opening
) -> None:
    connection = opening()
    ib = connection.open()
    ib.placeOrder(library.Stock("AAPL", "SMART", "USD", conId=265598), library.LimitOrder("BUY", 1, 1.0))
    first = str(connection.client_id)
    market.refuse = {first}
    market.hang_up()
    with pytest.raises(ConnectionError):
        ib.sleep(10)
    with pytest.raises(ib_connect.ClientIdInUse):
        connection.reopen(timeout=1)
    market.refuse = set()
    stay_until(connection, lambda: len(market.requests) == 2)
    assert set(market.ids) == {first}


def test_in_a_coroutine_it_is_the_same(market: Market, library: Any, tmp_path: Path) -> None:
    file = write_profiles(tmp_path, paper=profile(market.port, "paper"))
    connection = ib_connect.connect_async(
        "paper", profiles=file, locks=lock_folder(tmp_path), library=library.__name__, timeout=20
    )

    async def script() -> None:
        async with connection as ib:
            ib.reqMktData(library.Stock("AAPL", "SMART", "USD", conId=265598))
            staying = asyncio.ensure_future(connection.run())
            while not market.asked(0, MARKET_DATA):
                await asyncio.sleep(0.01)
            market.hang_up()
            while not market.asked(1, MARKET_DATA):
                await asyncio.sleep(0.01)
            staying.cancel()
            await connection.sleep(0.01)
            assert ib.isConnected()

    asyncio.run(script())


def test_ticks_after_a_restart_reach_handlers_that_were_there_before(
    market: Market, library: Any, opening: Opening
) -> None:
    connection = opening()
    ib = connection.open()
    prices: List[float] = []
    ib.pendingTickersEvent += lambda tickers: prices.extend(each.last for each in tickers)
    ib.reqMktData(library.Stock("AAPL", "SMART", "USD", conId=265598))
    stay_until(connection, lambda: prices)
    market.hang_up()
    stay_until(connection, lambda: market.asked(1, MARKET_DATA))
    number = market.asked(1, MARKET_DATA)[0][2]
    market.say(raw_frame("1", "6", number, "4", "99.5", "10", "0"))
    stay_until(connection, lambda: 99.5 in prices)


def test_a_gateway_that_is_silent_after_the_handshake_is_no_session_however_long_there_is_time(
    market: Market, opening: Opening
) -> None:
    connection = opening(attempt_timeout=1)
    market.mute |= {0, 1}
    connection.open()
    assert len(market.requests) == 3 and connection.ib.isConnected()


def test_a_loop_over_a_ticker_s_updates_goes_on_over_a_restart_and_ends_with_the_connection(
    market: Market, library: Any, tmp_path: Path
) -> None:
    file = write_profiles(tmp_path, paper=profile(market.port, "paper"))
    connection = ib_connect.connect_async(
        "paper", profiles=file, locks=lock_folder(tmp_path), library=library.__name__, timeout=20
    )
    seen: List[float] = []

    async def watch(ticker: Any) -> None:
        async for each in ticker.updateEvent:
            seen.append(each.last)

    async def until_seen(count: int) -> None:
        while len(seen) < count:
            await connection.sleep(0.01)

    async def script() -> None:
        async with connection as ib:
            watching = asyncio.ensure_future(watch(ib.reqMktData(library.Stock("AAPL", "SMART", "USD", conId=265598))))
            await until_seen(1)
            market.hang_up()
            await until_seen(2)
        await asyncio.wait_for(watching, 10)

    asyncio.run(script())


def test_tasks_that_stay_beside_each_other_connect_again_once(market: Market, library: Any, tmp_path: Path) -> None:
    file = write_profiles(tmp_path, paper=profile(market.port, "paper"))
    connection = ib_connect.connect_async(
        "paper", profiles=file, locks=lock_folder(tmp_path), library=library.__name__, timeout=20
    )

    async def script() -> None:
        async with connection as ib:
            ib.reqMktData(library.Stock("AAPL", "SMART", "USD", conId=265598))
            staying = [asyncio.ensure_future(connection.run()) for _ in range(3)]
            await connection.sleep(0.1)
            market.hang_up()
            while not market.asked(1, MARKET_DATA):
                await connection.sleep(0.01)
            await connection.sleep(0.2)
            ib.disconnect()
            await asyncio.wait_for(asyncio.gather(*staying), 10)

    asyncio.run(script())
    assert len(market.requests) == 2 and len(market.asked(1, MARKET_DATA)) == 1
