"""A gateway of a start_command is left as it is where the next one could not have what it needs of this host.

On a real systemd, by a run in check mode and by one in earnest, for the same reason.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from simulator.launch import SimulatedGateway, free_port

from integration.desk import Desk, gateways_in, until
from integration.test_container_units import inventory_of
from integration.unit_hosts import UnitHost

#: Where a run of root's keeps what ended gateways ran with.
_KEPT = "/run/ib-gateway-repair"


class CommandGateway:
    """A gateway that a person started with a display of their own, and that answers nobody once it is told to hang."""

    def __init__(self, host: UnitHost, folder: Path) -> None:
        settings = {"event": "hang", "needs-display": "yes"}
        self._gateway = SimulatedGateway(
            folder, port=free_port(), exit_with=None, lifetime=600, settings=settings, python="/usr/bin/python3"
        )
        self._command, self._host = self._gateway.command(), host
        config_dir = str(self._gateway.config_dir)
        given = ("--detach", "--env", "DISPLAY=:1", "--workdir", config_dir)
        subprocess.run(["podman", "exec", *given, host.name, "setsid", *self._command], check=True, timeout=60)
        until(lambda: str(self._gateway.port) in host.says("ss", "-ltn"), 30)
        for pid in self.pids():
            os.kill(pid, signal.SIGUSR1)

    def entry(self, **more: Any) -> dict[str, Any]:
        """Its entry in the inventory."""
        start = {"user": "root", "start_command": self._command, "start_timeout": 20}
        mode, config_dir = self._gateway.mode, str(self._gateway.config_dir)
        port = self._gateway.port
        return {"name": "live", "trading_mode": mode, "port": port, "config_dir": config_dir, **start, **more}

    def pids(self) -> list[int]:
        """Its processes, as this machine numbers them."""
        return gateways_in(self._gateway.config_dir)


@pytest.fixture
def gateway(host: UnitHost, desk: Desk, tmp_path: Path) -> CommandGateway:
    desk.settings.update({"ib_gateway_diagnose_probe_timeout": 1, "ib_gateway_verify_probe_timeout": 1})
    del desk.settings["ib_repair_state_dir"]  # what is kept lies where it does on a desk
    return CommandGateway(host, tmp_path / "live")


@contextmanager
def folder_open_to_others(host: UnitHost) -> Iterator[None]:
    host.says("install", "--directory", "--mode=0775", _KEPT)
    yield
    host.says("chmod", "0700", _KEPT)


@contextmanager
def full(host: UnitHost) -> Iterator[None]:
    host.says("mount", "-o", "remount,size=64M", "/run")  # without it, half of this machine's memory
    host.says("dd", "if=/dev/zero", "of=/run/filler", "bs=1M")
    yield
    host.says("rm", "/run/filler")


@contextmanager
def without_a_bus(host: UnitHost) -> Iterator[None]:
    sockets = "/run/systemd/private", "/run/dbus/system_bus_socket"
    for each in sockets:
        host.says("mv", each, each + ".away")
    yield
    for each in sockets:
        host.says("mv", each + ".away", each)


@contextmanager
def hung(host: UnitHost) -> Iterator[None]:
    """Its systemd runs no further."""
    shown = ["podman", "inspect", "--format", "{{.State.Pid}}", host.name]
    first = int(subprocess.run(shown, capture_output=True, check=True, timeout=60).stdout)
    os.kill(first, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(first, signal.SIGCONT)


def withheld(host: UnitHost, desk: Desk, gateway: CommandGateway, **more: Any) -> str:
    """What the plan of a run withholds, which is that of one in check mode; nothing has been touched."""
    before, told = gateway.pids(), set()
    for options in (["--check"], []):
        run = desk.play("remediate.yml", *options, inventory=inventory_of(host, gateway.entry(**more)))
        assert run.rc == 2 and run.recap()["changed"] == 0, run.output
        (found,) = run.host()["before"]["gateways"]
        assert found["plan"]["steps"] == [], found
        assert len(gateway.pids()) == 1 and gateway.pids() == before
        told.add(" ".join(found["plan"]["withheld"]))
    assert len(told) == 1, told
    return told.pop()


def test_a_gateway_is_not_ended_where_the_display_that_only_it_has_cannot_be_kept_and_is_where_it_can(
    host: UnitHost, desk: Desk, gateway: CommandGateway
) -> None:
    lacks = "the next gateway would lack DISPLAY, which only the running one has and which cannot be kept: "
    with folder_open_to_others(host):
        told = withheld(host, desk, gateway)
        assert f"{lacks}others than this run's account could put a file into {_KEPT}: chown 0 {_KEPT}" in told, told
    with full(host):
        told = withheld(host, desk, gateway)
        assert f"{lacks}the file system of {_KEPT} is full: make room there" in told, told
        assert host.says("ls", "-A", _KEPT) == ""
    (old,) = gateway.pids()
    run = desk.play("remediate.yml", inventory=inventory_of(host, gateway.entry()))
    assert run.rc == 0, run.output
    (new,) = gateway.pids()
    assert new != old and psutil.Process(new).environ()["DISPLAY"] == ":1"
    assert "/ib-gateway-live-" in Path(f"/proc/{new}/cgroup").read_text()


def test_a_gateway_is_not_ended_where_systemd_could_give_the_next_one_no_scope(
    host: UnitHost, desk: Desk, gateway: CommandGateway
) -> None:
    display = {"start_environment": {"DISPLAY": ":1"}}
    with without_a_bus(host):
        told = withheld(host, desk, gateway, **display)
        assert "systemd does not answer (systemctl show failed: Failed to connect to bus: No such file" in told, told
    with full(host):
        told = withheld(host, desk, gateway, **display)
        assert "systemd could not make a scope for start_command: the file system of /run/systemd" in told, told
    with hung(host):
        told = withheld(host, desk, gateway, **display)
        assert "systemd does not answer (systemctl show was not answered within 10 s)" in told, told
