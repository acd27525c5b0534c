"""Gateways in containers of a real engine: what a look says of them from the host, and what a repair does."""

from __future__ import annotations

import os
import signal

import pytest
from ansible.module_utils.ib_gateway.act import held_process, stop_process

from integration.container_looks import actions, codes, first, look, repaired, steps, without_container
from integration.containers import Make, podman
from integration.desk import Desk, until
from integration.modules import run_module


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("network", ["podman", "host"])
def test_a_gateway_in_a_container_is_healthy_whether_the_entry_names_that_or_not(
    container: Make, network: str, named: bool
) -> None:
    inside = container(network=network).run()
    found = look(inside.entry() if named else without_container(inside))
    gateway = first(found)
    assert (gateway["verdict"], gateway["findings"], gateway["plan"]["steps"]) == ("healthy", [], [])
    assert gateway["api"]["ok"] and [each["pid"] for each in gateway["processes"]] == [inside.java()]


def test_a_script_of_the_host_is_the_client_that_its_session_in_the_container_has(container: Make, desk: Desk) -> None:
    inside = container().run()
    script = desk.script(port=inside.ports["live"])
    gateway = first(look(inside.entry(max_api_clients=1)))
    assert gateway["status"] == "healthy" and gateway["api"] is None  # the only session is in use
    clients = [(each["pid"], each["working"], each["port"]) for each in gateway["clients"]]
    assert clients == [(script.pid, True, inside.ports["live"])]


def test_two_gateways_in_one_container_are_told_apart(container: Make) -> None:
    inside = container(modes=("live", "paper")).run()
    found = look(inside.entry("live"), inside.entry("paper"))
    assert [each["status"] for each in found["gateways"]] == ["healthy", "healthy"]
    pids = [each["processes"][0]["pid"] for each in found["gateways"]]
    assert pids == [inside.java("live"), inside.java("paper")]


def test_a_gateway_that_has_ended_in_a_live_container_is_restarted_by_its_engine(container: Make) -> None:
    inside, other = container().run(), container().run()
    began = other.started_at
    inside.end(inside.java())
    entry = inside.entry(start_timeout=1)
    until(lambda: codes(first(look(entry))) == {"gateway_not_running"})
    found = look(entry)
    assert actions(first(found)) == ["wait", "restart"]
    assert steps(found, "restart")[0]["target"]["by"] == "container"
    entry["start_timeout"] = 60
    after = repaired(found, entry)
    assert after["restarted"] and first(after["health"])["status"] == "healthy", after
    assert actions(first(look(entry))) == []
    assert other.started_at == began


def test_check_mode_says_what_would_be_restarted_and_leaves_the_container_alone(container: Make) -> None:
    inside = container().run()
    inside.end(inside.java())
    entry = inside.entry(start_timeout=1)
    until(lambda: "restart" in actions(first(look(entry))))
    began = inside.started_at
    told = repaired(look(entry), entry, check=True)
    assert told["changed"] and told["outcomes"][0]["result"] == "would"
    assert inside.started_at == began


def test_a_gateway_that_takes_no_connections_is_restarted_with_its_container(container: Make) -> None:
    inside = container(settings={"event": "hang"}).run()
    entry = inside.entry()
    os.kill(inside.java(), signal.SIGUSR1)
    until(lambda: first(look(entry, probe="always"))["verdict"] == "handshake_silent")
    found = look(entry, probe="always")
    assert actions(first(found)) == ["restart"]
    assert "podman kills what of it has not ended" in steps(found, "restart")[0]["costs"]


def test_a_container_that_has_been_stopped_is_started(container: Make) -> None:
    inside = container().run()
    entry = inside.entry()
    podman("stop", inside.name)
    found = look(entry)
    assert (codes(first(found)), actions(first(found))) == ({"gateway_not_running"}, ["start"])
    after = run_module(
        "ib_gateway_start", gateways=[entry], steps=steps(found, "start"), then_look={"probe_timeout": 2}
    )
    assert after["started"] and first(after["health"])["status"] == "healthy", after
    again = run_module("ib_gateway_start", gateways=[entry], only=["live"])
    assert not again["changed"] and again["already_running"]


def test_a_relay_that_has_ended_is_the_link_that_is_down(container: Make) -> None:
    inside = container().run()
    inside.end(inside.socat())
    found = look(inside.entry())
    finding = first(found)["findings"][0]
    assert (finding["code"], finding["evidence"]["link"]) == ("container_link_down", "relay")
    assert "nothing listens on port 4003" in finding["summary"]
    assert actions(first(found)) == ["restart"]
    after = repaired(found, inside.entry())
    assert first(after["health"])["status"] == "healthy", after


