"""The seed incident: three gateways of which none serves, and a forgotten script that holds the slot."""

from __future__ import annotations

import contextlib
import getpass
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "tests"))

from simulator.launch import HeldSession, SimulatedGateway, free_port  # noqa: E402 - needs the path above

START_TIMEOUT = 4
_KNOCK = "import socket, time; s = socket.create_connection(('127.0.0.1', %d)); time.sleep(0.2)"


@dataclass(frozen=True)
class Scene:
    """What there is: a folder to write in, the API port, the gateways and the script, and how a gateway is started.

    start: seconds from a gateway's start to its open port. gateways: the first is the one that has served.
    """

    folder: Path
    port: int
    start: float
    gateways: List[SimulatedGateway]
    script: HeldSession
    start_command: List[str]

    def entry(self) -> Dict[str, Any]:
        """The inventory's entry for it."""
        return {
            "name": "live",
            "trading_mode": "live",
            "port": self.port,
            "user": getpass.getuser(),
            "config_dir": str(self.folder / "jts"),
            "start_command": self.start_command,
            "start_timeout": START_TIMEOUT,
            "client_patterns": [r"hold_session\.py"],
        }


@contextlib.contextmanager
def incident() -> Iterator[Scene]:
    """The incident, old enough that nobody waits for a start any more; everything of it ends with the block."""
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder = Path(temporary)
        port = free_port()

        def gateway(name: str, *faults: str, launcher: str = "native") -> SimulatedGateway:
            (folder / name).mkdir()
            options: Dict[str, Any] = {"port": port, "config_dir": folder / "jts", "mode": "live", "launcher": launcher}
            return SimulatedGateway(folder / name, faults=faults, **options)

        began = time.monotonic()
        with gateway("measured"):
            start = time.monotonic() - began
        gateways = [
            gateway("monday", "close-listener-on-second", launcher="ibc"),
            gateway("tuesday", "no-listener"),
            gateway("wednesday", "no-listener"),
        ]
        for each in gateways:
            stack.enter_context(each)
        (folder / "script").mkdir()
        script = stack.enter_context(HeldSession(folder / "script", port=port, client_id=15))
        # The second connection is what makes the first gateway close its listener.
        subprocess.run([sys.executable, "-c", _KNOCK % port], check=True)
        # Nobody calls for a repair before a start's time is up, and until then a gateway is only waited for.
        time.sleep(START_TIMEOUT + 0.5)
        # What a repair starts is nobody's child here: it ends with this process, which ends with the scene.
        end = stack.enter_context(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
        stack.callback(end.kill)
        command = gateways[0].command(faults=(), exit_with=end.pid)
        yield Scene(folder, port, start, gateways, script, command)
