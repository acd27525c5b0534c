"""What the client libraries' methods do: which wait for an answer, subscribe, order, or read what was received. Pure.

By the sources of ib_insync 0.9.86, ib_async 2.1.0 and ibapi 9.81.
"""

from __future__ import annotations

from ..reading.model import ASYNC, INSYNC

# fmt: off
#: Methods of IB that run the event loop until the answer is there. Under a running loop they raise RuntimeError.
BLOCKING = frozenset((
    "connect", "accountSummary", "calculateImpliedVolatility", "calculateOptionPrice", "getWshEventData",
    "getWshMetaData", "qualifyContracts", "reqAccountSummary", "reqAccountUpdates", "reqAccountUpdatesMulti",
    "reqAllOpenOrders", "reqCompletedOrders", "reqContractDetails", "reqCurrentTime", "reqExecutions",
    "reqFundamentalData", "reqHeadTimeStamp", "reqHistogramData", "reqHistoricalData", "reqHistoricalNews",
    "reqHistoricalSchedule", "reqHistoricalTicks", "reqMarketRule", "reqMatchingSymbols", "reqMktDepthExchanges",
    "reqNewsArticle", "reqNewsProviders", "reqOpenOrders", "reqPositions", "reqScannerData", "reqScannerParameters",
    "reqSecDefOptParams", "reqSmartComponents", "reqTickers", "reqUserInfo", "requestFA", "whatIfOrder",
))
#: Methods that ask for something that goes on arriving; after a new connection they have to be called again.
SUBSCRIBING = frozenset((
    "reqMktData", "reqRealTimeBars", "reqTickByTickData", "reqMktDepth", "reqPnL", "reqPnLSingle",
    "reqScannerSubscription", "reqNewsBulletins",
))
#: Methods whose result depends on the client id, or is bound to it: the gateway keeps orders for the id that made them.
ORDERING = frozenset((
    "placeOrder", "cancelOrder", "reqGlobalCancel", "bracketOrder", "oneCancelsAll", "openTrades", "openOrders",
    "trades", "orders", "reqOpenOrders", "reqAllOpenOrders", "reqAutoOpenOrders", "reqCompletedOrders", "fills",
    "executions", "reqExecutions", "exerciseOptions", "whatIfOrder",
))
#: Events that tell of orders; the gateway sends them to the id that made the order.
ORDER_EVENTS = frozenset((
    "newOrderEvent", "orderModifyEvent", "cancelOrderEvent", "openOrderEvent", "orderStatusEvent", "execDetailsEvent",
    "commissionReportEvent",
))
#: The same of the official library: methods of its wrapper.
ORDER_CALLBACKS = frozenset((
    "openOrder", "openOrderEnd", "orderStatus", "execDetails", "execDetailsEnd", "orderBound", "completedOrder",
))
#: Methods of IB that read what was received, and return at once.
READING = frozenset((
    "positions", "portfolio", "accountValues", "accountSummary", "trades", "openTrades", "orders", "openOrders",
    "fills", "executions", "ticker", "tickers", "pendingTickers", "pnl", "pnlSingle", "realtimeBars",
))
#: What the official library calls on its reading thread; while one of them waits nothing is read.
CALLBACKS = frozenset((
    "nextValidId", "managedAccounts", "error", "connectAck", "connectionClosed", "tickPrice", "tickSize",
    "tickString", "tickGeneric", "orderStatus", "openOrder", "openOrderEnd", "execDetails",
    "execDetailsEnd", "updateAccountValue", "updatePortfolio", "accountDownloadEnd", "position",
    "positionEnd", "historicalData", "historicalDataEnd", "historicalDataUpdate", "realtimeBar",
    "contractDetails", "contractDetailsEnd", "accountSummary", "accountSummaryEnd", "currentTime",
    "updateMktDepth", "tickByTickAllLast", "tickByTickBidAsk", "pnl", "pnlSingle", "commissionReport",
))
# fmt: on
#: Events that the library also emits where no event loop runs.
CALM_EVENTS = frozenset(("newOrderEvent", "orderModifyEvent", "cancelOrderEvent", "errorEvent"))
PATCHES = frozenset(
    ["nest_asyncio.apply"]
    + ["%s.util.%s" % (library, name) for library in (INSYNC, ASYNC) for name in ("startLoop", "patchAsyncio")]
)
