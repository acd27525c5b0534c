"""Trading scripts on the connection kit, for its tests: one that holds a session, one that survives, and a crowd.

The kit's folder, its profiles and its locks come from the environment: PYTHONPATH, IB_CONNECT_PROFILES and
IB_CONNECT_LOCKS. What a script has to tell goes into its ready file, whole or not at all; the kit itself never prints.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import logging
import os
import sys
import time
from typing import Any

ib_connect: Any = importlib.import_module("ib_connect")


def tell(path: str, state: Any) -> None:
    """Writes the file at once and as a whole."""
    draft = f"{path}.{os.getpid()}"
    with open(draft, "w", encoding="utf-8") as file:
        json.dump(state, file)
    os.replace(draft, path)


def options(library: str) -> dict[str, Any]:
    """What connect() needs for this library."""
    return (
        {"app": importlib.import_module("integration.ibapi_app").App()} if library == "ibapi" else {"library": library}
    )


def hold(args: argparse.Namespace) -> None:
    """Keeps its session until a signal ends it."""
    connection = ib_connect.connect("live", timeout=args.timeout, **options(args.library))
    with connection:
        tell(args.ready_file, {"pid": os.getpid(), "client_id": connection.client_id})
        connection.run()


def survive(args: argparse.Namespace) -> None:
    """Opens its session again when the gateway has ended it, and tells that it works."""
    connection = ib_connect.connect("live", library=args.library, timeout=args.timeout)
    with connection as ib:
        events: list[str] = []
        ib.connectedEvent += lambda: events.append("connected")
        before = connection.client_id
        tell(args.ready_file, {"pid": os.getpid(), "client_id": before})
        with contextlib.suppress(ConnectionError):  # what a library's call raises when the gateway goes
            while ib.isConnected():
                ib.sleep(0.02)
        same = connection.reopen() is ib
        works = abs(ib.reqCurrentTime().timestamp() - time.time()) < 60
        kept = before == connection.client_id
        tell(args.result_file, {"same": same, "works": works, "kept": kept, "events": events})


def visit(library: str, timeout: float) -> dict[str, Any]:
    """One short session; when it stood and when it was left, on the clock that all processes share."""
    connection = ib_connect.connect("live", timeout=timeout, **options(library))
    try:
        with connection as ib:
            told: dict[str, Any] = {"id": connection.client_id, "since": time.monotonic()}
            ib.reqCurrentTime()
            told["until"] = time.monotonic()
    except Exception as error:  # whatever it is, the test wants to know
        return {"error": repr(error)}
    return told


def crowd(args: argparse.Namespace) -> None:
    """Many scripts, started at once: forked from a process that has imported the library, set off by one pipe's end."""
    if args.library != "ibapi":
        ib_connect.load_library(args.library)
    reading, writing = os.pipe()
    children = {}
    for _ in range(args.crowd):
        answer, telling = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            os.close(answer)
            os.read(reading, 1)  # ends when the last writing end is closed
            asyncio.set_event_loop(asyncio.new_event_loop())  # the one that was there shares its selector
            os.write(telling, json.dumps(visit(args.library, args.timeout)).encode())
            os._exit(0)
        os.close(telling)
        children[pid] = answer
    began = time.monotonic()
    os.close(writing)
    told = []
    for pid, answer in children.items():
        with os.fdopen(answer) as file:
            told.append(json.loads(file.read() or '{"error": "it died"}'))
        os.waitpid(pid, 0)
    tell(args.ready_file, {"pid": os.getpid(), "told": told, "seconds": time.monotonic() - began})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("script", choices=["hold", "survive", "crowd"])
    parser.add_argument("--library", default="ib_insync")
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--crowd", type=int, default=50)
    parser.add_argument("--ready-file")
    parser.add_argument("--result-file")
    args = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    globals()[args.script](args)


if __name__ == "__main__":
    main()
