"""The handshake without a socket: it depends on the bytes and not on how they are cut, and survives any of them."""

from __future__ import annotations

from typing import Any, List

import pytest
from ansible.module_utils.ib_gateway.api import dialogue as dialogue_module
from ansible.module_utils.ib_gateway.api import sync as sync_module
from ansible.module_utils.ib_gateway.api.dialogue import Dialogue
from ansible.module_utils.ib_gateway.api.requests import encode
from ansible.module_utils.ib_gateway.base.probe import STAGES, Probe
from hypothesis import given
from hypothesis import strategies as st
from unit.api_frames import ACCOUNTS, CUTS, HELLO, ORDER_ID, SYNCED, TIME, cut, notice, raw_frame

MESSAGES = st.lists(
    st.sampled_from([HELLO, ACCOUNTS, ORDER_ID, TIME, notice(326), notice(1100), notice(2104)]), max_size=8
)


def sent(dialogue: Dialogue, data: bytes) -> bytes:
    """What the dialogue asks for after these bytes, as frames of its server version."""
    return b"".join(encode(each, dialogue.server_version or 0) for each in dialogue.receive(data))


def told(chunks: List[bytes]) -> Probe:
    """What a dialogue makes of these chunks when the time is over after them; without the timings."""
    dialogue = Dialogue(7, 5.0)
    dialogue.connected()
    for chunk in chunks:
        dialogue.receive(chunk)
    dialogue.expired()
    return dialogue.probe("socket")._replace(timings_ms={})


@given(messages=MESSAGES, rest=st.binary(max_size=30), cuts=CUTS)
def test_any_chunking_comes_to_the_same_probe(messages: List[bytes], rest: bytes, cuts: List[int]) -> None:
    stream = b"".join(messages) + rest
    assert told(cut(stream, cuts)) == told([stream])


@given(messages=MESSAGES, chunks=st.lists(st.binary(max_size=80), max_size=6))
def test_whatever_comes_makes_a_probe_that_is_consistent(messages: List[bytes], chunks: List[bytes]) -> None:
    probe = told([HELLO, *messages, *chunks])
    assert probe.stage in STAGES
    assert probe.ok == (probe.outcome == "ready" and probe.error is None)
    assert probe.error is None or probe.error["message"]


def test_a_good_start_answers_each_stage_with_the_next_request() -> None:
    dialogue = Dialogue(7, 5.0)
    assert dialogue.connected() == b"API\0" + b"\0\0\0\x09v100..176"
    assert sent(dialogue, HELLO) == raw_frame("71", "2", "7", "")
    assert sent(dialogue, ORDER_ID) == b""
    assert sent(dialogue, ACCOUNTS) == raw_frame("49", "1")
    assert not dialogue.done
    assert sent(dialogue, TIME) == b""
    assert dialogue.done


@pytest.mark.parametrize("code", [1100, 2110])
def test_a_lost_upstream_is_ready_but_not_ok(code: int) -> None:
    probe = told([HELLO + ACCOUNTS + ORDER_ID + notice(code, "link lost") + TIME])
    assert (probe.outcome, probe.ok, probe.notices) == ("ready", False, (code,))
    assert probe.error == {"code": code, "message": "link lost"}


@pytest.mark.parametrize("code", [1101, 1102])
def test_an_upstream_that_is_back_is_ok(code: int) -> None:
    probe = told([HELLO + notice(1100) + notice(code) + ACCOUNTS + ORDER_ID + TIME])
    assert (probe.outcome, probe.ok, probe.notices) == ("ready", True, (1100, code))


def test_a_link_that_is_lost_again_is_lost() -> None:
    probe = told([HELLO + notice(1100) + notice(1102) + notice(1100) + ACCOUNTS + ORDER_ID + TIME])
    assert (probe.ok, probe.notices) == (False, (1102, 1100))


def test_farm_notices_and_errors_of_requests_are_no_notices() -> None:
    about_a_request = raw_frame("4", "2", "12", "200", "no such contract", "")
    farms = b"".join(notice(code) for code in (2104, 2106, 2107, 2108, 2158, 2159))
    broken = notice(2103, "Market data farm connection is broken:usfarm") + notice(2157, "broken:secdefil")
    probe = told([HELLO + farms + about_a_request + broken + notice(1300) * 2 + ACCOUNTS + ORDER_ID + TIME])
    assert (probe.notices, probe.ok) == ((1300,), True)
    assert [(farm["name"], farm["code"]) for farm in probe.farms] == [("secdefil", 2157), ("usfarm", 2103)]


@pytest.mark.parametrize(("came", "missing"), [(ORDER_ID, "managedAccounts"), (ACCOUNTS, "nextValidId")])
def test_one_of_the_two_is_not_ready_and_the_other_is_named(came: bytes, missing: str) -> None:
    probe = told([HELLO + came])
    assert (probe.outcome, probe.stage) == ("incomplete", "start_api")
    assert probe.error is not None
    assert f", {missing} did not" in probe.error["message"]


