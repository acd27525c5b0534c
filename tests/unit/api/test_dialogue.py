"""The handshake without a socket: it depends on the bytes and not on how they are cut, and survives any of them."""

from __future__ import annotations

from typing import List

import pytest
from ansible.module_utils.ib_gateway.api.dialogue import Dialogue
from ansible.module_utils.ib_gateway.base.probe import STAGES, Probe
from hypothesis import given
from hypothesis import strategies as st
from unit.api_frames import ACCOUNTS, CUTS, HELLO, ORDER_ID, TIME, cut, notice, raw_frame

MESSAGES = st.lists(
    st.sampled_from([HELLO, ACCOUNTS, ORDER_ID, TIME, notice(326), notice(1100), notice(2104)]), max_size=8
)


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
    assert dialogue.receive(HELLO) == raw_frame("71", "2", "7", "")
    assert dialogue.receive(ORDER_ID) == b""
    assert dialogue.receive(ACCOUNTS) == raw_frame("49", "1")
    assert not dialogue.done
    assert dialogue.receive(TIME) == b""
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


def test_farm_notices_and_errors_of_requests_are_no_notices() -> None:
    about_a_request = raw_frame("4", "2", "12", "200", "no such contract", "")
    farms = b"".join(notice(code) for code in (2104, 2106, 2107, 2108, 2158, 2159))
    probe = told([HELLO + farms + about_a_request + notice(2103) + notice(2103) + ACCOUNTS + ORDER_ID + TIME])
    assert (probe.notices, probe.ok) == ((2103,), True)


@pytest.mark.parametrize(("came", "missing"), [(ORDER_ID, "managedAccounts"), (ACCOUNTS, "nextValidId")])
def test_one_of_the_two_is_not_ready_and_the_other_is_named(came: bytes, missing: str) -> None:
    probe = told([HELLO + came])
    assert (probe.outcome, probe.stage) == ("stalled", "start_api")
    assert probe.error is not None
    assert f", {missing} did not" in probe.error["message"]


def test_an_empty_account_list_is_not_ready() -> None:
    assert told([HELLO + ORDER_ID + raw_frame("15", "1", "")]).outcome == "stalled"


def test_a_notice_before_the_end_is_part_of_the_error() -> None:
    probe = told([HELLO + notice(1300, "port 4003 from now on")])
    assert probe.error is not None
    assert probe.error["code"] == 1300
    assert probe.error["message"].endswith("before that: port 4003 from now on")


def test_a_frame_that_is_too_long_for_a_version_is_another_protocol() -> None:
    probe = told([(1000).to_bytes(4, "big")])
    assert (probe.outcome, probe.stage) == ("dropped", "server_version")
    assert probe.error is not None
    assert probe.error["message"].startswith("answered with something that is not the API protocol")
