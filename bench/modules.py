"""Rows: the project's modules as Ansible sends them to a host, beside its own ping."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Dict, List

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "tests"))

from simulator.launch import SimulatedGateway  # noqa: E402 - needs the path above

from bench.rounds import Row, interleaved  # noqa: E402 - likewise

BIN = Path(sys.executable).parent
ROUNDS = 11
_GOAL = 1.15
#: Of the payload.
_SIZE = 2.0


def module_rows() -> List[Row]:
    """CPU of the process on the host that runs a module, the wrapper that Ansible puts around it included."""
    with tempfile.TemporaryDirectory() as folder, SimulatedGateway(Path(folder, "gateway")) as well:
        entry = {"name": "paper", "trading_mode": "paper", "port": well.port, "config_dir": str(well.config_dir)}
        asked: Dict[str, Dict[str, Any]] = {
            "ansible.builtin.ping": {},
            "ib_gateway_health": {"gateways": [entry], "probe": "never"},
        }
        payloads = {name: payload(name, options, Path(folder, name)) for name, options in asked.items()}
        costs = interleaved({name: _run(path) for name, path in payloads.items()}, ROUNDS)
        sizes = {name: path.stat().st_size / 1024 for name, path in payloads.items()}
    ours, ping = "ib_gateway_health", "ansible.builtin.ping"
    what = "ib_gateway_health, passive, as a module on a target that is well"
    return [
        Row("module", what, ping, "ms CPU", costs[ours].cpu * 1000, costs[ping].cpu * 1000, at_most=_GOAL),
        Row("module", "what Ansible sends for it", ping, "KiB", sizes[ours], sizes[ping], at_most=_SIZE),
    ]


def payload(name: str, options: Dict[str, Any], folder: Path) -> Path:
    """The program Ansible sends for a task, as Ansible itself leaves it behind when it is told to keep it."""
    folder.mkdir()
    argv = [str(BIN / "ansible"), "localhost", "-i", "localhost,", "-c", "local", "-m", name]
    argv += ["-a", json.dumps(options)] if options else []
    environment = {
        **os.environ,
        "ANSIBLE_KEEP_REMOTE_FILES": "1",
        "ANSIBLE_PIPELINING": "0",
        "ANSIBLE_REMOTE_TMP": str(folder),
    }
    done = subprocess.run(
        [*argv, "-e", f"ansible_python_interpreter={sys.executable}"],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    found = sorted(folder.rglob("AnsiballZ_*.py"))
    if not found:
        raise RuntimeError(f"ansible made no program for {name}: {done.stdout}{done.stderr}")
    return found[0]


def _run(path: Path) -> Callable[[], None]:
    """Through the standard input, as pipelining has it."""

    def run() -> None:
        with path.open("rb") as program:
            subprocess.run(
                [sys.executable],
                stdin=program,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                check=True,
            )

    return run
