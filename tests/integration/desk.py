"""A trading desk on this machine: simulated gateways, real scripts, an inventory, and playbook runs against it all."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil
from ansible.module_utils.ib_gateway.observe import processes
from simulator.launch import CLIENTS, HeldSession, SimulatedGateway, free_port
from simulator.program import python_home

PROJECT = Path(__file__).resolve().parent.parent.parent
_RECAP = re.compile(r"^\s*(\S+)\s*:\s+(ok=.*)$", re.MULTILINE)
_PLAYBOOK_LIMIT = 170


@dataclass(frozen=True)
class Run:
    """One playbook run: its exit code, its output, its recap by host, and the report it wrote, if any."""

    rc: int
    output: str
    report: dict[str, Any] = field(repr=False, default_factory=dict)

    def recap(self, host: str = "desk") -> dict[str, int]:
        """The counters of one host; no host, no counters."""
        rows = {name: row for name, row in _RECAP.findall(self.output)}
        return {key: int(value) for key, value in (pair.split("=") for pair in rows[host].split())}

    def host(self, name: str = "desk") -> dict[str, Any]:
        """The host's part of the report."""
        found: dict[str, Any] = next(each for each in self.report["hosts"] if each["name"] == name)
        return found

    def codes(self, name: str = "desk", when: str = "before") -> set[str]:
        """The codes that were found on a host, before or after the repair."""
        return {finding["code"] for gateway in self.host(name)[when]["gateways"] for finding in gateway["findings"]}


