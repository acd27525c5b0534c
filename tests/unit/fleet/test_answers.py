"""The gate for what hosts answer: ours pass as they are, and nothing a stranger says fails a task for all hosts."""

from __future__ import annotations

import copy
import importlib
import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
from ansible.module_utils.ib_fleet.document import changes, fleet_document, latest, merge, plan_text
from ansible.module_utils.ib_fleet.document.bounds import MOST_OF_A_HOST
from ansible.module_utils.ib_fleet.render import overview
from ansible.module_utils.ib_fleet.run import answers, escalation, write_report
from ansible.module_utils.ib_fleet.store import documents
from ansible.module_utils.ib_gateway.base.actions import ORDER, modules_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit import fleets
from unit.module_runs import PROJECT

filters: Any = importlib.import_module("ib_gateway")
audit_filters: Any = importlib.import_module("ib_audit")
STORM = {"share": "1/3", "same": "1/2", "at_least": 2}
FINE = {"ib_gateway_diagnose_result": {**fleets.looks()["two"], "reset_window": "", "changed": False}}
AUDIT = {
    "problems": [],
    "summary": {"note": 0, "warning": 0, "error": 0},
    "files": 1,
    "clients": [],
    "ignored": 0,
    "changed": False,
}
STOPPED = {"pid": 815, "user": "trader", "command": ["python3", "bot.py"], "reason": "ended after SIGTERM"}
ACT = {
    "changed": True,
    "outcomes": [fleets.stopped()],
    "stopped": [STOPPED],
    "refused": [{"pid": 5, "reason": "it is another process"}],
    "dropped": [{"client": "127.0.0.1", "client_port": 50000, "port": 4001, "reason": "cut"}],
    "started": [{"name": "live", "unit": None}],
    "health": None,
}
BEGIN = {"begun": True, "reason": "", "allowed": ["live"], "refused": [], "unfinished": [], "changed": False}
END = {"ended": True, "reason": "", "succeeded": ["live"], "unsuccessful": [], "lifted": [], "changed": False}


def look(name: str) -> Dict[str, Any]:
    return {**copy.deepcopy(fleets.looks()[name]), "reset_window": "", "changed": False}


def deep(levels: int) -> Any:
    found: Any = "end"
    for _ in range(levels):
        found = [found]
    return found


@pytest.mark.parametrize("name", sorted(fleets.looks()))
def test_every_look_of_ours_passes_as_it_is(name: str) -> None:
    assert answers.checked(look(name), "look") == look(name)


@pytest.mark.parametrize(("sort", "answer"), [("act", ACT), ("begin", BEGIN), ("end", END), ("audit", AUDIT)])
def test_what_our_modules_return_passes_as_it_is(sort: str, answer: Dict[str, Any]) -> None:
    assert answers.checked(answer, sort) == answer


def test_an_act_that_failed_on_the_way_keeps_what_it_says_it_has_done() -> None:
    failed = {"failed": True, "changed": True, "msg": "the disk is full", "stopped": [STOPPED], "refused": 5}
    kept = answers.checked(failed, "act")
    assert kept["stopped"] == [STOPPED] and kept["msg"] == "the disk is full" and "refused" not in kept


STRANGE: List[Tuple[str, Any]] = [
    ("no dict", 5),
    ("a list", ["gateways"]),
    ("a number for gateways", {**look("good"), "gateways": 5}),
    ("a list where a word belongs", {**look("good"), "status": ["healthy"]}),
    ("not a number", {**look("good"), "elapsed_ms": float("nan")}),
    ("infinity", {**look("good"), "elapsed_ms": float("inf")}),
    ("400 deep", {**look("good"), "undeclared": deep(400)}),
    ("100000 deep", {**look("good"), "undeclared": deep(100_000)}),
    ("a megabyte of text", {**look("good"), "reset_window": "x" * 1_000_000}),
    ("a million values", {**look("good"), "undeclared": [{"pid": 1, "user": "x"}] * 600_000}),
    ("a key that is no text", {**look("good"), 5: 5}),
    ("a message that is a list", {"failed": True, "msg": [["x"]]}),
    ("no time", {**look("good"), "taken_at": "yesterday"}),
    ("a month that is none", {**look("good"), "taken_at": "2026-13-01T00:00:00Z"}),
    ("a number beyond any", {**look("good"), "elapsed_ms": 10**400}),
    ("bytes", {**look("good"), "status": b"healthy"}),
    ("healthy without a gateway", {**look("good"), "gateways": []}),
    ("healthy with one that is down", {**look("gateway_not_running: start after a second look"), "status": "healthy"}),
    ("itself", None),
]
CIRCLE: Dict[str, Any] = look("good")
CIRCLE["undeclared"] = [CIRCLE]
STRANGE[-1] = ("itself", CIRCLE)


