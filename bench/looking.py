"""Rows: one look at a host, beside psutil, ss and lsof, on hosts of several sizes."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Dict, List, Optional

import ansible.module_utils
import psutil

PROJECT = Path(__file__).resolve().parent.parent
ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))
sys.path.insert(0, str(PROJECT / "tests"))

from ansible.module_utils.ib_gateway.observe.snapshot import look  # noqa: E402 - needs the path above
from simulator.launch import SimulatedGateway  # noqa: E402 - likewise

from bench.crowd import NOBODY, crowd  # noqa: E402 - likewise
from bench.rounds import Cost, Row, command, interleaved  # noqa: E402 - likewise

#: Processes of the host: (goal against psutil and ss, goal against lsof).
SIZES = {138: (5.0, 10.0), 638: (12.0, 25.0), 2138: (17.0, 35.0)}
ROUNDS = 9
#: Seconds for each way in a round: dozens of looks, and one run of what takes longer.
_LEAST = 0.2
_FILES = 20
_SOCKETS = 8000
# An account with a name, as a trader's has one: where there is none, looking for it costs more than the look.
_TRADER = next((each.pw_uid for each in pwd.getpwall() if each.pw_uid not in (0, NOBODY)), NOBODY - 1)
# A virtual environment may lie where another account may not read it.
_PYTHON = next((path for path in ("/usr/bin/python3",) if os.access(path, os.X_OK)), sys.executable)


def snapshot_rows() -> List[Row]:
    """A look at hosts of three sizes; none of the crowd has to do with gateways."""
    rows = []
    for size, (goal, lsof_goal) in SIZES.items():
        with _desk() as port, crowd(size - _count(), _FILES):
            costs = interleaved(_ways(port), ROUNDS, least=_LEAST)
        what = f"a look at a host with {size:,} processes of {_FILES} files"
        rows += [
            _row("snapshot", what, way, costs, lsof_goal if "lsof" in way else goal) for way in costs if way != "look"
        ]
        if not shutil.which("lsof"):
            rows.append(_missing("snapshot", what, "lsof -i", lsof_goal))
    return rows


def pattern_rows() -> List[Row]:
    """What client_patterns add: with them every command line has to be read."""
    rows = []
    for size in SIZES:
        with _desk() as port, crowd(size - _count(), _FILES):
            ways = {
                "look": lambda: look([port], [r"cleanup_positions\.py"]),
                "psutil.net_connections": lambda: psutil.net_connections("tcp"),
            }
            costs = interleaved(ways, ROUNDS, least=_LEAST)
        what = f"the same with client_patterns, {size:,} processes"
        rows.append(_row("patterns", what, "psutil.net_connections", costs, None))
    return rows


def socket_rows() -> List[Row]:
    """A look at a host with thousands of connections that are no gateway's."""
    with _desk() as port, crowd(0, 0, _SOCKETS):
        ways = {name: work for name, work in _ways(port).items() if "lsof" not in name}
        costs = interleaved(ways, ROUNDS, least=_LEAST)
    what = f"a look at a host with {_SOCKETS:,} unrelated sockets"
    return [_row("sockets", what, way, costs, 40.0 if "psutil" in way else None) for way in costs if way != "look"]


def file_rows() -> List[Row]:
    """What other processes' open files cost a look: nothing, or the ratio would grow with them."""
    found: Dict[int, Cost] = {}
    for files in (20, 200):
        with _desk() as port, crowd(500, files):
            found[files] = interleaved({"look": lambda: look([port])}, ROUNDS, least=_LEAST)["look"]
    return [
        Row(
            "files",
            "a look where 500 other processes have 200 files each",
            "the same with 20 files each",
            "ms CPU",
            found[200].cpu * 1000,
            found[20].cpu * 1000,
            at_most=1.25,
            note="one after the other: the crowd differs",
        )
    ]


@contextlib.contextmanager
def _desk() -> Iterator[int]:
    """A gateway that serves and a script connected to it; gives the port. Root runs them under an account of theirs."""
    account = {"user": _TRADER, "group": _TRADER, "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        gateway = SimulatedGateway(Path(folder, "gateway"), launcher="ibc", mode="live", python=_PYTHON)
        gateway.folder.mkdir()
        argv = gateway.command()
        for path in [Path(folder), *Path(folder).rglob("*")] if account else []:
            os.chown(path, _TRADER, _TRADER, follow_symlinks=False)
        gateway.process = stack.enter_context(_started(argv, account))
        gateway.wait_ready()
        script = f"import socket, sys; s = socket.create_connection(('127.0.0.1', {gateway.port})); sys.stdin.read()"
        stack.enter_context(_started([_PYTHON, "-c", script, "cleanup_positions.py"], account))
        while not any(each.accepted and each.client_pids for each in look([gateway.port]).connections):
            time.sleep(0.02)
        yield gateway.port


@contextlib.contextmanager
def _started(argv: Sequence[str], account: Mapping[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(argv, stdin=subprocess.PIPE, cwd="/", **account) as process:
        try:
            yield process
        finally:
            process.kill()


def _ways(port: int) -> Dict[str, Callable[[], object]]:
    ways: Dict[str, Callable[[], object]] = {
        "look": lambda: look([port]),
        "psutil.net_connections": lambda: psutil.net_connections("tcp"),
    }
    if shutil.which("ss"):
        ways["ss -tlnp"] = command(["ss", "-tlnp"])
    if shutil.which("lsof"):
        ways["lsof -i"] = command(["lsof", "-nP", "-i", f":{port}"])
    return ways


def _row(name: str, what: str, way: str, costs: Dict[str, Cost], goal: Optional[float]) -> Row:
    ours, other = costs["look"], costs[way]
    return Row(name, what, way, "ms CPU", ours.cpu * 1000, other.cpu * 1000, at_least=goal)


def _missing(name: str, what: str, way: str, goal: float) -> Row:
    return Row(name, what, way, "ms CPU", at_least=goal, note=f"{way.split()[0]} is not installed here")


def _count() -> int:
    return sum(1 for name in os.listdir("/proc") if name.isdigit()) if os.path.isdir("/proc") else len(psutil.pids())
