"""What a plan says of the unit in which a surplus gateway lives, beside what the run does, on a real systemd."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from integration.containers import public_folder
from integration.desk import PROJECT, Desk, Run, until
from integration.test_container_units import inventory_of
from integration.unit_hosts import UnitHost

KEPT, SURPLUS = "ibgateway.service", "sched.service"
JOB = ["tail", "-f", "/dev/null"]
STOPPED = f"its unit {SURPLUS} is stopped and stays so until somebody starts it"
GOES_ON = f"its unit {SURPLUS} is not stopped; should that end with the process, so does what else lives there: "


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    """What a host and this machine both see."""
    stack = ExitStack()
    request.addfinalizer(stack.close)
    return public_folder(stack)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, folder: Path) -> UnitHost:
    """A host with a systemd of its own."""
    request.getfixturevalue("container")  # podman works here, and what an earlier run has left is gone
    monkeypatch.setenv("ANSIBLE_CONNECTION_PLUGINS", str(PROJECT / "tests/integration/connection"))
    stack = ExitStack()
    request.addfinalizer(stack.close)
    return UnitHost(public_folder(stack), stack, folder, PROJECT / "tests")


def started(host: UnitHost, unit: str, *commands: list[str]) -> None:
    """Has a unit that runs one command in the place of a shell, or several beside each other below it."""
    words = [shlex.join(each) for each in commands]
    text = f"exec {words[0]}" if len(words) == 1 else " & ".join(words) + " & wait"
    script = host.root / f"etc/{unit}.sh"
    script.write_text(f"#!/bin/bash\n{text}\n")
    (host.root / "etc/systemd/system" / unit).write_text(
        f"[Service]\nExecStart=/bin/bash /etc/{script.name}\nSendSIGKILL=no\n"
    )
    host.says("systemctl", "daemon-reload")
    host.says("systemctl", "start", unit)


def two_gateways(host: UnitHost, desk: Desk, folder: Path, *beside: list[str]) -> tuple[Any, Any]:
    """The gateway that serves, in its own unit, and a surplus one, in a unit where that runs beside it."""
    desk.folder = folder
    own = {"config_dir": folder / "jts", "launcher": "ibc", "exit_with": None}
    kept, surplus = desk.prepared(**own), desk.prepared("no-listener", **own)
    started(host, KEPT, kept.command())
    started(host, SURPLUS, surplus.command(), *beside)
    until(lambda: str(kept.port) in host.says("ss", "-ltn"), 30)
    until(lambda: pid_of(host, str(surplus.ready_file)), 30)
    return kept, surplus


def inventory(host: UnitHost, desk: Desk, folder: Path, **more: Any) -> dict[str, Any]:
    entry = {"name": "live", "trading_mode": "live", "port": desk.port, "start_timeout": 1, "service": KEPT}
    return inventory_of(host, {**entry, "user": "root", "config_dir": str(folder / "jts"), **more})


def pid_of(host: UnitHost, mark: str) -> str:
    """The pids whose command line has the mark; empty without one."""
    return host.says("pgrep", "-f", "--", mark)


def planned(run: Run) -> dict[str, Any]:
    """What the plan of the host's only entry was."""
    plan: dict[str, Any] = run.host()["before"]["gateways"][0]["plan"]
    return plan


@pytest.mark.parametrize("alone", [True, False])
def test_a_plan_tells_that_a_unit_is_stopped_where_the_run_stops_it_and_who_else_lives_there_where_it_does_not(
    host: UnitHost, desk: Desk, folder: Path, alone: bool
) -> None:
    kept, surplus = two_gateways(host, desk, folder, *([] if alone else [JOB]))
    hosts = inventory(host, desk, folder)
    checked = desk.play("remediate.yml", "--check", inventory=hosts)
    (step,) = planned(checked)["steps"]
    assert step["action"] == "stop_gateway" and step["target"]["unit"] == (SURPLUS if alone else None)
    job = pid_of(host, "tail -f /dev/null")
    assert (f"{STOPPED}; " in step["costs"]) is alone
    assert (f"{GOES_ON}pid {job} (tail -f ***) of root; " in step["costs"]) is not alone, step["costs"]
    assert pid_of(host, str(surplus.ready_file))
    run = desk.play("remediate.yml", inventory=hosts)
    assert run.rc == 0 and run.recap()["changed"] == 1, run.output
    assert planned(run)["steps"][0]["costs"] == step["costs"]
    assert not pid_of(host, str(surplus.ready_file)) and pid_of(host, str(kept.ready_file))
    assert host.says("systemctl", "is-active", SURPLUS) == ("inactive" if alone else "active")
    assert pid_of(host, "tail -f /dev/null") == job


