"""A fleet document as JUnit XML: a suite for each host, a case for each check of each gateway. Pure.

What was not looked at is an error, never skipped: a pipeline that only counts failures must not take it for good.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from ...ib_gateway.base import findings
from ...ib_gateway.base.actions import describe
from ..document import blockers
from ..document.latest import NOT_SEEN, gateways
from ..document.text import visible

#: The codes that a look may find: a case for each, so that the same cases come in every run.
CHECKS = tuple(each.check for each in findings.CATALOGUE.values() if each not in findings.PLANNED)


def junit(fleet: Mapping[str, Any]) -> str:
    """The XML."""
    report: Any = JUnitXml("IB Gateway fleet")  # it ships types that leave its own methods out
    for host in fleet["hosts"]:
        report.add_testsuite(_suite(host, fleet["generated_at"]))
    report.update_statistics()
    return str(report.tostring().decode("utf-8")) + "\n"


def _suite(host: Mapping[str, Any], generated_at: str) -> TestSuite:
    suite = TestSuite(visible(host["name"]))
    suite.timestamp = (host["timings"]["proven_at"] or host["timings"]["looked_at"] or generated_at).rstrip("Z")
    suite.hostname = visible(host["name"])
    suite.add_testcases([_judged(host), *_cases(host)])
    return suite


def _case(host: Mapping[str, Any], place: str, name: str, seconds: float = 0.0) -> TestCase:
    return TestCase(name, visible(".".join(each for each in (host["name"], place) if each)), round(seconds, 3))


def _judged(host: Mapping[str, Any]) -> TestCase:
    """Whether the host was reached and looked at."""
    timings = host["timings"]
    case = _case(host, "", "judged", ((timings["look_ms"] or 0) + (timings["proof_ms"] or 0)) / 1000)
    if not host["reached"] or host["verdict"] in NOT_SEEN:
        case.result = [Error(visible(host["reason"]), "unreachable" if not host["reached"] else "unknown")]
    stands = blockers.of(host)
    if stands:
        case.system_out = "\n".join(visible(f"{each.kind}: {each.text}") for each in stands)
    return case


def _cases(host: Mapping[str, Any]) -> Iterator[TestCase]:
    """A case for each check of each gateway, by the newest look there is."""
    for gateway in gateways(host):
        found = {finding["code"]: finding for finding in gateway["findings"]}
        blind = next((each for each in gateway["findings"] if each["severity"] == findings.UNKNOWN), None)
        for code in (*CHECKS, *sorted(set(found) - {*CHECKS, *NOT_SEEN})):
            case = _case(host, gateway["name"], code)
            finding = found.get(code, blind)
            if finding is not None:
                _tell(case, finding, gateway)
            yield case


def _tell(case: TestCase, finding: Mapping[str, Any], gateway: Mapping[str, Any]) -> None:
    summary, severity = visible(finding["summary"]), finding["severity"]
    if severity == findings.INFO:
        case.system_out = summary
        return
    outcome = Error(summary, severity) if severity == findings.UNKNOWN else Failure(summary, severity)
    outcome.text = "\n".join(visible(line) for line in _details(finding, gateway))
    case.result = [outcome]


def _details(finding: Mapping[str, Any], gateway: Mapping[str, Any]) -> Iterator[str]:
    for key, value in finding["evidence"].items():
        yield f"{key}: {value}"
    for step in finding["steps"]:
        yield f"planned: {describe(step)}: {step['reason']}"
    for reason in gateway["plan"]["withheld"]:
        yield f"not done: {reason}"
