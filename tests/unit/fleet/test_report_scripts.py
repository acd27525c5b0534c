"""The scripts in the fleet's report: a part of fleet.json and of the page, beside sweeps and without one."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
from ansible.module_utils.ib_fleet.document import merge
from ansible.module_utils.ib_fleet.render.page import page
from ansible.module_utils.ib_fleet.render.scripts import scripts
from ansible.module_utils.ib_fleet.run import write_report
from ansible.module_utils.ib_fleet.store import documents
from ansible.module_utils.ib_fleet.store.history import FILE
from unit import fleets
from unit.fleet.test_report_page import Reader, past


def put_audit(folder: Path, **options: Any) -> Dict[str, Any]:
    """An audit as the audit's playbook leaves it."""
    found = fleets.audit(**options)
    (folder / "audit.json").write_text(documents.text(found), encoding="utf-8")
    return found


def report(folder: Path) -> Dict[str, Any]:
    """What was written, without what the history adds to it."""
    return {key: each for key, each in documents.read(folder / "fleet.json").items() if key != "history"}


def listed(folder: Path) -> List[str]:
    return sorted(path.name for path in folder.iterdir())


# --- the document ----------------------------------------------------------------------------------------------------


def test_an_audit_fits_its_schema_alone_and_in_a_fleet_s_document() -> None:
    found = fleets.audit()
    assert documents.problems(found, documents.AUDIT) == []
    assert documents.problems({**fleets.some(2), "audit": found}) == []
    for wrong in ({**found, "more": 1}, {**found, "schema": "ib-client-audit/2"}, {**found, "hosts": [{}]}):
        assert documents.problems(wrong, documents.AUDIT) and documents.problems({**fleets.some(2), "audit": wrong})


def test_without_a_sweep_the_report_is_about_the_scripts_alone(tmp_path: Path) -> None:
    found = put_audit(tmp_path)
    assert write_report.write_scripts(tmp_path).problems == []
    made = report(tmp_path)
    assert (made["kind"], made["hosts"], made["audit"]) == ("audit", [], found)
    assert listed(tmp_path) == ["audit.json", "fleet.json", "index.html"]
    html = (tmp_path / "index.html").read_text()
    assert "No sweep has been written into this folder yet" in html and 'id="table"' not in html
    assert 'id="script-table"' in html


def test_an_audit_after_a_sweep_leaves_the_gateways_and_the_history_as_they_were(tmp_path: Path) -> None:
    write_report.write_all(fleets.some(4, at="2026-11-21T09:00:00Z"), tmp_path)
    swept = fleets.some(4, seed=2)
    write_report.write_all(swept, tmp_path)
    others = {name: (tmp_path / name).read_bytes() for name in (FILE, "junit.xml", "ib_gateway.prom")}
    found = put_audit(tmp_path)
    assert write_report.write_scripts(tmp_path).problems == []
    assert report(tmp_path) == {**swept, "audit": found}
    assert {name: (tmp_path / name).read_bytes() for name in others} == others
    html = (tmp_path / "index.html").read_text()
    assert 'id="script-table"' in html and "<small>since 2026-11-21 09:00:00 UTC" in html
    newer = put_audit(tmp_path, at="2026-11-22T10:00:00Z", each=1)
    write_report.write_scripts(tmp_path)
    assert report(tmp_path)["audit"] == newer and report(tmp_path)["generated_at"] == swept["generated_at"]


def test_a_sweep_after_an_audit_keeps_the_newest_audit_with_its_own_time(tmp_path: Path) -> None:
    found = put_audit(tmp_path)
    write_report.write_scripts(tmp_path)
    later = fleets.some(3, at="2026-11-23T09:00:00Z")
    assert write_report.write_all(later, tmp_path).problems == []
    assert report(tmp_path) == {**later, "audit": found}
    assert "audited 2026-11-22 09:30:00 UTC" in (tmp_path / "index.html").read_text()


def test_an_audit_that_cannot_be_read_is_named_and_costs_the_sweep_nothing(tmp_path: Path) -> None:
    (tmp_path / "audit.json").write_text("{")
    swept = fleets.some(2)
    done = write_report.write_all(swept, tmp_path)
    assert [each.rpartition("/")[2].split(" is ")[0] for each in done.problems] == ["audit.json"]
    assert report(tmp_path) == swept
    (tmp_path / "fleet.json").write_text("[]")
    put_audit(tmp_path)
    assert "fleet.json is no fleet document" in write_report.write_scripts(tmp_path).problems[0]
    assert (tmp_path / "fleet.json").read_text() == "[]"


