"""Looks into the network namespace of another process, as root, without anything that lives there.

A thread of this process enters the namespace and ends in it; this process's own files, libraries and root folder stay
what they are, so nothing of a container is run or loaded. What the work needs has to be imported before. Where entering
is refused, the tables that procfs shows of a process are read instead.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from typing import Callable, List, NamedTuple, Optional, Tuple, TypeVar

from . import proc_net, processes, sockets
from .addresses import SocketRow

_CLONE_NEWNET = 0x40000000
#: Longer than reading a namespace's tables takes, however many sockets it has.
_READ_WITHIN = 15.0

T = TypeVar("T")


class Tables(NamedTuple):
    """The TCP sockets of a network namespace, and its own addresses, loopback left out."""

    listeners: Tuple[SocketRow, ...]
    connections: Tuple[SocketRow, ...]
    addresses: Tuple[str, ...]


def within(pid: int, started_ticks: int, work: Callable[[], T], seconds: float) -> T:
    """What the work gives inside the network namespace of a process. It must import nothing, and end by itself.

    The process's identity is proven after its namespace was opened, so that a pid that was used anew leads nowhere.
    Raises OSError: PermissionError where this run may not enter, TimeoutError when the work takes longer than seconds.
    """
    answers: List[T] = []
    failures: List[BaseException] = []
    namespace = os.open("%s/%d/ns/net" % (processes.PROC, pid), os.O_RDONLY | os.O_CLOEXEC)
    try:
        stat = processes.read_stat(pid)
        if stat is None or stat.started_ticks != started_ticks:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        enter = ctypes.CDLL(None, use_errno=True).setns

        def inside() -> None:
            try:
                if enter(namespace, _CLONE_NEWNET) != 0:
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number))
                answers.append(work())
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=inside, daemon=True)
        thread.start()
        thread.join(seconds)
    finally:
        os.close(namespace)
    if failures:
        raise failures[0]
    if not answers:
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    return answers[0]


def tables(pid: int, started_ticks: int) -> Tables:
    """The sockets and addresses of a process's network namespace. Raises OSError when it has gone or may not be seen.

    Where this run may not enter it, less is told of each socket: no queue's bound, no idle time, no bytes.
    """
    try:
        listeners, connections = within(pid, started_ticks, sockets.everything, _READ_WITHIN)
    except PermissionError:
        root = "%s/%d" % (processes.PROC, pid)
        rows = proc_net.read(sockets.ANY_STATE, (), root)
        listeners = [row for row in rows if row.state == "LISTEN"]
        connections = [row for row in rows if row.state != "LISTEN"]
    return Tables(tuple(listeners), tuple(connections), addresses(pid))


def addresses(pid: int) -> Tuple[str, ...]:
    """The IPv4 addresses of a process's network namespace, loopback left out; empty when they cannot be read."""
    try:
        with open("%s/%d/net/fib_trie" % (processes.PROC, pid), encoding="ascii", errors="replace") as file:
            return parse_addresses(file.read())
    except OSError:
        return ()


def parse_addresses(text: str) -> Tuple[str, ...]:
    """The local addresses in the text of /proc/PID/net/fib_trie: each stands on the line above `/32 host LOCAL`."""
    found: List[str] = []
    last: Optional[str] = None
    for line in text.splitlines():
        word = line.strip()
        if word.startswith("|-- "):
            last = word[4:]
        elif word == "/32 host LOCAL" and last and not last.startswith("127.") and last not in found:
            found.append(last)
    return tuple(found)
