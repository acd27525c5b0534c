"""A host of its own, in namespaces: a desk, and an attacker beside it. Run as root by test_attacker.py.

Takes a scenario's name, plays it, and prints one JSON line: {looked, host, before, ended, open}. No account is made:
uids that nobody has serve as well.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
PROJECT = TESTS.parent
for each in (str(TESTS), str(PROJECT / "library")):
    sys.path.insert(0, each)

import conftest  # noqa: E402, F401 - makes the project importable under Ansible's names
from integration.modules import run_module  # noqa: E402
from simulator.launch import SimulatedGateway  # noqa: E402

TRADER, MALLORY, BUS = 64_010, 64_011, 64_012
PORT = 4001
HELLO = b"API\0" + struct.pack(">I", 9) + b"v100..176"
#: Waits for a connection's descriptor on a socket and holds it, as dbus-daemon holds what it is sent.
HOLDER = """
import socket, time
listening = socket.socket(socket.AF_UNIX); listening.bind(%r); listening.listen(8)
import os; os.chmod(%r, 0o777)
held = []
while True:
    peer, _ = listening.accept()
    held.append(socket.recv_fds(peer, 1, 4)); peer.send(b"x")
"""
#: Opens API connections, hands them over, and lets go of them.
PARKER = """
import socket, time
for _ in range(3):
    api = socket.create_connection(("127.0.0.1", %d)); api.sendall(%r); api.recv(100)
    bus = socket.socket(socket.AF_UNIX); bus.connect(%r)
    socket.send_fds(bus, [b"x"], [api.fileno()]); bus.recv(1); api.close(); bus.close()
