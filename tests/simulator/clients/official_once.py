"""IBKR's own client, whichever release PYTHONPATH names: connect, ask what a script asks first, leave.

Prints one JSON line: {"server_version": int or null, "time": str, "accounts": [str], "order_id": int or null,
"ended": [str], "values": [str], "now": int or null, "codes": [int]}. `ended` names the lists whose end came. Exit code
0 when everything came before --timeout, else 1.
"""

import argparse
import json
import sys
import threading
from typing import Any, Dict

from ibapi.client import EClient
from ibapi.execution import ExecutionFilter
from ibapi.wrapper import EWrapper

LISTS = {"positions", "open orders", "account", "executions", "completed orders", "summary"}


class Client(EWrapper, EClient):  # type: ignore[misc]
    """Collects what the gateway says; `complete` is set when nothing is missing."""

    def __init__(self, completed_orders: bool) -> None:
        EWrapper.__init__(self)
        EClient.__init__(self, self)
        self.complete = threading.Event()
        self.wanted = LISTS if completed_orders else LISTS - {"completed orders"}
        self.ended: set[str] = set()
        self.result: Dict[str, Any] = {"accounts": [], "order_id": None, "now": None, "codes": [], "values": []}

    def _note(self, name: str = "", **found: Any) -> None:
        self.result.update(found)
        self.ended |= {name} & LISTS
        told = self.result["accounts"] and self.result["order_id"] is not None and self.result["now"] is not None
        if told and self.ended == self.wanted:
            self.complete.set()

    def managedAccounts(self, accountsList: str) -> None:
        self._note(accounts=accountsList.rstrip(",").split(","))

    def nextValidId(self, orderId: int) -> None:
        self._note(order_id=orderId)
        account = self.result["accounts"][0]
        self.reqPositions()
        self.reqOpenOrders()
        self.reqAccountUpdates(True, account)
        self.reqExecutions(7, ExecutionFilter())
        self.reqAccountSummary(8, "All", "NetLiquidation")
        if "completed orders" in self.wanted:
            self.reqCompletedOrders(False)
        self.reqCurrentTime()

    def currentTime(self, time: int) -> None:
        self._note(now=time)

    def positionEnd(self) -> None:
        self._note("positions")

    def openOrderEnd(self) -> None:
        self._note("open orders")

    def accountDownloadEnd(self, accountName: str) -> None:  # noqa: ARG002 - the client passes it
        self._note("account")

    def updateAccountValue(self, key: str, val: str, currency: str, accountName: str) -> None:  # noqa: ARG002 - likewise
        self.result["values"].append(key)

    def execDetailsEnd(self, reqId: int) -> None:  # noqa: ARG002 - the client passes it
        self._note("executions")

    def accountSummaryEnd(self, reqId: int) -> None:  # noqa: ARG002 - the client passes it
        self._note("summary")

    def completedOrdersEnd(self) -> None:
        self._note("completed orders")

    def error(self, reqId: int, *rest: Any) -> None:  # noqa: ARG002 - two shapes, with and without a time
        code, text = rest[:2] if isinstance(rest[1], str) else rest[1:3]
        self.result["codes"].append(int(code))
        print(code, text, file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description="Connect once with IBKR's own client.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--client-id", type=int, required=True)
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds")
    parser.add_argument(
        "--completed-orders", choices=["yes", "no"], default="yes", help="servers know them from 150 on"
    )
    args = parser.parse_args()

    client = Client(args.completed_orders == "yes")
    # connect() has no timeout of its own.
    opening = threading.Thread(target=client.connect, args=("127.0.0.1", args.port, args.client_id), daemon=True)
    opening.start()
    opening.join(args.timeout)
    version = client.serverVersion() if client.isConnected() else None
    moment = client.twsConnectionTime() if version else b""
    threading.Thread(target=client.run, daemon=True).start()
    done = client.complete.wait(args.timeout) if version else False
    result = {"server_version": version, "ended": sorted(client.ended), **client.result}
    result["time"] = moment.decode(errors="backslashreplace") if isinstance(moment, bytes) else str(moment)
    if client.conn is not None:
        client.disconnect()
    print(json.dumps(result), flush=True)
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
