"""The ways out: signals, the end of the process, forks."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import signal
import threading
from types import FrameType
from typing import Optional

from .locks import Lock
from .session import Session

ENDING_SIGNALS = ("SIGTERM", "SIGHUP")


class Closing:
    """What the ways out need of a connection."""

    _session: Optional[Session] = None

    def _close_at_exit(self) -> None:
        raise NotImplementedError


#: The connections of this process that are open, or being opened.
open_connections: set[Closing] = set()


def take_signals() -> None:
    """Has the signals that would end the process at once disconnect first.

    A handler of the script's own stays, and decides; SIGINT raises KeyboardInterrupt anyway. Main thread only.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in ENDING_SIGNALS if hasattr(signal, name)):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, end_by_signal)


def give_signals_back() -> None:
    """Restores the signals' defaults when no connection is open any more."""
    if not open_connections and threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in ENDING_SIGNALS if hasattr(signal, name)):
            if signal.getsignal(number) is end_by_signal:
                signal.signal(number, signal.SIG_DFL)


def end_by_signal(number: int, _frame: Optional[FrameType]) -> None:
    """Disconnects, and lets the signal do what it always does."""
    # An exception instead would be lost in a script's bare `except:`, and in any destructor that it happens to hit.
    close_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


@atexit.register
def close_all() -> None:
    """Closes what is open, whatever state the process is in."""
    for connection in list(open_connections):
        with contextlib.suppress(Exception):
            connection._close_at_exit()


def forget_all() -> None:
    """In a forked child: sessions and locks are the parent's, and nothing the child does may end them."""
    if open_connections:
        asyncio.set_event_loop(asyncio.new_event_loop())  # the inherited one shares its selector with the parent's
    for connection in open_connections:
        if connection._session is not None:
            connection._session.forget()
    open_connections.clear()
    Lock.forget_all()
    give_signals_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_all)
