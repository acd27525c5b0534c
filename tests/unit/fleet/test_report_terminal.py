"""Progress, the table at the end, the next command, and the line for a monitoring system."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ib_fleet.document import fleet_document
from ansible.module_utils.ib_fleet.document.changes import compare, further, known
from ansible.module_utils.ib_fleet.render.layout import laid_out
from ansible.module_utils.ib_fleet.render.overview import overview
from ansible.module_utils.ib_fleet.render.progress import Tally, span
from ansible.module_utils.ib_fleet.render.terminal import lines
from ansible.module_utils.ib_fleet.store import documents
from unit import fleets
from unit.module_runs import PROJECT

SCRIPT = PROJECT / "roles" / "ib_fleet_report" / "files" / "check_ib_gateway.py"
NOW = 1_795_338_000.0


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)


def judged(path: Path, host: str, now: float = NOW) -> Any:
    spec = importlib.util.spec_from_file_location("check_ib_gateway", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.check(str(path), host, 3600.0, now)


def with_next(*hosts: Any, **more: Any) -> Any:
    return fleet_document.with_next(fleets.document(*hosts, **more), "-i hosts.yml")


def told_of(shown: Any, width: int = 100) -> list[str]:
    return list(laid_out(lines(shown), width))


# --- progress --------------------------------------------------------------------------------------------------------


def test_progress_says_done_of_total_how_many_are_not_healthy_and_the_time_left() -> None:
    tally = Tally("look", 10, began=100.0)
    tally.note("a", "healthy")
    tally.note("b", "unhealthy")
    assert tally.sentence(104.0) == "look: 2 of 10 hosts done, 1 not healthy, about 16 s left"
    assert tally.line(104.0) and tally.line(104.1) is None


def test_a_large_fleet_gets_a_line_for_each_tenth_and_one_after_ten_quiet_seconds() -> None:
    tally, told = Tally("look", 1000, began=0.0), []
    for number in range(1000):
        tally.note("desk%d" % number, "healthy")
        told.append(tally.line(number / 1000))
    assert sum(each is not None for each in told) == 10
    assert told[-1] == "look: 1000 of 1000 hosts done, 0 not healthy"
    slow = Tally("look", 1000, began=0.0)
    slow.note("a", "healthy")
    assert slow.line(9.0) is None and slow.line(10.0) is not None


def test_a_small_fleet_is_not_talked_about() -> None:
    tally = Tally("look", 2, began=0.0)
    tally.note("a", "healthy")
    assert tally.line(60.0) is None


def test_more_hosts_than_were_expected_are_counted() -> None:
    tally = Tally("look", 0, began=0.0)
    assert tally.left(1.0) is None
    tally.note("a", "healthy")
    assert (tally.done, tally.total, tally.left(1.0)) == (1, 1, 0.0)


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (59.4, "59 s"), (60, "1 min 0 s"), (200, "3 min 20 s")])
def test_a_span_is_told_as_a_person_says_it(seconds: float, words: str) -> None:
    assert span(seconds) == words


# --- the end ---------------------------------------------------------------------------------------------------------


def test_identical_findings_are_one_row_the_worst_first() -> None:
    down = fleets.looks()["gateway_not_running: start after a second look"]
    hosts = [fleets.host("desk%d" % number, down) for number in range(9)]
    told = told_of(overview(with_next(*hosts, fleets.host("away", fleets.UNREACHABLE))))
    assert told[0] == "FLEET: 10 hosts: 9 unhealthy, 1 unreachable"
    assert "unreachable" in told[1] and told[1].endswith("away")
    assert told[2].endswith("9 hosts: desk0, desk1, desk2, desk3, desk4, desk5 and 3 more")
    assert "docs/findings.md" in told[3]
    assert [line[:4] for line in told[4:]] == ["NEXT", "  an", "NEXT", "  an"]
    away = told_of(overview(with_next(fleets.host("away", fleets.UNREACHABLE))))
    assert "docs/findings.md" not in str(away), "there is no finding to look up"


def test_what_changed_is_told_in_numbers() -> None:
    document = fleets.document(fleets.host("a", fleets.looks()["good"]))
    comparison = compare("2026-11-21T08:00:00Z", {"a": known(frozenset({("live", "not_listening")}))}, document)
    assert "  since 2026-11-21T08:00:00Z: 0 new, 0 still broken, 1 fixed, 0 not seen this time" in told_of(
        overview(document, comparison)
    )


def test_a_finding_that_lasts_is_told_with_the_age_of_the_oldest() -> None:
    down = fleets.looks()["gateway_not_running: start after a second look"]
    document = fleets.document(fleets.host("a", down), fleets.host("b", down), at="2026-11-22T09:00:00Z")
    before = {name: known(frozenset({("live", "gateway_not_running")})) for name in ("a", "b")}
    since = {("b", "live", "gateway_not_running"): "2026-11-20T08:00:00Z"}
    shown = overview(document, compare("2026-11-22T08:00:00Z", before, document, since))
    assert "  open: gateway_not_running for 2 d" in told_of(shown)
    assert not any("open:" in line for line in told_of(overview(document)))


def test_who_is_compared_with_an_older_sweep_is_named_with_its_time() -> None:
    document = fleets.document(fleets.host("a", fleets.looks()["good"]))
    before = {"a": further(known(frozenset({("", "unreachable")})), frozenset({("live", "not_listening")}), "DAY1")}
    shown = overview(document, compare("DAY2", before, document))
    line = "not judged then, compared with their last sweep before: a (DAY1)"
    assert f"  {line}" in told_of(shown)


def test_the_page_is_named_on_a_line_of_its_own_before_the_next_command() -> None:
    down = with_next(fleets.host("a", fleets.looks()["gateway_not_running: start after a second look"]))
    path = "/srv/reports/" + "deep/" * 30 + "index.html"
    told = told_of(overview(down, page=path), width=80)
    assert told[-3:-1] == [f"PAGE: {path}", "NEXT, to see what a repair would do:"]
    assert told[-1].startswith("  ansible-playbook remediate.yml ")
    assert "PAGE" not in "".join(told_of(overview(down)))


def test_a_command_stays_one_line_and_the_table_fits_the_terminal() -> None:
    down = fleets.looks()["gateway_not_running: start after a second look"]
    document = with_next(*(fleets.host("a-rather-long-name-of-a-host-%d" % n, down) for n in range(12)))
    told = told_of(overview(document))
    commands = [line for line in told if "ansible-playbook" in line]
    assert len(commands) == 1 and commands[0].endswith("--check --diff")
    assert all(len(line) <= 100 for line in told if line not in commands)


def test_nothing_a_terminal_obeys_comes_through() -> None:
    document = fleets.hostile()
    for text in told_of(overview(document)):
        assert text.isprintable(), ascii(text)
    shown = with_next(fleets.host("[bold]x", fleets.looks()["gateway_not_running: start after a second look"]))
    assert overview(shown)["next"][0]["command"].split()[3] == "trading_hosts"


# --- monitoring ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("look", "code", "told"),
    [
        ("good", 0, "IB_GATEWAY OK - desk is healthy | 'live_handshake'=0.0512s 'live_clients'=0"),
        ("gateway_starting: wait", 1, "IB_GATEWAY WARNING - desk is degraded: "),
        ("not_listening: restart", 2, "IB_GATEWAY CRITICAL - desk is unhealthy: live runs"),
        (fleets.UNREACHABLE, 2, "IB_GATEWAY CRITICAL - desk is unreachable: Failed to connect"),
        (fleets.FAILED, 3, "IB_GATEWAY UNKNOWN - desk is unknown: the module failed"),
    ],
)
def test_a_host_s_line_and_exit_code_say_its_status(tmp_path: Path, look: Any, code: int, told: str) -> None:
    path = tmp_path / "fleet.json"
    found = fleets.looks()[look] if isinstance(look, str) else look
    path.write_text(documents.text(fleets.document(fleets.host("desk", found))))
    assert judged(path, "desk")[0] == code
    assert judged(path, "desk")[1].startswith(told)


def test_an_old_report_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(documents.text(fleets.document(fleets.host("desk", fleets.looks()["good"]))))
    code, told = judged(path, "desk", now=NOW + 7200)
    assert code == 3 and "the report is 7200 s old, it may be 3600" in told


def timed(took: str) -> str:
    """A report of a host whose handshake took so many milliseconds."""
    gateway = '{"name": "live", "clients": [], "api": {"timings_ms": {"tcp": %s}}}' % took
    host = '{"name": "desk", "status": "healthy", "reason": "", "reported_at": "2026-11-22T09:00:00Z", "after": '
    return '{"hosts": [%s{"gateways": [%s]}}]}' % (host, gateway)


@pytest.mark.parametrize(
    "content",
    [
        *(None, "{", "[]", '{"hosts": 1}', '{"hosts": [{"name": "desk"}]}', '{"hosts": []}'),
        *('{"hosts": ' + "[" * 100_000, timed("1" + "0" * 400), timed("[]")),
    ],
)
def test_whatever_is_wrong_with_the_report_is_unknown_and_one_line(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "fleet.json"
    if content is not None:
        path.write_text(content)
    found = check(str(path), "desk")
    assert found.returncode == 3 and found.stdout.count("\n") == 1 and found.stderr == ""
    assert found.stdout.startswith("IB_GATEWAY UNKNOWN - ")


@pytest.mark.parametrize("arguments", [(), ("fleet.json",), ("a", "b", "--max-age", "soon"), ("a", "b", "c")])
def test_wrong_arguments_are_unknown_too(arguments: Any) -> None:
    assert check(*arguments).returncode == 3


def test_hostile_text_stays_in_its_line_and_out_of_the_figures(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    document = fleets.hostile()
    path.write_text(json.dumps(document))
    for host in document["hosts"]:
        _, told = judged(path, host["name"])
        assert told.isprintable() and told.count("|") <= 1, ascii(told)
