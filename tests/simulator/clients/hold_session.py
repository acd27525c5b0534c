"""A trading script that connects and keeps its session open until SIGTERM; with --connections, several at once.

It stays, like a script waiting in its event loop, even when the gateway closes the connection. When it cannot connect
it exits with 1 and says why on stderr. `--exit-with` and `--lifetime` bound it, so that no test leaves one behind.
"""

import argparse
import asyncio
import importlib
import json
import os
import signal
import sys
import time
from typing import Any


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Hold one session on an IB Gateway.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--client-id", type=int, required=True)
    parser.add_argument("--library", choices=["ib_insync", "ib_async"], default="ib_insync")
    parser.add_argument("--timeout", type=float, default=4.0, help="seconds to connect")
    parser.add_argument("--lifetime", type=float, default=300.0, help="seconds after which it ends by itself")
    parser.add_argument("--exit-with", type=int, metavar="PID", help="end when this process does")
    parser.add_argument("--connections", type=int, default=1, help="how many, with the ids behind --client-id")
    parser.add_argument("--hang", choices=["yes", "no"], default="no", help="yes: never read again once connected")
    parser.add_argument("--ready-file", help="written once the session stands")
    # Whatever else stands in argv is for those who recognise the script by it.
    return parser.parse_known_args()[0]


def write_ready_file(path: str, ib: Any) -> None:
    """{"pid", "server_version", "accounts"}, whole or not at all."""
    draft = f"{path}.{os.getpid()}"
    with open(draft, "w", encoding="utf-8") as file:
        state = {"pid": os.getpid(), "server_version": ib.client.serverVersion(), "accounts": ib.managedAccounts()}
        json.dump(state, file)
    os.replace(draft, path)


async def hold(args: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.call_later(args.lifetime, stop.set)
    if args.exit_with is not None:
        try:
            loop.add_reader(os.pidfd_open(args.exit_with), stop.set)
        except ProcessLookupError:
            return

    # Imported inside the running loop: both libraries look for one when they are imported.
    library = importlib.import_module(args.library)
    sessions = [library.IB() for _ in range(args.connections)]
    for number, ib in enumerate(sessions, args.client_id):
        await ib.connectAsync(args.host, args.port, clientId=number, timeout=args.timeout)
    if args.ready_file:
        write_ready_file(args.ready_file, sessions[0])
    if args.hang == "yes":
        hang(args)
        return
    await stop.wait()
    for ib in sessions:
        ib.disconnect()


def hang(args: argparse.Namespace) -> None:
    """Work at something else for ever, as a script does that never gives its event loop a turn."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    until = time.monotonic() + args.lifetime
    while time.monotonic() < until:
        if args.exit_with is not None and not os.path.exists(f"/proc/{args.exit_with}"):
            return
        time.sleep(0.2)


def main() -> int:
    args = parse_arguments()
    try:
        asyncio.run(hold(args))
    except Exception as error:
        # A trading script fails with whatever its library raises.
        print(f"hold_session.py: no session on port {args.port}: {error!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