@pytest.mark.parametrize("answer", [answer for _, answer in STRANGE], ids=[name for name, _ in STRANGE])
def test_what_is_not_ours_is_a_failed_answer_that_says_so(answer: Any) -> None:
    found = answers.checked(answer, "look")
    assert found["failed"] and found["msg"].startswith("this host's answer is not one of ours: ")
    assert len(found["msg"]) < 1000 and json.dumps(found)


@pytest.mark.parametrize("answer", [answer for _, answer in STRANGE], ids=[name for name, _ in STRANGE])
def test_one_strange_host_is_unknown_and_the_others_are_as_they_were(answer: Any, tmp_path: Path) -> None:
    hostvars = {"fine": FINE, "strange": {"ib_gateway_diagnose_result": answer}, "fine2": FINE}
    found = report(hostvars, tmp_path)
    by_name = {host["name"]: host for host in found["hosts"]}
    assert by_name["strange"]["status"] == "unknown" and answers.NOT_OURS in by_name["strange"]["reason"]
    assert by_name["fine"]["status"] == by_name["fine2"]["status"] == "healthy"
    assert filters.chosen(hostvars, hostvars) == [{"host": "strange", "groups": ["ib_hosts_not_judged"]}]


def test_a_key_that_no_schema_names_is_not_kept() -> None:
    more = {**look("good"), "ansible_stats": 5, "ansible_facts": {"ib_repair_storm_share": 1}, "add_host": {}}
    assert answers.checked(more, "look") == look("good")


def test_a_module_of_which_nothing_is_read_keeps_its_message_alone() -> None:
    assert answers.checked({"changed": True, "msg": "m", "ansible_stats": 5}, None) == {"changed": True, "msg": "m"}


def test_every_module_that_a_playbook_sends_goes_through_the_gate() -> None:
    modules = {path.stem for path in (PROJECT / "library").glob("ib_*.py")}
    files = [*PROJECT.glob("roles/*/tasks/*.yml"), *PROJECT.glob("playbooks/*.yml")]
    sent = {line.strip(" -:\n") for path in files for line in path.read_text().splitlines(True)} & modules
    linked = {path.stem for path in (PROJECT / "action_plugins").iterdir() if path.is_symlink()}
    assert linked == sent
    assert set(answers.SORTS) <= sent | set(modules_of(ORDER)), "ib_repair_step asks the gate for those that act"
    assert all(
        (PROJECT / "action_plugins" / name).readlink() == Path("checked_module.py")
        for name in map("{}.py".format, linked)
    )


def test_every_result_that_a_role_registers_and_the_report_reads_goes_through_the_gate() -> None:
    documents = (PROJECT / "module_utils/ib_fleet/document").glob("*.py")
    read = {name for path in documents for name in re.findall(r"\bib_\w+_result\b", path.read_text())}
    assert {"ib_gateway_diagnose_result", "ib_gateway_verify_result"} <= read <= set(answers.REGISTERED)
    facts = {name: 5 for name in answers.REGISTERED}
    assert all(each["failed"] for each in answers.of(facts).values())


def test_an_escalation_that_is_not_believed_costs_its_host_the_log_and_nobody_the_report(tmp_path: Path) -> None:
    found = report({"bad": {**FINE, "ib_gateway_repair_escalation": 5}, "good": FINE}, tmp_path)
    assert [(each["name"], each["done"]) for each in found["hosts"]] == [("bad", []), ("good", [])]


@dataclass(frozen=True)
class Event:
    """As Ansible makes one of a module's warning."""

    msg: str
    chain: Any = None


@dataclass(frozen=True)
class Summary:
    """As Ansible shows one."""

    event: Event
    details: Tuple[Any, ...] = ()


