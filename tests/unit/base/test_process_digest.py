"""A process's digest: the same for the same words, another for others, worthless without the host's key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List

from ansible.module_utils.ib_gateway.base.process_digest import argv_digest
from ansible.module_utils.ib_gateway.base.redaction import redact_argv
from ansible.module_utils.ib_gateway.observe.host_key import digest_key
from hypothesis import given, settings
from hypothesis import strategies as st

WORDS = st.lists(st.text(max_size=8), max_size=4)


@settings(deadline=None)
@given(WORDS, WORDS)
def test_different_words_have_different_digests(one: List[str], other: List[str]) -> None:
    assert re.fullmatch("[0-9a-f]{16}", argv_digest(one, b"key"))
    assert (argv_digest(one, b"key") == argv_digest(other, b"key")) == (one == other)


def test_a_secret_alone_makes_another_digest_and_each_host_has_its_own() -> None:
    one, other = (("python3", "bot.py", "--pw=" + word) for word in "ab")
    assert redact_argv(one) == redact_argv(other)
    assert argv_digest(one, b"key") != argv_digest(other, b"key")
    assert argv_digest(one, b"key") != argv_digest(one, b"another")


def test_without_a_key_nothing_that_is_hidden_goes_into_it() -> None:
    one, other = (("python3", "bot.py", "--pw=" + word) for word in "ab")
    assert argv_digest(one, b"") == argv_digest(other, b"")
    assert argv_digest(one, b"") != argv_digest(("python3", "other.py", "--pw=a"), b"")


def test_the_key_is_the_machines_own_and_does_not_give_its_id_away(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("0123456789abcdef" * 2 + "\n", encoding="ascii")
    (tmp_path / "empty").write_text("", encoding="ascii")
    files = [str(tmp_path / name) for name in ("missing", "empty", "id")]
    key = digest_key(files)
    assert key == digest_key(files) and len(key) == 64 and b"0123456789abcdef" not in key
    assert digest_key(files[:2]) == b""
