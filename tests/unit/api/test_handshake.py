"""The socket engine against small servers in threads: every outcome, and one deadline whatever the peer does."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any, Iterator, Optional

import pytest
from ansible.module_utils.ib_gateway.api import handshake
from ansible.module_utils.ib_gateway.api.client_ids import PROBE_IDS
from ansible.module_utils.ib_gateway.api.dialogue import Dialogue
from ansible.module_utils.ib_gateway.base.probe import STAGES, Probe
from unit.api_frames import ACCOUNTS, HELLO, ORDER_ID, TIME, notice, proto_frame, raw_frame
from unit.api_peer import (
    Line,
    Peer,
    Script,
    answer_all_but_the_time,
    close_on_the_id,
    close_unless_offered,
    flood,
    flood_with_slow_texts,
    hang_up_after_the_version,
    hang_up_at_once,
    hang_up_when_ready,
    insist_on,
    keep_no_time,
    ready_and,
    refuse_id,
    reset_after_the_version,
    say,
    serve,
    serve_in_full,
    stall,
    stay_silent,
    tell_only_the_time,
    trickle,
    trickle_after_the_version,
    version_and,
)

LONG = 30.0  # seconds: a probe that should end early ends long before this
BOUND = 10.0  # seconds: what proves that it did, on a machine however busy


def probe(peer: Peer, timeout: float = LONG, client_id: Optional[int] = None, host: str = "127.0.0.1") -> Probe:
    """A probe that proves, with a very wide margin, that it kept its time."""
    began = time.monotonic()
    found = handshake.probe(host, peer.port, client_id, timeout)
    assert time.monotonic() - began < BOUND
    return found


def message(found: Probe) -> str:
    assert found.error is not None
    return str(found.error["message"])


@pytest.fixture()
def no_descriptor_stays() -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_good_gateway_is_ready_and_tells_the_time() -> None:
    with Peer(serve) as peer:
        found = probe(peer, client_id=77)
    assert found == Probe(
        outcome="ready",
        stage="current_time",
        ok=True,
        server_version=176,
        accounts=("DU*****67",),
        trading_mode="paper",
        client_id=77,
        timings_ms=found.timings_ms,
    )
    assert tuple(found.timings_ms) == STAGES[:-1]
    assert peer.lines[0].heard == [b"v100..176", b"71\x002\x0077\0\0", b"49\x001\0"]


def test_the_connection_is_closed_without_a_reset_even_with_words_unread() -> None:
    def talk_on(line: Line) -> None:
        line.open()
        line.say(ACCOUNTS + ORDER_ID)
        line.frame()
        line.say(TIME)
        line.say(notice(2106) * 100)
        line.until_closed()

    with Peer(talk_on) as peer:
        assert probe(peer).ok
    assert peer.errors == []


def test_nobody_listening_is_refused_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = handshake.probe("127.0.0.1", port, timeout=LONG)
    assert (found.outcome, found.stage, found.timings_ms) == ("refused", "tcp", {})
    assert "ECONNREFUSED" in message(found)


def test_a_listener_with_a_full_queue_is_refused_as_timed_out() -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        found = handshake.probe("127.0.0.1", listener.getsockname()[1], timeout=0.5)
    assert (found.outcome, found.stage) == ("refused", "tcp")
    assert "ETIMEDOUT" in message(found)


def test_a_host_name_without_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any, **_options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    found = handshake.probe("gateway.invalid", 4001, timeout=LONG)
    assert found.outcome == "refused"
    assert "EAI_NONAME" in message(found)


def test_a_resolver_that_hangs_costs_no_more_than_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def hang(*_arguments: Any, flags: int = 0, **_options: Any) -> Any:
        if flags == 0:
            over.wait(LONG)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began = time.monotonic()
    found = handshake.probe("gateway.invalid", 4001, timeout=0.2)
    over.set()
    assert time.monotonic() - began < BOUND
    assert found.outcome == "refused"
    assert "ETIMEDOUT" in message(found)


@pytest.mark.parametrize("script", [stay_silent, trickle])
def test_without_a_version_in_time_it_is_silent(script: Script) -> None:
    with Peer(script) as peer:
        found = probe(peer, timeout=0.5)
    assert (found.outcome, found.stage, list(found.timings_ms)) == ("silent", "server_version", ["tcp"])


@pytest.mark.parametrize("script", [stall, trickle_after_the_version, flood, flood_with_slow_texts])
def test_a_version_without_a_session_in_time_is_stalled(script: Script) -> None:
    with Peer(script) as peer:
        found = probe(peer, timeout=0.5)
    assert (found.outcome, found.stage, found.server_version) == ("stalled", "start_api", 176)


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff\xff176\0", b"HTTP/1.1 400 Bad Request\r\n", b"\0" * 64, raw_frame("x"), raw_frame("x", "y")],
    ids=["4 GB prefix", "HTTP", "zeros", "one word", "no number"],
)
def test_another_protocol_is_dropped_at_once(data: bytes) -> None:
    with Peer(say(data)) as peer:
        found = probe(peer)
    assert (found.outcome, found.stage) == ("dropped", "server_version")
    assert message(found).startswith("answered with something that is not the API protocol")


@pytest.mark.parametrize(
    ("script", "stage", "words"),
    [
        (hang_up_at_once, "server_version", "before it told its version"),
        (hang_up_after_the_version, "start_api", "before the session was ready"),
        (reset_after_the_version, "start_api", "ECONNRESET"),
        (hang_up_when_ready, "ready", "as soon as the session was ready"),
    ],
)
def test_a_peer_that_hangs_up_is_dropped_before_the_time_is_over(script: Script, stage: str, words: str) -> None:
    with Peer(script) as peer:
        found = probe(peer)
    assert (found.outcome, found.stage, found.ok) == ("dropped", stage, False)
    assert words in message(found)


def test_an_id_that_was_given_is_tried_once() -> None:
    with Peer(refuse_id) as peer:
        found = probe(peer, client_id=5)
    assert (found.outcome, found.client_id, found.ok) == ("id_in_use", 5, False)
    assert found.error == {"code": 326, "message": "client id is already in use"}
    assert len(peer.lines) == 1


def test_an_allocated_id_that_is_taken_is_followed_by_another() -> None:
    with Peer(refuse_id, serve) as peer:
        found = probe(peer)
    assert (found.outcome, found.client_id) == ("ready", PROBE_IDS[1])


def test_each_of_the_few_ids_is_tried_once_and_no_other() -> None:
    with Peer(refuse_id) as peer:
        found = probe(peer)
    assert found.outcome == "id_in_use"
    assert [line.heard[1] for line in peer.lines] == [b"71\x002\x00%d\0\0" % number for number in PROBE_IDS]


def test_the_ids_are_the_same_for_every_process_and_none_that_others_use() -> None:
    assert tuple(range(900_000_001, 900_000_009)) == PROBE_IDS


def test_an_id_that_another_process_uses_is_left_out() -> None:
    with Peer(serve) as peer:
        found = handshake.probe("127.0.0.1", peer.port, timeout=LONG, avoid={PROBE_IDS[0], PROBE_IDS[2]})
    assert found.client_id == PROBE_IDS[1]
    with Peer(serve) as peer:
        assert handshake.probe("127.0.0.1", peer.port, timeout=LONG, avoid=PROBE_IDS).client_id == PROBE_IDS[-1]


def test_an_id_on_which_the_gateway_closes_without_a_word_is_followed_by_another() -> None:
    with Peer(close_on_the_id, close_on_the_id, serve) as peer:
        found = probe(peer)
    assert (found.outcome, found.client_id) == ("ready", PROBE_IDS[2])


def test_a_gateway_that_closes_on_three_ids_closes_on_all() -> None:
    with Peer(close_on_the_id) as peer:
        found = probe(peer)
    assert (found.outcome, found.stage, len(peer.lines)) == ("dropped", "start_api", 3)


@pytest.mark.parametrize("code", [1100, 2110])
def test_a_lost_upstream_is_seen_before_the_time(code: int) -> None:
    with Peer(ready_and(notice(code, "link lost"))) as peer:
        found = probe(peer)
    assert (found.outcome, found.ok, found.notices) == ("ready", False, (code,))
    assert found.error == {"code": code, "message": "link lost"}


@pytest.mark.parametrize("depth", ["quick", "full"])
def test_a_ready_session_that_answers_nothing_more_is_unanswered(depth: str) -> None:
    with Peer(keep_no_time) as peer:
        found = handshake.probe("127.0.0.1", peer.port, timeout=0.5, depth=depth)
    assert (found.outcome, found.stage, found.ok) == ("unanswered", "sync", False)


@pytest.mark.parametrize("depth", ["quick", "full"])
def test_a_session_that_answers_all_but_the_time_is_good(depth: str) -> None:
    with Peer(answer_all_but_the_time) as peer:
        found = handshake.probe("127.0.0.1", peer.port, timeout=LONG, depth=depth)  # does not take LONG
    assert (found.outcome, found.stage, found.ok) == ("ready", "sync", True)
    assert "current_time" not in found.timings_ms


def test_a_full_handshake_reads_what_scripts_read_and_cancels_what_it_began() -> None:
    with Peer(serve_in_full) as peer:
        found = handshake.probe("127.0.0.1", peer.port, 77, LONG, depth="full")
    assert (found.ok, found.stage, tuple(found.timings_ms)) == (True, "sync", STAGES)
    assert None not in found.sync.values() and len(found.sync) == 5
    heard = peer.lines[0].heard
    assert [frame.partition(b"\0")[0] for frame in heard[3:]] == [b"61", b"5", b"99", b"6", b"7", b"64", b"6"]
    assert heard[-1] == b"6\x002\x000\0DU1234567\0"
    assert peer.errors == []


def test_subscriptions_are_cancelled_also_where_no_answer_came() -> None:
    with Peer(tell_only_the_time) as peer:
        found = handshake.probe("127.0.0.1", peer.port, timeout=0.5, depth="full")
    assert (found.outcome, found.stage) == ("unanswered", "sync")
    assert peer.lines[0].heard[-2:] == [b"64\x001\0", b"6\x002\x000\0DU1234567\0"]


# --- server versions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [213, 226])
def test_a_server_that_insists_on_a_newer_version_is_spoken_to_in_it(version: int) -> None:
    with Peer(insist_on(version)) as peer:
        found = probe(peer)
    assert (found.ok, found.stage, found.server_version) == (True, "current_time", version)
    assert found.accounts == ("DU*****67",)


def test_a_server_that_closes_on_the_first_offer_is_offered_more() -> None:
    def newest(line: Line) -> None:
        line.say(raw_frame("226", "now"))
        line.frame()
        line.say(proto_frame(15, (1, "DU1234567,")) + proto_frame(9, (1, 1)))
        line.frame()
        line.say(proto_frame(49, (1, 1)))
        line.until_closed()

    with Peer(close_unless_offered(226, newest)) as peer:
        found = probe(peer)
    assert (found.ok, found.server_version, found.client_id) == (True, 226, PROBE_IDS[0])
    assert [line.heard[0] for line in peer.lines] == [b"v100..176", b"v100..226"]


@pytest.mark.parametrize("version", ["76", "227", "999"])
def test_a_server_without_a_version_in_common_cannot_be_judged(version: str) -> None:
    with Peer(version_and(raw_frame(version, "now"))) as peer:
        found = probe(peer)
    assert (found.outcome, found.stage, found.server_version) == ("unsupported", "start_api", int(version))
    assert len(peer.lines) == 1


def test_a_server_that_names_the_version_and_closes_cannot_be_judged() -> None:
    def refuse(line: Line) -> None:
        line.read(4)
        line.frame()
        line.say(notice(503, "out of date"))

    with Peer(refuse) as peer:
        found = probe(peer)
    assert (found.outcome, len(peer.lines)) == ("unsupported", 2)


def test_messages_before_the_server_version_are_passed_over() -> None:
    def talk_first(line: Line) -> None:
        assert line.read(4) == b"API\0"
        line.frame()
        line.say(notice(2104))
        line.say(notice(2106) + HELLO)
        line.frame()
        line.say(ACCOUNTS + ORDER_ID)
        line.frame()
        line.say(TIME)
        line.until_closed()

    with Peer(talk_first) as peer:
        assert probe(peer).ok


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_ipv6_addresses_work() -> None:
    with Peer(serve, host="::1") as peer:
        assert probe(peer, host="::1").ok


def test_a_name_with_several_addresses_finds_the_one_that_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with Peer(serve) as peer:
        nobody = handshake.Address(socket.AF_INET, ("127.0.0.2", peer.port))
        somebody = handshake.Address(socket.AF_INET, ("127.0.0.1", peer.port))
        monkeypatch.setattr(handshake, "resolve", lambda *_arguments: [nobody, somebody])
        assert probe(peer, host="gateway.invalid").ok


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"client_id": 0}, "orders entered by hand"),
        ({"client_id": -1}, "client id -1"),
        ({"client_id": 2**31}, "client id 2147483648"),
        ({"port": 0}, "port 0"),
        ({"port": 65536}, "port 65536"),
        ({"timeout": 0.0}, "timeout 0"),
        ({"timeout": float("nan")}, "timeout nan"),
        ({"timeout": float("inf")}, "timeout inf"),
    ],
)
def test_what_cannot_be_right_is_refused_before_a_packet_is_sent(arguments: Any, words: str) -> None:
    with Peer(serve) as peer, pytest.raises(ValueError, match=words):
        handshake.probe("127.0.0.1", **{"port": peer.port, **arguments})
    assert peer.lines == []


@pytest.mark.parametrize(
    "script", [serve, refuse_id, hang_up_at_once, reset_after_the_version, say(b"\xff" * 64), stall, stay_silent]
)
@pytest.mark.usefixtures("no_descriptor_stays")
def test_no_outcome_leaves_a_descriptor_open(script: Script) -> None:
    with Peer(script) as peer:
        probe(peer, timeout=0.3)


@pytest.mark.usefixtures("no_descriptor_stays")
def test_an_exception_closes_the_connection_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(_self: Dialogue, _data: bytes) -> bytes:
        raise RuntimeError("a fault of our own")

    monkeypatch.setattr(Dialogue, "receive", explode)
    with Peer(serve) as peer, pytest.raises(RuntimeError, match="of our own"):
        probe(peer)


def test_neither_engine_imports_asyncio_before_it_must() -> None:
    code = (
        "import sys, ansible.module_utils as m; m.__path__.extend(sys.argv[1:]);"
        "from ansible.module_utils.ib_gateway.api import handshake, session;"
        "print(sorted({'asyncio', 'ib_insync', 'ib_async', 'logging'} & set(sys.modules)))"
    )
    import ansible.module_utils

    argv = [sys.executable, "-c", code, *ansible.module_utils.__path__]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
