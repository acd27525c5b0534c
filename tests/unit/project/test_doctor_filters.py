"""Which hosts the doctor looks at: those that were given, and this machine where none were."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest
from unit.module_runs import PROJECT

ib_doctor = importlib.import_module("ib_doctor")

EXAMPLE = str(PROJECT / "inventory" / "example")
NOBODY: Dict[str, Any] = {"all": [], "ungrouped": []}
DESKS: Dict[str, Any] = {"all": ["desk1", "desk2", "web"], "trading_hosts": ["desk1", "desk2"]}


@pytest.mark.parametrize(
    ("sources", "groups", "pattern"),
    [
        ([EXAMPLE], DESKS, "localhost"),
        ([EXAMPLE + "/../example"], DESKS, "localhost"),
        (["/etc/ansible/hosts"], NOBODY, "localhost"),
        ([], NOBODY, "localhost"),
        (["/srv/hosts.yml"], NOBODY, "localhost"),
        (["/srv/hosts.yml"], DESKS, "trading_hosts"),
        ([EXAMPLE, "/srv/hosts.yml"], DESKS, "trading_hosts"),
        (["desk1,"], {"all": ["desk1"]}, "all"),
    ],
)
def test_an_inventory_that_was_given_decides_and_the_example_does_not(
    sources: List[str], groups: Dict[str, Any], pattern: str
) -> None:
    assert ib_doctor.doctor_pattern(groups, sources) == pattern


@pytest.mark.parametrize(
    ("sources", "names", "connection"),
    [
        ([EXAMPLE], ["desk1.example.com"], "local"),
        (["localhost,"], ["localhost"], "local"),
        (["127.0.0.1,"], ["127.0.0.1"], "local"),
        (["desk1,"], ["desk1"], "ssh"),
        (["hosts"], ["localhost", "desk1"], "ssh"),
    ],
)
def test_this_machine_is_not_reached_by_ssh(sources: List[str], names: List[str], connection: str) -> None:
    assert ib_doctor.doctor_connection({"all": names}, sources) == connection


def test_a_connection_that_the_command_line_names_is_used_for_this_machine_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["ansible-playbook", "-c", "ssh"])
    monkeypatch.setattr(ib_doctor, "CLIARGS", {"connection": "ssh"})
    assert ib_doctor.doctor_connection({"all": ["localhost"]}, ["localhost,"]) == "ssh"


def test_a_run_without_an_inventory_of_its_own_is_known(tmp_path: Path) -> None:
    assert ib_doctor.used_example([EXAMPLE]) and not ib_doctor.used_example([])
    assert not ib_doctor.used_example([EXAMPLE, str(tmp_path)])


def test_every_link_beside_the_playbooks_leads_to_its_folder() -> None:
    """Ansible finds roles and plugins beside a playbook, whatever folder it is started in."""
    for name in ("roles", "library", "module_utils", "filter_plugins", "action_plugins", "callback_plugins"):
        assert (PROJECT / "playbooks" / name).resolve() == PROJECT / name
