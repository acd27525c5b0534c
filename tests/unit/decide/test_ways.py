"""The way from a port of the host into a container, and whose sessions a gateway there has. Made-up sockets."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.container import ContainerState, Published, Way
from ansible.module_utils.ib_gateway.base.host import Connection, Listener, Snapshot
from ansible.module_utils.ib_gateway.base.place import Place
from ansible.module_utils.ib_gateway.decide.way_sessions import seen_through
from ansible.module_utils.ib_gateway.decide.ways import ways_of
from unit.facts import GATEWAY, OTHER_SCRIPT, SCRIPT, connection, gateway, process, script, snapshot, spec

PROXY, SOCAT, CHILD = 20, 30, 31
INSIDE, BRIDGE = "172.17.0.2", "172.17.0.1"
STATE = ContainerState("docker", "ib", id="c" * 64, status="running", pid=10, published=(Published("", 4001, 4003),))


def heard(port: int, pid: int, **more: Any) -> Listener:
    return Listener(port=port, address="0.0.0.0", families=("ipv4",), inode=port, pids=frozenset((pid,)), **more)  # noqa: S104


def row(local: str, remote: str, pid: int, sent: int = 500, received: int = 500) -> Connection:
    (here, _, port), (there, _, other) = local.rpartition(":"), remote.rpartition(":")
    pids = frozenset((pid,))
    return Connection(here, int(port), there, int(other), "ESTABLISHED", int(port), pids, sent=sent, received=received)


def place(*more: Connection, listeners: Tuple[Listener, ...], **changes: Any) -> Place:
    programs = {
        SOCAT: process(SOCAT, "socat", "TCP-LISTEN:4003,fork", "TCP:127.0.0.1:4001"),
        CHILD: process(CHILD, "socat", "TCP-LISTEN:4003,fork", "TCP:127.0.0.1:4001"),
    }
    base = Place(
        "net:[1]", 10, (INSIDE,), listeners, more, frozenset((GATEWAY,)), programs, {4001: frozenset((PROXY,))}
    )
    return base._replace(**changes)


RELAYED = (heard(4001, GATEWAY), heard(4003, SOCAT))


def host(*more: Any) -> Snapshot:
    proxy = process(PROXY, "docker-proxy", user="root")
    return snapshot(gateway(other_netns=True), proxy, heard(4001, PROXY), *more)


def way(inside: Place, state: Optional[ContainerState] = STATE, look: Optional[Snapshot] = None) -> Way:
    states = {"live": state} if state else {}
    found = ways_of([spec(service=None)], look or host(), [inside], states, {"live": frozenset((GATEWAY,))})
    return found["live"][0]


def through(inside: Place, *outside: Connection, look: Snapshot) -> Snapshot:
    return seen_through({4001: (way(inside, look=look), inside)}, look, outside)


def test_a_port_leads_through_a_relay_to_the_gateway_that_its_command_line_names() -> None:
    found = way(place(listeners=RELAYED))
    assert (found.relay, found.door, set(found.gateways)) == ("socat", ("127.0.0.1", 4001), {GATEWAY})
    assert found.broken is None and found.proxies == {PROXY}


def test_the_gateway_owns_the_entry_s_port_and_its_proxy_does_not() -> None:
    seen = through(place(listeners=RELAYED), look=host())
    assert [(each.port, set(each.pids)) for each in seen.listeners] == [(4001, {GATEWAY})]


def test_what_waits_in_the_proxy_s_queue_is_no_fault_of_the_gateway() -> None:
    look = host()._replace(accept_queue_samples={4001: (1, 1, 1)})
    assert through(place(listeners=RELAYED), look=look).accept_queue_samples == {}
    inside = place(listeners=RELAYED, queue_samples={4001: (2, 2, 2)})
    assert through(inside, look=look).accept_queue_samples == {4001: (2, 2, 2)}


@pytest.mark.parametrize("state", [STATE, None])
def test_a_relay_that_is_gone_breaks_the_way_while_the_gateway_listens(state: Optional[ContainerState]) -> None:
    said = (Published("", 4001, 4003),)
    found = way(place(listeners=RELAYED[:1], published=said), state)
    assert found.broken == "relay" and "port 4003" in found.why and "port 4001" in found.why


def test_nothing_is_broken_on_the_way_to_a_gateway_that_does_not_listen_yet() -> None:
    assert way(place(listeners=RELAYED[1:])).broken is None


def test_a_port_that_the_container_does_not_publish_is_not_brought_back_by_a_restart() -> None:
    found = way(place(listeners=RELAYED, proxies={}), STATE._replace(published=(Published("", 5000, 4003),)))
    assert (found.broken, found.curable) == ("published_port", False) and "port 4003 as 5000" in found.why


def test_a_container_with_an_address_of_its_own_and_no_gateway_in_it_is_not_said_to_publish_nothing() -> None:
    inside = place(listeners=(), proxies={}, gateways=frozenset())
    found = ways_of([spec(service=None)], host(), [inside], {"live": STATE._replace(published=())}, {})["live"][0]
    assert (found.broken, found.published, found.address) == (None, False, INSIDE)


def test_a_container_that_publishes_nothing_is_not_blamed_while_its_gateway_has_not_opened_a_port() -> None:
    none = STATE._replace(published=())
    assert way(place(listeners=(), proxies={}), none).broken is None
    other = way(place(listeners=(heard(4002, GATEWAY),), proxies={}), none)
    assert (other.broken, "publishes no port, and not port 4001" in other.why) == ("published_port", True)


def test_somebody_else_on_the_port_is_no_part_of_the_way() -> None:
    look = snapshot(gateway(other_netns=True), process(77, "nginx"), heard(4001, 77))
    inside = place(listeners=RELAYED, proxies={})
    assert way(inside, look=look).taken
    assert [each.pids for each in through(inside, look=look).listeners] == [{77}]


def relayed_session(client_port: int, number: int, **more: int) -> Tuple[Connection, ...]:
    """A session inside: the relay's child holds the connection that came and the one that it made."""
    inner, child = f"127.0.0.1:{50000 + number}", CHILD + number
    return (
        row("127.0.0.1:4001", inner, GATEWAY, **more),
        row(inner, "127.0.0.1:4001", child),
        row(f"{INSIDE}:4003", f"{BRIDGE}:{client_port}", child),
    )


