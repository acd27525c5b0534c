"""A connection is cut only if it is the one the plan named, held by exactly whom the plan named; all else is left."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import socket
import struct
from typing import Any, Dict, Iterator, List, Optional
from unittest import mock

import pytest
from ansible.module_utils.ib_gateway.act import drop_connection, held_process
from ansible.module_utils.ib_gateway.act.drop_connection import Cut
from ansible.module_utils.ib_gateway.act.held_process import Gone, Refused
from ansible.module_utils.ib_gateway.base.host import ApiConnection, Snapshot
from ansible.module_utils.ib_gateway.observe import own_address, processes
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.facts import BOOT, GATEWAY, SCRIPT, SECOND, connection, gateway, planned, script, snapshot, spec
from unit.facts import listener as listening

COOKIE = 4242
OURS, BOT, RIVAL = gateway(), script(), script(816)
HELD = connection(SCRIPT, cookie=COOKIE, idle=9.0)
LOOK = snapshot(OURS, listening(), BOT, RIVAL, HELD, connection(816))
TARGET = dict(planned(LOOK, spec(max_api_clients=1)).steps[0].target)
CUT = Cut.named(TARGET)
VPN = "10.8.0.7"
GONE = connection(client=VPN, client_port=40_001, remote_host=VPN, cookie=COOKIE, lost_for=900.0)
GONE = GONE._replace(server="10.8.0.1")
CUT_GONE = Cut.named(dict(planned(snapshot(OURS, listening(), GONE), spec()).steps[0].target))


class Host:
    """A host on which a cut is tried. answers: the kernel's, one for each request. cut: the requests it was sent."""

    def __init__(self, look: Optional[Snapshot] = None, answer: int = 0, own_netns: bool = True) -> None:
        self.look = look or LOOK
        self.answer = answer
        self.own_netns = own_netns
        self.capable = True
        self.own_address: Optional[bool] = False
        self.proven: List[held_process.Target] = []
        self.not_any_more: Dict[int, Exception] = {}
        self.cut: List[bytes] = []

    def prove(self, target: held_process.Target) -> None:
        """As signalling.prove() does it, from a list."""
        self.proven.append(target)
        if target.pid in self.not_any_more:
            raise self.not_any_more[target.pid]

    def ask(self, request: bytes) -> int:
        """The kernel's end of netlink."""
        self.cut.append(request)
        return self.answer

    @contextlib.contextmanager
    def rules(self) -> Iterator[None]:
        """Cutting sees this host."""
        with contextlib.ExitStack() as stack:
            for target, name, answer in (
                (drop_connection, "look", lambda _ports: self.look),
                (drop_connection, "_ask_kernel", self.ask),
                (drop_connection, "_capabilities", lambda: -1 if self.capable else 0),
                (held_process, "prove", self.prove),
                (own_address, "is_own", lambda _address: self.own_address),
                (processes, "network_namespace", lambda pid: "net:1" if pid == "self" or self.own_netns else "net:2"),
            ):
                stack.enter_context(mock.patch.object(target, name, answer))
            yield


def drop(host: Host, cut: Cut = CUT, **more: Any) -> drop_connection.Answer:
    with host.rules():
        return drop_connection.drop(cut, **more)


def with_connection(**more: Any) -> Snapshot:
    """The look with the plan's connection changed."""
    return LOOK._replace(connections=(HELD._replace(**more), *LOOK.connections[1:]))


def test_the_connection_of_the_plan_is_cut_after_all_its_holders_were_proven() -> None:
    host = Host()
    outcome = drop(host)
    assert (outcome.result, len(host.cut)) == ("dropped", 1)
    named = [(each.pid, each.started_ticks, each.boot_id, each.role, each.argv_digest) for each in host.proven]
    expected = [
        (GATEWAY, OURS.started_ticks, BOOT, "gateway", OURS.argv_digest),
        (SCRIPT, BOT.started_ticks, BOOT, "client", BOT.argv_digest),
    ]
    assert named == expected * 2  # once before it is announced, once after


def test_a_check_proves_everything_and_cuts_nothing() -> None:
    host = Host()
    said: List[Cut] = []
    outcome = drop(host, dry_run=True, announce=said.append)
    assert (outcome.result, host.cut, said) == ("dropped", [], []) and len(host.proven) == 2


# --- what is left alone ----------------------------------------------------------------------------------------------

CHANGES: Dict[str, Any] = {
    "the connection has ended": (with_connection(cookie=7), "already_gone", "ended before"),
    "the same ports have another connection": (with_connection(cookie=1), "already_gone", "ended before"),
    "cookies cannot be read": (with_connection(cookie=None), "unsupported", "cookies cannot be read"),
    "it is closing": (with_connection(state="CLOSE_WAIT"), "already_gone", "CLOSE_WAIT"),
    "other ends": (with_connection(client_port=1), "refused", "other ends"),
    "another address": (with_connection(client="10.0.0.9"), "refused", "other ends"),
    "another holder beside the script": (
        with_connection(client_pids=frozenset((SCRIPT, SECOND))),
        "refused",
        "client's end is held by others",
    ),
    "another holder in its place": (with_connection(client_pids=frozenset((816,))), "refused", "by 816"),
    "nobody that can be seen": (with_connection(client_pids=frozenset()), "refused", "nobody that can be seen"),
    "another gateway": (with_connection(gateway_pids=frozenset((SECOND,))), "refused", "gateway's end"),
    "two gateways": (with_connection(gateway_pids=frozenset((GATEWAY, SECOND))), "refused", "gateway's end"),
}


