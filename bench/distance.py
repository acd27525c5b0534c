"""Hosts that are far away: a relay on loopback holds up what goes to the lab's hosts and what comes from them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from bench.hosts import SSH_CONFIG

_PART = 65536


@contextlib.contextmanager
def far(folder: Path, round_trip: float) -> Iterator[Path]:
    """The configuration for an ssh that reaches every name of the lab over so long a way, in seconds there and back."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def led_here(found: re.Match[str]) -> str:
        name, address = found.groups()
        listener = socket.create_server(("127.0.0.1", 0))
        asyncio.run_coroutine_threadsafe(_relay(listener, address, round_trip), loop)
        return f"Host {name}\n  HostName 127.0.0.1\n  Port {listener.getsockname()[1]}\n  HostKeyAlias {address}"

    try:
        path = folder / "far"
        told = SSH_CONFIG.read_text(encoding="utf-8")
        path.write_text(re.sub(r"^Host (\S+)\n +HostName (\S+)$", led_here, told, flags=re.MULTILINE), encoding="utf-8")
        yield path
    finally:
        asyncio.run_coroutine_threadsafe(_end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _relay(listener: socket.socket, address: str, round_trip: float) -> None:
    """Leads to one host until it is ended."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # asyncio's streams tell of one as of an error
            await asyncio.sleep(round_trip)  # TCP's own handshake
            there = await asyncio.open_connection(address, 22)
            with contextlib.closing(writer), contextlib.closing(there[1]):
                await asyncio.gather(_carry(reader, there[1], round_trip / 2), _carry(there[0], writer, round_trip / 2))
                await asyncio.sleep(round_trip)  # the last of it is on its way

    async with await asyncio.start_server(serve, sock=listener) as server:
        await server.serve_forever()


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, late: float) -> None:
    """Passes on what comes, and the end of it, so much later."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while part := await source.read(_PART):
            loop.call_later(late, sink.write, part)
    loop.call_later(late, sink.close)


async def _end() -> None:
    """Ends the relays, and the connections that ssh still keeps."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for each in others:
        each.cancel()
    await asyncio.gather(*others, return_exceptions=True)
