"""Both ends of every API connection, paired: whoever uses the API is found once, and who does not is no client."""

from __future__ import annotations

import re
from typing import FrozenSet, Iterable, Sequence, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.host import ApiConnection, Connection, Reading
from ansible.module_utils.ib_gateway.observe import snapshot as module
from ansible.module_utils.ib_gateway.observe.pairing import away, pair
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.facts import ALIEN, GATEWAY, OTHER_SCRIPT, SCRIPT, SECOND, gateway, listener, process, reading, row, script

SERVER, CLIENT = "127.0.0.1 4001", "127.0.0.1 50000"
BROKER = "203.0.113.7 4001"


def pids(*found: int) -> FrozenSet[int]:
    return frozenset(found)


def only(*rows: Connection, ports: Sequence[int] = (4001, 4002)) -> ApiConnection:
    found = paired(*rows, ports=ports)
    assert len(found) == 1
    return found[0]


def test_a_process_with_a_connection_to_another_host_s_api_port_works_there() -> None:
    rows = [
        row("10.0.0.5 51000", "10.9.9.2 4001", SCRIPT),
        row("10.0.0.5 51001", "10.9.9.9 4001", GATEWAY),
        row("10.0.0.5 51002", "10.0.0.5 4002", OTHER_SCRIPT),
        row("10.0.0.5 4002", "10.0.0.5 51002", GATEWAY),
    ]
    assert away(reading(*rows, processes=[gateway(), script(), script(OTHER_SCRIPT)])) == {SCRIPT}


def paired(*rows: Connection, ports: Sequence[int] = (4001, 4002)) -> Tuple[ApiConnection, ...]:
    return pair(reading(*rows, processes=[gateway(), script()], listeners=[listener()], ports=ports))


# --- pairs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "192.0.2.5"])
def test_both_ends_of_a_local_connection_are_one_connection(address: str) -> None:
    here, there = address + " 4001", address + " 50000"
    found = only(row(here, there, GATEWAY), row(there, here, SCRIPT))
    assert (found.gateway_pids, found.client_pids) == (pids(GATEWAY), pids(SCRIPT))
    assert (found.port, found.client, found.client_port, found.server) == (4001, address, 50000, address)
    assert (found.state, found.accepted, found.remote_host) == ("ESTABLISHED", True, None)


def test_the_order_of_the_rows_does_not_matter() -> None:
    one, other = row(SERVER, CLIENT, GATEWAY), row(CLIENT, SERVER, SCRIPT)
    assert paired(one, other) == paired(other, one)


def test_several_clients_come_by_port_and_address() -> None:
    found = paired(
        row("127.0.0.1 4002", "127.0.0.1 50001", GATEWAY),
        row("127.0.0.1 4001", "127.0.0.1 50003", GATEWAY),
        row("127.0.0.1 4001", "127.0.0.1 50002", GATEWAY),
    )
    assert [(each.port, each.client_port) for each in found] == [(4001, 50002), (4001, 50003), (4002, 50001)]


def test_the_state_is_that_of_the_gateway_s_end() -> None:
    found = only(row(SERVER, CLIENT, GATEWAY, state="CLOSE_WAIT"), row(CLIENT, SERVER, SCRIPT, state="FIN_WAIT2"))
    assert found.state == "CLOSE_WAIT"


def test_a_socket_that_several_processes_hold_has_all_of_them() -> None:
    found = only(row(SERVER, CLIENT, GATEWAY, SECOND), row(CLIENT, SERVER, SCRIPT, ALIEN))
    assert (found.gateway_pids, found.client_pids) == (pids(GATEWAY, SECOND), pids(SCRIPT, ALIEN))


def test_a_client_whose_process_cannot_be_seen_is_a_local_one() -> None:
    found = only(row(SERVER, CLIENT, GATEWAY))
    assert (found.client_pids, found.remote_host) == (pids(), None)


# --- remote clients, relays, the broker ------------------------------------------------------------------------------


def test_a_client_on_another_host_is_named_by_its_address() -> None:
    found = only(row("192.0.2.5 4001", "10.0.0.9 50000", GATEWAY))
    assert (found.remote_host, found.client_pids) == ("10.0.0.9", pids())


def test_a_gateway_s_own_connection_to_the_broker_is_no_client() -> None:
    assert paired(row("192.0.2.5 50000", BROKER, GATEWAY)) == ()


def test_anybody_s_connection_to_another_host_s_port_is_no_client() -> None:
    assert paired(row("192.0.2.5 50000", BROKER, SCRIPT)) == ()


