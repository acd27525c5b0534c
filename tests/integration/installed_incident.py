"""The seed incident, staged and repaired with the installed collection, from `/` and without ansible.cfg.

    python installed_incident.py FOLDER COLLECTIONS

Runs as whoever starts it, and uses the interpreter that it runs under for Ansible as well. Prints as JSON what came of
it: of both runs the exit code, the recap and the output, and whether scripts can connect before and after.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ansible.module_utils

PROJECT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(PROJECT / "tests"))
# For the desk alone; what is repaired with is started by itself, and has the collection only.
ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))

from simulator.launch import connect_once  # noqa: E402 - needs the path above

from integration.desk import Desk  # noqa: E402 - likewise

PLAYBOOK = "trading_ops.ib_gateway.remediate"
_CLIENT_ID = 15


def main(folder: Path, collections: Path) -> None:
    """Stages the incident, runs the playbook twice, and tells."""
    with ExitStack() as stack:
        desk = Desk(folder, stack)
        desk.gateway("close-listener-on-second", launcher="ibc")
        desk.gateway("no-listener")
        desk.gateway("no-listener", launcher="ibc")
        desk.script(client_id=_CLIENT_ID)
        told: dict[str, Any] = {"before": _connects(desk)}
        inventory = folder / "inventory.json"
        entry = desk.entry(client_patterns=[desk.scripts])
        # The account may have no home, which is where Ansible puts what it sends.
        local = {"ansible_connection": "local", "ansible_remote_tmp": str(folder / "sent")}
        host = {**local, "ansible_python_interpreter": sys.executable, "ib_gateways": [entry]}
        inventory.write_text(json.dumps({"trading_hosts": {"hosts": {"desk": host}}}))
        settings = {**desk.settings, "ib_report_dir": str(folder / "reports")}
        told["first"] = _play(collections, inventory, settings)
        told["after"] = _connects(desk)
        told["second"] = _play(collections, inventory, settings)
        told["report"] = json.loads((folder / "reports" / "fleet.json").read_text())
    json.dump(told, sys.stdout)


def _connects(desk: Desk) -> bool:
    return connect_once(desk.port, client_id=_CLIENT_ID, timeout=3).connected


def _play(collections: Path, inventory: Path, settings: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "ansible", "playbook", PLAYBOOK, "-i", str(inventory), "-e", json.dumps(settings)]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    environment = {**kept, "ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
    recap = re.search(r"^desk\s*: (ok=.*)$", done.stdout, re.MULTILINE)
    counters = dict(pair.split("=") for pair in recap[1].split()) if recap else {}
    return {"rc": done.returncode, "recap": counters, "output": done.stdout + done.stderr}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