time.sleep(300)
"""
CHURN = "import os\nwhile True:\n    pid = os.fork()\n    if pid == 0: os._exit(0)\n    os.waitpid(pid, 0)\n"


class World:
    """The host. folder: everybody may enter it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hostile"))
        self.folder.chmod(0o755)
        self.started: dict[str, subprocess.Popen[bytes]] = {}
        # The interpreter may lie where only root may enter. The mount is this namespace's own and goes with it.
        self.python = self.folder / "python"
        self.python.mkdir()
        subprocess.run(["mount", "--bind", sys.base_prefix, str(self.python)], check=True, timeout=10)
        self.interpreter = str(self.python / "bin" / Path(os.path.realpath(sys.executable)).name)
        shutil.copytree(TESTS / "simulator", self.folder / "tests" / "simulator", symlinks=True)
        _loopback_up()

    def run(self, name: str, argv: list[str], uid: int, cwd: str = "/", executable: str | None = None) -> int:
        """Starts a program of an account."""
        process = subprocess.Popen(
            argv,
            env={"PYTHONHOME": str(self.python), "PATH": os.environ["PATH"]},
            cwd=cwd,
            executable=executable,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            user=uid,
            group=uid,
            extra_groups=[],
        )
        self.started[name] = process
        return process.pid

    def gateway(self, name: str, uid: int, **options: Any) -> int:
        """Starts something with a gateway's command line; whose it really is the uid says."""
        home = self.folder / name
        home.mkdir()
        jts = self.folder / "jts"  # the folder is the trader's, whoever names it
        jts.mkdir(exist_ok=True)
        os.chown(jts, TRADER, TRADER)
        made = SimulatedGateway(home, port=PORT, config_dir=jts, mode="live", exit_with=None, lifetime=120,
                                python=self.interpreter, **options)  # fmt: skip
        argv = [word.replace(str(PROJECT), str(self.folder)) for word in made.command()]
        os.chown(home, uid, uid)
        pid = self.run(name, argv, uid, cwd=str(jts) if uid == TRADER else "/")
        until(lambda: made.ready_file.exists())
        return pid

    def script(self, name: str, uid: int, code: str, *more: str) -> int:
        """Starts a Python program of an account under some command line."""
        return self.run(name, ["python3", "-c", code, *more], uid, executable=self.interpreter)

    def entry(self, **more: Any) -> dict[str, Any]:
        """The inventory's entry of the desk."""
        return {
            "name": "live",
            "trading_mode": "live",
            "port": PORT,
            "config_dir": str(self.folder / "jts"),
            "max_api_clients": 1,
            **more,
        }

    def remediate(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Runs the playbook as a user would; the report's host."""
        inventory = {"trading_hosts": {"hosts": {"desk": {"ansible_connection": "local", "ib_gateways": [entry]}}}}
        (self.folder / "inventory.json").write_text(json.dumps(inventory))
        settings = {
            "ib_report_dir": str(self.folder / "reports"),
            "ib_repair_state_dir": str(self.folder / "state"),
            "ib_gateway_diagnose_reset_regions": [],
            "ib_gateway_verify_soak": 0.2,
            "ansible_python_interpreter": sys.executable,
        }
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(self.folder / "inventory.json"),
             "remediate.yml", "-e", json.dumps(settings)],
            cwd=PROJECT, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        report = self.folder / "reports" / "fleet.json"
        assert report.exists(), done.stdout[-3000:] + done.stderr[-2000:]
        found: dict[str, Any] = json.loads(report.read_text())["hosts"][0]
        return found

    def alive(self) -> list[str]:
        """Who of those that were started has not ended."""
        return sorted(name for name, process in self.started.items() if process.poll() is None)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: IFF_UP, IFF_RUNNING


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    """Returns as soon as the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come to hold"
        time.sleep(0.02)


# --- what the attacker does -------------------------------------------------------------------------------------------


def fake_gateway(world: World) -> dict[str, Any]:
    """His own gateway on another address of the port, started first, so that its pid is the lower one."""
    world.gateway("fake", MALLORY, bind="127.0.0.2")
    world.gateway("real", TRADER, bind="127.0.0.1")
    return world.entry()


def fake_gateway_for_an_entry_with_an_account(world: World) -> dict[str, Any]:
    """The same, and the inventory says whose the gateway is."""
    world.gateway("fake", MALLORY, bind="127.0.0.2")
    world.gateway("real", TRADER, bind="127.0.0.1")
    return world.entry(user=str(TRADER))


def fake_gateway_alone(world: World) -> dict[str, Any]:
    """The real one is down, and his answers in its place."""
    world.gateway("fake", MALLORY)
    return world.entry(start_command=["/bin/false"], start_timeout=2)


def parked(world: World) -> dict[str, Any]:
    """API connections whose descriptors lie in another account's process, more than the gateway may have."""
    world.gateway("real", TRADER)
    path = str(world.folder / "shared" / "bus")
    (world.folder / "shared").mkdir()
    (world.folder / "shared").chmod(0o777)
    world.script("bus", BUS, HOLDER % (path, path))
    until(lambda: os.path.exists(path) and os.stat(path).st_mode & 0o002)
    world.script("parker", MALLORY, PARKER % (PORT, HELLO, path))
    until(lambda: _connections() >= 3)
    return world.entry()


def bait(world: World) -> dict[str, Any]:
    """Programs that the patterns name, of other accounts, while their pids are churned."""
    world.gateway("real", TRADER)
    for name, uid in (("bait", MALLORY), ("bus", BUS)):
        world.script(name, uid, "import time; time.sleep(300)", "trading_bot.py")
    world.script("churn", MALLORY, CHURN)
    return world.entry(client_patterns=["trading_bot"])


def _connections() -> int:
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:] + Path("/proc/net/tcp6").read_text().splitlines()[1:]
    return sum(row.split()[1].endswith(":%04X" % PORT) and row.split()[3] == "01" for row in rows)


SCENARIOS = {
    each.__name__: each
    for each in (fake_gateway, fake_gateway_for_an_entry_with_an_account, fake_gateway_alone, parked, bait)
}


def main() -> None:
    """Plays one."""
    world = World()
    try:
        entry = SCENARIOS[sys.argv[1]](world)
        before = world.alive()
        looked = run_module("ib_gateway_health", gateways=[{k: v for k, v in entry.items() if k != "start_command"}])
        host = world.remediate(entry)
        ended = sorted(set(before) - set(world.alive()))
        print(json.dumps({"looked": looked, "host": host, "before": before, "ended": ended, "open": _connections()}))
    finally:
        for process in world.started.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for process in world.started.values():
            process.wait()
        subprocess.run(["umount", "--lazy", str(world.python)], check=True, timeout=10)
        shutil.rmtree(world.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
