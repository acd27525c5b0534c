"""Gateways in containers of a real docker, whose daemon has a network of its own and leaves this machine's alone."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ib_gateway.lifecycle.accounts import PATH

from integration.containers import Container, ask
from integration.desk import until
from integration.modules import run_module_as

_CLONE_NEWNET = 0x40000000

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("dockerd", path=PATH) is None,
    reason="needs root, and dockerd, which nothing here installs: a daemon of its own changes a machine's network",
)


class Docker:
    """A daemon in a network namespace of its own, which is the host of its containers."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        command = [
            "dockerd",
            "--data-root",
            f"{folder}/data",
            "--exec-root",
            f"{folder}/exec",
            "--storage-driver",
            "vfs",
        ]
        command += ["--host", os.environ["DOCKER_HOST"], "--pidfile", f"{folder}/pid"]
        log = stack.enter_context((folder / "log").open("wb"))
        started = ["unshare", "--net", "--mount", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]
        self._daemon = subprocess.Popen(started, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        stack.callback(self._end)
        until(lambda: subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0, 60)

    def _end(self) -> None:
        self._daemon.terminate()
        self._daemon.wait(30)

    def container(self, *options: str) -> Container:
        """A container of this daemon that runs."""
        return Container(self.folder / "container", self._stack, network="bridge", engine="docker").run(*options)

    def enter(self) -> None:
        """Makes the daemon's network the one of this process."""
        namespace = os.open(f"/proc/{self._daemon.pid}/ns/net", os.O_RDONLY)
        assert ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET) == 0

    def module(self, name: str, *entries: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Runs a module on the host that the daemon has."""
        enter: Callable[[], None] = self.enter
        return run_module_as(enter, name, gateways=list(entries), **options)


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    with ExitStack() as stack:
        # A socket's path has room for 108 bytes, and the daemon adds folders of its own.
        folder = Path(tempfile.mkdtemp(prefix="ib-docker-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/socket")
        yield Docker(folder, stack)


def first(found: dict[str, Any]) -> dict[str, Any]:
    assert "gateways" in found, found
    gateway: dict[str, Any] = found["gateways"][0]
    return gateway


def test_docker_s_proxy_leads_to_the_gateway_and_its_engine_restarts_a_relay_that_is_gone(docker: Docker) -> None:
    inside = docker.container()
    entry = inside.entry()
    unnamed = {**entry, "config_dir": str(inside.gateways["live"].config_dir)}
    del unnamed["container"]
    for each in (entry, unnamed):
        gateway = first(docker.module("ib_gateway_health", each))
        assert gateway["status"] == "healthy" and gateway["api"]["ok"], gateway
    inside.end(inside.socat())
    found = first(docker.module("ib_gateway_health", entry))
    assert found["findings"][0]["evidence"]["link"] == "relay"
    steps = found["plan"]["steps"]
    after = docker.module("ib_gateway_restart", entry, steps=steps, then_look={"probe_timeout": 2})
    assert first(after["health"])["status"] == "healthy", after
    left = first(docker.module("ib_gateway_health", unnamed))
    assert left["status"] == "healthy" and left["plan"]["steps"] == []


@pytest.mark.parametrize("compose", [False, True], ids=["by its name", "by its compose service"])
def test_a_stopped_container_of_docker_is_started(docker: Docker, compose: bool) -> None:
    labels = ("--label", "com.docker.compose.project=desk", "--label", "com.docker.compose.service=live")
    inside = docker.container(*labels)
    entry = inside.entry()
    if compose:
        entry["container"] = {"engine": "docker", "compose_project": "desk", "compose_service": "live"}
    ask("docker", "stop", inside.name)
    found = first(docker.module("ib_gateway_health", entry))
    assert [each["action"] for each in found["plan"]["steps"]] == ["start"]
    steps = found["plan"]["steps"]
    after = docker.module("ib_gateway_start", entry, steps=steps, then_look={"probe_timeout": 2})
    assert first(after["health"])["status"] == "healthy", after
