"""Real processes of an unprivileged attacker beside a real desk, each time on a host of its own: world.py.

A whole repair is run as root. None of his processes, and none that he could get at, is signalled or cut.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

UNSHARED = ("unshare", "--net", "--pid", "--mount-proc", "--fork")
WORLD = Path(__file__).resolve().parent / "world.py"


def _can_unshare() -> bool:
    return os.geteuid() == 0 and subprocess.run([*UNSHARED, "true"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.integration,
    pytest.mark.root,
    pytest.mark.skipif(not _can_unshare(), reason="needs root and namespaces"),
]


def played(scenario: str) -> dict[str, Any]:
    """What came of a scenario: {looked, host, before, ended, open}."""
    command = [
        "unshare",
        "--net",
        "--pid",
        "--mount-proc",
        "--fork",
        "--kill-child",
        sys.executable,
        str(WORLD),
        scenario,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def processes(found: dict[str, Any]) -> list[str]:
    """The accounts of the gateways that were taken for the entry's."""
    return [each["user"] for each in found["looked"]["gateways"][0]["processes"]]


def test_a_fake_gateway_with_the_lower_pid_makes_the_entry_unknown_and_nobody_is_touched() -> None:
    found = played("fake_gateway")
    assert processes(found) == ["64010"] and found["looked"]["gateways"][0]["verdict"] == "claimed_by_another_account"
    assert found["host"]["status"] == "unknown" and found["ended"] == []


def test_where_the_inventory_names_the_account_a_fake_gateway_is_a_stranger() -> None:
    found = played("fake_gateway_for_an_entry_with_an_account")
    assert processes(found) == ["64010"] and found["ended"] == []
    assert [each["user"] for each in found["looked"]["undeclared"]] == ["64011"]


def test_a_fake_gateway_in_the_place_of_the_real_one_is_never_called_healthy_nor_ended() -> None:
    found = played("fake_gateway_alone")
    assert processes(found) == [] and found["ended"] == []
    assert found["host"]["status"] in ("unknown", "unhealthy")


def test_who_was_only_handed_api_connections_is_neither_ended_nor_cut_off() -> None:
    found = played("parked")
    assert found["looked"]["gateways"][0]["verdict"] == "competing_clients"
    assert found["ended"] == [] and found["open"] >= 3
    assert found["host"]["done"] == []


def test_what_patterns_name_of_other_accounts_lives_while_pids_are_churned() -> None:
    found = played("bait")
    assert {"bait", "bus", "churn", "real"} <= set(found["before"])
    assert found["ended"] == [] and found["looked"]["gateways"][0]["clients"] == []
