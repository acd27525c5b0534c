"""Who can log in to a host besides its administrators, from files as hosts have them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.ib_gateway.observe import logins as module
from ansible.module_utils.ib_gateway.observe.logins import logins

ACCOUNTS = """\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
ops:x:1000:1000::/home/ops:/bin/bash
trader:x:1001:1001::/home/trader:/bin/bash
mallory:x:1002:1002::/home/mallory:/bin/sh
backup:x:1003:1003::/home/backup:/usr/sbin/nologin
boss:x:1004:27::/home/boss:/bin/zsh
deploy:x:1005:1005::/home/deploy:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/bin/sh
short:x:1006
# a comment:x:1007:1007::/home:/bin/sh
"""
GROUP = "root:x:0:\nsudo:x:27:ops,other\ntrader:x:1001:\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("passwd", ACCOUNTS), ("group", GROUP)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        monkeypatch.setattr(module, "_" + name.upper(), str(tmp_path / name))


def test_people_can_log_in_and_administrators_and_the_system_s_own_accounts_do_not_count() -> None:
    assert logins({}) == {"trader", "mallory", "deploy"}


def test_the_account_that_has_become_root_for_the_run_does_not_count() -> None:
    assert logins({"SUDO_USER": "deploy"}) == {"trader", "mallory"}


def test_where_the_files_cannot_be_read_nobody_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_PASSWD", str(tmp_path / "none"))
    assert logins({}) == frozenset()