def test_address_translation_keeps_the_client_s_port_and_so_tells_whose_session_it_is() -> None:
    look = host(
        script(),
        script(OTHER_SCRIPT),
        connection(SCRIPT, server=PROXY, client_port=40001),
        connection(OTHER_SCRIPT, server=PROXY, client_port=40002),
    )
    inside = place(*relayed_session(40001, 0), *relayed_session(40002, 1), listeners=RELAYED)
    seen = through(inside, look=look)
    assert {(each.client_port, tuple(each.client_pids), tuple(each.gateway_pids)) for each in seen.connections} == {
        (40001, (SCRIPT,), (GATEWAY,)),
        (40002, (OTHER_SCRIPT,), (GATEWAY,)),
    }


def test_a_proxy_s_bytes_tell_whose_session_it_has_passed_on() -> None:
    look = host(
        script(),
        script(OTHER_SCRIPT),
        connection(SCRIPT, server=PROXY, client_port=40001),
        connection(OTHER_SCRIPT, server=PROXY, client_port=40002),
    )
    outside = (
        row("127.0.0.1:4001", "127.0.0.1:40001", PROXY, sent=700, received=90),
        row(f"{BRIDGE}:61001", f"{INSIDE}:4003", PROXY, sent=90, received=700),
        row("127.0.0.1:4001", "127.0.0.1:40002", PROXY, sent=20, received=30),
        row(f"{BRIDGE}:61002", f"{INSIDE}:4003", PROXY, sent=30, received=20),
    )
    inside = place(*relayed_session(61001, 0), *relayed_session(61002, 1, sent=20), listeners=RELAYED)
    seen = through(inside, *outside, look=look)
    assert {(tuple(each.client_pids), each.sent) for each in seen.connections} == {
        ((SCRIPT,), 500),
        ((OTHER_SCRIPT,), 20),
    }


def test_where_nothing_tells_whose_a_session_is_each_of_the_clients_may_have_it() -> None:
    look = host(
        script(),
        script(OTHER_SCRIPT),
        connection(SCRIPT, server=PROXY, client_port=40001),
        connection(OTHER_SCRIPT, server=PROXY, client_port=40002),
    )
    inside = place(*relayed_session(61001, 0), listeners=RELAYED)
    sessions = [each for each in through(inside, look=look).connections if each.accepted]
    assert [each.client_pids for each in sessions] == [{SCRIPT, OTHER_SCRIPT}]


def test_a_client_of_a_proxy_with_nothing_behind_it_has_no_session() -> None:
    look = host(script(), connection(SCRIPT, server=PROXY, client_port=40001))
    seen = through(place(listeners=RELAYED[:1]), look=look)
    assert [(each.accepted, set(each.gateway_pids), set(each.client_pids)) for each in seen.connections] == [
        (False, set(), {SCRIPT})
    ]


def test_a_client_on_another_host_is_known_by_its_address() -> None:
    inner = row("127.0.0.1:4001", "127.0.0.1:50000", GATEWAY), row("127.0.0.1:50000", "127.0.0.1:4001", CHILD)
    inside = place(*inner, row(f"{INSIDE}:4003", "192.0.2.9:40001", CHILD), listeners=RELAYED)
    assert [each.remote_host for each in through(inside, look=host()).connections] == ["192.0.2.9"]


def test_a_script_inside_the_container_is_its_own_client() -> None:
    inside = place(
        row("127.0.0.1:4001", "127.0.0.1:50000", GATEWAY),
        row("127.0.0.1:50000", "127.0.0.1:4001", SCRIPT),
        listeners=RELAYED,
    )
    assert [each.client_pids for each in through(inside, look=host()).connections] == [{SCRIPT}]
