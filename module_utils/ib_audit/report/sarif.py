"""The problems of a fleet as SARIF 2.1.0, which code hosts and editors read. Pure; runs on the controller."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, List, Mapping
from urllib.parse import quote

from ..rules.catalogue import RULES

VERSION = "2.1.0"
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
TOOL = "ib-client-audit"


def sarif(document: Mapping[str, Any]) -> Dict[str, Any]:
    """A SARIF log of an audit document: one run for each host, because paths mean something only on their host."""
    runs = [_run(host, document) for host in document["hosts"]]
    return {"$schema": SCHEMA, "version": VERSION, "runs": runs}


def _run(host: Mapping[str, Any], document: Mapping[str, Any]) -> Dict[str, Any]:
    invocation: Dict[str, Any] = {
        "executionSuccessful": bool(host["looked"]),
        "endTimeUtc": document["generated_at"],
        "machine": host["name"],
    }
    if not host["looked"]:
        message = {"text": host["reason"] or "the host was not looked at"}
        invocation["toolExecutionNotifications"] = [{"level": "error", "message": message}]
    return {
        "tool": {"driver": _driver(document)},
        "automationDetails": {"id": "%s/%s/" % (TOOL, host["name"])},
        "invocations": [invocation],
        "columnKind": "unicodeCodePoints",
        "results": [_result(problem) for problem in host["problems"]],
    }


def _driver(document: Mapping[str, Any]) -> Dict[str, Any]:
    return {"name": TOOL, "version": document["tool_version"], "rules": _rules()}


def _rules() -> List[Dict[str, Any]]:
    return [
        {
            "id": rule.code,
            "shortDescription": {"text": rule.title},
            "help": {"text": rule.remedy},
            "defaultConfiguration": {"level": rule.severity},
        }
        for rule in RULES.values()
    ]


def _result(problem: Mapping[str, Any]) -> Dict[str, Any]:
    location: Dict[str, Any] = {"artifactLocation": {"uri": _uri(problem["file"])}}
    if problem["line"]:
        location["region"] = {"startLine": problem["line"], "startColumn": max(1, problem["column"])}
        if problem["snippet"]:
            location["region"]["snippet"] = {"text": problem["snippet"]}
    codes = list(RULES)
    found: Dict[str, Any] = {
        "ruleId": problem["code"],
        "level": problem["severity"],
        "message": {"text": "%s. %s" % (problem["summary"], problem["remedy"])},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"problem/v1": _fingerprint(problem)},
    }
    if problem["code"] in codes:
        found["ruleIndex"] = codes.index(problem["code"])
    return found


def _uri(path: str) -> str:
    quoted = quote(path, safe="/~@+,=", errors="backslashreplace")
    return "file://" + quoted if path.startswith("/") else quoted


def _fingerprint(problem: Mapping[str, Any]) -> str:
    """The same for the same problem after lines were added above it."""
    parts = "\0".join((problem["code"], problem["file"], problem["snippet"]))
    return hashlib.sha256(parts.encode("utf-8", "backslashreplace")).hexdigest()[:32]
