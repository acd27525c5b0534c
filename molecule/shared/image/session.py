"""The oracle's own session: opens one through ib_insync as a script would, asks for the time, and prints what came.

Shares nothing with the project. Prints one JSON object: {"connected": bool, "accounts": [str], "error": str or null}.
"""

import argparse
import asyncio
import importlib
import json
import logging
from typing import Any, Dict


async def open_session(host: str, port: int, client_id: int, timeout: float) -> Dict[str, Any]:
    """What a script gets that connects and asks for the time."""
    # Inside the running loop: the library looks for one when it is imported.
    ib: Any = importlib.import_module("ib_insync").IB()
    try:
        await ib.connectAsync(host, port, clientId=client_id, timeout=timeout)
        await asyncio.wait_for(ib.reqCurrentTimeAsync(), timeout)
        return {"connected": True, "accounts": list(ib.managedAccounts()), "error": None}
    except Exception as error:
        # Whatever went wrong is the answer.
        return {"connected": False, "accounts": [], "error": repr(error)}
    finally:
        ib.disconnect()


def main() -> None:
    parser = argparse.ArgumentParser(description="Open one API session.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--client-id", type=int, required=True)
    parser.add_argument("--timeout", type=float, default=4.0, help="seconds")
    args = parser.parse_args()
    logging.getLogger("ib_insync").addHandler(logging.NullHandler())
    logging.getLogger("ib_insync").propagate = False
    print(json.dumps(asyncio.run(open_session(args.host, args.port, args.client_id, args.timeout))))


if __name__ == "__main__":
    main()
