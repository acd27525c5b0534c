"""audit.sarif is SARIF 2.1.0, by a closed schema of the part of the standard that is written.

No package of the index ships the standard's own schema unchanged, so the objects and properties that are used are
written down here from the standard's text, each as strict as it is there or stricter: no property may come that is not
listed, so nothing can come that the standard does not know.
"""

from __future__ import annotations

import copy
from typing import Any, Dict, List

import pytest
from ansible.module_utils.ib_audit.report import document as report
from ansible.module_utils.ib_audit.report import sarif
from ansible.module_utils.ib_audit.rules.catalogue import RULES
from jsonschema import Draft202012Validator
from unit import fleets
from unit.test_audit_report import document

TEXT = {"type": "string"}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
WORD = {"type": "string", "minLength": 1}


def closed(required: str, **properties: Any) -> Dict[str, Any]:
    """An object with these properties and no other; required: the names of those that must be there."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": required.split(),
    }


def listed(items: Any, least: int = 0, unique: bool = False) -> Dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "uniqueItems": unique}


MESSAGE = closed("text", text=TEXT)  # 3.11: text or id
#: 3.4, 3.29, 3.30: a region of text has a start line from 1; columns count from 1.
REGION = closed(
    "startLine",
    startLine={"type": "integer", "minimum": 1},
    startColumn={"type": "integer", "minimum": 1},
    snippet=MESSAGE,
)
ARTIFACT = closed("uri", uri={"type": "string", "pattern": r"^(file:///)?[A-Za-z0-9/~@+,=._%-]+$"})
LOCATION = closed(
    "physicalLocation", physicalLocation=closed("artifactLocation", artifactLocation=ARTIFACT, region=REGION)
)
RULE = closed(  # 3.49
    "id", id=WORD, shortDescription=MESSAGE, help=MESSAGE, defaultConfiguration=closed("level", level=LEVEL)
)
DRIVER = closed("name", name=WORD, version=WORD, rules=listed(RULE, unique=True))  # 3.19
INVOCATION = closed(  # 3.20
    "executionSuccessful",
    executionSuccessful={"type": "boolean"},
    machine=TEXT,
    toolExecutionNotifications=listed(closed("message", message=MESSAGE, level=LEVEL)),
    endTimeUtc={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
)
RESULT = closed(  # 3.27
    "message",
    ruleId=WORD,
    ruleIndex={"type": "integer", "minimum": -1},
    level=LEVEL,
    message=MESSAGE,
    locations=listed(LOCATION),
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
)
RUN = closed(  # 3.14
    "tool",
    tool=closed("driver", driver=DRIVER),
    automationDetails=closed("id", id=WORD),
    invocations=listed(INVOCATION),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results=listed(RESULT),
)
LOG = {
    **closed("version runs", version={"const": "2.1.0"}, runs=listed(RUN)),
    "$schema": "https://json-schema.org/draft/2020-12/schema",
}
LOG["properties"]["$schema"] = {"type": "string", "format": "uri"}


def wrong(log: Dict[str, Any]) -> List[str]:
    return [f"{each.json_path}: {each.message[:200]}" for each in Draft202012Validator(LOG).iter_errors(log)]


def hostile() -> Dict[str, Any]:
    hosts = [
        host
        for text in fleets.HOSTILE
        for host in fleets.audit(3, file="/srv/" + text, snippet=text, summary=text)["hosts"]
    ]
    for number, host in enumerate(hosts):
        host["name"] = "%s %d" % (fleets.HOSTILE[number // 3], number)
    return report.document(hosts, {"generated_at": "2026-11-22T09:30:00Z", "check_mode": False})


@pytest.mark.parametrize("found", [document(), fleets.audit(30), hostile()], ids=["real", "many", "hostile"])
def test_every_log_fits_the_standard(found: Dict[str, Any]) -> None:
    assert wrong(sarif.sarif(found)) == []


@pytest.mark.parametrize("code", RULES)
def test_a_problem_of_every_code_fits_it(code: str) -> None:
    rule = RULES[code]
    audited = fleets.audit(1, each=1, code=code, severity=rule.severity, summary=rule.title, remedy=rule.remedy)
    log = sarif.sarif(audited)
    (result,) = log["runs"][0]["results"]
    assert wrong(log) == [] and log["runs"][0]["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == code


def test_the_schema_refuses_what_the_standard_does_not_know() -> None:
    good = sarif.sarif(fleets.audit(1))
    region = ["runs", 0, "results", 0, "locations", 0, "physicalLocation", "region"]
    for path, value in (
        (["version"], "2.0.0"),
        (["runs", 0, "tool", "driver", "name"], ""),
        (["runs", 0, "results", 0, "level"], "fatal"),
        (["runs", 0, "results", 0, "more"], 1),
        ([*region, "startLine"], 0),
        ([*region, "startColumn"], 0),
    ):
        log = copy.deepcopy(good)
        place: Any = log
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        assert wrong(log), path
