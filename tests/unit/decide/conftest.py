"""Beside every test of this room: rules that a diagnosis does not apply would have found nothing."""

from __future__ import annotations

from typing import Tuple

import pytest
from ansible.module_utils.ib_gateway.decide import diagnosis, rules_api, rules_clients, rules_unserved, rules_waiting
from ansible.module_utils.ib_gateway.decide.context import Rule, RuleContext


@pytest.fixture(autouse=True)
def no_rule_is_left_out_that_finds_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of rules are loaded only where an entry can need them, which must never lose a finding."""
    applied = diagnosis._rules

    def checked(context: RuleContext) -> Tuple[Rule, ...]:
        rules = applied(context)
        for rule in rules_unserved.RULES + rules_waiting.RULES + rules_clients.RULES + rules_api.RULES:
            assert rule in rules or not tuple(rule(context)), rule.__name__
        return rules

    monkeypatch.setattr(diagnosis, "_rules", checked)
