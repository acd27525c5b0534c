"""What a survey without an inventory makes of gateways in containers of a real engine: by which port each is met."""

from __future__ import annotations

import contextlib
from typing import Any

from integration.containers import Container, Make
from integration.desk import until
from integration.modules import run_module
from integration.test_container_kinds import labels


def pids(container: Container) -> list[int]:
    """Of its gateways that run."""
    found = []
    for mode in container.modes:
        with contextlib.suppress(StopIteration):
            found.append(container.java(mode))
    return found


def surveyed(*containers: Container) -> tuple[dict[int, dict[str, Any]], dict[int, str]]:
    """(by pid the gateway that was judged by the entry proposed for it, by pid why none was)"""
    found = run_module("ib_desk_info")
    mine = {pid for each in containers for pid in pids(each)}
    gateways = found["health"]["gateways"]
    judged = {process["pid"]: gateway for gateway in gateways for process in gateway["processes"]}
    left = {each["pid"]: each["why"] for each in found["left"]}
    return {pid: judged[pid] for pid in mine & judged.keys()}, {pid: left[pid] for pid in mine & left.keys()}


def test_each_container_s_gateway_is_proposed_by_the_port_that_leads_to_it_and_is_healthy(container: Make) -> None:
    one, other, both = container().run(), container().run(), container(modes=("live", "paper")).run()
    judged, left = surveyed(one, other, both)
    assert left == {}
    assert {pid: (found["port"], found["status"]) for pid, found in judged.items()} == {
        one.java(): (one.ports["live"], "healthy"),
        other.java(): (other.ports["live"], "healthy"),
        both.java("live"): (both.ports["live"], "healthy"),
        both.java("paper"): (both.ports["paper"], "healthy"),
    }


def test_a_proposed_entry_names_the_container_so_that_the_next_one_in_its_place_is_meant_as_well(
    container: Make,
) -> None:
    """A compose service by its labels, unless it has several containers; any other by its name, never by its id."""
    plain, project = container(), container().name
    plain.run()
    live, twins = container().run(*labels(project, "live")), [container() for _each in range(2)]
    for each in twins:
        each.run(*labels(project, "twin"))
    found = run_module("ib_desk_info")
    proposed = {pid: each["entry"].get("container") for each in found["proposals"] for pid in each["pids"]}
    assert proposed[plain.java()] == {"engine": "podman", "name": plain.name}
    assert proposed[live.java()] == {"engine": "podman", "compose_project": project, "compose_service": "live"}
    assert [proposed[each.java()] for each in twins] == [{"engine": "podman", "name": each.name} for each in twins]
    judged = {process["pid"]: each for each in found["health"]["gateways"] for process in each["processes"]}
    assert judged[live.java()]["status"] == "healthy"


def test_of_gateways_that_are_met_at_their_containers_own_addresses_alone_none_is_called_broken(
    container: Make,
) -> None:
    """As in a compose file whose bots share the gateways' network: nothing is published."""
    one, other = container(published=False).run(), container(published=False).run()
    judged, left = surveyed(one, other)
    assert {each["status"] for each in judged.values()} <= {"healthy"}
    assert len(judged) + len(left) == 2 and all("at its container's own address" in why for why in left.values())
    assert left


def test_a_gateway_that_does_not_listen_is_proposed_by_the_port_that_its_container_publishes(container: Make) -> None:
    deaf = container(faults=("no-listener",))
    deaf.start()
    until(lambda: surveyed(deaf) != ({}, {}), 30)
    judged, left = surveyed(deaf)
    found = [(each["port"], each["verdict"]) for each in judged.values()]
    assert (found, left) == ([(deaf.ports["live"], "gateway_starting")], {})
