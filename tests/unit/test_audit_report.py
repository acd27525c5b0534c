"""The audit's document, its lines, its exit code, and SARIF 2.1.0."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest
from ansible.module_utils.ib_audit.reading.model import as_dict
from ansible.module_utils.ib_audit.report import document as report
from ansible.module_utils.ib_audit.report import sarif
from ansible.module_utils.ib_audit.rules.catalogue import RULES
from unit.audited import audited

CONTEXT = {"generated_at": "2025-04-25T05:00:12Z", "check_mode": False}


def result(text: str) -> Dict[str, Any]:
    found = [as_dict(each) for each in audited(text).problems]
    summary = {each: sum(one["severity"] == each for one in found) for each in ("note", "warning", "error")}
    lists: Dict[str, List[Any]] = {key: [] for key in ("running", "fixed", "left", "backups")}
    return {
        "problems": found,
        "summary": summary,
        "files": 1,
        "clients": ["/srv/trading/bot.py"],
        "ignored": 0,
        **lists,
    }


BAD = "from ib_insync import IB, util\nclass A:\n    def go(self):\n        util.startLoop()\n"
BAD += "        IB().connect('h', 4001, 15)\n"
HOSTS = {"b": result(BAD), "a": result("x = 1\n"), "c": {"unreachable": True, "msg": "no route"}, "d": None}


def document(**hosts: Any) -> Dict[str, Any]:
    return report.document([report.host_document(name, found) for name, found in (hosts or HOSTS).items()], CONTEXT)


def test_the_document_has_every_host_and_its_sums() -> None:
    found = document()
    assert [each["name"] for each in found["hosts"]] == ["a", "b", "c", "d"]
    assert found["summary"]["hosts"] == 4 and found["summary"]["looked"] == 2 and found["summary"]["files"] == 2
    assert found["summary"]["problems"] == HOSTS["b"]["summary"]  # type: ignore[index]
    assert [each["reason"] for each in found["hosts"]][2:] == ["no route", "the host was not looked at"]
    json.dumps(found)


@pytest.mark.parametrize(
    ("fail_on", "text", "fails"),
    [
        ("never", BAD, False),
        ("error", BAD, True),
        ("warning", BAD, True),
        ("note", BAD, True),
        ("error", "from ib_insync import IB\nIB().connect('h', 4001, 15)\n", False),
        ("warning", "from ib_insync import IB\nIB().connect('h', 4001, 15)\n", True),
        ("note", "x = 1\n", False),
    ],
)
def test_the_exit_code_follows_the_severity(fail_on: str, text: str, fails: bool) -> None:
    assert bool(report.failing(document(one=result(text)), fail_on)) is fails


@pytest.mark.parametrize(("fail_on", "fails"), [("note", True), ("error", True), ("never", False)])
def test_a_host_that_could_not_be_audited_fails(fail_on: str, fails: bool) -> None:
    assert bool(report.failing(document(one={"msg": "failed", "failed": True}), fail_on)) is fails


def test_an_unknown_severity_is_refused() -> None:
    with pytest.raises(ValueError, match="never, note, warning, error"):
        report.failing(document(), "fatal")


def test_the_lines_name_place_severity_and_code_the_worst_first() -> None:
    lines = report.lines(document())
    assert "4 hosts, 2 files" in lines[0] and "1 error" in lines[0]
    told = [line for line in lines if "/srv/trading/bot.py:" in line]
    assert told[0].startswith("  /srv/trading/bot.py:4:9: error:") and told[0].endswith("[loop_in_function]")
    assert "c could not be audited: no route" in lines


def test_a_file_s_name_ends_no_line_and_steers_no_terminal() -> None:
    named = result(BAD)
    named["problems"][0]["file"] = "/srv/a\nb could be audited\x1b[2J.py"
    lines = report.lines(document(b=named))
    assert all(line.isprintable() for line in lines)
    assert any("/srv/a\\x0ab could be audited\\x1b[2J.py" in line for line in lines)


# --- SARIF -----------------------------------------------------------------------------------------------------------


def test_sarif_has_the_structure_of_version_2_1_0() -> None:
    found = sarif.sarif(document())
    assert found["version"] == "2.1.0" and "sarif-schema-2.1.0" in found["$schema"]
    assert len({run["automationDetails"]["id"] for run in found["runs"]}) == 4
    for run in found["runs"]:
        driver = run["tool"]["driver"]
        assert driver["name"] and [rule["id"] for rule in driver["rules"]] == list(RULES)
        for rule in driver["rules"]:
            assert rule["shortDescription"]["text"] and rule["help"]["text"]
            assert rule["defaultConfiguration"]["level"] in ("note", "warning", "error")
        assert [type(each["executionSuccessful"]) for each in run["invocations"]] == [bool]
        for each in run["results"]:
            _holds(each, driver["rules"])
    json.dumps(found)


def _holds(found: Dict[str, Any], rules: List[Dict[str, Any]]) -> None:
    assert found["level"] in ("none", "note", "warning", "error") and found["message"]["text"]
    assert rules[found["ruleIndex"]]["id"] == found["ruleId"]
    assert all(isinstance(value, str) for value in found["partialFingerprints"].values())
    for location in found["locations"]:
        place = location["physicalLocation"]
        assert place["artifactLocation"]["uri"].startswith("file:///")
        region = place.get("region", {"startLine": 1, "startColumn": 1})
        assert region["startLine"] >= 1 and region["startColumn"] >= 1


def test_a_host_that_was_not_looked_at_is_a_run_that_did_not_succeed() -> None:
    run = next(each for each in sarif.sarif(document())["runs"] if each["automationDetails"]["id"].endswith("/c/"))
    assert run["invocations"][0]["executionSuccessful"] is False
    assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] == "no route"


def test_a_problem_of_a_whole_file_has_no_region_and_its_path_is_quoted() -> None:
    problem = {"code": "file_python2", "severity": "warning", "file": "/srv/a b#1%.py", "line": 0, "column": 0}
    one = dict(result("x = 1\n"), problems=[{**problem, "snippet": "", "summary": "old", "remedy": "port it"}])
    place = sarif.sarif(document(one=one))["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "file:///srv/a%20b%231%25.py"}}


def test_a_fingerprint_survives_lines_added_above() -> None:
    def prints(text: str) -> List[str]:
        runs = sarif.sarif(document(one=result(text)))["runs"]
        return sorted(each["partialFingerprints"]["problem/v1"] for each in runs[0]["results"])

    assert prints(BAD) == prints("# one more line\n" + BAD)
