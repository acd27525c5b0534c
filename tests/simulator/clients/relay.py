"""Passes every connection to its own port on to another, as socat, an ssh tunnel or a proxy does."""

import argparse
import asyncio
import contextlib
import sys

import bounds


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def relay(args: argparse.Namespace) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", args.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, back), pump(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", args.port)
    async with server:
        bounds.say_ready(args, port=args.port)
        await bounds.until_the_end(args)


def main() -> int:
    parser = argparse.ArgumentParser(description="Pass connections on.")
    parser.add_argument("--port", type=int, required=True, help="its own port on loopback")
    parser.add_argument("--target", type=int, required=True, help="the port on loopback that it passes on to")
    bounds.add_options(parser)
    args = parser.parse_args()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(relay(args))
    return 0


if __name__ == "__main__":
    sys.exit(main())
