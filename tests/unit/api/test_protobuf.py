"""Protobuf's wire format: what is written is read again, and whatever comes is read or refused."""

from __future__ import annotations

import contextlib
from typing import Dict, Union

import pytest
from ansible.module_utils.ib_gateway.api import protobuf
from hypothesis import given
from hypothesis import strategies as st

VALUE = st.one_of(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=300))


@given(fields=st.dictionaries(st.integers(1, 5000), VALUE, max_size=6))
def test_what_is_written_is_read_again(fields: Dict[int, Union[int, bytes]]) -> None:
    assert protobuf.decode(protobuf.encode(fields.items())) == fields


def test_a_message_by_hand() -> None:
    assert protobuf.encode([(1, 150), (2, "testing")]) == b"\x08\x96\x01\x12\x07testing"
    assert protobuf.encode([(1, -1)]) == b"\x08" + b"\xff" * 9 + b"\x01"


def test_fields_of_fixed_width_are_passed_over() -> None:
    assert protobuf.decode(b"\x09" + b"\0" * 8 + b"\x15" + b"\0" * 4 + b"\x08\x07") == {1: 7}


@pytest.mark.parametrize("data", [b"\x08", b"\x08\xff", b"\x0a\x05x", b"\x0b", b"\x09\0", b"\x08" + b"\xff" * 11])
def test_a_broken_message_is_refused(data: bytes) -> None:
    with pytest.raises(protobuf.BadMessage):
        protobuf.decode(data)


@given(data=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(protobuf.BadMessage):
        protobuf.decode(data)
