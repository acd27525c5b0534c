"""The role that installs the kit: check mode, second run, what a script then finds, and removal."""

from __future__ import annotations

import grp
import json
import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from simulator.launch import SimulatedGateway

from integration.desk import Desk, Run, local

PLAYBOOK = "playbooks/install_client_kit.yml"
SCRIPT = """
import ib_connect, sys
with ib_connect.connect("live") as ib:
    sys.exit(0 if ib.reqCurrentTime() and ib_connect.__file__.startswith(sys.argv[1]) else 3)
"""


class Host:
    """This machine as a host on which the kit goes into a folder of the test."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.root = desk, desk.folder / "host"
        self.kit, self.profiles = self.root / "lib" / "ib_connect.py", self.root / "etc" / "profiles.json"
        self.locks, self.site = self.root / "run" / "ib-connect", self.root / "site"
        self.site.mkdir(parents=True)

    def play(self, *options: str, **variables: Any) -> Run:
        settings = {
            "ib_client_kit_dir": str(self.kit.parent),
            "ib_client_kit_profiles_file": str(self.profiles),
            "ib_client_kit_lock_dir": str(self.locks),
            "ib_client_kit_tmpfiles": str(self.root / "tmpfiles.conf"),
            "ib_client_kit_pth_dirs": [str(self.site)],
            "ib_client_kit_owner": pwd.getpwuid(os.getuid()).pw_name,
            "ib_client_kit_group": grp.getgrgid(os.getgid()).gr_name,
            "ib_gateways": [
                {"name": "live", "trading_mode": "live", "port": self.desk.port, "max_api_clients": 2},
                {"name": "paper", "trading_mode": "paper"},
            ],
            **variables,
        }
        return self.desk.play(PLAYBOOK, *options, inventory={"trading_hosts": {"hosts": {"desk": local(**settings)}}})

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())


@pytest.fixture
def host(desk: Desk) -> Host:
    return Host(desk)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_check_mode_tells_what_the_run_does_and_the_second_run_changes_nothing(host: Host) -> None:
    predicted = host.play("--check", "--diff")
    assert predicted.rc == 0, predicted.output
    assert host.files() == [] and "max_api_clients" in predicted.output
    first = host.play()
    assert first.rc == 0, first.output
    assert first.recap()["changed"] == predicted.recap()["changed"] > 0
    assert {"lib/ib_connect.py", "etc/profiles.json", "site/ib_connect.pth"} <= set(host.files())
    assert (mode(host.kit), mode(host.profiles), mode(host.locks)) == (0o644, 0o644, 0o1777)
    assert json.loads(host.profiles.read_text(encoding="utf-8")) == {
        "lock_dir": str(host.locks),
        "profiles": {
            "live": {"host": "127.0.0.1", "port": host.desk.port, "mode": "live", "max_api_clients": 2},
            "paper": {"host": "127.0.0.1", "port": 4002, "mode": "paper", "max_api_clients": 32},
        },
    }
    second = host.play()
    assert (second.rc, second.recap()["changed"]) == (0, 0), second.output


def test_a_script_finds_the_kit_its_profile_and_its_locks(host: Host) -> None:
    gateway: SimulatedGateway = host.desk.gateway()
    assert host.play().rc == 0
    path = (host.site / "ib_connect.pth").read_text(encoding="utf-8").strip()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(host.root)],
        env={
            **os.environ,
            "PYTHONPATH": path,
            "IB_CONNECT_PROFILES": str(host.profiles),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert gateway.port == host.desk.port and list(host.locks.iterdir()) == []


def test_absent_removes_what_present_made_and_nothing_else(host: Host) -> None:
    assert host.play().rc == 0
    own = host.kit.parent / "strategy.py"
    own.touch()
    absent = ("-e", "ib_client_kit_state=absent")
    predicted = host.play("--check", *absent)
    assert predicted.rc == 0 and host.kit.exists()
    removed = host.play(*absent)
    assert removed.rc == 0, removed.output
    assert removed.recap()["changed"] == predicted.recap()["changed"] > 0
    assert host.files() == ["lib/strategy.py"] and not host.locks.exists()
    assert host.play(*absent).recap()["changed"] == 0


def test_a_lock_folder_by_another_name_is_not_removed(host: Host) -> None:
    shared = host.root / "shared"
    assert host.play(ib_client_kit_lock_dir=str(shared)).rc == 0
    (shared / "somebody's").touch()
    assert host.play("-e", "ib_client_kit_state=absent", ib_client_kit_lock_dir=str(shared)).rc == 0
    assert (shared / "somebody's").exists()


def test_an_inventory_that_cannot_be_right_installs_nothing(host: Host) -> None:
    run = host.play(ib_gateways=[{"name": "live", "trading_mode": "live", "prot": 4001}])
    assert run.rc != 0 and "prot" in run.output
    assert host.files() == []
