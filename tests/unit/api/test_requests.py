"""What a handshake asks for, in the bytes of each server version."""

from __future__ import annotations

import pytest
from ansible.module_utils.ib_gateway.api import requests
from unit.api_frames import raw_frame


def test_start_api_carries_the_client_id_and_empty_capabilities() -> None:
    assert requests.encode(requests.start_api(900_000_007), 176) == raw_frame("71", "2", "900000007", "")


def test_the_request_for_the_time_is_two_fields() -> None:
    assert requests.encode(requests.current_time(), 200) == raw_frame("49", "1")


def test_from_201_on_the_id_is_raw() -> None:
    assert requests.encode(requests.current_time(), 212) == b"\0\0\0\x06" + b"\0\0\0\x31" + b"1\0"


def test_a_request_is_protobuf_from_its_own_version_on() -> None:
    assert requests.encode(requests.start_api(7), 213) == b"\0\0\0\x06" + b"\0\0\x01\x0f" + b"\x08\x07"
    assert requests.encode(requests.positions(), 206)[4:8] == b"\0\0\0\x3d"
    assert requests.encode(requests.positions(), 207)[4:] == b"\0\0\x01\x05"


@pytest.mark.parametrize(("version", "rest"), [(199, ()), (200, ("2147483647", "0"))])
def test_executions_name_no_day_once_the_server_asks_for_days(version: int, rest: tuple[str, ...]) -> None:
    wanted = raw_frame("7", "3", "1", "0", "", "", "", "", "", "", *rest)
    assert requests.encode(requests.executions(), version) == wanted
