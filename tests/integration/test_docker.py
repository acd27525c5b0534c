"""Gateways in containers of a real docker, whose daemon has a network of its own and leaves this machine's alone."""

from __future__ import annotations

import contextlib
import ctypes
import json
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
from integration.desk import Desk, until
from integration.modules import run_module_as
from integration.test_container_repairs import host

_CLONE_NEWNET = 0x40000000

NEEDED = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("dockerd", path=PATH) is None,
    reason="needs root, and dockerd, which nothing here installs: a daemon of its own changes a machine's network",
)
pytestmark = NEEDED


def _enter(network: str) -> None:
    namespace = os.open(network, os.O_RDONLY)
    try:
        assert ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET) == 0
    finally:
        os.close(namespace)


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

    def make(self, **made: Any) -> Container:
        """A container of this daemon that does not run yet."""
        folder = Path(tempfile.mkdtemp(prefix="container", dir=self.folder)) / "container"
        return Container(folder, self._stack, network="bridge", engine="docker", **made)

    def container(self, *options: str) -> Container:
        """A container of this daemon that runs."""
        return self.make().run(*options)

    def enter(self) -> None:
        """Makes the daemon's network the one of this thread, and of what it starts."""
        _enter(f"/proc/{self._daemon.pid}/ns/net")

    @contextlib.contextmanager
    def as_this_host(self) -> Iterator[None]:
        """Has what is started from here run on the host that the daemon has."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.enter()
        try:
            yield
        finally:
            _enter(f"/proc/self/fd/{before}")
            os.close(before)

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


def test_a_container_of_another_account_s_docker_with_the_same_address_is_not_taken_for_it(docker: Docker) -> None:
    """Every daemon begins with the same address; the older of the two namespaces is met first."""
    elsewhere = "ip link set lo up && ip address add 172.17.0.2/16 dev lo && echo && exec sleep 300"
    command = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", elsewhere]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"\n"
            inside = docker.container()
            unnamed = {**inside.entry(), "config_dir": str(inside.gateways["live"].config_dir)}
            del unnamed["container"]
            gateway = first(docker.module("ib_gateway_health", unnamed))
        finally:
            other.kill()
    assert gateway["status"] == "healthy" and gateway["api"]["ok"], json.dumps(gateway, indent=1)


def test_docker_s_proxy_leads_to_the_gateway_and_its_engine_restarts_a_relay_that_is_gone(docker: Docker) -> None:
    inside = docker.container()
    entry = inside.entry()
    unnamed = {**entry, "config_dir": str(inside.gateways["live"].config_dir)}
    del unnamed["container"]
    for each in (entry, unnamed):
        gateway = first(docker.module("ib_gateway_health", each))
        assert gateway["status"] == "healthy" and gateway["api"]["ok"], json.dumps(gateway, indent=1)
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


def test_a_container_that_docker_could_not_remove_is_not_started_and_how_to_go_on_is_told(
    docker: Docker, desk: Desk
) -> None:
    """Docker calls it dead."""
    inside = docker.container()
    ask("docker", "stop", inside.name)
    layers = docker.folder / "data" / "image" / "vfs" / "layerdb" / "mounts" / inside.shown()["Id"] / "mount-id"
    kept = docker.folder / "data" / "vfs" / "dir" / layers.read_text() / "kept"
    kept.touch()
    with unremovable(kept), docker.as_this_host():
        ask("docker", "rm", inside.name, check=False)
        assert inside.shown()["State"]["Status"] == "dead"
        for options in (["--check"], [], []):
            run = desk.play("remediate.yml", *options, inventory=host(inside.entry(start_timeout=1)))
            (gateway,) = run.host()["before"]["gateways"]
            assert run.rc == 2 and run.recap()["changed"] == 0, run.output
            assert [each["code"] for each in gateway["findings"]] == ["gateway_not_running"]
            assert [each for each in gateway["plan"]["steps"] if each["action"] != "wait"] == []
            assert f"`docker rm --force {inside.name}`" in " ".join(gateway["plan"]["withheld"])
        assert inside.shown()["State"]["Status"] == "dead"


@contextlib.contextmanager
def unremovable(path: Path) -> Iterator[None]:
    """A file that nobody can remove, root neither."""
    if subprocess.run(["chattr", "+i", str(path)], check=False, capture_output=True).returncode:
        pytest.skip("this file system has no files that root cannot remove")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)
