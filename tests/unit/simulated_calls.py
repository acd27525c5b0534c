"""Puts a simulated host in place of the system: all that a repair asks of kernel, systemd, clocks and disk."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import signal
import struct
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple
from unittest import mock

from ansible.module_utils.ib_gateway.act import drop_connection, held_process, stop_process
from ansible.module_utils.ib_gateway.api import handshake
from ansible.module_utils.ib_gateway.base.probe import Probe
from ansible.module_utils.ib_gateway.lifecycle import environment, systemctl, unit
from ansible.module_utils.ib_gateway.lifecycle.base import Asked, Patience, StartCheck, Started
from ansible.module_utils.ib_gateway.lifecycle.command import Command
from ansible.module_utils.ib_gateway.module import assess, look, probing, then_look, waiting
from ansible.module_utils.ib_gateway.observe import (
    ibc_log,
    keepers,
    kernel_waits,
    processes,
    settings,
    snapshot,
    started_files,
)
from ansible.module_utils.ib_gateway.state import journal, state_folder
from unit.facts import probe
from unit.simulated_host import SimHost
from unit.simulated_parts import OWN, PORTS, Killed
from unit.simulated_sight import read


class _Clocks:
    """The module `time` of a simulated host."""

    CLOCK_BOOTTIME, CLOCK_MONOTONIC = 7, 1

    def __init__(self, host: SimHost) -> None:
        self._host = host

    def time(self) -> float:
        """The wall clock, which people may set."""
        return self._host.wall

    def monotonic(self) -> float:
        """Seconds that nobody can set."""
        return self._host.boottime

    def clock_gettime(self, _clock: int) -> float:
        """Seconds since boot."""
        return self._host.boottime

    def sleep(self, seconds: float) -> None:
        """Lets time pass."""
        self._host.touch()
        self._host.pass_time(seconds)


class _SignallingOs:
    """The module `os` as held_process.py uses it; without pidfd on a host that has none."""

    def __init__(self, host: SimHost) -> None:
        self._host = host

    def __getattr__(self, name: str) -> Any:
        if name == "pidfd_open" and self._host.pidfd:
            return self._host.pidfd_open
        if name == "pidfd_open":
            raise AttributeError(name)
        return getattr(os, name)

    def getpid(self) -> int:
        """The run itself."""
        return OWN

    def close(self, handle: int) -> None:
        """Lets go of a process."""
        del self._host.held[handle]


class _Signals:
    """The module `signal` as held_process.py uses it."""

    SIGTERM, SIGKILL = signal.SIGTERM, signal.SIGKILL

    def __init__(self, host: SimHost) -> None:
        self.pidfd_send_signal = host.send


class _Select:
    """The module `select` as held_process.py uses it."""

    POLLIN = 1

    def __init__(self, host: SimHost) -> None:
        self.poll = functools.partial(_Poll, host)


class _Poll:
    def __init__(self, host: SimHost) -> None:
        self._host = host
        self._handles: List[int] = []

    def register(self, handle: int, _events: int) -> None:
        self._handles.append(handle)

    def unregister(self, handle: int) -> None:
        self._handles.remove(handle)

    def poll(self, milliseconds: float) -> List[Tuple[int, int]]:
        self._host.touch()
        return [(each, 1) for each in self._host.wait_for_ends(self._handles, milliseconds / 1000)]


class _Disk:
    """The system calls of state_folder.py that change something. Nothing waits for a real disk."""

    def __init__(self, host: SimHost) -> None:
        self._host = host

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return functools.partial(self._call, name)

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        real: Callable[..., Any] = getattr(os, name) if name != "fsync" else lambda *_: None
        if name == "open" and not arguments[1] & (os.O_WRONLY | os.O_RDWR):
            return real(*arguments, **named)
        if self._host.gone:
            raise Killed
        number = {"full": errno.ENOSPC, "read-only": errno.EROFS}.get(self._host.disk, 0)
        refused = ("mkdir", "rename", "write") if number == errno.ENOSPC else ("mkdir", "rename", "open")
        if number and name in refused:
            self._host.disk_errors += 1
            raise OSError(number, os.strerror(number))
        if name in ("open", "mkdir", "unlink", "ftruncate"):
            self._host.touch()
            return real(*arguments, **named)

        def half() -> Any:
            return real(arguments[0], arguments[1][: len(arguments[1]) // 2]) if name == "write" else None

        return self._host.effect(name, lambda: real(*arguments, **named), half)


def _destroy(host: SimHost, request: bytes) -> int:
    """The kernel's end of netlink: both families are asked for, the socket is an IPv6 one."""
    low, high = struct.unpack_from("=LL", request, 64)
    return host.destroy(low | high << 32) if request[16] == 10 else errno.ENOENT


def _stat(host: SimHost, pid: int) -> Optional[processes.Stat]:
    host.touch()
    one = host.processes.get(pid)
    return processes.Stat("S", one.ppid, one.ticks) if one else None


