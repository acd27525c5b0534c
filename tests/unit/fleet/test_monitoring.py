"""Alert rules and dashboard: every metric, label and value they name is one that the file of metrics really has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set

import pytest
import yaml
from ansible.module_utils.ib_fleet.document.fleet_document import STATUSES
from ansible.module_utils.ib_fleet.document.tallies import REFUSALS
from ansible.module_utils.ib_fleet.run import write_report
from ansible.module_utils.ib_gateway.base.login import STATES
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families
from unit import fleets
from unit.fleet.test_incidents import DOWN, GOOD, RESTART, at, day, repair
from unit.module_runs import PROJECT

FOLDER = PROJECT / "roles" / "ib_fleet_report" / "files" / "monitoring"
RULES, DASHBOARD = FOLDER / "ib_gateway.rules.yml", FOLDER / "grafana-dashboard.json"
NAME = re.compile(r"\bib_(?:fleet|host|gateway)_\w+")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
#: Labels that Prometheus adds, and what stands for any value in a dashboard.
ADDED, ANY = {"instance", "job"}, ("$host", "$gateway")


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Set[str]]:
    """Every metric that the file has, with its labels: of repairs, refusals and a fleet with every finding."""
    folder: Path = tmp_path_factory.mktemp("reports")
    refused = {**RESTART, "result": "refused", "reason": "paused", "admitted": False}
    texts = []
    for each in (day(0, DOWN), repair(3, RESTART), repair(6, refused), day(7, GOOD), fleets.some(60, at=at(9))):
        assert write_report.write_all(each, folder).problems == []
        texts.append((folder / "ib_gateway.prom").read_text())
    found: Dict[str, Set[str]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def rules() -> List[Dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    for rule in rules():
        yield rule["expr"]
        yield from rule["annotations"].values()
    board = json.loads(DASHBOARD.read_text())
    yield from (target["expr"] for panel in board["panels"] for target in panel["targets"])
    yield from (each["query"]["query"] for each in board["templating"]["list"] if each["type"] == "query")


def test_every_metric_that_is_named_is_emitted(emitted: Dict[str, Set[str]]) -> None:
    named = {name for each in expressions() for name in NAME.findall(each)}
    assert len(named) > 12 and named <= set(emitted)


def test_every_metric_that_is_emitted_is_in_the_table_of_the_documentation(emitted: Dict[str, Set[str]]) -> None:
    page = (PROJECT / "docs" / "reports.md").read_text(encoding="utf-8")
    rows = {
        name: set(labels.split(", ")) - {""}
        for name, labels in re.findall(r"^\| `(ib_\w+)` \| ([\w, ]*?) ?\| ", page, re.MULTILINE)
    }
    assert rows == emitted


def test_every_label_that_is_asked_for_is_one_of_the_metric_s_and_its_values_exist(
    emitted: Dict[str, Set[str]],
) -> None:
    values = {"status": set(STATUSES), "state": set(STATES), "kind": set(REFUSALS), "result": {"done", "failed"}}
    asked = 0
    for each in expressions():
        for name, inside in re.findall(r"\b(ib_\w+)\{([^}]*)\}", each):
            for label, _, wanted in MATCHER.findall(inside):
                asked += 1
                assert label in emitted[name], (each, label)
                assert wanted in ANY or set(wanted.split("|")) <= values[label], (each, wanted)
    assert asked > 10


def test_every_label_in_the_words_of_an_alert_is_there_when_it_fires(emitted: Dict[str, Set[str]]) -> None:
    for rule in rules():
        labels = {label for name in NAME.findall(rule["expr"]) for label in emitted[name]} | ADDED
        told = " ".join(rule["annotations"].values())
        assert set(re.findall(r"\$labels\.(\w+)", told)) <= labels, rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description"} and rule["labels"]["severity"]
        assert all((PROJECT / "playbooks" / f"{each}.yml").exists() for each in re.findall(r"the playbook (\w+)", told))


def test_the_dashboard_has_each_panel_once_and_asks_the_source_that_is_chosen() -> None:
    board = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids) and len({panel["title"] for panel in board["panels"]}) == len(ids)
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {"${datasource}"}
    cells = [
        (x, y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) == 23


def test_the_dashboard_is_one_of_grafana_s_own_schema_to_the_last_key() -> None:
    board = json.loads(DASHBOARD.read_text())
    assert list(unread(board)) == []
    assert list(unread({**board, "refesh": "1m"})) == [".refesh"]
    board["panels"][0]["fieldConfig"]["defaults"]["units"] = "s"
    assert list(unread(board)) == [".panels[0].fieldConfig.defaults.units"]


def unread(board: Dict[str, Any]) -> Iterator[str]:
    """The keys of a dashboard that Grafana's model of it does not have."""
    register_default_plugins()  # what each kind of panel has of its own
    read = Dashboard.from_json(json.loads(json.dumps(board)))
    return _lost(board, json.loads(JSONEncoder().encode(read)))


def _lost(given: Any, read: Any, at: str = "") -> Iterator[str]:
    if isinstance(given, dict) and isinstance(read, dict):
        for key, value in given.items():
            yield from _lost(value, read[key], f"{at}.{key}") if key in read else [f"{at}.{key}"]
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        for number, (one, other) in enumerate(zip(given, read)):
            yield from _lost(one, other, f"{at}[{number}]")
    elif given != read:
        yield at
