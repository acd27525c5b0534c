"""The installed collection under what else runs playbooks: ansible-runner, ansible-navigator, ansible-builder."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(PROJECT))

from collection import build, shipped  # noqa: E402 - needs the path above

_NAME = ("--output-filename", "Containerfile")  # another one where docker is the only engine
_LIBRARY = re.compile(r"^(?!ansible-core|jinja2)[\w-]+==\S+", re.MULTILINE)
SWEEP = "trading_ops.ib_gateway.health_sweep"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the collection as it is built, in `build`, and installed, in `collections`."""
    made: Path = tmp_path_factory.mktemp("shipped")
    shipped.install(build.archive(build.write(made / "build"), made), made / "collections")
    yield made
    shutil.rmtree(made)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs it as somebody who has the collection, from a folder of their own."""
    return subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:]],
        cwd=folder,
        env={**shipped.environment(folder / "collections"), "HOME": str(folder), "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("program", ["ansible-runner", "ansible-navigator"])
def test_a_sweep_runs_by_its_name(folder: Path, program: str) -> None:
    reports = folder / program
    # Nobody's gateway fits it.
    entry = {"name": "none", "trading_mode": "paper", "port": 45999, "user": "nobody", "config_dir": "/srv/none"}
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ib_report_dir": str(reports),
        "ib_sweep_fail_on": "never",
        "ib_gateways": [entry],
    }
    inventory = folder / f"hosts-of-{program}.json"
    inventory.write_text(json.dumps({"trading_hosts": {"hosts": {"desk": host}}}))
    words = {
        "ansible-runner": ("run", str(folder / "artifacts"), "-p", SWEEP, "--inventory", str(inventory)),
        "ansible-navigator": (
            *("run", SWEEP, "-i", str(inventory)),
            *("--mode", "stdout", "--execution-environment", "false", "--playbook-artifact-enable", "false"),
        ),
    }
    done = run(folder, program, *words[program])
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((reports / "fleet.json").read_text())
    assert [(each["name"], each["reached"]) for each in report["hosts"]] == [("desk", True)]


def test_an_execution_environment_holds_the_collection_and_the_libraries_that_it_names(folder: Path) -> None:
    (folder / "collection").mkdir()
    definition = folder / "collection" / "execution-environment.yml"
    shutil.copy(PROJECT / "collection" / "execution-environment.yml", definition)
    done = run(folder, "ansible-builder", "create", "-f", str(definition), "-c", str(folder / "context"), *_NAME)
    assert done.returncode == 0, done.stdout + done.stderr
    # What the image's own steps do: one installs the collection, one asks it for its libraries.
    context = folder / "context"
    assert "COPY _build/collections/ib_gateway /collections/ib_gateway" in (context / "Containerfile").read_text()
    wanted = (context / "_build" / "requirements.yml").read_text()
    (folder / "wanted.yml").write_text(wanted.replace("/collections/", f"{context}/_build/collections/"))
    image = folder / "image" / "collections"
    words = ("install", "--force", "--offline", "-r", str(folder / "wanted.yml"), "--collections-path", str(image))
    installed = run(folder, "ansible-galaxy", "collection", *words)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    asked = run(folder, "ansible-builder", "introspect", str(image))
    assert asked.returncode == 0, asked.stdout + asked.stderr
    told = [each.split()[0] for each in yaml.safe_load(asked.stdout)["python"]]
    assert told == [each.split()[0] for each in _LIBRARY.findall((PROJECT / "requirements.txt").read_text("utf-8"))]
