"""What keeps a gateway in somebody else's container, beside an entry whose gateway is missing on the host."""

from __future__ import annotations

from typing import Any

import pytest

from integration.container_looks import actions, codes, first, look
from integration.containers import Container, Make
from integration.desk import Desk, until

#: Never comes to start anything.
_LOOP = "#!/bin/sh\nwhile sleep 600; do ibcstart.sh; done\n"


def looped(container: Make, network: str) -> Container:
    """A container with IBC's loop between two gateways, and no gateway."""
    inside = container(modes=(), network=network)
    script = inside.folder / "start_ibgateway.sh"
    script.write_text(_LOOP)
    inside.before = f"sh {script} &"
    inside.start()
    until(lambda: len(inside.pids()) >= 4)  # its first process, that one's wait, the loop and what it sleeps by
    return inside


def found(desk: Desk, **changes: Any) -> dict[str, Any]:
    return first(look(desk.entry(**changes)))


@pytest.mark.parametrize("network", ["podman", "none"])
def test_a_loop_in_a_container_with_ports_of_its_own_keeps_no_gateway_of_the_host_waiting(
    container: Make, desk: Desk, network: str
) -> None:
    looped(container, network)
    gateway = found(desk)
    assert (gateway["verdict"], actions(gateway)) == ("gateway_not_running", ["wait", "start"]), gateway["findings"]


def test_a_loop_in_a_container_on_the_host_s_network_may_bring_the_host_s_gateway(container: Make, desk: Desk) -> None:
    inside = looped(container, "host")
    gateway = found(desk)
    assert (gateway["verdict"], actions(gateway)) == ("gateway_coming_up", ["wait"]), gateway["findings"]
    assert {each["pid"] for each in gateway["findings"][0]["evidence"]["keepers"]} <= set(inside.pids())


def test_a_loop_in_a_container_that_has_the_entry_s_port_is_waited_for(container: Make, desk: Desk) -> None:
    """The gateway that the engine's proxy leads to may be about to come up there."""
    inside = container(modes=(), network="podman")
    script = inside.folder / "start_ibgateway.sh"
    script.write_text(_LOOP)
    inside.before = f"sh {script} &"
    inside.start("--publish", f"127.0.0.1:{desk.port}:4003")
    until(lambda: len(inside.pids()) >= 4)
    gateway = found(desk)
    assert "gateway_coming_up" in codes(gateway) and "start" not in actions(gateway), gateway["findings"]