def test_a_published_port_that_is_gone_is_the_link_that_is_down_and_the_gateway_is_proven_well(container: Make) -> None:
    inside = container().run()
    inside.unpublish()
    found = look(inside.entry())
    finding = first(found)["findings"][0]
    assert (finding["code"], finding["evidence"]["link"]) == ("container_link_down", "published_port")
    assert first(found)["api"]["ok"]  # asked inside
    assert actions(first(found)) == ["restart"]
    assert f"podman network reload {inside.name}" in steps(found, "restart")[0]["reason"]
    podman("network", "reload", inside.name)
    assert first(look(inside.entry()))["status"] == "healthy"


def test_a_port_that_the_container_does_not_publish_is_told_and_nothing_is_restarted_for_it(container: Make) -> None:
    inside = container(published=False).run()
    gateway = first(look(inside.entry()))
    assert codes(gateway) == {"container_link_down"} and actions(gateway) == []
    assert "a restart does not change the ports" in gateway["plan"]["withheld"][0]


def test_a_container_is_restarted_once_for_both_of_its_broken_gateways(container: Make) -> None:
    inside = container(modes=("live", "paper")).run()
    inside.end(inside.java("live"))
    inside.end(inside.java("paper"))
    entries = [inside.entry("live", start_timeout=1), inside.entry("paper", start_timeout=1)]
    until(lambda: [codes(each) for each in look(*entries)["gateways"]] == [{"gateway_not_running"}] * 2)
    found = look(*entries)
    for entry in entries:
        entry["start_timeout"] = 60
    after = repaired(found, *entries)
    assert [each["result"] for each in after["outcomes"]] == ["done", "already"]
    assert [each["status"] for each in after["health"]["gateways"]] == ["healthy", "healthy"]


def test_a_container_is_not_restarted_for_one_gateway_while_another_one_in_it_serves(container: Make) -> None:
    inside = container(modes=("live", "paper")).run()
    inside.end(inside.java("live"))
    entries = [inside.entry("live", start_timeout=1), inside.entry("paper")]
    until(lambda: codes(first(look(*entries))) == {"gateway_not_running"})
    live, paper = look(*entries)["gateways"]
    assert paper["status"] == "healthy" and actions(live) == []
    assert any("also carries pid %d" % inside.java("paper") in each for each in live["plan"]["withheld"])


def test_a_broken_gateway_in_a_container_that_no_entry_names_is_told_and_left_alone(container: Make) -> None:
    inside = container(settings={"event": "hang"}).run()
    java = inside.java()
    os.kill(java, signal.SIGUSR1)
    entry = without_container(inside, start_command=["/bin/true"])
    until(lambda: first(look(entry, probe="always"))["verdict"] == "handshake_silent")
    gateway = first(look(entry, probe="always"))
    assert actions(gateway) == []
    assert "does not say which container" in " ".join(gateway["plan"]["withheld"])
    inside.end(java)
    gateway = first(look(without_container(inside, start_command=["/bin/true"], start_timeout=1)))
    assert codes(gateway) == {"container_link_down"} and actions(gateway) == []
    assert "no gateway runs in" in gateway["summary"]


def test_a_container_of_somebody_else_is_no_entry_s(container: Make, desk: Desk) -> None:
    inside = container().run()
    desk.gateway()
    found = look(desk.entry())
    assert first(found)["status"] == "healthy"
    assert inside.java() in [each["pid"] for each in found["undeclared"]]


def test_no_signal_goes_to_a_gateway_in_a_container_whatever_a_plan_says(container: Make) -> None:
    inside = container().run()
    java = inside.java()
    pid = first(look(inside.entry()))["processes"][0]
    target = held_process.Target(java, pid["started_ticks"], pid["boot_id"], role="gateway")
    outcome = stop_process.stop([target], 1.0, force=True)[0]
    assert outcome.result == stop_process.REFUSED and "container" in outcome.reason
    assert inside.java() == java


def test_a_paused_container_is_told_with_what_lets_it_go_on(container: Make) -> None:
    inside = container().run()
    podman("pause", inside.name)
    try:
        gateway = first(look(inside.entry()))
        assert codes(gateway) == {"gateway_frozen"} and actions(gateway) == []
        assert f"podman unpause {inside.name}" in gateway["plan"]["withheld"][0]
    finally:
        podman("unpause", inside.name)


def test_a_container_that_does_not_exist_is_told_before_anything_is_tried(container: Make) -> None:
    missing = container()
    gateway = first(look(missing.entry()))
    assert codes(gateway) == {"gateway_not_running"} and actions(gateway) == []
    assert f"podman has no container {missing.name}" in gateway["plan"]["withheld"][0]
