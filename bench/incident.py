"""Rows: the seed incident, from the play's start to the proof, and what monit and a Watchdog make of it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Dict, List

from bench import rivals
from bench.rounds import Row
from bench.scene import PROJECT, Scene, incident

_ROUNDS = 3
#: The play that follows the proof.
_PROVEN = "PLAY [Write down"
#: The shortest soak that the proof after a repair allows.
_SOAK = 0
_LOOKS = 1
_WHAT = "seed incident, from the play's start to proven healthy, without the gateway's own start"


def incident_rows() -> List[Row]:
    """Three gateways of which none serves and a forgotten script; the one that stays is started anew."""
    others: Dict[str, Callable[[Scene], float]] = {"ib_insync's Watchdog": rivals.watchdog}
    missing = rivals.why_no_monit()
    if not missing:
        others["monit, looking each second"] = rivals.monit
    seconds: Dict[str, List[float]] = {name: [] for name in ("", *others)}
    leaves: Dict[str, str] = {}
    for _ in range(_ROUNDS):
        for name in seconds:
            with incident() as scene:
                seconds[name].append((others[name] if name else _play)(scene) - scene.start)
                leaves[name] = rivals.left(scene)
    ours = statistics.median(seconds[""])
    note = (
        f"half a minute of it is the wait for the closed port; soak {_SOAK} s and {_LOOKS} look after the repair, "
        f"the usual soak comes on top. It leaves {leaves['']}"
    )
    rows = [Row("incident", _WHAT, "", "s", ours, at_most=36.0, absolute=True, note=note)]
    for name in others:
        note = f"until a session can be opened; {name} leaves {leaves[name]}"
        rows.append(Row("incident", _WHAT, name, "s", ours, statistics.median(seconds[name]), note=note))
    if missing:
        rows.append(Row("incident", _WHAT, "monit, looking each second", "s", note=f"not measured: {missing}"))
    return rows


def _play(scene: Scene) -> float:
    """Runs remediate.yml; gives the seconds until the play that follows the proof begins."""
    folder = scene.folder
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ib_gateways": [scene.entry()]}
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
    # When it was proven is read from the names of the plays.
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_STDOUT_CALLBACK": "default"}
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
