"""Listens on loopback and lets nobody in: its queue is full, so the kernel drops every SYN and who connects waits."""

import argparse
import asyncio
import socket
import sys

import bounds

FILLERS = 2  # the kernel takes one more than the backlog of 0; one to spare


async def block(args: argparse.Namespace) -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", args.port))
    listener.listen(0)
    fillers = [socket.socket() for _ in range(FILLERS)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", args.port))
    bounds.say_ready(args, port=args.port)
    await bounds.until_the_end(args)
    for each in (listener, *fillers):
        each.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="A port that takes no connection.")
    parser.add_argument("--port", type=int, required=True)
    bounds.add_options(parser)
    asyncio.run(block(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
