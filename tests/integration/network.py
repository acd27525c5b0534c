"""A trading host and a laptop on a network of their own: namespaces of this machine, joined by a pair of interfaces."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

HOST, LAPTOP = "192.0.2.1", "192.0.2.2"
_CLONE_NEWNET = 0x40000000


class Network:
    """While the stack is open the test runs on the trading host. Needs root."""

    def __init__(self, stack: ExitStack) -> None:
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        stack.callback(os.close, home)
        host, self._laptop = _made(stack), _made(stack)
        stack.callback(_enter, home)
        _enter(host)
        _ip("link set lo up")
        _ip(f"link add lan type veth peer name vpn netns /proc/{os.getpid()}/fd/{self._laptop}")
        _ip(f"address add {HOST}/24 dev lan")
        _ip("link set lan up")
        # TCP gives a peer up for lost after some retransmissions: here they follow each other at once.
        _ip(f"route change 192.0.2.0/24 dev lan src {HOST} rto_min 5ms")
        with self.on_the_laptop():
            _ip(f"address add {LAPTOP}/24 dev vpn")
            _ip("link set vpn up")

    @contextmanager
    def on_the_laptop(self) -> Iterator[None]:
        """What is started in here is a process of the laptop."""
        here = os.open("/proc/self/ns/net", os.O_RDONLY)
        _enter(self._laptop)
        try:
            yield
        finally:
            _enter(here)
            os.close(here)

    def vanish(self) -> None:
        """From now on nothing that the laptop sends arrives."""
        with self.on_the_laptop():
            _ip(f"route add blackhole {HOST}")

    def come_back(self) -> None:
        """The laptop's packets arrive again."""
        with self.on_the_laptop():
            _ip(f"route delete blackhole {HOST}")


def _made(stack: ExitStack) -> int:
    """A new network namespace, as the open file that keeps it."""
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo; read _"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        assert first.stdout is not None and first.stdout.readline() == b"\n"
        namespace = os.open(f"/proc/{first.pid}/ns/net", os.O_RDONLY)
        stack.callback(os.close, namespace)
    return namespace


def _enter(namespace: int) -> None:
    """Makes a network namespace, by its open file, the one of this thread and of what it starts."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns failed")


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, timeout=10)
