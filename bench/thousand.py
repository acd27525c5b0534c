"""Row: a thousand SSH hosts swept once. One lab host with one sshd answers to all of their names.

It takes minutes, so it is measured only where it is named: `make bench BENCH=thousand`. IB_BENCH_HOSTS asks for another
number.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List

import psutil

from bench.hosts import PROJECT, command_of, hosts, inventory_of, why_not
from bench.rounds import Row

_HOSTS = int(os.environ.get("IB_BENCH_HOSTS", "1000"))
_MOST = 2400.0  # seconds for one play
_EVERY = 2.0  # seconds between two looks at the memory
_SWEEP = ("playbooks/health_sweep.yml", {"ib_gateway_diagnose_probe": "never"})
_PING: Any = ("bench/lab/ping.yml", {})


@dataclass
class Used:
    """What a play took. main: the largest size of ansible-playbook itself; all: with its workers and their ssh, of
    which shared pages count once; masters: how many ssh connections were kept open at most, and what they held."""

    wall: float = 0.0
    main: int = 0
    all: int = 0
    masters: int = 0
    masters_memory: int = 0


def thousand_rows() -> List[Row]:
    """Wall time and memory of one passive sweep, and of a play of one ping over the same names."""
    what = f"health sweep, passive, {_HOSTS:,} names of one host"
    reason = why_not()
    if reason:
        return [Row("thousand", what, "", "s", note=f"not measured: {reason}")]
    try:
        with hosts(_HOSTS, containers=1) as folder:
            inventory = folder / "all.json"
            inventory.write_text(json.dumps(inventory_of(_HOSTS)), encoding="utf-8")
            sweep, ping = _played(folder, inventory, *_SWEEP), _played(folder, inventory, *_PING)
            report = {path.name: path.stat().st_size for path in (folder / "reports").iterdir() if path.is_file()}
    except (subprocess.SubprocessError, RuntimeError) as error:
        return [Row("thousand", what, "", "s", note=f"not measured: {error}")]
    sizes = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sorted(report.items()))
    kept = f"{sweep.masters} ssh connections were kept open at most, {sweep.masters_memory / 1e6:.0f} MB"
    against = "a play of one ping over the same names"
    rows = [Row("thousand", what, against, "s", sweep.wall, ping.wall, note=f"once; {kept}; {sizes}")]
    for which, told in (("main", "memory of its ansible-playbook"), ("all", "the same with workers and their ssh")):
        mine, theirs = (getattr(each, which) / 1e6 for each in (sweep, ping))
        rows.append(Row("thousand", f"{told}, {_HOSTS:,} names", against, "MB", mine, theirs))
    return rows


def _played(folder: Path, inventory: Path, playbook: str, extra: Dict[str, Any]) -> Used:
    """Runs a play, and looks at its memory meanwhile. Raises RuntimeError where it fails, TimeoutExpired when late."""
    sockets = folder / Path(playbook).stem
    told = {"ib_report_dir": str(folder / "reports"), "ansible_control_path_dir": str(sockets), **extra}
    argv, environment = command_of(inventory, playbook, told)
    used, began, ended = Used(), time.monotonic(), threading.Event()
    with (folder / "output").open("w+") as output, subprocess.Popen(
        argv,
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as play:
        watcher = threading.Thread(target=_watch, args=(play.pid, str(sockets), used, ended))
        watcher.start()
        try:
            play.wait(_MOST)
        except BaseException:
            os.killpg(play.pid, signal.SIGKILL)  # its workers as well
            raise
        finally:
            used.wall = time.monotonic() - began
            ended.set()
            watcher.join()
        output.seek(0)
        lines = output.read().splitlines()
    if play.returncode:
        raise RuntimeError(f"{playbook} ended with {play.returncode}: " + " ".join(lines[-20:]))
    return used


def _watch(pid: int, sockets: str, used: Used, ended: threading.Event) -> None:
    """Notes the largest sizes until it is told to end. A connection that is kept open is nobody's child."""
    while not ended.wait(_EVERY):
        try:
            main = psutil.Process(pid)
            tree = [main, *main.children(recursive=True)]
            used.main = max(used.main, main.memory_info().rss)
        except psutil.NoSuchProcess:
            return
        used.all = max(used.all, sum(map(_size, tree)))
        masters = [each for each in psutil.process_iter(["cmdline"]) if _keeps(each.info["cmdline"], sockets)]
        if len(masters) >= used.masters:
            used.masters, used.masters_memory = len(masters), sum(map(_size, masters))


def _keeps(argv: List[str] | None, sockets: str) -> bool:
    """Whether a process is one of ssh that keeps a connection of this play open: it calls itself by its socket."""
    return argv is not None and argv[:1] != [] and argv[0].startswith(f"ssh: {sockets}/")


def _size(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0
