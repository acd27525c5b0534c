"""junit.xml and ib_gateway.prom as their own parsers read them."""

from __future__ import annotations

import re
from typing import Any, Dict, List
from xml.etree import ElementTree

import pytest
from ansible.module_utils.ib_fleet.document.fleet_document import STATUSES
from ansible.module_utils.ib_fleet.render.junit import CHECKS, junit
from ansible.module_utils.ib_fleet.render.metrics import prometheus
from junitparser import Error, Failure, JUnitXml, Skipped
from prometheus_client.parser import text_string_to_metric_families
from unit import fleets
from unit.module_runs import PROJECT

SHELL = re.compile(r"[^\x20-\x7e\n\u00a1-\uffff]")


def suites(document: Dict[str, Any]) -> Dict[str, Any]:
    return {suite.name: suite for suite in JUnitXml.fromstring(junit(document).encode())}


def outcomes(suite: Any) -> Dict[str, List[type]]:
    """By case: what it came to; nothing for a case that passed."""
    return {case.name: [type(each) for each in case.result] for case in suite}


def samples(document: Dict[str, Any]) -> List[Any]:
    return [each for family in text_string_to_metric_families(prometheus(document)) for each in family.samples]


def value(document: Dict[str, Any], name: str, **labels: str) -> float:
    found = [each.value for each in samples(document) if each.name == name and each.labels == labels]
    assert len(found) == 1, (name, labels, found)
    return float(found[0])


# --- JUnit -----------------------------------------------------------------------------------------------------------


def test_a_healthy_host_passes_every_check() -> None:
    found = outcomes(suites(fleets.document(fleets.host("desk", fleets.looks()["good"])))["desk"])
    assert list(found) == ["judged", *CHECKS]
    assert not any(found.values())


def test_every_documented_finding_is_a_check() -> None:
    documented = re.findall(r"^## ([a-z]+_[a-z_]+)$", (PROJECT / "docs" / "findings.md").read_text(), re.MULTILINE)
    assert set(documented) <= set(CHECKS)


def test_what_is_unhealthy_fails_its_own_check_with_the_evidence() -> None:
    suite = suites(fleets.document(fleets.host("desk", fleets.looks()["not_listening: restart"])))["desk"]
    failed = {name: kinds for name, kinds in outcomes(suite).items() if kinds}
    assert failed == {"not_listening": [Failure]}
    failure = next(case for case in suite if case.name == "not_listening").result[0]
    assert failure.type == "unhealthy" and "port: 4001" in failure.text and "planned: restart" in failure.text


@pytest.mark.parametrize(
    ("look", "kind"), [(fleets.UNREACHABLE, "unreachable"), (fleets.FAILED, "unknown"), (None, "unknown")]
)
def test_what_could_not_be_looked_at_is_an_error_and_never_skipped(look: Any, kind: str) -> None:
    suite = suites(fleets.document(fleets.host("desk", look)))["desk"]
    assert outcomes(suite) == {"judged": [Error]}
    assert (suite.errors, suite.failures, suite.skipped) == (1, 0, 0)
    assert next(iter(suite)).result[0].type == kind


def test_after_a_proof_that_failed_no_check_counts_as_passed() -> None:
    found = outcomes(suites(fleets.document(fleets.host("desk", fleets.looks()["good"], fleets.FAILED)))["desk"])
    assert set(map(tuple, found.values())) == {(Error,)}


def test_nothing_is_ever_skipped_and_the_sums_are_right() -> None:
    document = fleets.some(60)
    found = JUnitXml.fromstring(junit(document).encode())
    assert len(list(found)) == 60 and found.skipped == 0
    kinds = [kind for suite in found for each in outcomes(suite).values() for kind in each]
    assert Skipped not in kinds
    assert (found.failures, found.errors) == (kinds.count(Failure), kinds.count(Error))
    assert found.errors >= document["summary"]["statuses"]["unreachable"]


def test_hostile_names_and_evidence_leave_the_xml_whole() -> None:
    document = fleets.hostile()
    root = ElementTree.fromstring(junit(document))  # noqa: S314 - made a line above
    assert len(root) == len(document["hosts"])
    assert {each.tag for each in root.iter()} <= {
        "testsuites",
        "testsuite",
        "testcase",
        "failure",
        "error",
        "system-out",
    }
    assert not SHELL.search(junit(document))


# --- Prometheus ------------------------------------------------------------------------------------------------------


def test_the_figures_of_a_host_are_those_of_the_document() -> None:
    document = fleets.document(fleets.host("desk", fleets.looks()["good"]), fleets.host("away", fleets.UNREACHABLE))
    gateway = {"host": "desk", "gateway": "live", "mode": "live"}
    assert value(document, "ib_fleet_hosts", status="healthy") == 1
    assert value(document, "ib_fleet_hosts", status="unreachable") == 1
    assert value(document, "ib_fleet_declared_hosts") == 2
    assert value(document, "ib_host_status", host="away", status="unreachable") == 1
    assert value(document, "ib_host_status", host="away", status="healthy") == 0
    assert value(document, "ib_gateway_status", status="healthy", **gateway) == 1
    assert value(document, "ib_gateway_processes", **gateway) == 1
    assert value(document, "ib_gateway_handshake_seconds", stage="ready", **gateway) == pytest.approx(0.0315)
    assert value(document, "ib_host_look_seconds", host="desk") == pytest.approx(0.0123)
    assert value(document, "ib_fleet_report_time_seconds") == 1_795_338_000


def test_a_host_that_was_not_seen_at_the_end_is_healthy_in_no_figure() -> None:
    document = fleets.document(fleets.host("desk", fleets.looks()["good"], fleets.FAILED))
    assert value(document, "ib_host_status", host="desk", status="healthy") == 0
    assert value(document, "ib_gateway_status", status="unknown", host="desk", gateway="live", mode="live") == 1


def test_units_are_base_units_labels_are_few_and_samples_carry_no_time() -> None:
    document = fleets.some(50)
    found = samples(document)
    assert all(each.timestamp is None for each in found)
    assert {label for each in found for label in each.labels} == {
        *("host", "gateway", "mode", "status", "stage", "code", "kind", "version", "verdict", "state")
    }
    assert not any(each.name.endswith(("_ms", "_percent", "_minutes")) for each in found)
    assert {each.labels["status"] for each in found if "status" in each.labels} == set(STATUSES)


@pytest.mark.parametrize("document", [fleets.hostile(), fleets.some(80), fleets.document()])
def test_no_series_comes_twice_and_hostile_names_stay_inside_their_label(document: Dict[str, Any]) -> None:
    found = samples(document)
    keys = [(each.name, tuple(sorted(each.labels.items()))) for each in found]
    assert len(set(keys)) == len(keys)
    assert {each.name.partition("_")[0] for each in found} == {"ib"}
    assert not SHELL.search(prometheus(document))
