"""The library that is installed, and the event loop of the thread: made only where there is none."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import sys
import warnings
from types import ModuleType
from typing import Optional

from .errors import LibraryMissing, LoopRunning

LIBRARIES = ("ib_insync", "ib_async")


def load_library(name: Optional[str] = None) -> ModuleType:
    """ib_insync or ib_async: the one named, else one that is imported already, else the one that is installed.

    Gives the thread an event loop first if it has none: from Python 3.14 on the libraries cannot be imported without.
    """
    prepare_loop()
    problems = []
    for each in [name] if name else sorted(LIBRARIES, key=lambda library: library not in sys.modules):
        try:
            module = importlib.import_module(each)
        except ImportError as error:
            problems.append(str(error))
        else:
            logging.getLogger(f"{each}.client").addFilter(not_misleading)
            return module
    raise LibraryMissing(f"{'; '.join(problems)}: pip install ib_async for {sys.executable}; for ibapi, give app")


def prepare_loop() -> tuple[asyncio.AbstractEventLoop, bool]:
    """This thread's event loop, and whether it had to be made; one that is there is left as it is."""
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop(), False
    with contextlib.suppress(RuntimeError), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and 3.13 warn where they make one
        loop = asyncio.get_event_loop()
        if not loop.is_closed():
            return loop, False
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop, True


def blocking_loop() -> tuple[asyncio.AbstractEventLoop, bool]:
    """prepare_loop() for calls that block: a running loop is refused, but a notebook's, which is made nestable once.

    nest_asyncio rewires asyncio for the whole process, so nothing else ever applies it.
    """
    loop, made = prepare_loop()
    if loop.is_running() and not nested(loop):
        if not in_notebook():
            raise LoopRunning("connect() blocks the running event loop; use: async with connect_async(...) as ib")
        importlib.import_module("nest_asyncio").apply(loop)
    return loop, made


def nested(loop: asyncio.AbstractEventLoop) -> bool:
    return hasattr(loop, "_nest_patched")


def in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def not_misleading(record: logging.LogRecord) -> bool:
    """Drops what the library says about an attempt that failed: the ConnectError says it, and says it right."""
    return not record.getMessage().startswith(
        ("API connection failed", "Make sure", "Peer closed connection. clientId")
    )
