"""A trading script's first step: connect, say how it went, leave.

Prints the library's log to stderr and one JSON line to stdout:
{"connected": bool, "server_version": int or null, "accounts": [str], "error": str or null}. Exit code 0 or 1.
"""

import argparse
import asyncio
import importlib
import json
import logging
import sys
from typing import Any, Dict


def main() -> int:
    parser = argparse.ArgumentParser(description="Connect once to an IB Gateway.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--client-id", type=int, required=True)
    parser.add_argument("--library", choices=["ib_insync", "ib_async"], default="ib_insync")
    parser.add_argument("--timeout", type=float, default=4.0, help="seconds")
    args = parser.parse_args()

    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    asyncio.set_event_loop(asyncio.new_event_loop())  # both libraries look for one when they are imported
    ib = importlib.import_module(args.library).IB()
    result: Dict[str, Any] = {"connected": False, "server_version": None, "accounts": [], "error": None}
    try:
        ib.connect(args.host, args.port, clientId=args.client_id, timeout=args.timeout)
        result.update(connected=True, server_version=ib.client.serverVersion(), accounts=ib.managedAccounts())
    except Exception as error:
        # Whatever went wrong is this program's result.
        result["error"] = repr(error)
    finally:
        ib.disconnect()
    print(json.dumps(result))
    return 0 if result["connected"] else 1


if __name__ == "__main__":
    sys.exit(main())