@pytest.mark.parametrize(("look", "result", "says"), CHANGES.values(), ids=CHANGES)
def test_what_is_not_as_the_plan_named_it_is_left_alone(look: Snapshot, result: str, says: str) -> None:
    host = Host(look)
    outcome = drop(host)
    assert (outcome.result, host.cut) == (result, []) and says in outcome.reason


@pytest.mark.parametrize("pid", [GATEWAY, SCRIPT])
@pytest.mark.parametrize("why", [Gone(), Refused("pid 4 carries this very run")], ids=["reused", "protected"])
def test_a_holder_that_is_not_who_was_meant_or_is_never_touched_keeps_it(pid: int, why: Exception) -> None:
    host = Host()
    host.not_any_more[pid] = why
    assert (drop(host).result, host.cut) == ("refused", [])


def test_what_changes_while_it_is_written_down_is_left_alone() -> None:
    host = Host()

    def announce(_cut: Cut) -> None:
        host.look = with_connection(client_pids=frozenset((816,)))

    assert (drop(host, announce=announce).result, host.cut) == ("refused", [])


def test_what_cannot_be_written_down_is_not_done() -> None:
    host = Host()

    def announce(_cut: Cut) -> None:
        raise Refused("the disk is full")

    outcome = drop(host, announce=announce)
    assert (outcome.result, outcome.reason, host.cut) == ("refused", "the disk is full", [])


def test_a_gateway_in_another_network_namespace_is_not_served() -> None:
    host = Host(own_netns=False)
    outcome = drop(host)
    assert (outcome.result, host.cut) == ("refused", []) and "network namespace" in outcome.reason


@pytest.mark.parametrize("change", [{"cookie": None}, {"client_processes": ()}], ids=["no cookie", "no holder"])
def test_what_the_plan_does_not_name_exactly_is_refused(change: Dict[str, Any]) -> None:
    host = Host(with_connection(cookie=None, client_pids=frozenset()))
    assert (drop(host, dataclasses.replace(CUT, **change)).result, host.cut) == ("refused", [])


# --- a client of another host ----------------------------------------------------------------------------------------


def test_a_connection_whose_peer_on_another_host_has_gone_is_cut_on_tcp_s_evidence_read_again() -> None:
    host = Host(snapshot(OURS, listening(), GONE))
    outcome = drop(host, CUT_GONE)
    assert (outcome.result, len(host.cut)) == ("dropped", 1) and "stopped answering" in outcome.reason
    assert [each.pid for each in host.proven] == [GATEWAY, GATEWAY]  # before it is announced, and after


@pytest.mark.parametrize(
    ("change", "result", "says"),
    [
        ({"lost_for": None}, "refused", "nothing waits in vain"),
        ({"lost_for": None, "idle": 9e4}, "refused", "nothing waits in vain"),
        ({"remote_host": None}, "refused", "not there"),
        ({"remote_host": None, "client_pids": frozenset((SCRIPT,))}, "refused", "not there"),
        ({"remote_host": "10.8.0.8"}, "refused", "not there"),
        ({"client": "10.8.0.8", "remote_host": "10.8.0.8"}, "refused", "other ends"),
        ({"client_pids": frozenset((SCRIPT,))}, "refused", "client's end is held by others"),
        ({"gateway_pids": frozenset((SECOND,))}, "refused", "gateway's end"),
        ({"cookie": 7}, "already_gone", "ended before"),
        ({"cookie": None}, "unsupported", "cookies cannot be read"),
        ({"state": "CLOSE_WAIT"}, "already_gone", "CLOSE_WAIT"),
    ],
    ids=str,
)
def test_a_peer_that_is_not_seen_to_have_gone_keeps_its_connection(
    change: Dict[str, Any], result: str, says: str
) -> None:
    host = Host(snapshot(OURS, listening(), GONE._replace(**change)))
    outcome = drop(host, CUT_GONE)
    assert (outcome.result, host.cut) == (result, []) and says in outcome.reason


@pytest.mark.parametrize("own", [True, None], ids=["an own address", "nobody can tell"])
def test_a_peer_at_an_address_that_may_be_this_host_s_keeps_its_connection(own: Optional[bool]) -> None:
    host = Host(snapshot(OURS, listening(), GONE))
    host.own_address = own
    outcome = drop(host, CUT_GONE)
    assert (outcome.result, host.cut) == ("refused", []) and VPN in outcome.reason