def test_slices_with_audits_merge_in_any_order_to_the_newest_of_each_host() -> None:
    old, new = fleets.audit(3), fleets.audit(2, at="2026-11-22T11:00:00Z", each=1)
    parts = [{**fleets.some(2), "audit": old}, {**fleets.some(3), "audit": new}, fleets.some(1)]
    merged = [merge.merge(order) for order in itertools.permutations(parts)]
    assert all(documents.text(each) == documents.text(merged[0]) for each in merged)
    hosts = {host["name"]: host["audited_at"] for host in merged[0]["audit"]["hosts"]}
    assert [at[11:13] for _, at in sorted(hosts.items())] == ["11", "11", "09"]
    assert merged[0]["audit"]["summary"]["hosts"] == 3 and documents.problems(merged[0]) == []
    assert merge.merge([parts[0], parts[0]]) == merge.merge([parts[0]])


# --- the page --------------------------------------------------------------------------------------------------------


def test_a_row_tells_host_file_line_code_severity_what_is_wrong_and_what_to_do() -> None:
    found = scripts(fleets.audit(1, each=6))
    assert found is not None and len(found.problems) == 6
    order = ["error", "warning", "note"]
    assert [each.severity for each in found.problems] == sorted((e.severity for e in found.problems), key=order.index)
    html = page({**fleets.some(1), "audit": fleets.audit(1, each=6)})
    first = found.problems[0]
    body = html[html.index("<tbody>", html.index('id="script-table"')) :]
    row = body[: body.index("</tr>")]
    for told in (first.host, first.folder, first.file, str(first.line), first.code, first.severity):
        assert told in row, told
    assert f'href="#{first.anchor}"' in row and f'id="{first.anchor}"' in html


def test_a_host_that_could_not_be_audited_is_named_with_the_reason() -> None:
    html = page({**fleets.some(1), "audit": fleets.audit(2)})
    assert "desk0001.example.com could not be audited: no route to host" in html


def test_the_section_of_a_host_leads_to_its_scripts() -> None:
    html = page({**fleets.some(3), "audit": fleets.audit(3)})
    assert '<a href="#scripts-desk0002.example.com">In its scripts</a>' in html
    assert '<a href="#scripts-desk0001.example.com">' not in html  # could not be audited


def test_beyond_what_a_browser_bears_the_worst_are_shown_and_the_rest_is_counted() -> None:
    found = scripts(fleets.audit(40, each=5), most=20)
    assert found is not None and len(found.problems) == 20 and found.more == 39 * 5 - 20
    assert {each.severity for each in found.problems} == {"error"}


@pytest.mark.parametrize("swept", [True, False])
def test_with_scripts_the_page_stays_well_formed_and_links_to_what_is_there(swept: bool) -> None:
    fleet = fleets.some(5) if swept else fleets.document(kind="audit")
    found = Reader(page({**fleet, "audit": fleets.audit(5)}, past(fleet) if swept else None))
    assert found.wrong == [] and found.open == []
    ids = found.values("id")
    assert len(set(ids)) == len(ids)
    assert {each[1:] for each in found.values("href") if each.startswith("#")} <= set(ids)
    levels = [int(tag[1]) for tag in found.tags if tag in ("h1", "h2", "h3", "h4", "h5")]
    assert all(later <= earlier + 1 for earlier, later in zip(levels, levels[1:])), levels


@pytest.mark.parametrize("text", fleets.HOSTILE)
def test_hostile_file_names_and_snippets_are_text(text: str) -> None:
    audit = fleets.audit(3, file="/srv/" + text, snippet=text, summary=text, remedy=text)
    for host in audit["hosts"]:
        host["name"] = host["name"] + text
    document = {**fleets.some(1), "audit": audit}
    assert documents.problems(document) == [] and documents.text(document).isascii()
    html = page(document)
    assert "<script>window.hacked" not in html and "<img" not in html
    assert html.count("</script>") == html.count("</style>") == 1
    assert html.replace("\n", "").isprintable()


def test_a_thousand_hosts_with_problems_make_a_page_that_a_browser_bears() -> None:
    audit = fleets.audit(1000, each=4)
    html = page({**fleets.some(1000), "audit": audit})
    assert len(html) < 12_000_000
    assert html.count("<tr data-h=", html.index('id="script-table"')) == 999 * 4
    json.dumps(audit)
