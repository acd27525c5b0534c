"""The kit as a distribution: it is built, installed, imported, typed, and it connects."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from simulator.launch import SimulatedGateway
from unit.client_kit import PACKAGE, profile, write_profiles

SCRIPT = """
import sys

import ib_connect

with ib_connect.connect("paper") as ib:
    print(ib.reqCurrentTime().year, ib_connect.__file__.startswith(sys.argv[1]))
"""
TYPED = """
import ib_connect

connection = ib_connect.connect("paper", timeout=5, outage=None)
reveal_type(connection.client_id)
reveal_type(connection.profile.max_api_clients)
connection.sleep("a minute")
ib_connect.connect("paper", timout=5)
"""


def run(*command: str, environment: dict[str, str] | None = None, expected: int = 0) -> str:
    """What a command prints; it must end as expected."""
    done = subprocess.run(
        command, env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the distribution, without any index."""
    folder = tmp_path_factory.mktemp("package")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-build-isolation"]
    run(*pip, "--target", str(folder / "site"), str(PACKAGE))
    return folder / "site"


def test_what_is_installed_connects(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    with SimulatedGateway(tmp_path, mode="paper") as gateway:
        file = write_profiles(tmp_path, paper=profile(gateway.port, "paper"))
        places = {"IB_CONNECT_PROFILES": str(file), "IB_CONNECT_LOCKS": str(tmp_path / "locks")}
        places["PYTHONPATH"] = str(installed)
        told = run(sys.executable, "-c", SCRIPT, str(installed), environment=places)
    assert told.split()[1:] == ["True"]


def test_an_account_s_own_profiles_serve_where_the_host_has_none(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "config" / "ib-connect").mkdir(parents=True)
    write_profiles(tmp_path / "config" / "ib-connect", sandbox=profile(4002, "paper"))
    program = "import ib_connect; ib_connect.profiles.PROFILES_FILE = '/nowhere'; print(*ib_connect.load_profiles())"
    environment = {"PYTHONPATH": str(installed), "XDG_CONFIG_HOME": str(tmp_path / "config"), "IB_CONNECT_PROFILES": ""}
    assert run(sys.executable, "-c", program, environment=environment) == "sandbox\n"


def test_a_type_checker_knows_what_can_be_passed_and_what_comes_back(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(TYPED, encoding="utf-8")
    mypy = [sys.executable, "-m", "mypy", "--no-incremental", "--config-file=", str(tmp_path / "script.py")]
    told = run(*mypy, expected=1, environment={"MYPYPATH": str(installed)})
    assert len(re.findall(r'Revealed type is "(?:builtins\.)?int"', told)) == 2 and "import-untyped" not in told
    assert (installed / "ib_connect" / "py.typed").exists()
    assert 'incompatible type "str"; expected "float"' in told and 'keyword argument "timout"' in told
