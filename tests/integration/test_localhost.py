"""Two programs on one port, each on its own family, with real sockets: where `localhost` leads is told."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest
from ansible.module_utils.ib_gateway.observe import localhost

from integration.desk import Desk, alive, until
from integration.modules import run_module

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the kernel's table of sockets"),
]


@pytest.fixture(autouse=True)
def both_families(monkeypatch: pytest.MonkeyPatch) -> None:
    """`localhost` as most hosts have it; this machine may have but one of the two."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    monkeypatch.setattr(localhost, "addresses", lambda: ("::1", "127.0.0.1"))


def look(desk: Desk, probe: str = "auto") -> dict[str, Any]:
    """What is found of the desk's gateway."""
    (found,) = run_module("ib_gateway_health", gateways=[desk.entry()], probe=probe)["gateways"]
    return dict(found)


@pytest.mark.parametrize(("own", "other"), [("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
def test_an_undeclared_gateway_of_the_other_mode_on_the_other_family_is_told_and_left(
    desk: Desk, own: str, other: str
) -> None:
    gateway = desk.gateway(bind=own)
    paper = desk.gateway(bind=other, mode="paper", launcher="ibc", config_dir=desk.folder / "paper")
    gateway.until_open()
    paper.until_open()
    found = look(desk)
    assert (found["status"], found["verdict"]) == ("degraded", "localhost_family"), found
    (finding,) = found["findings"]
    (row,) = finding["evidence"]["others"]
    assert (row["pid"], row["address"], row["is_gateway"], row["trading_mode"]) == (paper.pid, other, True, "paper")
    assert f"have scripts connect to {own}" in finding["summary"]
    assert found["api"]["trading_mode"] == "live"  # the one that is declared was met, and proven
    assert found["plan"]["steps"] == [] and found["plan"]["withheld"] == []
    assert alive(gateway.pid) and alive(paper.pid)


def test_listeners_on_all_addresses_of_one_family_each_are_told_as_well(desk: Desk) -> None:
    gateway = desk.gateway(bind="0.0.0.0")  # noqa: S104 - of a host of its own
    code = (
        "import socket, time; s = socket.create_server(('::', %d), family=socket.AF_INET6); time.sleep(300)" % desk.port
    )
    gateway.until_open()
    web = desk.bystander(sys.executable, "-c", code)
    until(lambda: web.pid in desk.listening())
    (finding,) = look(desk)["findings"]
    (row,) = finding["evidence"]["others"]
    assert finding["code"] == "localhost_family" and (row["pid"], row["is_gateway"]) == (web.pid, False)
    assert "have scripts connect to 127.0.0.1, or move the other program" in finding["summary"]


def test_a_relay_from_the_other_family_to_the_gateway_is_no_other_program(desk: Desk) -> None:
    desk.gateway(bind="127.0.0.1").until_open()
    relay = desk.bystander("socat", f"TCP6-LISTEN:{desk.port},bind=[::1],fork", f"TCP4:127.0.0.1:{desk.port}")
    until(lambda: relay.pid in desk.listening())
    assert look(desk)["status"] == "healthy"
