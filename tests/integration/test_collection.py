"""The collection as somebody gets it: installed into an empty folder, and run from `/` by an ordinary user."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(PROJECT))

from collection import build, shipped  # noqa: E402 - needs the path above

_NOBODY = 65534
#: Another account may not be able to run the interpreter of the tests.
_SYSTEM = "/usr/bin/python3"
_INCIDENT = PROJECT / "tests" / "integration" / "installed_incident.py"


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every account may enter; pytest closes its own to others."""
    with tempfile.TemporaryDirectory(prefix="ib-collection-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def installed() -> Iterator[Path]:
    """A folder of collections that has this one, out of its archive."""
    with open_folder() as folder:
        archive = build.archive(build.write(folder / "built"), folder)
        shipped.install(archive, folder / "collections")
        shutil.rmtree(folder / "built")
        yield folder / "collections"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of the account that the incident is staged under."""
    with open_folder() as folder:
        (folder / "desk").mkdir()
        if not os.geteuid():
            os.chown(folder / "desk", _NOBODY, _NOBODY)
        yield folder / "desk"


def test_ansible_doc_shows_everything_that_is_in_it_with_its_documentation(installed: Path) -> None:
    assert list(shipped.undocumented(installed)) == []


def test_a_module_s_documentation_names_its_neighbours_as_they_are_called_there(installed: Path) -> None:
    name = "trading_ops.ib_gateway.ib_gateway_health"
    shown = subprocess.run(
        ["ansible-doc", "-t", "module", "--json", name],
        cwd="/",
        env=shipped.environment(installed),
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(shown.stdout)[name]
    assert "gateways" in document["doc"]["options"]
    assert {each["module"].rpartition(".")[0] for each in document["doc"]["seealso"]} == {"trading_ops.ib_gateway"}
    assert f"  {name}:" in document["examples"]


def _as_ordinary_user() -> tuple[list[str], dict[str, str], dict[str, Any]]:
    """(interpreter, environment, options of subprocess.run) of a run as an account that is not root."""
    if os.geteuid():
        return [sys.executable], {}, {}
    libraries = sysconfig.get_path("purelib")
    probe = subprocess.run(
        [_SYSTEM, "-c", "import ansible, psutil, ib_insync"],
        env={"PYTHONPATH": libraries},
        cwd="/",
        user=_NOBODY,
        group=_NOBODY,
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode:
        pytest.skip(f"needs a Python that every account may run, and libraries that it may read: {probe.stderr[-300:]}")
    return [_SYSTEM], {"PYTHONPATH": libraries}, {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}


def test_the_installed_form_ends_the_incident_and_its_second_run_changes_nothing(installed: Path, place: Path) -> None:
    interpreter, environment, account = _as_ordinary_user()
    done = subprocess.run(
        [*interpreter, str(_INCIDENT), str(place), str(installed)],
        cwd="/",
        env={**shipped.environment(installed), "HOME": str(place), **environment},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
        **account,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    assert not told["before"]
    assert told["first"]["rc"] == 0, told["first"]["output"]
    assert int(told["first"]["recap"]["changed"]) > 0
    assert told["after"]
    assert told["second"]["rc"] == 0, told["second"]["output"]
    assert told["second"]["recap"]["changed"] == "0"
    host = told["report"]["hosts"][0]
    assert host["status"] == "healthy"
    assert host["after"]["gateways"][0]["api"]["engine"] == "ib_insync"