def test_notices_alone_are_no_part_of_a_session() -> None:
    probe = told([HELLO + notice(2104) + notice(2106)])
    assert (probe.outcome, probe.stage) == ("stalled", "start_api")


def test_an_empty_account_list_is_not_ready() -> None:
    assert told([HELLO + ORDER_ID + raw_frame("15", "1", "")]).outcome == "incomplete"


def test_a_notice_before_the_end_is_part_of_the_error() -> None:
    probe = told([HELLO + notice(1300, "port 4003 from now on")])
    assert probe.error is not None
    assert probe.error["code"] == 1300
    assert probe.error["message"].endswith("before that: port 4003 from now on")


def test_a_frame_that_is_too_long_for_a_version_is_another_protocol() -> None:
    probe = told([(1 << 17).to_bytes(4, "big")])
    assert (probe.outcome, probe.stage) == ("dropped", "server_version")
    assert probe.error is not None
    assert probe.error["message"].startswith("answered with something that is not the API protocol")


# --- before the server version ---------------------------------------------------------------------------------------


def test_messages_before_the_server_version_are_passed_over() -> None:
    early = notice(2104) + raw_frame("14", "1", "7", "1", "a bulletin", "NYSE") + raw_frame("102")
    assert told([early + HELLO + ACCOUNTS + ORDER_ID + TIME]).ok


def test_a_notice_before_the_server_version_counts_in_any_shape() -> None:
    newest = raw_frame("4", "-1", "2103", "is broken:usfarm", "", "1745600000000")
    probe = told([notice(1100, "link lost") + newest + HELLO + ACCOUNTS + ORDER_ID + TIME])
    assert (probe.notices, [farm["name"] for farm in probe.farms]) == ((1100,), ["usfarm"])


def test_a_time_zone_of_strange_bytes_and_of_any_length_is_taken() -> None:
    frame = b"176\x0020250425 15:23:54 " + b"\xd6\xd0\xb9\xfa" * 500 + b"\0"
    assert told([len(frame).to_bytes(4, "big") + frame + ACCOUNTS + ORDER_ID + TIME]).ok


@pytest.mark.parametrize("version", ["99", "227", "300"])
def test_a_version_that_is_not_spoken_is_unsupported_at_once(version: str) -> None:
    dialogue = Dialogue(7, 5.0)
    dialogue.connected()
    assert sent(dialogue, raw_frame(version, "now")) == b""
    probe = dialogue.probe("socket")
    assert (dialogue.done, probe.outcome, probe.server_version) == (True, "unsupported", int(version))
    assert probe.error == {
        "code": None,
        "message": f"speaks server version {version}, this project 100 to 226",
    }


def test_a_server_that_names_the_version_as_its_reason_is_unsupported() -> None:
    dialogue = Dialogue(7, 5.0)
    dialogue.connected()
    dialogue.receive(notice(503, "out of date"))
    dialogue.ended()
    probe = dialogue.probe("socket")
    assert probe.outcome == "unsupported"
    assert probe.error is not None and "100 to 176" in probe.error["message"]


# --- what comes after ready ------------------------------------------------------------------------------------------


