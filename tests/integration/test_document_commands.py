"""Each document's commands, run as they are written: on one healthy desk, in a folder that looks like a checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.desk import PROJECT, Desk, local

#: Commands that are not run here, by how they begin, and what runs them instead or why nothing can.
ELSEWHERE = {
    r"make setup": "every run of the tests begins with it",
    r"make demo": "the demo's incident is in test_seed_incident.py and test_collection.py",
    r"make (setup && make )?doctor": "test_doctor.py",
    r"make notices": "the development environment has what it installs; test_notices.py",
    r"ansible-vault create": "opens an editor",
    r"ansible-playbook playbooks/doctor\.yml( -i desk1\S+ -u ops -b)?$": "this machine, or SSH: the lab",
    r"(\.venv/bin/)?ansible-playbook remediate\.yml -i desk\.yml": "of the doctor's file: test_doctor.py",
    r"ansible-playbook playbooks/install_client_kit\.yml": "test_client_kit_install.py",
    r"pip install roles/ib_client_kit/package": "test_client_kit_package.py",
    r"ansible-playbook playbooks/install_(host_runtime|self_heal)\.yml": "the lab's scenarios of that name",
    r"(systemctl|journalctl) .*ib-self-heal": "the lab's host; here there may be no systemd",
    r"(python3 -m venv )?/opt/ib-events": "make events",
    r"PATH=\S+ /opt/ib-events": "make events",
    r"export ANSIBLE_COLLECTIONS_PATH": "test_collection.py",
    r"curl .* http://127\.0\.0\.1:5057/endpoint": "make events",
    r"(ansible-galaxy|ansible-doc|pip install -r|ansible-playbook trading_ops)": "test_collection.py",
    r"ansible-(runner|navigator) ": "test_collection_runners.py",
    r"(make collection$|ansible-builder )": "test_collection_runners.py; the image's base is in a registry",
    r"(awx|curl --fail) ": "needs an AWX",
    r"(\.venv/bin/pip install mitogen|export ANSIBLE_STRATEGY)": "test_mitogen.py",
}
_BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_REMARK = re.compile(r"\s+#\s.*$")


def commands() -> Iterator[tuple[str, str]]:
    """(document, command): each of them, on one line and without what is remarked beside it."""
    for path in sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("roles/*/README.md")]):
        for _indent, block in _BLOCK.findall(path.read_text(encoding="utf-8")):
            lines = block.replace("\\\n", " ").splitlines()
            shown = any(line.startswith("$ ") for line in lines)
            for line in lines:
                if line.strip() and (line.startswith("$ ") or not shown):
                    yield str(path.relative_to(PROJECT)), " ".join(_REMARK.sub("", line.removeprefix("$ ")).split())


def elsewhere(command: str) -> bool:
    return any(re.match(pattern, command) for pattern in ELSEWHERE)


ALL = sorted({command: document for document, command in commands()}.items())
RUN = [(command, document) for command, document in ALL if not elsewhere(command)]


def test_what_is_run_elsewhere_is_still_in_a_document() -> None:
    assert len(RUN) > 20
    for pattern in ELSEWHERE:
        assert any(re.match(pattern, command) for command, _document in ALL), pattern


@pytest.fixture
def checkout(desk: Desk) -> Path:
    """A folder with all that a checkout has, reports of its own, and an inventory of one healthy desk."""
    folder = desk.folder / "checkout"
    folder.mkdir()
    for each in PROJECT.iterdir():
        if each.name not in ("reports", "slices", ".git"):
            (folder / each.name).symlink_to(each)
    desk.gateway()
    host = local(ib_gateways=[desk.entry()])
    hosts = {"desk1.example.com": host}
    (folder / "INVENTORY").write_text(json.dumps({"trading_hosts": {"hosts": hosts, "vars": desk.settings}}))
    return folder


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Types it in a shell that has activated the environment, as docs/operations.md says."""
    ours = {**os.environ, "ANSIBLE_NOCOLOR": "1", "PATH": f"{folder / '.venv' / 'bin'}:{os.environ['PATH']}"}
    words = ["bash", "-c", command]
    return subprocess.run(words, cwd=folder, env=ours, capture_output=True, text=True, timeout=170, check=False)


def staged(desk: Desk, folder: Path, command: str) -> str:
    """Makes what a command reads, and puts this desk's ports and folders for those of a real one."""
    sweep = "ansible-playbook playbooks/health_sweep.yml -i INVENTORY"
    if re.search(r"reports/|slices|ib_compare_with", command):
        assert run(folder, sweep).returncode == 0
        for other in ("monday", "slices/one"):
            (folder / other).mkdir(parents=True)
            shutil.copy(folder / "reports" / "fleet.json", folder / other / "fleet.json")
    swept: Any = re.search(r"ib_compare_with=(\d{4}\S+)", command)
    if swept:
        document = json.loads((folder / "reports" / "fleet.json").read_text())
        command = command.replace(swept[1], document["generated_at"][: len(swept[1])])
    if "journal.jsonl" in command:
        for pid in desk.java():
            os.kill(pid, signal.SIGKILL)
        assert run(folder, "ansible-playbook remediate.yml -i INVENTORY").returncode == 0
    (folder / "scripts").mkdir()
    (folder / "scripts" / "plain.py").write_text("print('no client')\n")
    given = {
        "port=4001": f"port={desk.port}",
        "--port 4002": f"--port {desk.port}",
        "/var/lib/ib-gateway-repair": desk.settings["ib_repair_state_dir"],
        "cd PROJECT": f"cd {folder}",
        "=DIR": f"={folder / 'reports'}",
        '["/srv/trading"]': json.dumps([str(folder / "scripts")]),
        "make ": "make -o .venv/.installed ",
    }
    for written, here in given.items():
        command = command.replace(written, here)
    return command


@pytest.mark.parametrize(("command", "document"), RUN)
def test_a_command_of_a_document_works_as_it_is_written(
    desk: Desk, checkout: Path, command: str, document: str
) -> None:
    if command.startswith("jq ") and not shutil.which("jq"):
        pytest.skip("jq is not installed")
    done = run(checkout, staged(desk, checkout, command))
    assert done.returncode == 0, f"{document}: {done.stdout}{done.stderr}"
    assert not re.search(r"\[ERROR\]|\[DEPRECATION|Traceback|command not found", done.stdout + done.stderr), done.stdout
