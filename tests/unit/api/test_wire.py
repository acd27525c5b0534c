"""The wire format: examples by hand, and properties that hold for whatever a peer sends."""

from __future__ import annotations

from typing import Iterable, List, Tuple

import pytest
from ansible.module_utils.ib_gateway.api import wire
from hypothesis import assume, example, given
from hypothesis import strategies as st
from unit.api_frames import CUTS, cut, raw_frame


def decoded(chunks: Iterable[bytes], limit: int = wire.MAX_FRAME) -> Tuple[List[Tuple[str, ...]], bool]:
    """The frames that come out of these chunks, and whether the stream broke the protocol."""
    decoder = wire.FrameDecoder(limit)
    frames: List[Tuple[str, ...]] = []
    for chunk in chunks:
        try:
            frames.extend(decoder.feed(chunk))
        except wire.ProtocolError:
            return frames, True
        assert decoder.buffered <= limit + 4
    return frames, False


FIELD = st.text(st.characters(blacklist_characters="\0", codec="utf-8"), max_size=20)
FRAME = st.lists(FIELD, min_size=1, max_size=8)


def test_the_hello_is_the_mark_and_a_frame_of_versions_without_nul() -> None:
    assert wire.hello() == b"API\0" + b"\0\0\0\x09" + b"v100..176"


def test_start_api_carries_the_client_id_and_empty_capabilities() -> None:
    assert wire.start_api(900_000_007) == raw_frame("71", "2", "900000007", "")


def test_the_request_for_the_time_is_two_fields() -> None:
    assert wire.request_current_time() == raw_frame("49", "1")


@given(frames=st.lists(FRAME, max_size=6), cuts=CUTS)
def test_any_chunking_decodes_to_the_same_frames(frames: List[List[str]], cuts: List[int]) -> None:
    stream = b"".join(raw_frame(*fields) for fields in frames)
    assert decoded(cut(stream, cuts)) == ([tuple(fields) for fields in frames], False)


@given(frames=st.lists(FRAME, max_size=3), rest=st.binary(max_size=60), cuts=CUTS)
def test_garbage_after_good_frames_costs_none_of_them_however_it_is_cut(
    frames: List[List[str]], rest: bytes, cuts: List[int]
) -> None:
    assume(all(len(raw_frame(*fields)) <= 200 for fields in frames))
    stream = b"".join(raw_frame(*fields) for fields in frames) + rest
    whole = decoded([stream], limit=200)
    assert decoded(cut(stream, cuts), limit=200) == whole
    assert whole[0][: len(frames)] == [tuple(fields) for fields in frames]


@given(chunks=st.lists(st.binary(max_size=200), max_size=10))
@example(chunks=[b"\xff\xff\xff\xff"])
@example(chunks=[b"\0\0\0\0"])
@example(chunks=[b"\0\0\0\x01x"])
def test_arbitrary_bytes_raise_nothing_but_a_protocol_error_and_are_not_hoarded(chunks: List[bytes]) -> None:
    frames, _broken = decoded(chunks, limit=100)
    for fields in frames:
        for parse in (wire.parse_hello, lambda fields: wire.parse(fields, 176), lambda fields: wire.parse(fields, 200)):
            try:
                parse(fields)
            except wire.ProtocolError as error:
                assert len(str(error)) < 200


@given(fields=st.lists(st.one_of(FIELD, st.sampled_from(["4", "9", "15", "49", "-1", "1"])), max_size=8))
@example(fields=["9", "1", "1_000"])
@example(fields=["9", "1", "٣"])
@example(fields=["9", "1", "9" * 100_000])
@example(fields=["9", "1", "7\n"])
@example(fields=[])
def test_a_message_is_parsed_or_is_a_protocol_error(fields: List[str]) -> None:
    for version in (100, 176, 194, 999):
        try:
            message = wire.parse(fields, version)
        except wire.ProtocolError:
            continue
        if isinstance(message, wire.ApiError):
            assert len(message.text) <= 300
            assert message.text.isprintable()


