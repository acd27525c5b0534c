"""What went wrong has a name: each thing a peer can do, through both libraries; retries, and their pauses."""

from __future__ import annotations

import logging
import pickle
import sys
import time
from pathlib import Path
from typing import Any, Callable, List, NamedTuple, Type

import pytest
from unit.api_frames import HELLO, raw_frame
from unit.api_peer import (
    Line,
    Peer,
    Script,
    flood,
    hang_up_after_the_version,
    hang_up_at_once,
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
from unit.client_kit import ib_connect, lock_folder, profile, write_profiles

BOUND = 10.0  # seconds: what proves that a deadline was kept, on a machine however busy
Failing = Callable[..., Any]

both_libraries = pytest.mark.parametrize("library", ["ib_insync", "ib_async"])


class Named(NamedTuple):
    """The error a peer's behaviour must come to."""

    kind: Type[Any]
    stage: str
    words: str


EARLY = {
    "closes at once": (hang_up_at_once, Named(ib_connect.Dropped, "server_version", "before a server version came")),
    "closes after the version": (
        hang_up_after_the_version,
        Named(ib_connect.Dropped, "start_api", "closed the connection after server version 176"),
    ),
    "resets": (reset_after_the_version, Named(ib_connect.Dropped, "start_api", "after server version 176")),
    "speaks HTTP": (
        say(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        Named(ib_connect.Dropped, "server_version", "not the API protocol"),
    ),
    "answers without a version": (
        say(raw_frame("hello", "there")),
        Named(ib_connect.Dropped, "server_version", "not the API protocol"),
    ),
    "is too old": (
        say(raw_frame("100", "20250425 15:23:54 EST")),
        Named(ib_connect.Dropped, "start_api", "does not take server version 100"),
    ),
    "says 326": (refuse_id, Named(ib_connect.ClientIdInUse, "start_api", "is in use (error 326)")),
    "is paper": (
        ready_and(b""),
        Named(ib_connect.WrongMode, "ready", "the profile is live, the accounts are not: DU*****67"),
    ),
}
LATE = {
    "is silent": (stay_silent, Named(ib_connect.Silent, "server_version", "no server version came within")),
    "trickles": (trickle, Named(ib_connect.Silent, "server_version", "no server version came within")),
    "stalls": (
        stall,
        Named(ib_connect.Stalled, "start_api", "server version 176 came, nextValidId and managedAccounts did not"),
    ),
    "trickles after the version": (trickle_after_the_version, Named(ib_connect.Stalled, "start_api", "176 came")),
    "floods": (flood, Named(ib_connect.Stalled, "start_api", "176 came")),
    "is ready and answers nothing": (
        keep_no_time,
        Named(ib_connect.Stalled, "synchronize", "server version 176 came, the answers to the first requests did not"),
    ),
}


@pytest.fixture
def failing(tmp_path: Path) -> Failing:
    """Connects where it must fail; gives the error, having proven that the deadline was kept."""

    def fail(port: int, mode: str = "live", timeout: float = 1.0, **options: Any) -> Any:
        file, locks = write_profiles(tmp_path, **{mode: profile(port, mode)}), lock_folder(tmp_path)
        connection = ib_connect.connect(mode, profiles=file, locks=locks, timeout=timeout, **options)
        began = time.monotonic()
        with pytest.raises(ib_connect.ConnectError) as caught:
            connection.open()
        assert time.monotonic() - began < BOUND
        assert list(locks.iterdir()) == []
        return caught.value

    return fail


@pytest.fixture
def one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second attempt, whatever time there is."""
    monkeypatch.setattr(ib_connect, "SHORTEST_ATTEMPT", 100.0)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> List[int]:
    """Retries follow each other at once; gives the attempts after which there was a pause."""
    asked: List[int] = []

    def backoff(attempt: int) -> float:
        asked.append(attempt)
        return 0.0

    monkeypatch.setattr(ib_connect, "backoff", backoff)
    return asked


def assert_named(error: Any, expected: Named) -> None:
    assert type(error) is expected.kind, error
    assert (error.stage, error.cause) == (expected.stage, expected.kind.cause)
    assert expected.words in str(error)
    assert str(error).startswith(("live (127.0.0.1 port", "paper (127.0.0.1 port"))


@both_libraries
@pytest.mark.parametrize("what", EARLY)
@pytest.mark.usefixtures("one_attempt")
def test_what_is_certain_early_is_named_early(what: str, library: str, failing: Failing) -> None:
    script, expected = EARLY[what]
    with Peer(script) as peer:
        error = failing(peer.port, library=library, timeout=30)
    assert_named(error, expected)
    assert error.attempts == 1


@both_libraries
@pytest.mark.parametrize("what", LATE)
def test_what_shows_only_by_waiting_is_named_at_the_deadline(what: str, library: str, failing: Failing) -> None:
    script, expected = LATE[what]
    with Peer(script) as peer:
        assert_named(failing(peer.port, mode="paper", library=library), expected)


@both_libraries
@pytest.mark.usefixtures("one_attempt")
def test_a_port_without_a_listener_is_refused(library: str, failing: Failing) -> None:
    with Peer(serve) as peer:
        pass
    assert_named(failing(peer.port, library=library), Named(ib_connect.Refused, "tcp", "no connection"))


@pytest.mark.usefixtures("one_attempt")
def test_live_accounts_on_a_paper_profile_are_refused_too(failing: Failing) -> None:
    def live(line: Line) -> None:
        line.open()
        line.say(raw_frame("15", "1", "DU1234567,U7654321,") + raw_frame("9", "1", "1"))
        line.until_closed()

    with Peer(live) as peer:
        error = failing(peer.port, mode="paper")
    assert_named(error, Named(ib_connect.WrongMode, "ready", "the profile is paper"))
    assert "7654321" not in str(error)


def test_a_wrong_mode_is_not_tried_again(failing: Failing, no_pause: List[int]) -> None:
    with Peer(ready_and(b"")) as peer:
        error = failing(peer.port, timeout=30)
        assert (len(peer.lines), error.attempts, no_pause) == (1, 1, [])


def test_a_code_that_the_gateway_sent_before_is_part_of_the_error(failing: Failing) -> None:
    def lost(line: Line) -> None:
        line.open()
        line.say(raw_frame("4", "2", "-1", "1100", "a text", ""))

    with Peer(lost) as peer:
        assert "before that the gateway sent code 1100" in str(failing(peer.port, timeout=0.6))


def test_an_id_that_is_refused_is_replaced_by_another_and_a_fixed_one_is_not(
    failing: Failing, no_pause: List[int]
) -> None:
    for options, distinct in (({}, True), ({"client_id": 77}, False)):
        with Peer(refuse_id) as peer:
            error = failing(peer.port, timeout=1.5, **options)
            ids = [line.heard[1].split(b"\0")[2] for line in peer.lines if len(line.heard) > 1]
        assert error.attempts > 1 and len(ids) > 1
        assert len(set(ids)) == (len(ids) if distinct else 1)
    assert no_pause


def test_every_failed_attempt_is_logged_ever_less_loudly_and_the_libraries_misleading_words_are_not(
    failing: Failing, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], no_pause: List[int]
) -> None:
    caplog.set_level(logging.INFO)
    with Peer(hang_up_after_the_version) as peer:
        error = failing(peer.port, timeout=1)
    told = [each.levelno for each in caplog.records if each.name == "ib_connect" and "again in" in each.getMessage()]
    assert len(told) == error.attempts - 1 == len(no_pause)
    loud = [
        number for number in range(1, error.attempts) if number <= 10 or number in (16, 32, 64, 128, 256, 512, 1024)
    ]
    assert [number for number, level in enumerate(told, 1) if level == logging.WARNING] == loud
    assert "TimeoutError" not in caplog.text and "Make sure" not in caplog.text
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    "script", [hang_up_after_the_version, stall], ids=["a connection that is closed", "a stalled one"]
)
def test_a_gateway_that_comes_back_is_reached_within_the_deadline(
    script: Script, tmp_path: Path, no_pause: List[int]
) -> None:
    with Peer(script, ready_and(b"")) as peer:
        file = write_profiles(tmp_path, live=profile(peer.port))
        connection = ib_connect.connect(
            "live", profiles=file, locks=lock_folder(tmp_path), timeout=30, attempt_timeout=1
        )
        with pytest.raises(ib_connect.WrongMode) as caught:  # which proves that the session came to be ready
            connection.open()
    assert caught.value.attempts == 2 and no_pause == [1]


def test_pauses_are_drawn_from_a_bound_that_doubles_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ib_connect.random, "uniform", lambda low, high: (low, high))
    bounds = [ib_connect.backoff(attempt) for attempt in (1, 2, 3, 4, 5, 6, 7, 10_000)]
    assert bounds == [(0, high) for high in (0.5, 1, 2, 4, 8, 15, 15, 15)]


def test_no_library_is_told_with_the_interpreter_that_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ib_connect.LIBRARIES:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ib_connect.LibraryMissing, match="pip install ib_async") as caught:
        ib_connect.load_library()
    assert sys.executable in str(caught.value)


def test_an_error_survives_the_way_to_another_process() -> None:
    error = ib_connect.Stalled("a detail", "synchronize")
    error.attempts, error.elapsed, error.server_version = 3, 1.5, 176
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (str(copy), copy.server_version) == (str(error), 176)
    assert isinstance(copy, ConnectionError)


def test_account_numbers_are_masked_whatever_their_shape() -> None:
    assert [ib_connect.mask(each) for each in ("DU1234567", "U1234567", "1234567", "DU", "U1", "")] == [
        "DU*****67",
        "U*****67",
        "*****67",
        "DU",
        "U1",
        "",
    ]


def test_the_hello_may_come_in_pieces(failing: Failing) -> None:
    def in_pieces(line: Line) -> None:
        line.read(4)
        line.frame()
        for byte in HELLO:
            line.say(bytes([byte]))
        line.frame()

    with Peer(in_pieces) as peer:
        assert "closed the connection after server version 176" in str(failing(peer.port, timeout=0.6))
