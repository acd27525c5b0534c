"""The catalogue of findings: whole, in one place, and what docs/findings.md says."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Iterator, List, Set

import pytest
from ansible.module_utils.ib_fleet.render.junit import CHECKS
from ansible.module_utils.ib_gateway.base import findings
from ansible.module_utils.ib_gateway.base.findings import CATALOGUE, PLANNED, FindingType
from ansible.module_utils.ib_gateway.base.host import Folder
from ansible.module_utils.ib_gateway.decide import (
    diagnosis,
    rules_accounts,
    rules_api,
    rules_clients,
    rules_host,
    rules_login,
    rules_processes,
    rules_unserved,
    rules_waiting,
)
from ansible.module_utils.ib_gateway.decide.context import RuleContext
from unit.facts import SCRIPT, SECOND, connection, entry, gateway, judged, listener, probe, script, snapshot, spec
from unit.module_runs import PROJECT

DECIDE = PROJECT / "module_utils" / "ib_gateway" / "decide"
CATALOGUE_FILE = PROJECT / "module_utils" / "ib_gateway" / "base" / "findings.py"
PAGE = (PROJECT / "docs" / "findings.md").read_text(encoding="utf-8")
FOUND = tuple(entry for entry in CATALOGUE.values() if entry not in PLANNED)
every_entry = pytest.mark.parametrize("entry", CATALOGUE.values(), ids=list(CATALOGUE))
every_found = pytest.mark.parametrize("entry", FOUND, ids=[entry.code for entry in FOUND])
#: Words that are codes as well, and mean something else where they stand.
OTHER_MEANINGS = {
    "module/waiting.py": {"not_listening"},  # what ib_gateway_wait answers when the time is up
}


def code_files() -> List[Path]:
    found = [path for name in ("module_utils", "library", "filter_plugins") for path in (PROJECT / name).rglob("*.py")]
    return [path for path in found if path != CATALOGUE_FILE]


def named(path: Path) -> Iterator[str]:
    """The entries from which a file makes findings: those it names, but for comparisons with their codes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    compared = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "code"}
    for node in ast.walk(tree):
        of_catalogue = isinstance(node, ast.Attribute) and ast.unparse(node.value) == "findings"
        if isinstance(node, ast.Attribute) and of_catalogue and node.attr.lower() in CATALOGUE and node not in compared:
            yield node.attr.lower()


@every_entry
def test_an_entry_s_name_is_its_code(entry: FindingType) -> None:
    assert getattr(findings, entry.code.upper()) is entry


@every_entry
def test_an_entry_says_in_one_sentence_each_what_it_means_and_what_is_done(entry: FindingType) -> None:
    for text in (entry.means, entry.done):
        assert re.fullmatch(r"[A-Zs][^.|]{10,115}\.", text), text


@every_entry
def test_a_finding_is_made_from_an_entry_with_its_usual_severity_or_another(entry: FindingType) -> None:
    found = entry.found("so it is", {"pid": 7})
    assert (found.code, found.severity, found.summary, found.evidence) == (
        entry.code,
        entry.severity,
        "so it is",
        {"pid": 7},
    )
    assert entry.severity in findings.SEVERITIES[1:]
    assert entry.found("so it is", {}, findings.INFO).severity == "info"


def test_every_entry_is_found_by_a_rule_or_planned() -> None:
    made = {code for path in DECIDE.glob("*.py") for code in named(path)}
    assert made == {entry.code for entry in FOUND}


def test_every_rule_is_applied() -> None:
    down, up = snapshot(gateway()), snapshot(gateway(), listener())
    used = snapshot(gateway(), listener(), script(), connection(SCRIPT))
    frozen = snapshot(gateway(state="T"), listener())
    queued = snapshot(gateway(), listener())._replace(accept_queue_samples={spec().port: (1, 1)})
    full = snapshot(gateway(), listener())._replace(folders={"/": Folder("/", "root", 0)})
    unheard = snapshot(gateway(), listener())._replace(localhost=("::1",))
    applied = {
        where: set(diagnosis._rules(RuleContext(entry(spec(), look), look, shaken)))
        for where, look, shaken in (
            ("down", down, None),
            ("up", up, None),
            ("used", used, None),
            ("shaken", up, probe()),
            ("frozen", frozen, None),
            ("queued", queued, None),
            ("full", full, None),
            ("unheard", unheard, None),
        )
    }
    for file, where in (
        (rules_accounts, set()),  # comes before all others: what looks like the entry's may be another account's
        (rules_host, {"queued", "full", "unheard"}),
        (rules_processes, {"frozen"}),
        (rules_unserved, {"down"}),
        (rules_waiting, {"down"}),
        (rules_clients, {"used"}),
        (rules_api, {"down", "shaken"}),
        (rules_login, set()),  # loaded where there is a login to tell of
    ):
        here = [each for _, each in inspect.getmembers(file, inspect.isfunction) if each.__module__ == file.__name__]
        assert {each for each in here if not each.__name__.startswith("_")} == set(file.RULES)
        assert {each for each, rules in applied.items() if set(file.RULES) <= rules} == where


def test_nobody_spells_a_code_or_makes_a_finding_without_the_catalogue() -> None:
    for path in code_files():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        spelled: Set[str] = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in CATALOGUE
        }
        name = "/".join(path.parts[-2:])
        assert spelled == OTHER_MEANINGS.get(name, set()), path
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not calls & {"Finding", "FindingType", "findings.Finding", "findings.FindingType"}, path


def test_the_order_of_the_rules_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    look = snapshot(gateway(), gateway(SECOND))
    before = judged(look)
    in_order = diagnosis._rules
    monkeypatch.setattr(diagnosis, "_rules", lambda context: tuple(reversed(in_order(context))))
    assert len(before.findings) > 1 and judged(look) == before
    assert before.verdict == "duplicate_gateways"


def test_junit_has_a_check_for_each_entry_that_a_rule_can_find() -> None:
    assert tuple(entry.code for entry in FOUND) == CHECKS


def test_the_page_has_the_catalogue_as_its_table() -> None:
    rows = ["| [%s](#%s) | %s | %s | %s |" % (e.code, e.code, e.severity, e.means, e.done) for e in FOUND]
    assert re.findall(r"^\| \[\w+\].*$", PAGE, re.MULTILINE) == rows, "the table should be:\n" + "\n".join(rows)


def test_the_page_explains_each_finding_in_the_order_of_its_weight() -> None:
    headings: List[str] = re.findall(r"^## ([a-z_]+)$", PAGE, re.MULTILINE)
    assert headings == [entry.code for entry in FOUND]


@every_found
def test_the_page_names_the_usual_severity_first(entry: FindingType) -> None:
    section = PAGE.split("\n## %s\n" % entry.code)[1].split("\n## ")[0]
    told = re.search(r"^Severity: (\w+)", section, re.MULTILINE)
    assert told and told.group(1) == entry.severity
    for part in ("**Means.**", "**Evidence.**", "**The project**", "**A person**"):
        assert part in section