def test_a_huge_length_is_refused_before_anything_of_it_has_come() -> None:
    decoder = wire.FrameDecoder()
    with pytest.raises(wire.ProtocolError, match="4294967295 bytes"):
        list(decoder.feed(b"\xff\xff\xff\xff"))
    with pytest.raises(wire.ProtocolError):
        list(decoder.feed(b"x" * 1000))
    assert decoder.buffered == 0


def test_a_frame_of_exactly_the_limit_is_taken() -> None:
    assert decoded([raw_frame("x" * 99)], limit=100) == ([("x" * 99,)], False)
    assert decoded([raw_frame("x" * 100)], limit=100) == ([], True)


def test_bytes_that_are_no_utf8_become_escapes() -> None:
    assert decoded([b"\0\0\0\x03\xff1\0"]) == ([("\\xff1",)], False)


def test_the_server_hello_has_a_version_and_a_time() -> None:
    hello = wire.parse_hello(("176", "20250425 15:23:54 EST"))
    assert hello == (176, "20250425 15:23:54 EST")


@pytest.mark.parametrize(
    "fields", [(), ("176",), ("176", "now", "more"), ("0", "now"), ("1000", "now"), ("-5", "now"), ("x", "now")]
)
def test_anything_else_is_no_server_hello(fields: Tuple[str, ...]) -> None:
    with pytest.raises(wire.ProtocolError):
        wire.parse_hello(fields)


def test_accounts_are_masked_and_tell_the_trading_mode() -> None:
    message = wire.parse(("15", "1", "DU1234567,DU7654321,"), 176)
    assert message == wire.ManagedAccounts(("DU*****67", "DU*****21"), "paper")


def test_an_account_of_an_unknown_shape_is_masked_too() -> None:
    message = wire.parse(("15", "1", "QX12-3456789"), 176)
    assert message == wire.ManagedAccounts(("**********89",), None)


@pytest.mark.parametrize(
    ("accounts", "mode"),
    [
        (["DU1234567"], "paper"),
        (["DF1234567", "DI1234567"], "paper"),
        (["U1234567"], "live"),
        (["F1234567", "I1234567", "U1234567"], "live"),
        (["DU1234567", "U1234567"], None),
        (["X1234567"], None),
        (["U1234567", "X1234567"], None),
        ([], None),
    ],
)
def test_account_prefixes_tell_the_trading_mode(accounts: List[str], mode: str) -> None:
    assert wire.trading_mode(accounts) == mode


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        (("4", "2", "-1", "2104", "farm is OK"), 150),
        (("4", "2", "-1", "2104", "farm is OK", ""), 176),
        (("4", "-1", "2104", "farm is OK", "", "1745600000000"), 194),
    ],
)
def test_an_error_is_read_in_the_shape_of_its_server_version(fields: Tuple[str, ...], version: int) -> None:
    message = wire.parse(fields, version)
    assert isinstance(message, wire.ApiError)
    assert (message.request_id, message.code, message.text) == (-1, 2104, "farm is OK")


def test_an_error_text_is_masked_cleaned_and_cut() -> None:
    message = wire.parse(("4", "2", "-1", "1", "\x1b[31m DU1234567\x9b\u202e\n" + "word " * 500), 176)
    assert isinstance(message, wire.ApiError)
    assert message.text.startswith(" [31m DU*****67   word")
    assert len(message.text) == 300


def test_a_text_that_sends_people_to_the_settings_is_not_passed_on() -> None:
    message = wire.parse(("4", "2", "-1", "502", "Confirm that 'Enable Socket Clients' is on in the menu"), 176)
    assert isinstance(message, wire.ApiError)
    assert message.text == ""


def test_the_order_id_and_the_time_are_numbers() -> None:
    assert wire.parse(("9", "1", "42"), 176) == wire.NextValidId(42)
    assert wire.parse(("49", "1", "1745600000"), 176) == wire.CurrentTime(1745600000)


def test_a_message_that_a_handshake_has_no_use_for_is_none() -> None:
    assert wire.parse(("54", "1", "DU1234567"), 176) is None
