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
import textwrap
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List, NoReturn

PROJECT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(PROJECT / "tests"))

from simulator.launch import CLIENTS, HeldSession, SimulatedGateway, connect_once, free_port  # noqa: E402 - needs the path

FOLDER = PROJECT / ".demo"
CLIENT_ID = 15
INDENT = "   "
_RECAP = re.compile(r"^\s*demo\s+:.*$", re.MULTILINE)


def say(text: str = "") -> None:
    """One line, at once, so that the story keeps its order with what other programs print."""
    print(text, flush=True)


def title(text: str) -> None:
    """What comes next; a terminal would break the line within a word."""
    say(textwrap.fill(text, shutil.get_terminal_size().columns, subsequent_indent=INDENT))


def give_up(text: str) -> NoReturn:
    """Ends the demo as a failure."""
    say(text)
    raise SystemExit(1)


def main() -> None:
    """Tells the incident and its repair."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended then as well
    shutil.rmtree(FOLDER, ignore_errors=True)
    try:
        FOLDER.mkdir()
    except OSError as error:  # of another account's folder, or with what another account's demo has left
        give_up(f"The demo writes to {FOLDER}, which cannot be made: {error.strerror}. Run it as who owns that folder.")
    with ExitStack() as stack:
        port = free_port()
        broken = stage_incident(stack, port)
        title("== 1. The incident: three gateways, none serves, a forgotten script holds the only API connection")
        attempt(port, expected=False)
        write_variables(port, broken.command(faults=()))
        say("\n== 2. ansible-playbook remediate.yml -i inventory/demo")
        changed(remediate("first"))
        say("\n== 3. The same script again")
        attempt(port, expected=True)
        say("\n== 4. ansible-playbook remediate.yml -i inventory/demo, once more")
        if changed(remediate("second")):
            give_up("the second run changed something")
        say(f"\nWhat was told: {relative(FOLDER)}/*.log")


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
            say(INDENT + line.partition("client:")[2])
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


def remediate(name: str) -> str:
    """Runs the playbook as a person would, shows what it tells line by line, and returns that."""
    command = ["ansible-playbook", "remediate.yml", "-i", "inventory/demo", "-e", f"@{FOLDER / 'variables.json'}"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")}
    environment["COLUMNS"] = str(shutil.get_terminal_size().columns - len(INDENT))
    if sys.stdout.isatty() and "NO_COLOR" not in environment:
        environment["ANSIBLE_FORCE_COLOR"] = "1"
    told = []
    with subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            told.append(line)
            say((INDENT + line.rstrip().replace(str(PROJECT) + "/", "")).rstrip())
    output = "".join(told)
    (FOLDER / f"{name}.log").write_text(output, encoding="utf-8")
    if run.returncode:
        give_up(f"the run ended with exit code {run.returncode}")
    return output


def changed(output: str) -> bool:
    """Whether the run changed anything, by its recap."""
    found = _RECAP.search(output)
    return "changed=0" not in (found.group(0) if found else give_up("the run has no recap"))


def relative(path: Path) -> str:
    """A path as seen from the project's root."""
    return str(path.relative_to(PROJECT))


if __name__ == "__main__":
    main()
