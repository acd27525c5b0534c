"""The messages that a handshake reads: each shape by hand, and properties that hold for whatever a peer sends."""

from __future__ import annotations

from typing import List, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.api import messages, wire
from hypothesis import example, given
from hypothesis import strategies as st
from unit.api_frames import proto_frame, raw_frame

FIELD = st.text(st.characters(blacklist_characters="\0", codec="utf-8"), max_size=20)
VERSIONS = (100, 176, 194, 200, 201, 226)


def payload(*fields: str) -> bytes:
    return raw_frame(*fields)[4:]


def parse(fields: Tuple[str, ...], version: int) -> Optional[messages.Message]:
    return messages.parse(payload(*fields), version)


@given(data=st.binary(max_size=100))
@example(data=b"\0\0\0\xcc")
@example(data=b"\0\0\0\xcc\x08")
@example(data=b"\0\0\0\xd1\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
@example(data=b"\0\0\0\xd7\x0a\x7f")
@example(data=b"\0\0\0\xd7\x0f")
@example(data=b"no field")
def test_arbitrary_bytes_raise_nothing_but_a_protocol_error(data: bytes) -> None:
    for version in VERSIONS:
        try:
            messages.parse(data, version)
        except wire.ProtocolError as error:
            assert len(str(error)) < 200
    for early in (messages.server_version, messages.parse_early):
        try:
            early(data)
        except wire.ProtocolError as error:
            assert len(str(error)) < 200


@given(fields=st.lists(st.one_of(FIELD, st.sampled_from(["4", "9", "15", "49", "-1", "1"])), min_size=1, max_size=8))
@example(fields=["9", "1", "1_000"])
@example(fields=["9", "1", "\u0663"])
@example(fields=["9", "1", "9" * 100_000])
@example(fields=["9", "1", "7\n"])
def test_a_message_is_parsed_or_is_a_protocol_error(fields: List[str]) -> None:
    for version in VERSIONS:
        try:
            message = parse(tuple(fields), version)
        except wire.ProtocolError:
            continue
        if isinstance(message, messages.ApiError):
            assert len(message.text) <= 300
            assert message.text.isprintable()


# --- the server version ----------------------------------------------------------------------------------------------


def test_the_server_version_has_a_time_beside_it_whatever_its_bytes() -> None:
    assert messages.server_version(payload("176", "20250425 15:23:54 EST")) == 176
    assert messages.server_version(b"226\x0020250425 \xd6\xd0\xff\0") == 226
    assert messages.server_version(b"176\0\0") == 176


@pytest.mark.parametrize("fields", [("4", "2", "-1", "2104", "ok"), ("102",), ("14", "1", "7", "1", "news", "NYSE")])
def test_a_message_before_the_server_version_is_none(fields: Tuple[str, ...]) -> None:
    assert messages.server_version(payload(*fields)) is None


@pytest.mark.parametrize(
    "data", [b"no NUL", b"HTTP/1.1\0", payload("0", "now"), payload("1000", "now"), payload("x", "y")]
)
def test_anything_else_is_no_first_frame(data: bytes) -> None:
    with pytest.raises(wire.ProtocolError):
        messages.server_version(data)


# --- what a session says ---------------------------------------------------------------------------------------------


def test_accounts_are_masked_and_tell_the_trading_mode() -> None:
    message = parse(("15", "1", "DU1234567,DU7654321,"), 176)
    assert message == messages.ManagedAccounts(("DU*****67", "DU*****21"), "paper", "DU1234567")


def test_an_account_of_an_unknown_shape_is_masked_too() -> None:
    message = parse(("15", "1", "QX12-3456789"), 176)
    assert message == messages.ManagedAccounts(("**********89",), None, "QX12-3456789")


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
    assert messages.trading_mode(accounts) == mode


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        (("4", "2", "-1", "2104", "farm is OK"), 150),
        (("4", "2", "-1", "2104", "farm is OK", ""), 176),
        (("4", "-1", "2104", "farm is OK", "", "1745600000000"), 194),
        (("4", "-1", "2104", "farm is OK", "", "1745600000000"), 176),
        (("4", "2", "-1", "2104", "farm is OK"), 194),
    ],
)
def test_an_error_is_read_in_the_shape_of_its_server_version_and_else_in_the_other(
    fields: Tuple[str, ...], version: int
) -> None:
    message = parse(fields, version)
    assert isinstance(message, messages.ApiError)
    assert (message.request_id, message.code, message.text) == (-1, 2104, "farm is OK")


