"""A dashboard without a library: logs on over a bare socket, asks for the time and the accounts again and again."""

import argparse
import asyncio
import sys

import bounds

INTERVAL = 0.5  # seconds between two questions
HELLO = b"API\0\0\0\0\x09v100..176"
CURRENT_TIME, ACCOUNTS = b"49\x001\0", b"17\x001\0"


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


async def read_all(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


async def view(args: argparse.Namespace) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", args.port)
    writer.write(HELLO)
    await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
    writer.write(framed(b"71\x002\0%d\0\0" % args.client_id))
    await reader.readexactly(1)  # the first byte of the session: it stands
    reading = asyncio.ensure_future(read_all(reader))
    bounds.say_ready(args)
    asking = asyncio.ensure_future(ask(writer))
    await bounds.until_the_end(args)
    for task in (reading, asking):
        task.cancel()
    writer.close()


async def ask(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(framed(CURRENT_TIME) + framed(ACCOUNTS))
        await asyncio.sleep(INTERVAL)


def main() -> int:
    parser = argparse.ArgumentParser(description="Look at an account.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--client-id", type=int, required=True)
    bounds.add_options(parser)
    asyncio.run(view(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
