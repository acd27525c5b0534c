"""Units of two gateways that systemd keeps from running together, on a real systemd with podman under it."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from integration.containers import Container, Make, public_folder
from integration.desk import PROJECT, Desk, until
from integration.test_container_units import entry_of, inventory_of, java
from integration.unit_hosts import UnitHost


@contextmanager
def two_units(container: Make) -> Iterator[tuple[UnitHost, Container, Container]]:
    """A host with the units live and paper, which both run; and what each of them carries."""
    live, paper = (container(public=True, modes=(mode,), settings={"event": "hang"}) for mode in ("live", "paper"))
    with ExitStack() as stack:
        host = UnitHost(public_folder(stack), stack, live.folder, paper.folder)
        for mode, image in (("live", live), ("paper", paper)):
            host.quadlet(mode, image)
            until(functools.partial(java, image, mode), 30)
            until(functools.partial(listens, host, image.ports[mode]))
        yield host, live, paper


def listens(host: UnitHost, port: int) -> bool:
    """Whether something on the host listens on a port."""
    return str(port) in host.says("ss", "-ltn")


def put_in_conflict(host: UnitHost) -> None:
    """The unit live with the unit paper; what runs goes on."""
    text = "[Unit]\nConflicts=paper.service\n"
    folder = host.root / "etc/systemd/system/live.service.d"
    folder.mkdir()
    (folder / "alone.conf").write_text(text)
    host.says("systemctl", "daemon-reload")


def planned(run: Any) -> dict[str, tuple[list[str], str]]:
    """By gateway, (the actions of its plan, what is withheld)."""
    return {
        each["name"]: ([step["action"] for step in each["plan"]["steps"]], " ".join(each["plan"]["withheld"]))
        for each in run.host()["before"]["gateways"]
    }


def named_by(key: str, image: Container, mode: str) -> dict[str, Any]:
    """The entry that names what starts a gateway by its service or by its container."""
    start = {"service": mode} if key == "service" else {"container": {"engine": "podman", "name": f"systemd-{mode}"}}
    return entry_of(image, mode, **start)


@pytest.mark.parametrize("named", ["service", "container"])
def test_a_container_s_unit_is_not_started_anew_where_that_would_end_the_other_gateway_s(
    container: Make, desk: Desk, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("ANSIBLE_CONNECTION_PLUGINS", str(PROJECT / "tests/integration/connection"))
    with two_units(container) as (host, live, paper):
        put_in_conflict(host)
        os.kill(java(live), signal.SIGUSR1)  # it listens, and answers nobody any more
        hosts = inventory_of(host, named_by(named, live, "live"), named_by(named, paper, "paper"))
        before = java(live), java(paper, "paper")
        for options in (["--check"], []):
            run = desk.play("remediate.yml", *options, inventory=hosts)
            assert run.rc == 2 and run.recap()["changed"] == 0, run.output
            steps, withheld = planned(run)["live"]
            assert steps == [] and "paper.service is stopped by a start of its " in withheld, withheld
            assert (java(live), java(paper, "paper")) == before


def test_of_two_gateways_that_are_down_the_first_is_started_and_check_mode_says_so_too(
    container: Make, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_CONNECTION_PLUGINS", str(PROJECT / "tests/integration/connection"))
    with two_units(container) as (host, live, paper):
        for unit in ("live", "paper"):
            host.says("systemctl", "stop", unit)
        put_in_conflict(host)
        entries = entry_of(live, "live", service="live"), entry_of(paper, "paper", service="paper")
        hosts = inventory_of(host, *entries)
        for options in (["--check"], []):
            run = desk.play("remediate.yml", *options, inventory=hosts)
            told = planned(run)
            assert run.rc == 2 and told["live"] == (["start"], ""), run.output
            assert told["paper"][0] == [] and "a start of paper.service stops live.service" in told["paper"][1]
            assert bool(java(live)) is (not options) and not java(paper, "paper"), run.output
        first = java(live)
        again = desk.play("remediate.yml", inventory=hosts)
        assert again.rc == 2 and again.recap()["changed"] == 0, again.output
        assert "live.service is stopped by a start of its unit paper.service" in planned(again)["paper"][1]
        assert java(live) == first
