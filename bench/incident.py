"""Row: the seed incident, from the play's start to the proof."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import List, Tuple

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "tests"))

from simulator.launch import HeldSession, SimulatedGateway, free_port  # noqa: E402 - needs the path above

from bench.rounds import Row  # noqa: E402 - likewise

_ROUNDS = 3
_PROVEN = "PLAY [Write down"
_START_TIMEOUT = 4
#: The shortest soak that the proof after a repair allows.
_SOAK = 0
_LOOKS = 1


def incident_rows() -> List[Row]:
    """Three gateways of which none serves and a forgotten script; the one that stays is started anew."""
    runs = sorted(_once() for _ in range(_ROUNDS))
    seconds, start = runs[len(runs) // 2]
    return [
        Row(
            "incident",
            "seed incident, from the play's start to proven healthy, without the gateway's own start",
            "",
            "s",
            seconds - start,
            at_most=6.0,
            absolute=True,
            note=f"soak {_SOAK} s and {_LOOKS} look after the repair; the usual soak comes on top. "
            "monit and ib_insync's Watchdog have no such run: neither ends duplicates or scripts that hold the slot",
        )
    ]


def _once() -> Tuple[float, float]:
    """(seconds to the proof, seconds a gateway takes to start)."""
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        port = free_port()

        def gateway(name: str, *faults: str, launcher: str = "native") -> SimulatedGateway:
            (folder / name).mkdir()
            options = {"port": port, "config_dir": folder / "jts", "mode": "live", "launcher": launcher}
            return SimulatedGateway(folder / name, faults=faults, **options)  # type: ignore[arg-type]

        began = time.monotonic()
        with gateway("measured"):
            start = time.monotonic() - began
        serving = stack.enter_context(gateway("monday", "close-listener-on-second", launcher="ibc"))
        stack.enter_context(gateway("tuesday", "no-listener"))
        stack.enter_context(gateway("wednesday", "no-listener"))
        (folder / "script").mkdir()
        stack.enter_context(HeldSession(folder / "script", port=port, client_id=15))
        # The second connection is what makes the first gateway close its listener.
        subprocess.run([sys.executable, "-c", _KNOCK % port], check=True)
        # Nobody calls for a repair before a start's time is up, and until then a gateway is only waited for.
        time.sleep(_START_TIMEOUT + 0.5)
        entry = {
            "name": "live",
            "trading_mode": "live",
            "port": port,
            "user": getpass.getuser(),
            "config_dir": str(folder / "jts"),
            "start_command": serving.command(faults=(), exit_with=os.getpid()),
            "start_timeout": _START_TIMEOUT,
            "client_patterns": [r"hold_session\.py"],
        }
        return _play(folder, entry), start


_KNOCK = "import socket, time; s = socket.create_connection(('127.0.0.1', %d)); time.sleep(0.2)"


def _play(folder: Path, entry: dict[str, object]) -> float:
    """Runs remediate.yml; gives the seconds until the play that follows the proof begins."""
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ib_gateways": [entry]}
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"trading_hosts": {"hosts": {"desk": host}}}), encoding="utf-8")
    options = {
        "ib_report_dir": str(folder / "reports"),
        "ib_gateway_diagnose_reset_regions": [],
        "ib_gateway_verify_soak": _SOAK,
        "ib_gateway_verify_looks": _LOOKS,
        "ib_repair_state_dir": str(folder / "state"),
    }
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), "remediate.yml"]
    proven, said = 0.0, []
    began = time.monotonic()
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    with subprocess.Popen(
        [*argv, "-e", json.dumps(options)],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as play:
        assert play.stdout
        for line in play.stdout:
            said.append(line)
            if line.startswith(_PROVEN) and not proven:
                proven = time.monotonic() - began
    try:
        status = json.loads((folder / "reports" / "fleet.json").read_text(encoding="utf-8"))["hosts"][0]["status"]
    except FileNotFoundError:
        status = "not told"
    if status != "healthy" or not proven:
        raise RuntimeError(f"the incident was not repaired ({status}):\n{''.join(said)}")
    return proven