class Desk:
    """One host with its gateways; everything it starts ends with it, and what a repair started as well."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.port = free_port()
        self.config_dir = folder / "jts"
        # One that is not there would look mistyped beside the gateway of a test that runs at the same time.
        self.config_dir.mkdir(parents=True, exist_ok=True)
        #: Gateways that an earlier look is said to have seen serve, as a look takes them.
        self.known_served: list[dict[str, int]] = []
        self._stack = stack
        self._count = 0
        # A simulated gateway knows no broker: the hour at which the tests run must not explain its faults. The soak is
        # short; what it proves has a test of its own.
        self.settings: dict[str, Any] = {
            "ib_gateway_diagnose_reset_regions": [],
            "ib_gateway_verify_soak": 0.4,
            # What a deaf gateway is given beyond the timeout has tests of its own.
            "ib_gateway_diagnose_probe_patience": 0,
            "ib_gateway_repair_probe_patience": 0,
            "ib_repair_state_dir": str(folder / "state"),
        }
        stack.callback(self._end_leftovers)

    def gateway(self, *faults: str, **options: Any) -> SimulatedGateway:
        """Starts one more gateway of this desk's settings directory."""
        gateway = self.prepared(*faults, **options)
        self._stack.callback(gateway.stop, timeout=0.5)
        return gateway.start()

    def prepared(self, *faults: str, **options: Any) -> SimulatedGateway:
        """A gateway that is not started: its command() serves as a start_command."""
        self._count += 1
        folder = self.folder / ("gateway%d" % self._count)
        folder.mkdir(parents=True)
        settings = {"port": self.port, "config_dir": self.config_dir, "mode": "live", "lifetime": 300, **options}
        return SimulatedGateway(folder, faults=faults, **settings)

    def has_served(self, *pids: int) -> None:
        """From now on looks take these gateways for ones that have served; a real one has, before its port closed."""
        for pid in pids:
            stat = processes.read_stat(pid)
            assert stat is not None
            self.known_served.append({"pid": pid, "started_ticks": stat.started_ticks})

    def script(
        self, port: int | None = None, client_id: int = 15, extra: tuple[str, ...] = (), host: str = "127.0.0.1"
    ) -> HeldSession:
        """Starts a real trading script that holds its session; host: where it finds the gateway."""
        self._count += 1
        folder = self.folder / ("script%d" % self._count)
        folder.mkdir()
        link = folder / "hold_session.py"
        link.symlink_to(CLIENTS / "hold_session.py")
        session = HeldSession(folder, port=port or self.port, client_id=client_id, host=host, extra=extra, script=link)
        self._stack.callback(session.stop, timeout=0.5)
        return session.start()

    @property
    def scripts(self) -> str:
        """A pattern for client_patterns that names this desk's scripts, and nobody else's on this machine."""
        return re.escape(str(self.folder)) + r"/script\d+/hold_session\.py"

    def bystander(
        self,
        *argv: str,
        executable: str | None = None,
        output: IO[bytes] | int = subprocess.DEVNULL,
        input_: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Starts any other program; `executable` is what runs where argv[0] says something else."""
        environment = os.environ if executable is None else {**os.environ, **python_home(executable)}
        process = subprocess.Popen(argv, executable=executable, env=environment, stdin=input_, stdout=output)
        self._stack.callback(_end, process)
        return process

    def entry(self, **changes: Any) -> dict[str, Any]:
        """The inventory entry of this desk's live gateway; by default started anew in good health."""
        start = self.prepared().command()
        return {
            "name": "live",
            "trading_mode": "live",
            "port": self.port,
            "user": psutil.Process().username(),
            "config_dir": str(self.config_dir),
            "start_command": start,
            "start_timeout": 5,
            "max_api_clients": 1,
            **changes,
        }

    def play(self, playbook: str, *options: str, inventory: Any = None, **entry: Any) -> Run:
        """Runs a playbook against this desk, or against another inventory, as a user would."""
        hosts = inventory
        if hosts is None:
            hosts = {"trading_hosts": {"hosts": {"desk": local(ib_gateways=[self.entry(**entry)])}}}
        path = self.folder / "inventory.json"
        path.write_text(json.dumps(hosts))
        reports = self.folder / "reports"
        (reports / "fleet.json").unlink(missing_ok=True)
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(path), playbook]
        done = subprocess.run(
            [*command, "-e", json.dumps({"ib_report_dir": str(reports), **self.settings}), *options],
            cwd=PROJECT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "COLUMNS": os.environ.get("DESK_COLUMNS", "1000")},
            capture_output=True,
            text=True,
            timeout=_PLAYBOOK_LIMIT,
            check=False,
        )
        report = json.loads((reports / "fleet.json").read_text()) if (reports / "fleet.json").exists() else {}
        return Run(done.returncode, done.stdout + done.stderr, report)

    def listening(self, port: int | None = None) -> list[int]:
        """The pids that listen on a port, by psutil: a witness that shares no code with the project.

        Process by process, because psutil's table of the whole host names only one holder of a socket.
        """
        return sorted(each.pid for each in psutil.process_iter() if (port or self.port) in _listening(each))

    def listener(self, name: str = sys.executable) -> subprocess.Popen[bytes]:
        """Starts a program that is no gateway and listens on this desk's port; `name` is its argv[0]."""
        code = "import socket, time; s = socket.create_server(('127.0.0.1', %d)); time.sleep(300)" % self.port
        process = self.bystander(name, "-c", code, executable=sys.executable)
        until(self.listening)
        return process

    def java(self) -> list[int]:
        """The pids of this desk's gateways, by psutil."""
        return gateways_in(self.config_dir)

    def _end_leftovers(self) -> None:
        """Ends what a repair started here: it is nobody's child, so it is known by this desk's own folder."""
        for pid in self.java():
            try:
                psutil.Process(pid).send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue


def gateways_in(config_dir: Path | str) -> list[int]:
    """The pids of the gateways with these settings, as this machine numbers them, by psutil."""
    mark = "-DjtsConfigDir=%s" % config_dir
    return sorted(each.pid for each in psutil.process_iter() if mark in _argv(each) and _alive(each))


def local(**variables: Any) -> dict[str, Any]:
    """A host that is this machine."""
    return {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **variables}


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Returns as soon as the condition holds; fails the test when it does not come to hold in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not come to hold within {seconds} s"
        time.sleep(0.01)


def halt(pid: int) -> None:
    """Stops a process by SIGSTOP, and returns once the kernel says so."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return _alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _listening(process: psutil.Process) -> set[int]:
    try:
        rows = process.net_connections("tcp")
    except psutil.Error:
        return set()
    return {row.laddr.port for row in rows if row.status == psutil.CONN_LISTEN}


def _argv(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
