"""Frames: examples by hand, and properties that hold for whatever a peer sends."""

from __future__ import annotations

from typing import Iterable, List, Tuple

import pytest
from ansible.module_utils.ib_gateway.api import wire
from hypothesis import assume, given
from hypothesis import strategies as st
from unit.api_frames import CUTS, cut, raw_frame


def decoded(chunks: Iterable[bytes], limit: int = wire.MAX_FRAME) -> Tuple[List[Tuple[str, ...]], bool]:
    """The text fields of the frames in these chunks, and whether the stream broke the protocol."""
    decoder = wire.FrameDecoder(limit)
    frames: List[Tuple[str, ...]] = []
    for chunk in chunks:
        try:
            for payload in decoder.feed(chunk):
                frames.append(wire.split(payload))
        except wire.ProtocolError:
            return frames, True
        assert decoder.buffered <= limit + 4
    return frames, False


FIELD = st.text(st.characters(blacklist_characters="\0", codec="utf-8"), max_size=20)
FRAME = st.lists(FIELD, min_size=1, max_size=8)


def test_the_hello_is_the_mark_and_a_frame_of_versions_without_nul() -> None:
    assert wire.hello() == b"API\0" + b"\0\0\0\x09" + b"v100..176"


def test_the_hello_names_the_versions_that_are_offered() -> None:
    assert wire.hello(wire.SPOKEN).endswith(b"v100..226")
    assert str(wire.SPOKEN) == "100 to 226"


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
