"""The doctor on hosts of their own, with real gateways and scripts and without an inventory: doctor_world.py."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.ib_gateway.base import inventory

WORLD = Path(__file__).resolve().parent / "doctor_world.py"
UNSHARED = ("unshare", "--net", "--pid", "--mount-proc", "--fork", "--kill-child")


def _can_unshare() -> bool:
    return os.geteuid() == 0 and subprocess.run([*UNSHARED, "true"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not _can_unshare(), reason="needs root and namespaces"),
]


def played(scenario: str, folder: Path) -> dict[str, Any]:
    """What came of a scenario."""
    done = subprocess.run(
        [*UNSHARED, sys.executable, str(WORLD), scenario],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_on_a_box_without_a_gateway_it_says_so_and_where_one_could_be(tmp_path: Path) -> None:
    found = played("nothing", tmp_path)
    assert found["desk"]["proposals"] == []
    assert "No gateway runs here: no IB Gateway, no TWS" in found["said"]
    assert "if the gateway runs on another machine, look there: -i HOST," in found["said"]


def test_an_inventory_without_a_host_is_not_written_and_no_run_by_it_is_proposed(tmp_path: Path) -> None:
    found = played("nothing", tmp_path)
    told = " ".join(found["asked"]["output"].split())
    assert "Nothing was written to %s: no gateway was found" % found["file"] in told
    assert not found["exists"] and "health_sweep.yml" not in told and found["asked"]["rc"] == 0


def test_on_a_healthy_box_it_says_so_and_who_is_connected(tmp_path: Path) -> None:
    found = played("healthy", tmp_path)
    assert re.search(r"live works \(.*API port %d\)" % found["port"], found["said"])
    connected = found["said"].partition("Connected now")[2]
    assert "script pid %d of root" % found["script"] in connected and "holds the only API connection" in connected
    assert "What is wrong" not in found["said"]


def test_asked_for_the_scripts_it_says_which_id_each_has_and_who_holds_a_session(tmp_path: Path) -> None:
    found = played("with_scripts", tmp_path)
    assert found["plain"]["rc"] == found["asked"]["rc"] == 0, found
    said = " ".join(found["asked"]["output"].split())
    assert "Scripts that run" not in found["plain"]["output"]
    told = said.partition("Scripts that run")[2]
    assert "pid %d (root) runs" % found["script"] in told and "holds a session on port %d" % found["port"] in told
    assert "client id 15" in told


def test_it_writes_nothing_on_the_host(tmp_path: Path) -> None:
    found = played("read_only", tmp_path)
    assert [each["verdict"] for each in found["desk"]["health"]["gateways"]] == ["handshake_stalled"]


def test_without_an_inventory_it_names_the_same_cause_as_a_sweep_with_one(tmp_path: Path) -> None:
    found = played("faults", tmp_path)
    assert len(found) == 13
    for fault, each in found.items():
        assert each["doctor"] == [each["oracle"]], (fault, each["said"])


def test_a_login_that_waits_for_its_second_factor_is_named(tmp_path: Path) -> None:
    found = played("second_factor", tmp_path)
    assert [each["verdict"] for each in found["desk"]["health"]["gateways"]] == ["login_pending"]
    assert "needs attention" in found["said"] and "second factor" in found["said"]
    assert "pid %d" % found["gateway"] in found["said"]


def test_a_script_that_waits_on_the_port_of_the_other_mode_is_named(tmp_path: Path) -> None:
    found = played("other_port", tmp_path)
    assert re.search(r"live works \(.*API port %d\)" % found["port"], found["said"])
    waiting = found["said"].partition("Waiting for it")[2]
    assert "script pid %d of root" % found["script"] in waiting
    assert "uses ib_insync and has no connection; it names port 4002, on which nothing listens" in waiting


def test_live_and_paper_of_one_account_are_told_apart_and_what_has_no_api_port_is_left(tmp_path: Path) -> None:
    found = played("beside", tmp_path)
    entries = [each["entry"] for each in found["desk"]["proposals"]]
    assert {(each["trading_mode"], each["port"]) for each in entries} == set(zip(("live", "paper"), found["ports"]))
    assert {each["status"] for each in found["desk"]["health"]["gateways"]} == {"healthy"}
    assert "it is a TWS without an API port" in found["said"]
    assert "it has a FIX login and no API port" in found["said"]
    assert inventory.parse(entries)[1] == []


def test_an_ordinary_user_gets_what_can_be_seen_and_what_root_would_add(tmp_path: Path) -> None:
    found = played("ordinary_user", tmp_path)
    assert "looked at as account nobody, which is not root" in found["said"]
    assert "cannot be judged" in found["said"] and "root sees it" in found["said"]
    assert "gateway pid %d of root, started by IBC" % found["gateway"] in found["said"]
    assert "As root it would also be seen" in found["said"]
    (proposal,) = found["desk"]["proposals"]
    port = next(each["text"] for each in proposal["notes"] if each["key"] == "port")
    assert "sockets could not be read" in port and "nothing listens" not in port
    assert "port" in proposal["guessed"]


def test_an_ordinary_user_sees_the_incident_of_another_account(tmp_path: Path) -> None:
    found = played("ordinary_user_at_the_incident", tmp_path)
    assert "3 gateway processes run for live, one is wanted" in found["said"]
    assert "nothing listens on port 4001" in found["said"]


def test_a_wrong_folder_or_account_is_named_beside_the_process_that_differs(tmp_path: Path) -> None:
    found = played("wrong_keys", tmp_path)
    assert found["folder"]["verdict"] == found["user"]["verdict"] == "gateway_not_running"
    folder = "gateway pid %d runs and differs in key config_dir: it has %s, the entry says /srv/elsewhere"
    assert folder % (found["gateway"], found["config_dir"]) in found["folder"]["summary"]
    account = "gateway pid %d runs and differs in key user: it has root, the entry says nobody"
    assert account % found["gateway"] in found["user"]["summary"]
    assert "differs in key config_dir" in found["doctor"]


def test_what_it_proposes_passes_the_check_and_gets_the_same_verdicts(tmp_path: Path) -> None:
    found = played("round_trip", tmp_path)
    assert found["doctor"] == found["sweep"] and set(found["doctor"].values()) == {"handshake_stalled", "healthy"}
    assert found["proposed"] == found["pids"]
    written = yaml.safe_load(found["inventory"])["trading_hosts"]["hosts"]["desk"]["ib_gateways"]
    assert inventory.parse(written)[1] == []
    assert {each["remediation"] for each in written} == {"plan_only"}


def test_the_incident_is_named_written_down_and_repaired_with_two_edits(tmp_path: Path) -> None:
    found = played("seed", tmp_path)
    asked = " ".join(found["asked"]["output"].split())
    assert found["asked"]["rc"] == 0, asked
    assert "3 gateway processes run for live, one is wanted" in asked
    assert "nothing listens on port %d" % found["port"] in asked
    assert re.search(r"script pid %d of root \(python3? hold_session.py" % found["script"], asked)
    assert "holds the only API connection" in asked
    assert found["wrote"]["rc"] == 0 and "remediation: plan_only" in found["written"]
    assert "start_command" in " ".join(found["wrote"]["output"].split()).partition("Next 1. Open")[2]
    assert found["again"]["rc"] == 2 and "is not overwritten" in " ".join(found["again"]["output"].split())
    assert found["unchanged"]
    assert found["edits"] == 2
    assert found["swept"]["rc"] == 2 and "3 gateway processes run for live" in found["swept"]["output"]
    assert found["repaired"]["rc"] == 0, found["repaired"]["output"]
    assert found["connects"]


def test_the_account_that_owns_the_gateways_gets_the_same_answer_and_the_same_repair_without_root(
    tmp_path: Path,
) -> None:
    found = played("seed_of_an_account", tmp_path)
    asked = " ".join(found["asked"]["output"].split())
    assert found["asked"]["rc"] == 0 and "looked at as account nobody, which is not root" in asked, asked
    assert "3 gateway processes run for live, one is wanted" in asked and "cannot be judged" not in asked
    assert "nothing listens on port %d" % found["port"] in asked
    assert re.search(r"script pid %d of nobody \(python3? hold_session.py" % found["script"], asked)
    assert "Look again as root" not in asked, "root would see nothing more of these gateways"
    assert found["wrote"]["rc"] == 0 and found["edits"] == 2
    assert found["repaired"]["rc"] == 0, found["repaired"]["output"]
    assert found["connects"]


def test_a_gateway_with_live_accounts_on_the_port_of_paper_is_live_and_its_port_is_told(tmp_path: Path) -> None:
    found = played("live_on_the_paper_port", tmp_path)
    assert re.search(r"live works \(.*API port 4002, the usual one of paper\)", found["said"]), found["said"]
    (proposal,) = found["desk"]["proposals"]
    assert (proposal["entry"]["trading_mode"], proposal["entry"]["port"]) == ("live", 4002)


def test_a_file_that_is_not_written_costs_no_answer_and_is_told_once_with_its_reason(tmp_path: Path) -> None:
    found = played("not_written", tmp_path)
    failed, checked = (" ".join(found[key]["output"].split()) for key in ("nowhere", "checked"))
    assert found["nowhere"]["rc"] == 2
    assert "live works (" in failed.partition("FAILED")[0], failed
    assert failed.count("No such file or directory") == 1 and "Errno" not in failed
    assert found["checked"]["rc"] == 0 and not found["exists"]
    assert "Nothing was written to %s: this is check mode." % found["file"] in checked


def test_every_playbook_works_from_any_folder(tmp_path: Path) -> None:
    found = played("elsewhere", tmp_path)
    for name, each in found.items():
        assert each["rc"] == 0, (name, each["output"])
    assert "live works (" in " ".join(found["doctor"]["output"].split())
