"""The three ways to look tell the same also to an ordinary user, and inside another network namespace.

tests/integration/test_looks.py compares them as the account that runs the tests, for every way a gateway can bind.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import json
import os
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from ansible.module_utils.ib_gateway.observe import addresses, linux, portable, proc_net, sockets
from ansible.module_utils.ib_gateway.observe.snapshot import look
from simulator.launch import GATEWAY, SimulatedGateway

from integration.test_looks import told

_NOBODY = 65534
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
#: Another account may not be able to run the interpreter of the tests.
_PYTHON = "/usr/bin/python3"
_KNOCK = "import socket, sys; s = socket.create_connection((%r, %d)); print('in', flush=True); sys.stdin.read()"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else"),
    pytest.mark.skipif(not os.access(_PYTHON, os.X_OK), reason="needs a Python that every account may run"),
    pytest.mark.skipif(
        not all(folder.stat().st_mode & 1 for folder in GATEWAY.parents), reason="needs a checkout that all may read"
    ),
]


def become_nobody() -> None:
    """An account of its own, which may see its own processes' files."""
    os.setgroups([])
    os.setgid(_NOBODY)
    os.setuid(_NOBODY)


def stay_root() -> None:
    """Everything may be seen."""


def enter_network() -> None:
    """A network namespace with nothing but a loopback device of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare failed")
    with socket.socket() as control:
        request = struct.pack("16sh14x", b"lo", 0)
        _name, flags = struct.unpack("16sh14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


@contextmanager
def served(host: str, bind: str) -> Iterator[int]:
    """A gateway and a script connected to it, of this account and in this network; gives the port."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        place = Path(folder, "gateway")
        place.mkdir()
        gateway = SimulatedGateway(place, bind=bind, launcher="ibc", mode="live", python=_PYTHON, lifetime=60)
        stack.enter_context(gateway)
        script = subprocess.Popen(
            [_PYTHON, "-c", _KNOCK % (host, gateway.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        stack.enter_context(script)
        stack.callback(script.kill)
        assert script.stdout and script.stdout.readline() == b"in\n"
        deadline = time.monotonic() + 10
        while not any(each.accepted for each in look([gateway.port]).connections) and time.monotonic() < deadline:
            time.sleep(0.02)
        yield gateway.port


def three_looks(host: str, bind: str) -> list[Any]:
    """What netlink, procfs and psutil tell of it, in a form that survives JSON."""

    def refused(states: int, ports: tuple[int, ...]) -> list[addresses.SocketRow]:
        raise PermissionError(f"netlink is refused: {states} {ports}")

    with served(host, bind) as port:
        found = [told(look([port], read=linux.read), port)]
        sockets.read_netlink = refused  # in the child only
        found.append(told(look([port], read=linux.read), port))
        found.append(told(look([port], read=portable.read), port))
        mine = {each.pid for each in psutil.Process().children()}
    for each in found:
        each["gateways"] = {row for row in each["gateways"] if row[0] in mine}
    return [{kind: sorted(map(repr, rows)) for kind, rows in each.items()} for each in found]


def in_a_child(prepare: list[Callable[[], None]], host: str, bind: str) -> list[Any]:
    """three_looks() in a process that has first lost rights or sight."""
    for late in ("pwd", "select", "encodings.idna", "encodings.ascii", proc_net.__name__):
        importlib.import_module(late)  # the child may not be able to read the interpreter's files any more
    look([1], read=portable.read)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        answer: dict[str, Any] = {}
        try:
            os.close(reading)
            tempfile.tempdir = "/tmp"  # noqa: S108 - where every account may write
            for step in prepare:
                step()
            answer = {"looks": three_looks(host, bind)}
        except BaseException as error:
            answer = {"error": repr(error)}
        finally:
            with os.fdopen(writing, "w") as result:
                json.dump(answer, result)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as result:
        found = json.load(result)
    os.waitpid(child, 0)
    assert "looks" in found, found
    looks: list[Any] = found["looks"]
    return looks


@pytest.mark.parametrize(("host", "bind"), [("127.0.0.1", "0.0.0.0"), ("::1", "::1"), ("127.0.0.1", "::")])  # noqa: S104 - as a gateway binds
@pytest.mark.parametrize("account", [become_nobody, stay_root])
@pytest.mark.parametrize("network", [enter_network, None])
def test_netlink_procfs_and_psutil_agree(
    account: Callable[[], None], network: Callable[[], None] | None, host: str, bind: str
) -> None:
    by_netlink, by_procfs, by_psutil = in_a_child([*([network] if network else []), account], host, bind)
    assert len(by_netlink["gateways"]) == len(by_netlink["listeners"]) == len(by_netlink["connections"]) == 1
    assert by_netlink == by_procfs
    assert by_netlink == by_psutil