def _text(host: SimHost, pid: int, _name: str) -> str:
    """A process's control groups: the first one, which nobody can freeze."""
    host.touch()
    if pid not in host.processes:
        raise ProcessLookupError(3, "No such process")
    return "0::/\n"


def _about(host: SimHost, answer: Callable[[Any], Any], gone: Any) -> Callable[[int], Any]:
    def call(pid: int) -> Any:
        host.touch()
        one = host.processes.get(pid)
        return answer(one) if one else gone

    return call


def _handshake(host: SimHost, _address: str, port: int, timeout: float, **_options: Any) -> Probe:
    """One API session with whoever listens."""
    host.touch()
    server = next((each for each in host.processes.values() if each.port == port and host.listening(each)), None)
    if server is None or not server.is_gateway:
        return probe("refused")
    if server.api == "upstream":
        return probe("ready", notices=(1100,), trading_mode=None)
    if server.api != "ready":
        host.pass_time(timeout)
    mode = "live" if server.entry == "live" else "paper"
    return probe("ready", trading_mode=mode) if server.api == "ready" else probe(server.api)


def _start(host: SimHost) -> Callable[[Command, Patience], Started]:
    def start(command: Command, _patience: Patience) -> Started:
        entry = next(each for each in PORTS if each in " ".join(command.spec.start_command))
        return Started(host.spawn(entry, PORTS[entry]), "/var/log/ib-gateway-repair/%s.log" % entry)

    return start


def _startable(asked: Sequence[Asked]) -> List[StartCheck]:
    """Nothing speaks against any start_command."""
    return [StartCheck() for _ in asked]


def _noted(host: SimHost, real: Callable[..., Any]) -> Callable[..., Any]:
    """Notes what a folder opens and keeps open, so that it can be let go when its run is killed."""

    def call(folder: Any, *arguments: Any) -> Any:
        found = real(folder, *arguments)
        for descriptor in (found, arguments[-1]):
            if isinstance(descriptor, int) and not isinstance(descriptor, bool):
                host.files[descriptor] = os.fstat(descriptor).st_ino
        return found

    return call


@contextlib.contextmanager
def in_place(host: SimHost) -> Iterator[None]:
    """All of it, for as long as a test lasts."""
    clocks = _Clocks(host)
    places: Dict[Any, Dict[str, Any]] = {
        held_process: {"os": _SignallingOs(host), "signal": _Signals(host), "select": _Select(host), "time": clocks},
        stop_process: {"os": _SignallingOs(host)},
        state_folder: {"time": clocks, "calls": _Disk(host)},
        state_folder.Folder: {
            "__init__": _noted(host, state_folder.Folder.__init__),
            "lock": _noted(host, state_folder.Folder.lock),
        },
        drop_connection: {
            "_ask_kernel": functools.partial(_destroy, host),
            "_capabilities": lambda: -1 if host.privileged else 0,
        },
        snapshot: {"time": clocks, "reader": lambda: functools.partial(read, host)},
        look: {"time": clocks, "_localhost": lambda *_: ()},
        waiting: {"time": clocks},
        then_look: {"time": clocks},
        # A made-up pid may be a real one here as well, whose files are none of the host's.
        settings: {"folders": lambda _paths: {}},
        started_files: {"read_as": lambda *_: None},
        ibc_log: {"read": lambda *_: None},
        keepers: {"keepers": lambda *_: ()},
        kernel_waits: {"waiting": lambda _pid: frozenset()},
        journal: {"time": clocks},
        # Whoever is killed asks nobody any more, as no other thread of it does: gateways are asked one after the other.
        assess: {"time": clocks, "by_socket": None},
        probing: {"time": clocks},
        handshake: {"probe": functools.partial(_handshake, host)},
        Command: {"start": _start(host), "start_checks": staticmethod(_startable)},
        environment: {"keep": lambda *_: None, "parents_of_ended": lambda _name: ()},
        unit: {"_may_manage": lambda: host.privileged},
        systemctl: {"_systemctl": host.systemctl},
        processes: {
            "read_stat": functools.partial(_stat, host),
            "read_text": functools.partial(_text, host),
            "read_argv": _about(host, lambda one: one.argv, ()),
            "read_real_uid": _about(host, lambda _one: 0, None),
            "read_unit": _about(host, lambda one: one.unit, None),
            "pid_inside": _about(host, lambda _one: None, None),
            "boot_id": lambda: host.boot_id,
            "ancestors": lambda pid: frozenset(host.ancestors(pid)),
            "pids": lambda: list(host.processes),
            "network_namespace": lambda _pid: "net:1",
        },
    }
    with contextlib.ExitStack() as stack:
        for module, names in places.items():
            for name, value in names.items():
                stack.enter_context(mock.patch.object(module, name, value))
        yield
