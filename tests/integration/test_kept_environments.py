"""What a gateway runs with is kept before it is asked to end, or it is not asked: on real processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ib_gateway.lifecycle import environment, places
from simulator.launch import SimulatedGateway

from integration.desk import Desk, alive
from integration.modules import run_module
from integration.repair import Repair, past_its_start
from integration.test_stopping import identity


@pytest.fixture
def old(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimulatedGateway:
    """A gateway that listens nowhere, with a display; what it runs with cannot be kept, as only the act finds out."""
    monkeypatch.setenv("DISPLAY", ":77")
    monkeypatch.setattr(environment, "cannot_keep", lambda: None)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept").chmod(0o775)
    monkeypatch.setattr(places, "environment_folder", lambda: str(tmp_path / "kept"))
    found = desk.gateway("no-listener")
    past_its_start(found.pid)
    desk.has_served(found.pid)
    return found


def restarted(desk: Desk, **more: Any) -> dict[str, Any]:
    repair = Repair(desk, desk.entry(start_timeout=1, **more))
    steps = repair.steps("restart")
    return run_module("ib_gateway_restart", steps=steps, gateways=repair.entries, grace_period=3)


def test_a_gateway_is_not_restarted_where_its_display_turns_out_not_to_be_kept(
    desk: Desk, old: SimulatedGateway
) -> None:
    found = restarted(desk)
    assert not found["changed"] and "would lack DISPLAY" in found["refused"][0]["reason"]
    assert alive(old.pid) and desk.java() == [old.pid]


def test_one_whose_next_start_is_given_what_it_needs_is_restarted_all_the_same(
    desk: Desk, old: SimulatedGateway
) -> None:
    given = {name: "C.UTF-8" if name == "LANG" else ":9" for name in environment.NAMES}
    found = restarted(desk, start_environment=given)
    assert found["changed"] and found["restarted"][0]["ended"] == old.pid, found


def test_the_last_gateway_of_an_entry_is_not_stopped_either_and_one_of_two_is(
    desk: Desk, old: SimulatedGateway
) -> None:
    target = identity(old.pid, role="gateway", gateway="live")
    options: dict[str, Any] = {"processes": [target], "gateways": [desk.entry(start_timeout=1)], "grace_period": 3}
    found = run_module("ib_process_stop", **options)
    assert not found["changed"] and "would lack DISPLAY" in found["refused"][0]["reason"] and alive(old.pid)
    desk.gateway()
    found = run_module("ib_process_stop", **options)
    assert found["changed"] and not alive(old.pid), found