def test_nothing_that_ansible_shows_of_an_answer_moves_a_cursor() -> None:
    moves = "one\x1b]0;title\x07\ntwo\x1b[31m"
    harmless = "one\\x1b]0;title\\x07\ntwo\\x1b[31m"
    kept = answers.checked({"failed": True, "msg": moves, "module_stdout": moves}, "look")
    assert (kept["msg"], kept["module_stdout"]) == (harmless, harmless)
    warning = Summary(Event(moves, Event(moves)), (moves, 5))
    told = answers.of_ansible({"warnings": [moves, warning], "exception": warning, "deprecations": [warning]})
    clean = Summary(Event(harmless, Event(harmless)), (harmless, 5))
    assert told == {"warnings": [harmless, clean], "exception": clean, "deprecations": [clean]}


def report(hostvars: Dict[str, Any], folder: Path) -> Dict[str, Any]:
    """All that a run does with what hosts answered, from the choice of hosts to the files of the report."""
    filters.frozen(hostvars, hostvars, STORM)
    filters.chosen(hostvars, hostvars)
    hosts = []
    for name, variables in hostvars.items():
        facts = answers.of(variables)
        for sort in ("ib_gateway_diagnose_result", "ib_gateway_verify_result"):
            told = facts.get(sort)
            plan_text.lines(told)
            escalation.steps(told)
            escalation.known_served(told)
            escalation.next_step(told)
            filters.plan_marks(told)
            filters.results(told)
        hosts.append(fleet_document.host_document(name, facts))
    found = fleets.document(*hosts)
    assert documents.problems(found) == []
    assert fleet_document.gaps(found) == []
    fleet_document.lines(found)
    fleet_document.failing(found, "unknown")
    assert all(fleet_document.sentence(each) for each in found["hosts"])
    assert all(latest.gateways(each) is not None for each in found["hosts"])
    written = write_report.write_all(found, folder)
    assert written.problems == []
    again = merge.merge([documents.read(folder / "fleet.json"), found])
    overview.overview(again, changes.compare("", changes.known_of(found), again))
    audit_filters.audit_document(hostvars, hostvars, {"generated_at": "2026-11-22T09:00:00Z", "check_mode": False})
    return found


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(fleets.HOSTILE),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
    st.sampled_from(["healthy", "unknown", "unreachable", "2026-11-22T09:00:00Z", "wait", "restart", 4001, -1, 0]),
    st.sampled_from([5, 30, 400]).map(deep),
)
ANSWERS = {
    **{
        name: [look(each) for each in sorted(fleets.looks())]
        for name, sort in answers.REGISTERED.items()
        if sort == "look"
    },
    **{name: [ACT] for name, sort in answers.REGISTERED.items() if sort == "act"},
    "ib_gateway_repair_begin": [BEGIN],
    "ib_gateway_repair_end": [END],
    "ib_client_audit_result": [AUDIT],
}


def places(value: Any) -> Iterator[Tuple[Any, Any]]:
    """(container, key) of every value in a value."""
    pairs = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    for key, each in pairs:
        yield value, key
        yield from places(each)


def damaged(answer: Any, chance: random.Random, draw: Callable[[], Any]) -> Any:
    """An answer of ours with some values replaced, some left out and some put in."""
    found = copy.deepcopy(answer)
    for _ in range(chance.choice((1, 1, 2, 4))):
        spots = list(places(found))
        if not spots:
            break
        where, key = chance.choice(spots)
        how = chance.randrange(4)
        if how == 0:
            del where[key]
        elif how == 1 and isinstance(where, dict):
            where[chance.choice([key, "pid", "reason", "x"])] = draw()
        else:
            where[key] = draw()
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.randoms(use_true_random=False), st.data())
def test_no_answer_of_a_host_fails_what_is_done_once_for_all_hosts(
    tmp_path_factory: pytest.TempPathFactory, chance: random.Random, data: st.DataObject
) -> None:
    strange = {
        name: damaged(chance.choice(good), chance, lambda: data.draw(JUNK))
        for name, good in ANSWERS.items()
        if chance.random() < 0.5
    }
    found = report({"fine": FINE, "strange": strange}, tmp_path_factory.mktemp("reports"))
    assert [each["status"] for each in found["hosts"] if each["name"] == "fine"] == ["healthy"]


def test_the_bounds_leave_room_for_a_desk_in_a_storm_of_connections() -> None:
    client = fleets.looks()["competing_clients: the newest of two sessions gives way"]["gateways"][0]["clients"][0]
    crowded = look("competing_clients: the newest of two sessions gives way")
    crowded["gateways"][0]["clients"] = [client] * 5000
    assert answers.checked(crowded, "look") == crowded
    assert MOST_OF_A_HOST.values < 1_000_000
