"""A gateway that works on a port that no entry declares, seen on real processes."""

from __future__ import annotations

import sys

import pytest
from simulator.launch import free_port

from integration.desk import Desk
from integration.modules import run_module

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere bytes of a connection are not counted"),
]


@pytest.mark.parametrize("launcher", ["ibc", "native"])
def test_the_session_of_a_script_shows_that_a_port_is_the_api_s(desk: Desk, launcher: str) -> None:
    # IBC gives the JVM the number of its session, which in this desk is that of the port.
    gateway = desk.gateway(launcher=launcher)
    script = desk.script()
    declared = desk.entry(port=free_port(), start_timeout=1)
    (found,) = run_module("ib_gateway_health", gateways=[declared], probe="never")["gateways"]
    assert [each["code"] for each in found["findings"]] == ["wrong_port"], found["summary"]
    evidence = found["findings"][0]["evidence"]
    assert evidence["pid"] == gateway.pid and evidence["listening"] == [gateway.port]
    assert [each["pid"] for each in evidence["clients_there"]] == [script.pid]
    assert found["plan"]["steps"] == []
