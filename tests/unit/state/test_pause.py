"""The pause file: a reason and an end, and in doubt it is a pause."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ib_gateway.state import pause
from ansible.module_utils.ib_gateway.state.records import epoch
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = epoch("2026-11-22T12:00:00Z")


def put(tmp_path: Path, text: Any) -> str:
    """A pause file."""
    file = tmp_path / "pause.json"
    file.write_bytes(text if isinstance(text, bytes) else json.dumps(text).encode())
    return str(file)


def test_no_file_is_no_pause(tmp_path: Path) -> None:
    assert pause.read(str(tmp_path / "none"), NOW) is None
    assert pause.read(str(tmp_path / "none" / "none"), NOW) is None


@pytest.mark.parametrize("until", ["2026-11-22T18:00:00Z", "2026-11-22T19:00:00+01:00", "2026-11-22T18:00:00.25Z"])
def test_a_pause_holds_until_its_end(tmp_path: Path, until: str) -> None:
    path = put(tmp_path, {"reason": "broker moves", "until": until})
    found = pause.read(path, NOW)
    assert found is not None and found.text == "paused until 2026-11-22T18:00:00Z: broker moves"
    assert pause.read(path, NOW + 6 * 3600 - 1) is not None
    assert pause.read(path, NOW + 6 * 3600) is None


DOUBTFUL = {
    "no reason": {"until": "2020-01-01T00:00:00Z"},
    "empty reason": {"reason": " \n", "until": "2020-01-01T00:00:00Z"},
    "no end": {"reason": "x"},
    "an end that is no text": {"reason": "x", "until": 0},
    "an end without a zone": {"reason": "x", "until": "2020-01-01T00:00:00"},
    "an end that is no time": {"reason": "x", "until": "\x1b[2Jsoon"},
    "a list": [],
    "empty": b"",
    "no JSON": b"until tomorrow",
    "no UTF-8": b"\xff\xfe",
    "deep": b"[" * 60_000,
    "long": b" " * 70_000,
    "huge number": b'{"reason":"x","until":' + b"9" * 60_000 + b"}",
}


@pytest.mark.parametrize("text", DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_is_not_understood_is_a_pause_that_says_how_to_mend_it(tmp_path: Path, text: Any) -> None:
    found = pause.read(put(tmp_path, text), NOW)
    assert found is not None and "pause.json is not understood: it" in found.text.replace("'", "it")
    assert "remove it, or give it a reason and an end" in found.text and found.text.isprintable()
    assert len(found.text) < 600


@pytest.mark.timeout(5)  # a FIFO is not waited for
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/nonexistent", path)])
def test_what_is_no_file_is_a_pause(tmp_path: Path, make: Any) -> None:
    make(str(tmp_path / "pause.json"))
    found = pause.read(str(tmp_path / "pause.json"), NOW)
    assert found is not None and "not understood" in found.text


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOTDIR])
def test_what_cannot_be_read_is_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(*_arguments: Any, **_named: Any) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("ansible.module_utils.ib_gateway.state.pause.os.open", fail)
    found = pause.read(str(tmp_path / "pause.json"), NOW)
    assert found is not None and os.strerror(number) in found.text


def test_a_path_that_is_none_is_a_pause() -> None:
    assert pause.read("/srv/\0", NOW) is not None


def test_a_secret_in_a_reason_is_not_shown(tmp_path: Path) -> None:
    path = put(tmp_path, {"reason": "password=hunter2 of U1234567\x1b[31m", "until": "2026-11-22T18:00:00Z"})
    found = pause.read(path, NOW)
    assert found is not None and "hunter2" not in found.text and "U1234567" not in found.text
    assert found.text.isprintable()


def test_what_was_written_is_read_and_can_be_removed(tmp_path: Path) -> None:
    path = str(tmp_path / "pause.json")
    pause.write(path, "a\nreason", NOW + 60)
    found = pause.read(path, NOW)
    assert found == pause.Pause("a reason", "2026-11-22T12:01:00Z")
    assert os.stat(path).st_mode & 0o777 == 0o600 and os.listdir(tmp_path) == ["pause.json"]
    pause.write(path, "another", NOW + 90, 0o644)
    assert os.stat(path).st_mode & 0o777 == 0o644
    assert pause.remove(path) and not pause.remove(path)


def test_a_pause_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, {"reason": "old", "until": "2026-11-22T18:00:00Z"})

    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ansible.module_utils.ib_gateway.state.pause.os.write", full)
    with pytest.raises(OSError, match="No space"):
        pause.write(path, "new", NOW + 60)
    found = pause.read(path, NOW)
    assert found is not None and found.reason == "old" and os.listdir(tmp_path) == ["pause.json"]


@given(data=st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_no_content_whatever_crashes_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_bytes(data)
    found = pause.read(str(file), NOW)
    assert found is not None and found.text.isprintable()
