"""What is found of gateways in containers, by the way that leads there and by what the engine says."""

from __future__ import annotations

import pytest
from ansible.module_utils.ib_gateway.base.container import ContainerState, Way
from ansible.module_utils.ib_gateway.base.host import Snapshot
from ansible.module_utils.ib_gateway.base.spec import Container
from unit.facts import GATEWAY, gateway, judged, listener, process, snapshot, spec

PROXY = 20
SPEC = spec(service=None)._replace(container=Container("podman", "ib"))


def with_way(look: Snapshot, way: Way) -> Snapshot:
    return look._replace(ways={SPEC.name: way})


@pytest.mark.parametrize(("status", "taken"), [("stopped", False), ("exited", True)])
def test_a_proxy_that_waits_for_its_container_to_come_back_has_not_taken_the_port(status: str, taken: bool) -> None:
    state = ContainerState("podman", "ib", status=status, policy="always", exit_code=3)
    look = snapshot(process(PROXY, "conmon", user="root"), listener(4001, PROXY))
    codes = judged(with_way(look, Way(state.label, state=state)), SPEC).codes
    assert ("port_taken" in codes) is taken


@pytest.mark.parametrize(("published", "told"), [(False, False), (True, True)])
def test_localhost_is_none_of_a_container_with_an_address_of_its_own(published: bool, told: bool) -> None:
    state = ContainerState("podman", "ib", status="running", pid=10)
    look = snapshot(gateway(), listener(4001, GATEWAY, address="10.231.9.2"))._replace(localhost=("127.0.0.1",))
    way = Way(state.label, state=state, members=frozenset((GATEWAY,)), published=published)
    assert ("localhost_family" in judged(with_way(look, way), SPEC).codes) is told


@pytest.mark.parametrize("health", ["unhealthy", "starting", "healthy", ""])
def test_a_health_check_that_is_not_passed_stands_in_the_evidence(health: str) -> None:
    state = ContainerState("podman", "ib", status="running", pid=10, health=health)
    found = judged(with_way(snapshot(), Way(state.label, state=state)), SPEC).findings
    told = {each.evidence.get("container_health") for each in found}
    assert found and told == ({health} if health in ("unhealthy", "starting") else {None})
