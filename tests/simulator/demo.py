"""`make demo`: breaks a simulated gateway on this machine, repairs it with remediate.yml, and runs that again.

Everything stays in `.demo/`, on a port of its own, under the account that started it. Whatever is still running when
this program ends, ends with it.
"""

import getpass
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List, NoReturn

import ansible.module_utils

PROJECT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(PROJECT / "tests"))
ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))

from ansible.module_utils.ib_fleet.document import fleet_document, plan_text  # noqa: E402 - needs the path above

from simulator.launch import CLIENTS, HeldSession, SimulatedGateway, connect_once, free_port  # noqa: E402 - likewise

FOLDER = PROJECT / ".demo"
CLIENT_ID = 15
_RECAP = re.compile(r"^demo\s+:.*$", re.MULTILINE)


def say(text: str = "") -> None:
    """One line, at once, so that the story keeps its order with what other programs print."""
    print(text, flush=True)


def give_up(text: str) -> NoReturn:
    """Ends the demo as a failure."""
    say(text)
    raise SystemExit(1)


def main() -> None:
    """Tells the incident and its repair."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended then as well
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    with ExitStack() as stack:
        port = free_port()
        broken = stage_incident(stack, port)
        say("== 1. The incident: three gateways, none serves, a forgotten script holds the only API connection")
        attempt(port, expected=False)
        write_variables(port, broken.command(faults=()))
        say("\n== 2. ansible-playbook remediate.yml -i inventory/demo")
        changed(remediate("first", show_plan=True))
        say("\n== 3. The same script again")
        attempt(port, expected=True)
        say("\n== 4. ansible-playbook remediate.yml -i inventory/demo, once more")
        if changed(remediate("second")):
            give_up("the second run changed something")
        say(f"\nReport: {relative(FOLDER / 'reports' / 'fleet.json')}   Full output: {relative(FOLDER)}/*.log")


def stage_incident(stack: ExitStack, port: int) -> SimulatedGateway:
    """Three gateways of one settings directory; the one that served has closed its listener."""

    def gateway(name: str, fault: str, launcher: str) -> SimulatedGateway:
        folder = FOLDER / name
        folder.mkdir()
        settings: Dict[str, Any] = {"config_dir": FOLDER / "jts", "port": port, "mode": "live", "launcher": launcher}
        return stack.enter_context(SimulatedGateway(folder, faults=[fault], **settings))

    serving = gateway("monday", "close-listener-on-second", "ibc")
    gateway("tuesday", "no-listener", "native")
    gateway("wednesday", "no-listener", "native")
    forgotten = FOLDER / "script" / "cleanup_positions.py"
    forgotten.parent.mkdir()
    forgotten.symlink_to(CLIENTS / "hold_session.py")
    stack.enter_context(HeldSession(forgotten.parent, port=port, client_id=CLIENT_ID, script=forgotten))
    return serving


def attempt(port: int, expected: bool) -> None:
    """A trading script's connect, with what it logs."""
    outcome = connect_once(port, client_id=CLIENT_ID, timeout=2)
    for line in outcome.log.splitlines():
        if line.startswith(("INFO:ib_insync.client:", "ERROR:ib_insync.client:")):
            say("   " + line.partition("client:")[2])
    if outcome.connected != expected:
        give_up(f"the script's connect was expected to {'work' if expected else 'fail'}, and did not")


def write_variables(port: int, start_command: List[str]) -> None:
    """What inventory/demo refers to."""
    variables = {
        "demo_port": port,
        "demo_user": getpass.getuser(),
        "demo_folder": str(FOLDER),
        "demo_start_command": start_command,
        "ib_report_dir": str(FOLDER / "reports"),
        "ib_repair_state_dir": str(FOLDER / "state"),
    }
    (FOLDER / "variables.json").write_text(json.dumps(variables), encoding="utf-8")


def remediate(name: str, show_plan: bool = False) -> str:
    """Runs the playbook, shows plan, recap and report, and returns its output."""
    command = ["ansible-playbook", "remediate.yml", "-i", "inventory/demo", "-e", f"@{FOLDER / 'variables.json'}"]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    (FOLDER / f"{name}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode:
        give_up(done.stdout + done.stderr)
    report = json.loads((FOLDER / "reports" / "fleet.json").read_text(encoding="utf-8"))
    if show_plan:
        say("PLAN")
        show(plan_text.lines(report["hosts"][0]["before"]))
    say("PLAY RECAP")
    show([recap(done.stdout)])
    say("REPORT")
    show(fleet_document.lines(report))
    return done.stdout


def recap(output: str) -> str:
    """The recap's line of the one host."""
    found = _RECAP.search(output)
    return " ".join(found.group(0).split()) if found else give_up("the run has no recap")


def changed(output: str) -> bool:
    """Whether the run changed anything."""
    return "changed=0" not in recap(output)


def show(lines: List[str]) -> None:
    """Lines with this project's folder shortened, so that they fit a terminal."""
    for line in lines:
        say("   " + line.replace(str(PROJECT) + "/", ""))


def relative(path: Path) -> str:
    """A path as seen from the project's root."""
    return str(path.relative_to(PROJECT))


if __name__ == "__main__":
    main()
