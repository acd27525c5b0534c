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
from ansible.module_utils.ib_gateway.api.dialogue import Dialogue
from ansible.module_utils.ib_gateway.base.probe import STAGES, Probe
from unit.api_frames import ACCOUNTS, ORDER_ID, TIME, notice, raw_frame
from unit.api_peer import (
    Line,
    Peer,
    Script,
    flood,
    flood_with_slow_texts,
    hang_up_after_the_version,
    hang_up_at_once,
    hang_up_when_ready,
    keep_no_time,
    ready_and,
    refuse_id,
    reset_after_the_version,
    say,
    serve,
    stall,
    stay_silent,
    trickle,
    trickle_after_the_version,
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
    assert tuple(found.timings_ms) == tuple(sorted(found.timings_ms, key=STAGES.index))
    assert set(found.timings_ms) == set(STAGES)
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
    [b"\xff\xff\xff\xff176\0", b"HTTP/1.1 400 Bad Request\r\n", b"\0" * 64, raw_frame("176"), raw_frame("x", "y")],
    ids=["4 GB prefix", "HTTP", "zeros", "one field", "no number"],
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
    assert (found.outcome, found.client_id) == ("ready", handshake.allocate_client_id() + 1_000_000)


def test_three_allocated_ids_are_enough() -> None:
    with Peer(refuse_id) as peer:
        found = probe(peer)
    assert found.outcome == "id_in_use"
    assert len(peer.lines) == len({line.heard[1] for line in peer.lines}) == 3


def test_the_allocated_id_belongs_to_this_process() -> None:
    assert handshake.allocate_client_id() == 900_000_000 + os.getpid()


@pytest.mark.parametrize("code", [1100, 2110])
def test_a_lost_upstream_is_seen_before_the_time(code: int) -> None:
    with Peer(ready_and(notice(code, "link lost"))) as peer:
        found = probe(peer)
    assert (found.outcome, found.ok, found.notices) == ("ready", False, (code,))
    assert found.error == {"code": code, "message": "link lost"}


def test_a_ready_session_that_does_not_tell_the_time_is_still_good() -> None:
    with Peer(keep_no_time) as peer:
        found = probe(peer, timeout=0.5)
    assert (found.outcome, found.stage, found.ok, found.error) == ("ready", "ready", True, None)


def test_the_time_is_not_waited_for_until_the_deadline() -> None:
    with Peer(keep_no_time) as peer:
        found = probe(peer, timeout=LONG)  # probe() asserts that far less was taken
    assert (found.stage, found.ok) == ("ready", True)


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