def test_a_relay_is_the_client_of_the_gateway_and_the_server_of_its_clients() -> None:
    socat = process(ALIEN, "socat", "TCP-LISTEN:4001,fork", "TCP:127.0.0.1:4003")
    rows = [
        row("192.0.2.5 4001", "10.0.0.9 50000", ALIEN),
        row("127.0.0.1 50001", "127.0.0.1 4003", ALIEN),
        row("127.0.0.1 4003", "127.0.0.1 50001", GATEWAY),
    ]
    found = pair(reading(*rows, processes=[gateway(), socat], ports=(4001, 4003)))
    assert [(each.port, each.gateway_pids, each.client_pids, each.remote_host) for each in found] == [
        (4001, pids(ALIEN), pids(), "10.0.0.9"),
        (4003, pids(GATEWAY), pids(ALIEN), None),
    ]


def test_a_client_that_happens_to_come_from_an_api_port_is_found_once() -> None:
    here, there = "127.0.0.1 4001", "127.0.0.1 4002"
    found = only(row(here, there, GATEWAY), row(there, here, SCRIPT))
    assert (found.port, found.client_port, found.client_pids) == (4001, 4002, pids(SCRIPT))


# --- one end only ----------------------------------------------------------------------------------------------------


def test_a_connection_that_was_never_accepted_belongs_to_who_listens() -> None:
    found = only(row(SERVER, CLIENT, inode=0), row(CLIENT, SERVER, SCRIPT))
    assert (found.accepted, found.gateway_pids, found.client_pids) == (False, pids(GATEWAY), pids(SCRIPT))


@pytest.mark.parametrize("state", ["ESTABLISHED", "SYN_SENT", "FIN_WAIT2"])
def test_a_client_alone_after_the_gateway_s_end_has_gone_is_still_there(state: str) -> None:
    found = only(row(CLIENT, SERVER, SCRIPT, state=state))
    assert (found.state, found.accepted, found.gateway_pids, found.client_pids) == (state, False, pids(), pids(SCRIPT))
    assert (found.port, found.client_port, found.remote_host) == (4001, 50000, None)


def test_a_gateway_alone_on_its_own_host_s_port_is_no_client() -> None:
    assert paired(row(CLIENT, SERVER, GATEWAY)) == ()


def test_ports_that_nobody_asked_for_are_passed_over() -> None:
    assert paired(row("127.0.0.1 22", "127.0.0.1 50000", SCRIPT), row(CLIENT, "127.0.0.1 5432", SCRIPT)) == ()


# --- any table -------------------------------------------------------------------------------------------------------

ENDS = st.builds(
    "{} {}".format,
    st.sampled_from(["127.0.0.1", "::1", "192.0.2.5", "10.0.0.9"]),
    st.sampled_from([4001, 4002, 50000, 50001]),
)
ROWS = st.builds(
    lambda one, other, pids, state, inode: row(one, other, *pids, state=state, inode=inode),
    ENDS,
    ENDS,
    st.lists(st.sampled_from([GATEWAY, SCRIPT, ALIEN]), max_size=2),
    st.sampled_from(["ESTABLISHED", "CLOSE_WAIT", "SYN_SENT", "SYN_RECV"]),
    st.sampled_from([0, 1]),
)


@settings(deadline=None)
@given(st.lists(ROWS, max_size=8))
def test_any_table_gives_each_connection_at_most_once(rows: Iterable[Connection]) -> None:
    found = paired(*rows)
    ends = [(each.client, each.client_port, each.server, each.port) for each in found]
    assert len(ends) == len(set(ends))
    assert all(each.port in (4001, 4002) for each in found)
    assert all(each.remote_host is None or not each.client_pids for each in found)


# --- the look --------------------------------------------------------------------------------------------------------


def test_a_look_hands_on_what_was_read() -> None:
    def read(ports: Iterable[int], patterns: Sequence[re.Pattern[str]], units: Sequence[str]) -> Reading:
        assert (list(ports), [each.pattern for each in patterns], units) == ([4001], ["bot"], ["bot.service"])
        return reading(
            row(SERVER, CLIENT, GATEWAY),
            row(CLIENT, SERVER, SCRIPT),
            processes=[gateway(), script()],
            listeners=[listener()],
        )

    found = module.look([4001], ["bot"], ["bot.service"], read)
    assert set(found.processes) == {GATEWAY, SCRIPT}
    assert [each.client_pids for each in found.connections] == [pids(SCRIPT)]
    assert found.accept_queue_samples == {}


def test_a_pattern_that_is_none_is_an_error_before_anything_is_read() -> None:
    with pytest.raises(re.error):
        module.look([4001], ["("], (), lambda *_asked: pytest.fail("the host was read"))
