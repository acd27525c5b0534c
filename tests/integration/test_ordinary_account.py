"""A run that is not root's: an ordinary account that owns the gateways does the whole repair, or no step of it."""

from __future__ import annotations

import functools
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from integration.desk import PROJECT, Desk, alive, local, until

OWNER, OTHER = "nobody", "daemon"
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root to become others"),
]


def as_account(name: str, *command: str) -> list[str]:
    """A command of that account; the process becomes it before it runs the command."""
    return ["setpriv", f"--reuid={name}", "--regid=65534", "--clear-groups", "--inh-caps=-all", *command]


def _may(text: str) -> bool:
    """Whether the account's shell can do something."""
    return subprocess.run(as_account(OWNER, "sh", "-c", text), check=False, capture_output=True).returncode == 0


@functools.cache
def python() -> str | None:
    """A Python that the account may run: this one may lie in a folder of root's."""
    return next((each for each in (sys.executable, "/usr/bin/python3") if _may(f"{each} -c 'import ctypes'")), None)


@pytest.fixture
def theirs() -> Iterator[Desk]:
    """A desk in a folder of the account's own, with this project where the account can read it."""
    if not (_may(f"test -r {PROJECT / 'remediate.yml'}") and python()):
        pytest.skip("the project, or every Python, is closed to other accounts")
    folder = Path(tempfile.mkdtemp(prefix="ordinary-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with ExitStack() as stack:
            yield Desk(folder, stack)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def gateway(desk: Desk, *faults: str) -> int:
    """The pid of a gateway of the account."""
    prepared = desk.prepared(*faults, python=python())
    command = prepared.command()
    own(desk)
    desk.bystander(*as_account(OWNER, *command))
    until(prepared.ready_file.exists)
    return prepared.gateway_pid


def give(folder: Path, account: str) -> None:
    """Gives a folder and what is in it to an account; what links lead to stays whose it is."""
    for path in [folder, *folder.rglob("*")]:
        os.lchown(path, pwd.getpwnam(account).pw_uid, -1)


def own(desk: Desk) -> None:
    """Gives the account all that lies in the desk's folder."""
    give(desk.folder, OWNER)


def play(desk: Desk, account: str, **changes: Any) -> tuple[int, str, dict[str, Any]]:
    """(exit code, output, the host in the report) of a repair as an account."""
    home = desk.folder / account
    home.mkdir(exist_ok=True)
    start = desk.prepared(python=python()).command()
    told = desk.entry(start_timeout=20, start_command=start, **changes)
    entry = {key: value for key, value in told.items() if value is not None}
    host = local(ib_gateways=[entry], ansible_remote_tmp=str(home / "remote"), ansible_python_interpreter=python())
    (home / "inventory.json").write_text(
        json.dumps({"trading_hosts": {"hosts": {"desk": host}}}),
        encoding="utf-8",
    )
    own(desk)
    give(home, account)
    settings = {**desk.settings, "ib_report_dir": str(home / "reports"), "ib_repair_state_dir": str(home / "state")}
    program = str(Path(sys.executable).parent / "ansible-playbook")
    done = subprocess.run(
        as_account(account, program, "-i", str(home / "inventory.json"), "remediate.yml", "-e", json.dumps(settings)),
        cwd=PROJECT,
        env={**os.environ, "HOME": str(home), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCAL_TEMP": str(home / "tmp")},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    document = home / "reports" / "fleet.json"
    assert document.exists(), done.stdout + done.stderr
    assert json.loads(document.read_text())["hosts"][0]["before"], done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr, json.loads(document.read_text())["hosts"][0]


def steps(host: dict[str, Any]) -> list[str]:
    (found,) = host["before"]["gateways"]
    return [each["action"] for each in found["plan"]["steps"]]


def test_the_account_that_owns_the_gateway_repairs_it_whole_and_a_second_run_changes_nothing(theirs: Desk) -> None:
    stalled = gateway(theirs, "stall")
    rc, output, host = play(theirs, OWNER, user=OWNER)
    assert (rc, steps(host), alive(stalled)) == (0, ["restart"], False), output
    (serving,) = theirs.listening()
    assert psutil.Process(serving).username() == OWNER
    rc, output, host = play(theirs, OWNER, user=OWNER)
    assert (rc, steps(host), theirs.listening()) == (0, [], [serving]), output


@pytest.mark.parametrize(
    ("account", "user"), [(OTHER, OWNER), (OTHER, None), (OWNER, None)], ids=["another", "another, unnamed", "unnamed"]
)
def test_an_account_that_cannot_do_the_whole_repair_does_nothing(theirs: Desk, account: str, user: str | None) -> None:
    stalled = gateway(theirs, "stall")
    rc, output, host = play(theirs, account, user=user)
    (found,) = host["before"]["gateways"]
    assert rc == 2 and steps(host) == [] and alive(stalled), output
    said = " ".join([*found["plan"]["withheld"], *(each["summary"] for each in found["findings"])])
    assert "become" in said, found
