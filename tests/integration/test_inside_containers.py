"""Runs whose host is the container itself, through a connection plugin for its engine."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ib_gateway.lifecycle.accounts import PATH

from integration.containers import LABEL, Container, Make, podman
from integration.desk import PROJECT, Desk, Run


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the connection plugin known to Ansible."""
    monkeypatch.setenv("ANSIBLE_CONNECTION_PLUGINS", str(PROJECT / "tests/integration/connection"))


def inside(container: Container, **variables: Any) -> dict[str, Any]:
    """An inventory whose host is the container; its entry is as somebody in there sees the gateway."""
    entry = {
        "name": "live",
        "trading_mode": "live",
        "port": 4001,
        "config_dir": str(container.gateways["live"].config_dir),
        "start_command": ["/bin/true"],
    }
    reached = {
        "ansible_connection": "podman_exec",
        "ansible_host": container.name,
        "ansible_python_interpreter": "/usr/bin/python3",
        **variables,
    }
    return {"trading_hosts": {"hosts": {"desk": {**reached, "ib_gateways": [entry]}}}}


def status(run: Run) -> str:
    found: str = run.host()["before"]["gateways"][0]["status"]
    return found


def test_inside_a_container_a_gateway_is_judged_as_on_a_host(container: Make, desk: Desk) -> None:
    run = desk.play("playbooks/health_sweep.yml", inventory=inside(container().run()))
    assert run.rc == 0 and status(run) == "healthy", run.output


def test_a_restart_that_would_end_the_container_and_the_run_in_it_is_withheld_with_the_way_that_works(
    container: Make, desk: Desk
) -> None:
    image = container(settings={"event": "hang"}).run()
    java, began = image.java(), image.started_at
    os.kill(java, signal.SIGUSR1)
    run = desk.play("remediate.yml", inventory=inside(image))
    assert run.rc != 0 and status(run) == "unhealthy" and run.recap()["changed"] == 0, run.output
    assert "the container of this run may end with it" in run.output
    assert "from its host, by its engine or by a run there with an entry that has key container" in run.output
    assert image.java() == java and image.started_at == began


def test_root_without_the_right_to_trace_says_whose_sockets_it_could_not_see_and_judges_nothing(
    container: Make, desk: Desk
) -> None:
    image = container(uid=1000).run()
    run = desk.play("playbooks/health_sweep.yml", inventory=inside(image))
    assert run.rc != 0 and status(run) == "unknown", run.output
    pid = next(line for line in run.output.splitlines() if "cannot judge live" in line)
    assert "belong to 1000, and 0 may not read them" in pid and "who listens on port 4001" in pid
    owner = desk.play("playbooks/health_sweep.yml", inventory=inside(image, ansible_user="1000"))
    assert owner.rc == 0 and status(owner) == "healthy", owner.output


@pytest.fixture
def bare(container: Make, tmp_path: Path) -> Iterator[str]:
    """The name of a container whose image has a shell and nothing else, as the most used image has no Python."""
    del container  # an engine is there
    root, name = tmp_path / "bare", "ib-test-%s" % secrets.token_hex(4)
    for program in ("sh", "sleep", "uname"):
        _copy(Path(shutil.which(program, path=PATH) or program), root)
    for folder in ("proc", "sys", "dev", "etc", "run", "tmp"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    labels = ("--label", f"{LABEL}={os.getpid()}")
    podman("run", "--detach", "--name", name, *labels, "--network", "none", "--rootfs", str(root), "/bin/sleep", "300")
    yield name
    podman("rm", "--force", "--time", "0", name)


def _copy(program: Path, root: Path) -> None:
    """A program and the libraries that it needs, below another root."""
    said = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    libraries = [word for word in said.split() if word.startswith("/")]
    for path in (*libraries, f"/bin/{program.name}"):
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / path[1:])


def test_an_image_without_python_is_unknown_and_told_as_that(bare: str, desk: Desk) -> None:
    reached = {"ansible_connection": "podman_exec", "ansible_host": bare, "ansible_python_interpreter": "auto_silent"}
    hosts = {"trading_hosts": {"hosts": {"desk": {**reached, "ib_gateways": [desk.entry()]}}}}
    run = desk.play("playbooks/health_sweep.yml", inventory=hosts)
    assert run.rc != 0 and run.host()["status"] == "unknown", run.output
    assert "The module interpreter '/usr/bin/python3' was not found" in run.output
