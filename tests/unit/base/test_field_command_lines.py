"""Command lines as they were seen in the field: each is read as what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest
from ansible.module_utils.ib_gateway.base.classify import gateway_kind, may_be_gateway
from ansible.module_utils.ib_gateway.base.launchers import role_of

CASES = json.loads((Path(__file__).parent / "cmdlines.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_command_line_of_the_field_is_read_as_what_it_is(case: Dict[str, Any]) -> None:
    expected = case["expect"]
    found = gateway_kind(case["argv"])
    assert (found is not None) == expected["recognised"]
    for name in ("product", "launcher", "trading_mode", "config_dir"):
        assert getattr(found, name, None) == expected[name], name
    assert role_of(case["argv"]) == expected["role"]
    raw = "\0".join(case["argv"]).encode()
    assert may_be_gateway(raw) or found is None
