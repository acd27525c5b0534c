"""Real SSH hosts of the lab for measuring, and plays over them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "tests"))

from lab import run as lab  # noqa: E402 - needs the path above

_SCENARIO = "bench"
SSH_CONFIG = lab.WORK / _SCENARIO / "ssh_config"
# A host with systemd takes five inotify instances, and a kernel usually grants one account 128 of them. Further names
# lead to the same hosts, each over a connection of its own.
CONTAINERS = 20
_MAKING = 900.0  # seconds; the first time the images are built as well
_ONE_PLAY = 300.0


def why_not() -> Optional[str]:
    """Why hosts cannot be made here; None where they can."""
    reason = lab.why_not()
    if reason:
        return f"needs lab hosts: {reason}"
    running = subprocess.run(
        ["podman", "ps", "--format", "{{.Names}}"], capture_output=True, text=True, check=False
    ).stdout.split()
    others = [name for name in running if name.startswith("ib-lab-")]
    return f"{len(others)} hosts of another lab run are there; both would measure each other" if others else None


def inventory_of(size: int) -> Dict[str, Any]:
    """Hosts of the lab; everything else about them is in molecule's shared inventory."""
    return {"trading_hosts": {"hosts": {f"bench{number:02}": {} for number in range(1, size + 1)}}}


@contextlib.contextmanager
def hosts(names: int, containers: int = CONTAINERS) -> Iterator[Path]:
    """Hosts with one healthy gateway each, reachable by so many names; removed whatever happens."""
    if not lab.deps():
        raise RuntimeError("the lab's images could not be built")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        inventory = folder / "all.json"
        inventory.write_text(json.dumps(inventory_of(containers)), encoding="utf-8")
        try:
            require(ansible(inventory, "bench/lab/hosts.yml", {}, _MAKING))
            _add_names(names, containers)
            yield folder
        finally:
            ansible(inventory, "bench/lab/remove.yml", {}, _MAKING)


def _add_names(count: int, containers: int) -> None:
    """Lets the names beyond the number of hosts lead to the hosts again."""
    told = SSH_CONFIG.read_text(encoding="utf-8")
    address = dict(re.findall(r"^Host (\S+)\n +HostName (\S+)$", told, re.MULTILINE))
    names = list(inventory_of(count)["trading_hosts"]["hosts"])
    for number, name in enumerate(names[containers:]):
        told += f"Host {name}\n  HostName {address[names[number % containers]]}\n"
    SSH_CONFIG.write_text(told, encoding="utf-8")


def play(
    folder: Path, inventory: Path, playbook: str, extra: Mapping[str, Any], settings: Optional[Mapping[str, str]] = None
) -> Callable[[], None]:
    options = {"ib_report_dir": str(folder / "reports"), **extra}

    def run() -> None:
        require(ansible(inventory, playbook, options, _ONE_PLAY, settings or {}))

    return run


def command_of(inventory: Path, playbook: str, extra: Mapping[str, Any]) -> Tuple[List[str], Dict[str, str]]:
    """The command and the environment of a play over hosts of the lab."""
    shared = PROJECT / "molecule" / "shared" / "inventory"
    argv = [str(lab.BIN / "ansible-playbook"), "-i", str(shared), "-i", str(inventory), playbook]
    return [*argv, "-e", json.dumps({"lab_project": str(PROJECT), **extra})], lab.environment(_SCENARIO)


def ansible(
    inventory: Path, playbook: str, extra: Mapping[str, Any], limit: float, settings: Optional[Mapping[str, str]] = None
) -> subprocess.CompletedProcess[str]:
    argv, usual = command_of(inventory, playbook, extra)
    os.makedirs(lab.WORK / _SCENARIO, exist_ok=True)
    with subprocess.Popen(
        argv,
        cwd=PROJECT,
        env={**usual, **(settings or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as play:
        try:
            output, _ = play.communicate(timeout=limit)
        except BaseException:
            os.killpg(play.pid, signal.SIGKILL)  # its workers as well
            raise
    return subprocess.CompletedProcess(argv, play.returncode, output)


def require(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise RuntimeError("\n".join(lab.telling(done.stdout)))
