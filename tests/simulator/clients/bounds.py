"""What every small program here has in common: it says when it is ready, and never stays for longer than it may."""

import argparse
import asyncio
import json
import os
import signal
from typing import Any

POLL_INTERVAL = 0.2  # seconds


def add_options(parser: argparse.ArgumentParser) -> None:
    """--lifetime, --exit-with, --ready-file."""
    parser.add_argument("--lifetime", type=float, default=300.0, help="seconds after which it ends by itself")
    parser.add_argument("--exit-with", type=int, metavar="PID", help="end when this process does")
    parser.add_argument("--ready-file", help="written when it is ready")


def say_ready(args: argparse.Namespace, **state: Any) -> None:
    """Write the ready file, whole or not at all."""
    if args.ready_file:
        draft = f"{args.ready_file}.{os.getpid()}"
        with open(draft, "w", encoding="utf-8") as file:
            json.dump({"pid": os.getpid(), **state}, file)
        os.replace(draft, args.ready_file)


async def until_the_end(args: argparse.Namespace) -> None:
    """Return on SIGTERM or SIGINT, at the end of the lifetime, and when the process to go with has ended."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.call_later(args.lifetime, stop.set)
    while not stop.is_set():
        if args.exit_with is not None and not os.path.exists(f"/proc/{args.exit_with}"):
            return
        try:
            await asyncio.wait_for(stop.wait(), POLL_INTERVAL)
        except asyncio.TimeoutError:
            continue
