"""A simulated IB Gateway: it looks like one to the kernel and speaks like one on the API port.

Started through a symlink named `java`:

    DIR/jre/bin/java /path/gateway.py -DjtsConfigDir=DIR ibgateway.GWClient --port=4001 --fault=one-slot

It uses the standard library only, runs on Python 3.8 and later, and never outlives `--lifetime` seconds. options.py
lists the options and the faults it can show.
"""

import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
import sys
import threading
from typing import List, Optional

if not __package__:
    # Run as a script: name the folder as this module's package, so that its neighbours import by relative name from
    # wherever the folder was put.
    sys.path[0], __package__ = os.path.split(os.path.dirname(os.path.abspath(__file__)))

from .options import BadOption, Options, parse
from .session import Desk, Session

BACKLOG = 50  # a JVM's default
POLL_INTERVAL = 0.2  # seconds; only where the kernel or Python has no pidfd


def open_listener(options: Options) -> socket.socket:
    """The listening socket: dual-stack like a JVM's, IPv4 only where the host has no IPv6."""
    if options.bind is not None:
        return _listen(options.bind, options.port)
    try:
        return _listen("::", options.port)
    except OSError:
        if os.path.exists("/proc/net/if_inet6"):
            raise  # IPv6 is there: the port itself is the trouble
        return _listen("0.0.0.0", options.port)  # noqa: S104 - the real gateway listens on every address


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on and every answer waits 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((address, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


async def accept_clients(listener: socket.socket, desk: Desk) -> None:
    """Accept until cancelled, or until the fault that closes the listener for good strikes."""
    loop = asyncio.get_running_loop()
    fragile = "close-listener-on-second" in desk.options.faults
    last = False
    with listener:
        while not last:
            connection, _ = await loop.sock_accept(listener)
            last = fragile and desk.occupied
            if last:
                listener.close()  # before the client hears a word: who sees the stall also sees the port refuse
            await loop.connect_accepted_socket(functools.partial(Session, desk, last), connection)


def end_on(stop: asyncio.Event, options: Options) -> None:
    """Arrange everything that ends this process: signals, the process it goes with, its lifetime."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        if number == signal.SIGTERM and "ignore-sigterm" in options.faults:
            signal.signal(number, signal.SIG_IGN)
        else:
            loop.add_signal_handler(number, stop.set)
    loop.call_later(options.lifetime, stop.set)
    if options.exit_with is not None:
        _end_with(options.exit_with, stop)


def _end_with(pid: int, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    try:
        # A pidfd becomes readable when its process ends.
        loop.add_reader(os.pidfd_open(pid), stop.set)
    except (AttributeError, OSError):  # Python 3.8 or an old kernel; or the process is gone, as the poll will find
        _poll_pid(pid, stop)


def _poll_pid(pid: int, stop: asyncio.Event) -> None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        stop.set()
        return
    except PermissionError:
        pass  # another user's, so it lives
    asyncio.get_running_loop().call_later(POLL_INTERVAL, _poll_pid, pid, stop)


def look_like_a_jvm() -> None:
    """A JVM never has a single thread, and who looks for gateways may rely on that."""
    threading.Thread(target=threading.Event().wait, name="VM Thread", daemon=True).start()


def write_ready_file(path: str, port: int, listening: bool) -> None:
    """Say that this process is up: {"pid", "port", "listening"}, whole or not at all."""
    draft = f"{path}.{os.getpid()}"
    with open(draft, "w", encoding="utf-8") as file:
        json.dump({"pid": os.getpid(), "port": port, "listening": listening}, file)
    os.replace(draft, path)


async def run(options: Options) -> None:
    """Live one gateway's life; raises OSError when the port cannot be had."""
    stop = asyncio.Event()
    end_on(stop, options)
    with contextlib.suppress(asyncio.TimeoutError):
        # A login takes its time. Ending meanwhile must not wait for it.
        await asyncio.wait_for(stop.wait(), options.listen_after)
    if stop.is_set():
        return

    listener: Optional[socket.socket] = None
    port = options.port
    if "no-listener" not in options.faults:
        listener = open_listener(options)
        port = listener.getsockname()[1]
    if options.ready_file:
        write_ready_file(options.ready_file, port, listener is not None)

    desk = Desk(options)
    accepting: Optional[asyncio.Future[None]] = None
    if listener and "never-accept" not in options.faults:
        accepting = asyncio.ensure_future(accept_clients(listener, desk))
    await stop.wait()
    if accepting:
        accepting.cancel()
    desk.close()


def main(argv: List[str]) -> int:
    """Exit code 0 after a life that was ended from outside, 2 for an option that cannot be used."""
    look_like_a_jvm()
    try:
        options = parse(argv)
        if options.under_ibc and options.config_dir and os.path.isdir(options.config_dir):
            os.chdir(options.config_dir)  # where ibcstart.sh runs it; a plain start command would not
        asyncio.run(run(options))
    except BadOption as error:
        print(f"gateway.py: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"gateway.py: --port or --bind or --ready-file: {error.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
