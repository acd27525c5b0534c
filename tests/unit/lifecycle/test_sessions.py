"""What a run starts in its own account's systemd is gone with its login, where nothing else keeps that alive."""

from __future__ import annotations

import os
from typing import Dict, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.lifecycle import sessions
from ansible.module_utils.ib_gateway.lifecycle.accounts import Account
from ansible.module_utils.ib_gateway.observe import processes

OWN = Account("trader", os.geteuid(), 0, frozenset(), "/home/trader", "/bin/sh")
INSIDE = "0::/user.slice/user-1000.slice/session-7.scope\n"
ACTIVE, CLOSING = "State=active\n", "State=closing\n"


@pytest.mark.parametrize(
    ("cgroup", "account", "linger", "logins", "states", "ends"),
    [
        (INSIDE, OWN, False, "7", None, True),
        (INSIDE, OWN, False, "3 7", CLOSING, True),
        (INSIDE, OWN, False, "3 7", ACTIVE, False),
        (INSIDE, OWN, False, "3 4 7", CLOSING + "\n" + ACTIVE, False),
        (INSIDE, OWN, False, "3 7", None, False),
        (INSIDE, OWN, False, "3", None, False),
        (INSIDE, OWN, False, None, None, False),
        (INSIDE, OWN, True, "7", None, False),
        (INSIDE, OWN._replace(uid=OWN.uid + 1), False, "7", None, False),
        ("0::/system.slice/ib-self-heal.service\n", OWN, False, "7", None, False),
        ("12:pids:/\n1:name=systemd:/user.slice/user-1000.slice/session-7.scope\n0::/\n", OWN, False, "7", None, True),
    ],
)
def test_an_account_s_systemd_ends_with_this_run_where_only_its_own_login_keeps_it(
    monkeypatch: pytest.MonkeyPatch,
    cgroup: str,
    account: Account,
    linger: bool,
    logins: Optional[str],
    states: Optional[str],
    ends: bool,
) -> None:
    answers: Dict[str, Optional[str]] = {"show-user": logins, "show-session": states}

    def answer(*arguments: str) -> Optional[str]:
        asked: Tuple[str, ...] = tuple(each for each in arguments if not each.startswith("--"))
        assert "7" not in asked, "its own session needs no asking"
        return answers[asked[0]]

    monkeypatch.setattr(processes, "read_text", lambda _pid, _name: cgroup)
    monkeypatch.setattr(sessions, "lingers", lambda _account: linger)
    monkeypatch.setattr(sessions, "_answer", answer)
    assert sessions.ends_with_this_run(account) is ends