def test_a_peer_that_answers_again_while_the_cut_is_written_down_keeps_its_connection() -> None:
    host = Host(snapshot(OURS, listening(), GONE))

    def announce(_cut: Cut) -> None:
        host.look = snapshot(OURS, listening(), GONE._replace(lost_for=None))

    assert (drop(host, CUT_GONE, announce=announce).result, host.cut) == ("refused", [])


@pytest.mark.parametrize("change", [{"cookie": None}, {"remote_host": None}], ids=["no cookie", "no mark"])
def test_a_vanished_peer_that_the_plan_does_not_name_as_one_is_refused(change: Dict[str, Any]) -> None:
    host = Host(snapshot(OURS, listening(), GONE))
    assert (drop(host, dataclasses.replace(CUT_GONE, **change)).result, host.cut) == ("refused", [])


def test_the_mark_of_another_host_proves_nothing_of_a_connection_that_scripts_hold() -> None:
    host = Host(with_connection(client_pids=frozenset((816,))))
    assert (drop(host, dataclasses.replace(CUT, remote_host=VPN)).result, host.cut) == ("refused", [])


def test_roles_come_from_the_ends_and_not_from_what_the_plan_calls_them() -> None:
    turned = Cut.named({**TARGET, "gateway_process": {**TARGET["gateway_process"], "role": "client"}})
    assert turned == CUT


# --- what the kernel says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (0, "dropped"),
        (errno.ENOENT, "already_gone"),
        (errno.ESTALE, "already_gone"),
        (errno.EPERM, "unsupported"),
        (errno.EOPNOTSUPP, "unsupported"),
        (errno.EINVAL, "unsupported"),
        (errno.EBADMSG, "refused"),
    ],
)
def test_every_answer_of_the_kernel_has_its_meaning(answer: int, result: str) -> None:
    outcome = drop(Host(answer=answer))
    assert outcome.result == result and outcome.reason


def test_without_the_right_to_cut_nothing_is_announced() -> None:
    host = Host()
    said: List[Cut] = []
    host.capable = False
    outcome = drop(host, announce=said.append)
    assert (outcome.result, host.cut, said) == ("unsupported", [], []) and "become" in outcome.reason


def test_a_request_names_family_both_ends_and_cookie() -> None:
    cut = dataclasses.replace(CUT, cookie=(7 << 32) + 9, client_port=50_000)
    four, six = (drop_connection.destroy_request(cut, family) for family in (socket.AF_INET, socket.AF_INET6))
    for request, family, address in (
        (four, socket.AF_INET, b"\x7f\0\0\1".ljust(16, b"\0")),
        (six, socket.AF_INET6, bytes(10) + b"\xff\xff\x7f\0\0\1"),
    ):
        assert struct.unpack_from("=IHHII", request) == (len(request), 21, 5, 1, 0)
        assert request[16:18] == bytes([family, socket.IPPROTO_TCP])
        assert struct.unpack_from(">HH", request, 24) == (4001, 50_000)
        assert (request[28:44], request[44:60]) == (address, address)
        assert struct.unpack_from("=III", request, 60) == (0, 9, 7)
        assert len(request) == 72


@given(st.binary(max_size=64))
def test_any_answer_is_a_number_and_no_crash(data: bytes) -> None:
    assert isinstance(drop_connection.parse_ack(data), int)


def test_an_answer_that_is_no_acknowledgement_is_no_success() -> None:
    assert drop_connection.parse_ack(b"") == drop_connection.parse_ack(bytes(36)) == errno.EBADMSG
    assert drop_connection.parse_ack(struct.pack("=IHHIIi", 20, 2, 0, 1, 0, 0)) == 0
    assert drop_connection.parse_ack(struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -errno.EPERM)) == errno.EPERM


# --- any host --------------------------------------------------------------------------------------------------------

ANY_CONNECTION = st.builds(
    lambda clients, gateways, more: HELD._replace(
        client_pids=frozenset(clients), gateway_pids=frozenset(gateways), **more
    ),
    st.sets(st.sampled_from([SCRIPT, 816, 817]), max_size=2),
    st.sets(st.sampled_from([GATEWAY, SECOND]), max_size=2),
    st.fixed_dictionaries(
        {
            "cookie": st.sampled_from([COOKIE, COOKIE, 7, None]),
            "state": st.sampled_from(["ESTABLISHED", "ESTABLISHED", "CLOSE_WAIT"]),
            "client_port": st.sampled_from([HELD.client_port, HELD.client_port, 1]),
        }
    ),
)


@settings(deadline=None)
@given(st.lists(ANY_CONNECTION, max_size=3), st.sets(st.sampled_from([SCRIPT, GATEWAY]), max_size=1))
def test_nothing_but_the_very_connection_with_its_very_holders_is_ever_cut(
    found: List[ApiConnection], gone: Any
) -> None:
    # No two sockets have one cookie.
    distinct = list({each.cookie: each for each in found}.values())
    host = Host(LOOK._replace(connections=tuple(distinct)))
    host.not_any_more = {pid: Gone() for pid in gone}
    outcome = drop(host)
    meant = HELD in distinct and not gone
    assert (outcome.result == "dropped", bool(host.cut)) == (meant, meant)
