"""The library engines against the peers that the simulator does not play: each ends as the socket engine says."""

from __future__ import annotations

import time
from typing import Optional

import pytest
from ansible.module_utils.ib_gateway.api import handshake, session
from ansible.module_utils.ib_gateway.base.probe import Probe
from unit.api_frames import ACCOUNTS, ORDER_ID, TIME, notice, raw_frame
from unit.api_peer import (
    Line,
    Peer,
    Script,
    close_unless_offered,
    flood,
    hang_up_after_the_version,
    hang_up_at_once,
    hang_up_when_ready,
    keep_no_time,
    ready_and,
    refuse_id,
    reset_after_the_version,
    serve,
    serve_in_full,
    trickle_after_the_version,
)

LONG = 30.0  # seconds: a probe that should end early ends long before this
BOUND = 10.0  # seconds: what proves that it did, on a machine however busy

both_libraries = pytest.mark.parametrize("library", session.LIBRARIES)


def probe(peer: Peer, library: str, timeout: float = LONG, client_id: Optional[int] = None) -> Probe:
    began = time.monotonic()
    found = session.probe("127.0.0.1", peer.port, client_id, timeout, library)
    assert time.monotonic() - began < BOUND
    return found


def message(found: Probe) -> str:
    assert found.error is not None
    return str(found.error["message"])


@both_libraries
@pytest.mark.parametrize(
    ("script", "stage"),
    [
        (hang_up_at_once, "server_version"),
        (hang_up_after_the_version, "start_api"),
        (reset_after_the_version, "start_api"),
        (hang_up_when_ready, "ready"),
    ],
)
def test_a_peer_that_hangs_up_is_dropped_before_the_time_is_over(library: str, script: Script, stage: str) -> None:
    with Peer(script) as peer:
        found = probe(peer, library)
    assert (found.outcome, found.stage, found.ok) == ("dropped", stage, False)


@both_libraries
@pytest.mark.parametrize("script", [trickle_after_the_version, flood])
def test_a_peer_that_never_comes_to_the_point_is_stalled(library: str, script: Script) -> None:
    with Peer(script) as peer:
        found = probe(peer, library, timeout=0.5)
    assert (found.outcome, found.stage) == ("stalled", "start_api")


@both_libraries
def test_another_id_is_tried_where_the_first_is_taken(library: str) -> None:
    with Peer(refuse_id, serve) as peer:
        assert probe(peer, library).ok
    assert len(peer.lines) == 2


@both_libraries
def test_an_id_that_was_given_is_tried_once(library: str) -> None:
    with Peer(refuse_id) as peer:
        assert probe(peer, library, client_id=5).outcome == "id_in_use"
    assert len(peer.lines) == 1


@both_libraries
@pytest.mark.parametrize("depth", ["quick", "full"])
def test_a_ready_session_that_answers_nothing_more_is_unanswered(library: str, depth: str) -> None:
    with Peer(keep_no_time) as peer:
        found = session.probe("127.0.0.1", peer.port, None, 0.5, library, depth)
    assert (found.outcome, found.stage, found.ok) == ("unanswered", "sync", False)


@both_libraries
def test_a_full_session_asks_by_the_library_s_own_means_and_cancels_what_it_began(library: str) -> None:
    with Peer(serve_in_full) as peer:
        found = session.probe("127.0.0.1", peer.port, 17, LONG, library, "full")
    assert (found.ok, found.stage, len(found.sync)) == (True, "sync", 5)
    assert peer.errors == []
    with Peer(serve_in_full) as other:
        handshake.probe("127.0.0.1", other.port, 17, LONG, "full")
    assert peer.lines[0].heard[1:] == other.lines[0].heard[1:], "the socket engine asks for the same in the same bytes"


@both_libraries
def test_a_server_that_refuses_only_the_library_s_versions_cannot_be_judged_by_it(library: str) -> None:
    def newest(line: Line) -> None:
        line.say(raw_frame("226", "now"))
        line.until_closed()

    with Peer(close_unless_offered(226, newest)) as peer:
        found = session.probe("127.0.0.1", peer.port, None, 1.0, library)
    assert (found.outcome, found.engine, found.server_version) == ("unsupported", library, 226)
    assert message(found) == f"speaks server version 226, and refuses those of {library}"


@both_libraries
def test_a_lost_upstream_that_is_back_is_good(library: str) -> None:
    with Peer(ready_and(notice(1100) + notice(1102))) as peer:
        found = probe(peer, library)
    assert (found.ok, found.notices) == (True, (1100, 1102))


@both_libraries
def test_an_answer_that_the_library_does_not_take_is_not_ready(library: str) -> None:
    def one_field_more(line: Line) -> None:
        line.open()
        line.say(ACCOUNTS + raw_frame("9", "1", "1", "more"))
        line.until_closed()

    with Peer(one_field_more) as peer:
        found = probe(peer, library, timeout=0.5)
    assert (found.outcome, found.ok) == ("stalled", False)
    assert message(found) == f"the gateway was ready, but {library} did not find it so"


@both_libraries
def test_the_connection_is_closed_without_a_reset(library: str) -> None:
    with Peer(serve) as peer:
        assert probe(peer, library, client_id=17).ok
    assert peer.errors == []
    assert peer.lines[0].heard[1:] == [b"71\x002\x0017\0\0", b"49\x001\0"]


@both_libraries
def test_nobody_listening_is_refused_by_name(library: str) -> None:
    with Peer(serve) as peer:
        port = peer.port
    found = session.probe("127.0.0.1", port, timeout=LONG, library=library)
    assert (found.outcome, found.stage) == ("refused", "tcp")
    assert "ECONNREFUSED" in message(found)


@both_libraries
def test_the_order_of_the_answers_does_not_matter(library: str) -> None:
    def swapped(line: Line) -> None:
        line.open()
        line.say(ORDER_ID)
        line.say(ACCOUNTS)
        line.frame()
        line.say(TIME)
        line.until_closed()

    with Peer(swapped) as peer:
        assert probe(peer, library, timeout=0.5).outcome == "ready"
