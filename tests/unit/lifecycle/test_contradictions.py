"""A unit that was changed while its gateway runs would bring another one: the entry's is not ended for that."""

from __future__ import annotations

from typing import Dict

import pytest
from ansible.module_utils.ib_gateway.lifecycle import contradictions
from ansible.module_utils.ib_gateway.lifecycle.accounts import Account
from ansible.module_utils.ib_gateway.lifecycle.base import Asked, Runs
from unit.facts import gateway, spec

NUMBERS = {"trader": 1000, "trader2": 1000, "quant": 1001}


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    def account_of(name: str) -> object:
        return Account(name, NUMBERS[name], 1, frozenset(), "/", "/bin/sh") if name in NUMBERS else None

    monkeypatch.setattr(contradictions, "account_of", account_of)


def told(one: Asked, shown: Dict[str, str], *command: str) -> str:
    return contradictions.of_unit(one, shown, [Runs((command,), 0, "/"), Runs((("pkill",),), 0, stop=True)]) or ""


@pytest.mark.parametrize(
    ("user", "of", "command", "says"),
    [
        ("quant", "trader", "/opt/start", "as account quant (User=), and the entry says user: trader"),
        ("trader", "trader", "/opt/start", ""),
        ("trader2", "trader", "/opt/start", ""),
        ("", "trader", "/opt/start", ""),
        ("nobody-here", "trader", "/opt/start", ""),
        ("quant", "", "/opt/start", "as account quant (User=), and the one that runs is trader's"),
        ("quant", "trader", "/usr/bin/sudo -u trader /opt/start", ""),
    ],
)
def test_the_account_of_a_unit_is_that_of_the_entry_or_of_the_gateway_that_runs(
    user: str, of: str, command: str, says: str
) -> None:
    found = told(Asked(spec(user=of or None), gateway()), {"User": user}, *command.split())
    assert says in found and bool(found) is bool(says)
    if not of:
        assert told(Asked(spec(user=None)), {"User": user}, *command.split()) == "", "nothing tells whose it is"


def test_a_gateway_s_own_command_line_says_the_entry_s_mode_and_folder() -> None:
    line = ("java", "ibcalpha.ibc.IbcGateway", "/opt/ibc/config.ini")
    assert told(Asked(spec()), {}, *line, "live") == ""
    assert "it says trading_mode paper, the entry live" in told(Asked(spec()), {}, *line, "paper")
