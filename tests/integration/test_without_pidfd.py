"""A host whose kernel has no pidfd_open: a real system call that fails, by a filter of the kernel (seccomp)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from integration.containers import Make
from integration.desk import Desk, Run, alive, halt, local
from integration.test_container_repairs import host, starts, told, wedge

#: An interpreter whose system call pidfd_open (434 on all machines) fails with ENOSYS, as where a kernel has none: a
#: filter that is handed on to what it runs.
_INTERPRETER = """#!%(python)s -IS
import ctypes, os, struct, sys
rows = ((0x20, 0, 0, 0), (0x15, 0, 1, 434), (0x06, 0, 0, 0x50000 | 38), (0x06, 0, 0, 0x7FFF0000))
rules = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
class Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("rules", ctypes.c_void_p)]
libc, program = ctypes.CDLL(None, use_errno=True), Program(len(rows), ctypes.addressof(rules))
for words in ((38, 1, 0, 0, 0), (22, 2, ctypes.byref(program), 0, 0)):
    if libc.prctl(*words):
        sys.exit("no filter: %%s" %% os.strerror(ctypes.get_errno()))
os.execv(%(python)r, [%(python)r, *sys.argv[1:]])
"""
_WHY = "this host cannot hold a process by pidfd, so that nothing is signalled"


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    """A Python without pidfd_open."""
    path = tmp_path / "python"
    path.write_text(_INTERPRETER % {"python": sys.executable})
    path.chmod(0o755)
    tried = [str(path), "-c", "import os; os.pidfd_open(os.getpid())"]
    done = subprocess.run(tried, capture_output=True, text=True, check=False)
    assert "Function not implemented" in done.stderr, done
    return path


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[list[Desk]]:
    """Three desks of one host."""
    with ExitStack() as stack:
        yield [Desk(tmp_path / name, stack) for name in ("restart", "resume", "clients")]


def without_pidfd(inventory: dict[str, Any], interpreter: Path) -> dict[str, Any]:
    """The same host, with that interpreter."""
    inventory["trading_hosts"]["hosts"]["desk"]["ansible_python_interpreter"] = str(interpreter)
    return inventory


def withheld(run: Run) -> dict[str, str]:
    """What each gateway's plan does not do, and why."""
    return {each["name"]: " ".join(each["plan"]["withheld"]) for each in run.host()["before"]["gateways"]}


def test_what_would_need_a_signal_is_withheld_with_the_cure_and_nothing_is_touched(
    desks: list[Desk], interpreter: Path
) -> None:
    restart, resume, clients = desks
    stalled = restart.gateway("stall")
    frozen = resume.gateway()
    clients.gateway()
    surplus = [clients.script(client_id=number) for number in (1, 2)]
    halt(frozen.pid)
    entries = [
        restart.entry(name="restart"),
        resume.entry(name="resume"),
        clients.entry(name="clients", client_patterns=[clients.scripts]),
    ]
    inventory = {"trading_hosts": {"hosts": {"desk": local(ib_gateways=entries)}}}
    try:
        for options in (["--check"], []):
            run = restart.play("remediate.yml", *options, inventory=without_pidfd(inventory, interpreter))
            assert run.rc == 2 and run.recap()["changed"] == 0, run.output
            assert told(run) == {
                "restart": ("unhealthy", ["handshake_stalled"]),
                "resume": ("unhealthy", ["gateway_frozen"]),
                "clients": ("unhealthy", ["competing_clients"]),
            }
            for name, text in withheld(run).items():
                assert _WHY in text and "ansible_python_interpreter" in text, (name, text)
            steps = [each["action"] for one in run.host()["before"]["gateways"] for each in one["plan"]["steps"]]
            assert steps == [], steps
        assert psutil.Process(frozen.pid).status() == psutil.STATUS_STOPPED
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
    assert all(alive(each) for each in (stalled.pid, frozen.pid, *(one.pid for one in surplus)))


def test_a_container_that_its_engine_restarts_needs_no_signal_and_is_repaired(
    container: Make, desk: Desk, interpreter: Path
) -> None:
    wedged, well = container(settings={"event": "hang"}).run(), container().run()
    wedge(wedged)
    entries = [wedged.entry(name="wedged", start_timeout=60), well.entry(name="well")]
    repair = desk.play("remediate.yml", inventory=without_pidfd(host(*entries), interpreter))
    assert repair.rc == 0 and told(repair)["wedged"] == ("unhealthy", ["handshake_silent"]), repair.output
    assert told(repair, "after") == {"wedged": ("healthy", []), "well": ("healthy", [])}
    again = desk.play("remediate.yml", inventory=without_pidfd(host(*entries), interpreter))
    assert again.rc == 0 and again.recap()["changed"] == 0, again.output
    assert starts(wedged, well) == [2, 1]
