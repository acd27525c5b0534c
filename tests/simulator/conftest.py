"""What the simulator's own tests share."""

import asyncio
import contextlib
import importlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

from .launch import SimulatedGateway
from .wire import Wire

LIBRARIES = ["ib_insync", "ib_async"]

StartGateway = Callable[..., SimulatedGateway]
OpenWire = Callable[[SimulatedGateway], Wire]


@pytest.fixture(autouse=True)
def unfiltered_libraries() -> Iterator[None]:
    """What the libraries log themselves: the connection kit, used earlier in this process, leaves a filter on them."""
    loggers = [logging.getLogger(f"{library}.client") for library in LIBRARIES]
    filters = [list(logger.filters) for logger in loggers]
    for logger in loggers:
        logger.filters.clear()
    yield
    for logger, kept in zip(loggers, filters):
        logger.filters[:] = kept


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[StartGateway]:
    """Starts gateways on loopback that end with the test, however it ends."""
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> SimulatedGateway:
            wait = options.pop("wait", True)
            gateway = SimulatedGateway(tmp_path, **{"bind": "127.0.0.1", "lifetime": 60, **options})
            stack.callback(gateway.stop, timeout=0.5)
            return gateway.start(wait)

        yield start


@pytest.fixture
def open_wire() -> Iterator[OpenWire]:
    """Opens bare connections that end with the test."""
    with contextlib.ExitStack() as stack:

        def connect(gateway: SimulatedGateway) -> Wire:
            wire = Wire(gateway.port)
            stack.callback(wire.close)
            return wire

        yield connect


@dataclass(frozen=True)
class LibrarySession:
    """What a library had to tell after a full connect; seconds in `elapsed`, from first packet to last answer."""

    server_version: int
    accounts: List[str]
    accounts_with_values: List[str]
    clock_offsets: List[float]
    elapsed: float


async def converse(library: str, port: int, client_id: int, timeout: float) -> LibrarySession:
    """Connect with a real library inside this process, ask for the time twice, leave."""
    ib = importlib.import_module(library).IB()
    started = time.monotonic()
    try:
        await ib.connectAsync("127.0.0.1", port, clientId=client_id, timeout=timeout)
        clocks = [await ib.reqCurrentTimeAsync() for _ in range(2)]
        return LibrarySession(
            server_version=ib.client.serverVersion(),
            accounts=ib.managedAccounts(),
            accounts_with_values=sorted({value.account for value in ib.accountValues()}),
            clock_offsets=[abs(clock.timestamp() - time.time()) for clock in clocks],
            elapsed=time.monotonic() - started,
        )
    finally:
        ib.disconnect()


def use_library(library: str, port: int, client_id: int = 1, timeout: float = 1.0) -> LibrarySession:
    """`converse` in an event loop of its own."""
    return asyncio.run(converse(library, port, client_id, timeout))
