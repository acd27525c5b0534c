"""Hosts that are far away: a relay on loopback holds up what goes to the lab's hosts and what comes from them."""

from __future__ import annotations

import asyncio
import contextlib
import re
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
        port = asyncio.run_coroutine_threadsafe(_relay(address, round_trip), loop).result()
        return f"Host {name}\n  HostName 127.0.0.1\n  Port {port}\n  HostKeyAlias {address}"

    try:
        path = folder / "far"
        told = SSH_CONFIG.read_text(encoding="utf-8")
        path.write_text(re.sub(r"^Host (\S+)\n +HostName (\S+)$", led_here, told, flags=re.MULTILINE), encoding="utf-8")
        yield path
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _relay(address: str, round_trip: float) -> int:
    """Listens for one host; gives the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(round_trip)  # TCP's own handshake
        there = await asyncio.open_connection(address, 22)
        await asyncio.gather(_carry(reader, there[1], round_trip / 2), _carry(there[0], writer, round_trip / 2))

    server = await asyncio.start_server(serve, "127.0.0.1")
    return int(server.sockets[0].getsockname()[1])


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, late: float) -> None:
    """Passes on what comes, and the end of it, so much later."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while part := await source.read(_PART):
            loop.call_later(late, sink.write, part)
    loop.call_later(late, sink.close)