def test_a_surplus_gateway_is_left_where_what_is_protected_may_end_with_its_unit(
    host: UnitHost, desk: Desk, folder: Path
) -> None:
    _kept, surplus = two_gateways(host, desk, folder, JOB)
    run = desk.play("remediate.yml", inventory=inventory(host, desk, folder, protected_clients=["^tail -f"]))
    assert run.rc == 2 and run.recap()["changed"] == 0 and planned(run)["steps"] == [], run.output
    (withheld,) = planned(run)["withheld"]
    job = pid_of(host, "tail -f /dev/null")
    assert f"its unit {SURPLUS} carries pid {job} (tail -f ***) of root, protected, as well" in withheld
    assert pid_of(host, str(surplus.ready_file))


def test_a_surplus_gateway_of_an_account_s_own_systemd_is_left_where_its_unit_then_ends_the_one_that_serves(
    host: UnitHost, desk: Desk, folder: Path
) -> None:
    desk.folder = folder
    own = {"config_dir": folder / "jts", "launcher": "ibc", "exit_with": None}
    kept, surplus = desk.prepared(**own), desk.prepared("no-listener", **own)
    started(host, KEPT, kept.command())
    host.write(
        "/etc/systemd/user/" + SURPLUS, "[Service]\nRestart=always\nExecStart=%s\n" % shlex.join(surplus.command())
    )
    drop_in = "/etc/systemd/user/%s.d/then.conf" % SURPLUS
    host.write(drop_in, "[Service]\nExecStopPost=/usr/bin/pkill -f %s\n" % folder)
    host.says("systemctl", "start", "user@0.service")
    asked = ["env", "XDG_RUNTIME_DIR=/run/user/0", "systemctl", "--user"]
    host.says(*asked, "start", SURPLUS)
    until(lambda: str(kept.port) in host.says("ss", "-ltn"), 30)
    until(lambda: pid_of(host, str(surplus.ready_file)), 30)
    hosts = inventory(host, desk, folder)
    run = desk.play("remediate.yml", inventory=hosts)
    assert run.rc == 2 and run.recap()["changed"] == 0 and planned(run)["steps"] == [], run.output
    (withheld,) = planned(run)["withheld"]
    assert f"what is run when {SURPLUS} ends has `/usr/bin/pkill -f " in withheld
    assert "`, which ends gateway pid" in withheld
    assert pid_of(host, str(surplus.ready_file)) and pid_of(host, str(kept.ready_file))

    (host.root / drop_in.lstrip("/")).unlink()
    host.says(*asked, "daemon-reload")
    # Its Restart= would bring it back after a signal.
    run = desk.play("remediate.yml", inventory=hosts)
    assert run.rc == 0 and run.recap()["changed"] == 1, run.output
    assert not pid_of(host, str(surplus.ready_file)) and pid_of(host, str(kept.ready_file))
    assert planned(run)["steps"][0]["target"]["unit"] == SURPLUS and STOPPED in planned(run)["steps"][0]["costs"]
    assert host.says(*asked, "is-active", SURPLUS) == "inactive"


def test_a_surplus_gateway_is_left_where_its_unit_then_ends_a_protected_script_that_is_connected_to_nothing(
    host: UnitHost, desk: Desk, folder: Path
) -> None:
    host.unit("job", "[Service]\nExecStart=/usr/bin/tail -f /dev/null\n")
    host.write(f"/etc/systemd/system/{SURPLUS}.d/then.conf", "[Service]\nExecStopPost=/usr/bin/pkill -x tail\n")
    _kept, surplus = two_gateways(host, desk, folder)
    host.says("systemctl", "start", "job")
    run = desk.play("remediate.yml", inventory=inventory(host, desk, folder, protected_clients=["tail -f"]))
    assert run.rc == 2 and run.recap()["changed"] == 0 and planned(run)["steps"] == [], run.output
    (withheld,) = planned(run)["withheld"]
    job = pid_of(host, "tail -f /dev/null")
    assert f"what is run when {SURPLUS} ends has `/usr/bin/pkill -x " in withheld
    assert f"`, which ends pid {job} (" in withheld
    assert pid_of(host, str(surplus.ready_file)) and host.says("systemctl", "is-active", "job") == "active"