class Clock:
    """A clock that only a test moves."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture()
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(dialogue_module, "time", made)
    monkeypatch.setattr(sync_module, "time", made)
    return made


def ready(depth: str, hello: bytes = HELLO, **more: Any) -> Dialogue:
    """A dialogue whose session is ready and that has asked for the time."""
    dialogue = Dialogue(7, 5.0, depth, **more)
    dialogue.connected()
    dialogue.receive(hello + ACCOUNTS + ORDER_ID)
    return dialogue


SYNC_REQUESTS = (
    raw_frame("61", "1")
    + raw_frame("5", "1")
    + raw_frame("99", "0")
    + raw_frame("6", "2", "1", "DU1234567")
    + raw_frame("7", "3", "1", "0", "", "", "", "", "", "")
)
CANCELS = raw_frame("64", "1") + raw_frame("6", "2", "0", "DU1234567")


def test_a_full_handshake_asks_for_what_a_script_reads_and_times_each_answer(clock: Clock) -> None:
    dialogue = ready("full")
    assert sent(dialogue, TIME) == SYNC_REQUESTS
    for passed, frame in enumerate(SYNCED, 1):
        assert not dialogue.done
        clock.now += 0.25
        dialogue.receive(frame)
        assert dialogue.done == (passed == len(SYNCED))
    probe = dialogue.probe("socket")
    assert (probe.ok, probe.stage, probe.timings_ms["sync"]) == (True, "sync", 1250.0)
    assert probe.sync == {
        "positions": 250.0,
        "open_orders": 500.0,
        "completed_orders": 750.0,
        "account_updates": 1000.0,
        "executions": 1250.0,
    }
    assert b"".join(encode(each, 176) for each in dialogue.parting()) == CANCELS


def test_a_handshake_that_asked_for_nothing_has_nothing_to_cancel() -> None:
    dialogue = ready("quick")
    dialogue.receive(TIME)
    assert dialogue.parting() == []


def test_completed_orders_are_not_asked_of_servers_that_do_not_know_them() -> None:
    asked = sent(ready("full", hello=raw_frame("149", "now")), TIME)
    assert raw_frame("99", "0") not in asked and raw_frame("5", "1") in asked


@pytest.mark.parametrize("depth", ["quick", "full"])
def test_a_ready_session_that_answers_nothing_more_is_unanswered(depth: str, clock: Clock) -> None:
    dialogue = ready(depth)
    assert b"".join(encode(each, 176) for each in dialogue.time_is_late()) == SYNC_REQUESTS
    clock.now += 2.5
    dialogue.expired()
    probe = dialogue.probe("socket")
    assert (probe.outcome, probe.stage, probe.ok) == ("unanswered", "sync", False)
    assert probe.error == {
        "code": None,
        "message": "the session opened in full, and nothing was answered within 2.5 s after that",
    }
    assert set(probe.sync.values()) == {None}


def test_a_session_that_tells_only_the_time_is_unanswered(clock: Clock) -> None:
    dialogue = ready("full")
    dialogue.receive(TIME)
    clock.now += 4.9
    dialogue.expired()
    probe = dialogue.probe("socket")
    assert probe.outcome == "unanswered"
    assert probe.error is not None and "only the time was told" in probe.error["message"]


def test_a_session_that_became_ready_late_is_not_called_unanswered(clock: Clock) -> None:
    dialogue = ready("full")
    dialogue.receive(TIME)
    clock.now += 2.4
    dialogue.expired()
    assert dialogue.probe("socket").outcome == "ready"


@pytest.mark.parametrize(("left_out", "ok"), [("executions", False), ("completed_orders", True), ("positions", True)])
def test_a_session_that_answers_in_part_stays_ready_and_says_what_is_missing(
    left_out: str, ok: bool, clock: Clock
) -> None:
    dialogue = ready("full")
    dialogue.receive(TIME)
    names = list(dialogue.probe("socket").sync)
    dialogue.receive(b"".join(frame for frame, name in zip(SYNCED, names) if name != left_out))
    clock.now += 4.9
    dialogue.expired()
    probe = dialogue.probe("socket")
    assert (probe.outcome, probe.ok, probe.sync[left_out]) == ("ready", ok, None)


def test_a_row_of_an_answer_shows_that_the_gateway_answers(clock: Clock) -> None:
    dialogue = ready("full")
    dialogue.receive(TIME + raw_frame("61", "3", "DU1234567", "AAPL"))
    clock.now += 4.9
    dialogue.expired()
    assert dialogue.probe("socket").outcome == "ready"


def test_orders_that_come_unasked_are_no_answer(clock: Clock) -> None:
    dialogue = ready("full")
    dialogue.receive(TIME + raw_frame("5", "7", "AAPL") + raw_frame("3", "7", "Submitted"))
    clock.now += 4.9
    dialogue.expired()
    assert dialogue.probe("socket").outcome == "unanswered"


def test_a_time_that_comes_late_ends_a_quick_handshake_and_not_a_full_one() -> None:
    for depth, done in (("quick", True), ("full", False)):
        dialogue = ready(depth)
        dialogue.time_is_late()
        dialogue.receive(TIME)
        assert dialogue.done == done
        assert dialogue.probe("socket").ok


@pytest.mark.parametrize("request_id", ["-1", "2147483647"])
def test_a_request_that_is_refused_is_answered(request_id: str) -> None:
    refused = raw_frame("4", "2", request_id, "321", "Read-Only", "")
    dialogue = ready("full")
    dialogue.receive(TIME + SYNCED[0] + refused * 2 + SYNCED[3] + raw_frame("4", "2", "1", "321", "no", ""))
    probe = dialogue.probe("socket")
    assert (dialogue.done, probe.ok, probe.notices) == (True, True, ())


def test_a_gateway_that_closes_during_the_first_requests_drops_the_session() -> None:
    dialogue = ready("full")
    dialogue.receive(TIME)
    dialogue.ended()
    probe = dialogue.probe("socket")
    assert (probe.outcome, probe.stage) == ("dropped", "sync")
    assert probe.error is not None and "instead of answering" in probe.error["message"]


def test_several_accounts_are_asked_about_by_the_first_that_is_not_an_advisor_s() -> None:
    dialogue = Dialogue(7, 5.0, "full")
    dialogue.connected()
    dialogue.receive(HELLO + ORDER_ID + raw_frame("15", "1", "DF7654321,DU1234567,DU7654322"))
    assert raw_frame("6", "2", "1", "DU1234567") in sent(dialogue, TIME)
    assert "DU1234567" not in repr(dialogue.probe("socket"))