def test_an_error_text_is_masked_cleaned_and_cut() -> None:
    message = parse(("4", "2", "-1", "1", "\x1b[31m DU1234567\x9b\u202e\n" + "word " * 500), 176)
    assert isinstance(message, messages.ApiError)
    assert message.text.startswith(" [31m DU*****67   word")
    assert len(message.text) == 300


def test_a_text_that_sends_people_to_the_settings_is_not_passed_on() -> None:
    message = parse(("4", "2", "-1", "502", "Confirm that 'Enable Socket Clients' is on in the menu"), 176)
    assert isinstance(message, messages.ApiError)
    assert message.text == ""


def test_the_order_id_and_the_time_are_numbers() -> None:
    assert parse(("9", "1", "42"), 176) == messages.NextValidId(42)
    assert parse(("49", "1", "1745600000"), 176) == messages.CurrentTime(1745600000)


def test_a_message_that_a_handshake_has_no_use_for_is_none() -> None:
    assert parse(("63", "1", "DU1234567"), 176) is None


@pytest.mark.parametrize("fields", [("4",), ("4", "an old shape"), ("4", "2", "x", "y", "z"), ("4", "-1", "")])
def test_an_error_of_an_unknown_shape_is_passed_over(fields: Tuple[str, ...]) -> None:
    assert parse(fields, 176) is None and parse(fields, 194) is None


def test_the_read_only_answer_s_text_is_not_passed_on() -> None:
    message = parse(("4", "2", "-1", "321", "The API interface is currently in Read-Only mode."), 176)
    assert isinstance(message, messages.ApiError)
    assert message.text == ""


@pytest.mark.parametrize(
    ("kind", "request_name", "complete"),
    [
        (53, "open_orders", True),
        (54, "account_updates", True),
        (55, "executions", True),
        (62, "positions", True),
        (102, "completed_orders", True),
        (6, "account_updates", False),
        (11, "executions", False),
        (61, "positions", False),
        (101, "completed_orders", False),
    ],
)
def test_answers_are_known_by_their_id_in_every_shape(kind: int, request_name: str, complete: bool) -> None:
    wanted = messages.Answer(request_name, complete)
    assert parse((str(kind), "1"), 176) == wanted
    assert messages.parse(kind.to_bytes(4, "big") + b"1\0", 201) == wanted
    assert messages.parse((200 + kind).to_bytes(4, "big"), 226) == wanted


def test_from_201_on_a_message_has_a_raw_id_before_its_text() -> None:
    assert messages.parse(b"\0\0\0\x09" + b"1\x0042\0", 201) == messages.NextValidId(42)
    assert messages.parse(b"\0\0\0\x04" + b"-1\x002104\0farm\0\0001\0", 202) == messages.ApiError(-1, 2104, "farm")


def test_protobuf_messages_are_read_by_their_field_numbers() -> None:
    assert messages.parse(proto_frame(9, (1, 42))[4:], 213) == messages.NextValidId(42)
    assert messages.parse(proto_frame(49, (1, 1_745_600_000))[4:], 213) == messages.CurrentTime(1_745_600_000)
    accounts = messages.parse(proto_frame(15, (1, "U1234567,"))[4:], 207)
    assert accounts == messages.ManagedAccounts(("U*****67",), "live", "U1234567")
    error = messages.parse(proto_frame(4, (1, -1), (2, 1_745_600_000_000), (3, 2104), (4, "farm is OK"))[4:], 203)
    assert error == messages.ApiError(-1, 2104, "farm is OK")


def test_a_protobuf_error_may_leave_out_whom_it_is_about() -> None:
    assert messages.parse(proto_frame(4, (3, 1100))[4:], 226) == messages.ApiError(-1, 1100, "")
    assert messages.parse(proto_frame(4, (4, "no code"))[4:], 226) is None
