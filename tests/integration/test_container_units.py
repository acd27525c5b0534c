"""Containers that a systemd unit carries, as quadlets do: a real systemd, podman under it, whole repairs."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from integration.containers import Container, Make, public_folder
from integration.desk import PROJECT, Desk, gateways_in, until
from integration.unit_hosts import UnitHost

UNIT = "ib"


def inventory(host: UnitHost, image: Container, **start: Any) -> dict[str, Any]:
    """The inventory of a host; start: the keys that say how its gateway is started."""
    return inventory_of(host, entry_of(image, "live", **start))


def entry_of(image: Container, mode: str, **start: Any) -> dict[str, Any]:
    """The entry of one of its gateways; start: the keys that say how that is started."""
    return {"name": mode, "trading_mode": mode, "port": image.ports[mode], "start_timeout": 60, **start}


def inventory_of(host: UnitHost, *entries: dict[str, Any]) -> dict[str, Any]:
    """The inventory of a host with these gateways."""
    reached = {
        "ansible_connection": "podman_exec",
        "ansible_host": host.name,
        "ansible_python_interpreter": str(Path(sys.prefix).resolve() / "bin/python3"),
    }
    return {"trading_hosts": {"hosts": {"desk": {**reached, "ib_gateways": list(entries)}}}}


def java(image: Container, mode: str = "live") -> int:
    """The pid of its gateway, as this machine numbers it; 0 where it does not run."""
    return next(iter(gateways_in(image.gateways[mode].config_dir)), 0)


@pytest.mark.parametrize(
    "start",
    [{"service": UNIT}, {"container": {"engine": "podman", "name": f"systemd-{UNIT}"}}],
    ids=["service", "container"],
)
def test_a_quadlet_s_gateway_is_judged_and_its_unit_restarts_it_whether_the_entry_names_that_or_the_container(
    container: Make, desk: Desk, monkeypatch: pytest.MonkeyPatch, start: dict[str, Any]
) -> None:
    monkeypatch.setenv("ANSIBLE_CONNECTION_PLUGINS", str(PROJECT / "tests/integration/connection"))
    image = container(public=True, settings={"event": "hang"})
    with ExitStack() as stack:
        host = UnitHost(public_folder(stack), stack, image.folder)
        host.quadlet(UNIT, image)
        until(lambda: java(image), 30)
        hosts = inventory(host, image, **start)
        until(lambda: str(image.ports["live"]) in host.says("ss", "-ltn"))
        sweep = desk.play("playbooks/health_sweep.yml", inventory=hosts)
        assert sweep.rc == 0, sweep.output
        first = host.carried(UNIT)
        os.kill(java(image), signal.SIGUSR1)
        repair = desk.play("remediate.yml", inventory=hosts)
        assert repair.rc == 0 and repair.codes() == {"handshake_silent"}, repair.output
        second = host.carried(UNIT)
        assert first and second and first != second
        assert host.says("systemctl", "is-active", UNIT) == "active"
        again = desk.play("remediate.yml", inventory=hosts)
        assert again.rc == 0 and again.recap()["changed"] == 0, again.output
        assert host.carried(UNIT) == second


#: Nobody is behind the sockets of its systemd any more.
MUTE = """
import os, socket
for door in ("/run/systemd/private", "/run/dbus/system_bus_socket"):
    if os.path.exists(door):
        os.unlink(door)
        socket.socket(socket.AF_UNIX).bind(door)
"""


@pytest.mark.parametrize(
    ("stops", "told"),
    [
        (True, f"{UNIT}.service is being stopped by somebody: wait until it has stopped"),
        (False, f"systemd cannot be asked about {UNIT}.service: systemctl show"),
    ],
    ids=["being stopped", "no answer"],
)
def test_a_gateway_whose_unit_is_being_stopped_or_whose_systemd_does_not_answer_is_left_as_it_is(
    container: Make, desk: Desk, monkeypatch: pytest.MonkeyPatch, stops: bool, told: str
) -> None:
    """By a run in check mode and by one in earnest, for the same reason."""
    monkeypatch.setenv("ANSIBLE_CONNECTION_PLUGINS", str(PROJECT / "tests/integration/connection"))
    image = container(public=True, settings={"event": "hang"})
    with ExitStack() as stack:
        host = UnitHost(public_folder(stack), stack, image.folder)
        hanging = host.root / f"etc/systemd/system/{UNIT}.service.d/stop.conf"
        hanging.parent.mkdir()
        hanging.write_text("[Service]\nExecStop=\nExecStop=/bin/sleep 300\nTimeoutStopSec=infinity\n")
        host.quadlet(UNIT, image)
        until(lambda: java(image), 30)
        until(lambda: str(image.ports["live"]) in host.says("ss", "-ltn"))
        old, carried = java(image), host.carried(UNIT)
        os.kill(old, signal.SIGUSR1)
        if stops:
            host.says("systemctl", "--no-block", "stop", UNIT)
            until(lambda: host.says("systemctl", "is-active", UNIT) == "deactivating")
        else:
            host.says("/usr/bin/python3", "-c", MUTE)
        hosts = inventory(host, image, container={"engine": "podman", "name": f"systemd-{UNIT}"})
        for options in (["--check"], []):
            run = desk.play("remediate.yml", *options, inventory=hosts)
            (gateway,) = run.host()["before"]["gateways"]
            assert run.rc == 2 and run.recap()["changed"] == 0, run.output
            assert run.codes() == {"handshake_silent"} and gateway["plan"]["steps"] == [], gateway
            assert told in " ".join(gateway["plan"]["withheld"]), gateway
            assert (java(image), host.carried(UNIT)) == (old, carried)
