"""What a run tells: each thing once, in its section, wrapped; and every failure that nothing else tells."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible.module_utils.ib_fleet.render import recap, story
from ansible.module_utils.ib_fleet.render.layout import Line, laid_out
from ansible.module_utils.ib_fleet.render.narrator import Narrator, Task
from unit import fleets
from unit.facts import SCRIPT

LOOK = Task("ib_gateway_diagnose : Look", "ib_gateway_diagnose", "ib_gateway_health")
PROOF = Task("ib_gateway_verify : Prove", "ib_gateway_verify", "ib_gateway_health")
STEP = Task("ib_gateway_repair : step | Take the steps of one action", "ib_gateway_repair", "ib_repair_step")
WRITE = Task("ib_fleet_report : Write the report", "ib_fleet_report", "ib_fleet_write")
FAIL = Task("ib_fleet_report : fail | Fail for a host", "ib_fleet_report", "fail")
OTHER = Task("ib_client_kit : present | Copy the kit", "ib_client_kit", "copy")
DOWN = "gateway_not_running: start after a second look"


def told(lines: Any, width: int = 80, colour: bool = False) -> list[str]:
    return list(laid_out(lines, width, colour))


def looked(narrator: Narrator, **looks: Any) -> list[str]:
    for host, look in looks.items():
        if look is fleets.UNREACHABLE:
            assert told(narrator.unreachable(host, LOOK, look, ignored=True)) == []
        elif look.get("failed"):
            assert told(narrator.failed(host, LOOK, look)) == []
        else:
            assert told(narrator.ok(host, LOOK, look)) == []
    return told(narrator.pauses())


def reported(narrator: Narrator, document: Any) -> list[str]:
    through_a_worker = json.loads(json.dumps(story.ending(document)))
    failing = {host["name"]: "a sentence" for host in document["hosts"] if host["status"] != "healthy"}
    return told(narrator.ok("desk", WRITE, {"story": through_a_worker, "failing": failing, "lines": ["a line"]}))


# --- layout ----------------------------------------------------------------------------------------------------------


def test_lines_are_wrapped_between_words_and_what_follows_stands_below_their_beginning() -> None:
    line = Line("stop script pid 31 of trader (python3 rebalance.py): it holds a session", 1, "1. ")
    assert told([line], 40) == [
        "  1. stop script pid 31 of trader",
        "     (python3 rebalance.py): it holds a",
        "     session",
    ]


def test_a_command_is_never_broken_and_neither_is_a_word() -> None:
    command, path = "ansible-playbook remediate.yml --limit desk1 -i hosts.yml", "/srv/" + "deep/" * 20
    assert told([Line(command, 1, whole=True)], 30) == ["  " + command]
    assert path in told([Line("it is in %s" % path)], 30)


def test_only_the_word_that_means_something_is_coloured_and_nothing_without_colours() -> None:
    line = Line("live is unhealthy: it is unhealthy", 1, tone="unhealthy", word="unhealthy")
    assert told([line]) == ["  live is unhealthy: it is unhealthy"]
    assert told([line], colour=True) == ["  live is \x1b[31munhealthy\x1b[0m: it is unhealthy"]
    assert told([Line("FOUND", tone="title")], colour=True) == ["\x1b[1mFOUND\x1b[0m"]


@pytest.mark.parametrize("text", fleets.HOSTILE)
def test_nothing_in_a_line_moves_a_cursor(text: str) -> None:
    for row in told([Line(text, 1), Line(text, whole=True), Line(text, 1, tone="failed", word=text)]):
        assert row.isprintable(), ascii(row)


# --- a run -----------------------------------------------------------------------------------------------------------


def test_a_sweep_tells_what_it_found_and_what_would_mend_it_with_what_that_costs() -> None:
    rows = looked(Narrator(proves=False), a=fleets.looks()["good"], b=fleets.looks()[DOWN])
    assert rows[:2] == ["", "FOUND: 2 hosts: 1 healthy, 1 unhealthy"]
    assert rows[rows.index("  a") + 1].startswith("    live is healthy: ")
    assert rows[rows.index("  b") + 1].startswith("    live is unhealthy: no gateway process for live is running")
    plan = rows[rows.index("PLANNED") :]
    assert plan[1:3] == ["  b", "    1. start live by unit ibgateway.service: no gateway is running"]
    assert any(row.startswith("       costs: ") for row in plan)


def test_a_verdict_stands_once_also_where_a_repair_could_not_change_it() -> None:
    narrator, down = Narrator(proves=True), fleets.looks()[DOWN]
    rows = looked(narrator, desk=down)
    rows += reported(narrator, fleets.document(fleets.host("desk", down, down)))
    rows += told(narrator.failed("desk", FAIL, {"msg": "a sentence"}))
    summary = down["gateways"][0]["summary"]
    assert " ".join(" ".join(rows).split()).count(summary) == 1
    assert "    live is still unhealthy, as found above" in rows


def test_a_repair_leaves_the_healthy_to_its_proof_which_tells_them_once() -> None:
    narrator, good = Narrator(proves=True), fleets.looks()["good"]
    rows = looked(narrator, desk=good)
    assert rows == ["", "FOUND: 1 host: 1 healthy"]
    rows = reported(narrator, fleets.document(fleets.host("desk", good, good)))
    assert rows[1:3] == ["PROVEN", "  desk"] and sum("healthy" in row for row in rows) == 1


def test_what_was_done_is_told_as_it_is_done_and_what_was_not_says_why() -> None:
    narrator = Narrator(proves=True)
    looked(narrator, desk=fleets.looks()[DOWN])
    rows = told(narrator.ok("desk", STEP, {"outcomes": [fleets.stopped(), fleets.stopped("refused")]}))
    assert rows[:3] == ["", "DONE", "  desk"]
    assert rows[3] == "    stopped script pid %d of trader (python3 bot.py)" % SCRIPT
    assert rows[4].startswith("    refused: stop script pid %d of trader" % SCRIPT)
    more = told(narrator.ok("desk", STEP, {"outcomes": [fleets.stopped()]}))
    assert more == rows[3:4], "the section and the host are named once"


def test_in_check_mode_no_heading_says_that_anything_was_done() -> None:
    narrator = Narrator(proves=True, check=True)
    looked(narrator, desk=fleets.looks()[DOWN])
    rows = told(narrator.ok("desk", STEP, {"outcomes": [fleets.stopped("would")]}))
    rows += told(narrator.ok("desk", OTHER, {"changed": True}))
    assert "DONE" not in rows and "CHANGED" not in rows
    assert "WOULD BE DONE (check mode)" in rows and "WOULD BE CHANGED (check mode)" in rows


def test_a_slow_step_is_announced_with_the_time_it_may_take() -> None:
    step = {"action": "start", "gateway": "live", "target": {"timeout": 300}, "reason": ""}
    facts = {"ansible_facts": {"ib_gateway_repair_escalation": {"action": "start", "steps": [step]}}}
    choose = Task("ib_gateway_repair : Choose", "ib_gateway_repair", "set_fact")
    narrator = Narrator(proves=True)
    rows = told(narrator.ok("desk", choose, facts))
    assert rows[-1] == "    now: start live by its start_command, which may take up to 300 s"
    assert told(narrator.ok("desk", choose, facts)) == [], "a plan that has aged is made anew with the same steps"
    assert told(narrator.ok("other", choose, facts))[-1] == rows[-1]


def test_hosts_that_were_not_seen_are_found_too_each_with_its_reason() -> None:
    broken = {**fleets.FAILED, "module_stderr": "Traceback\nImportError: no module named x"}
    rows = looked(Narrator(proves=True), a=fleets.UNREACHABLE, b=broken)
    assert rows[1] == "FOUND: 2 hosts: 1 unknown, 1 unreachable"
    assert "    was not reached: Failed to connect to the host via ssh: Connection timed out" in rows
    assert rows[-2:] == ["    Traceback", "    ImportError: no module named x"]


def test_a_step_whose_cost_has_only_grown_older_is_told_once_with_its_cost() -> None:
    narrator, down = Narrator(proves=True), fleets.looks()[DOWN]
    later = copy.deepcopy(down)
    (step,) = later["gateways"][0]["plan"]["steps"]
    step["costs"] += " (data last passed 17 s ago)"
    rows = looked(narrator, desk=down) + reported(narrator, fleets.document(fleets.host("desk", down, later)))
    assert sum("costs: " in row for row in rows) == sum("1. start live" in row for row in rows) == 1, rows


def test_a_step_that_the_last_look_plans_anew_is_told_with_its_cost() -> None:
    narrator, down = Narrator(proves=True), fleets.looks()[DOWN]
    other = copy.deepcopy(down)
    (step,) = other["gateways"][0]["plan"]["steps"]
    step["target"]["service"] = step["target"]["unit"] = "another.service"
    rows = looked(narrator, desk=down) + reported(narrator, fleets.document(fleets.host("desk", down, other)))
    assert sum("costs: " in row for row in rows) == sum("1. start live" in row for row in rows) == 2, rows


# --- failures and other tasks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "task",
    [OTHER, STEP, PROOF, WRITE, FAIL, Task("", "", "setup"), Task("Begin", "ib_gateway_repair", "ib_repair_begin")],
)
def test_every_other_failure_is_told_with_host_task_and_message(task: Task) -> None:
    rows = told(Narrator(proves=True).failed("desk", task, {"msg": "the disk is full", "stderr": "cp: no space left"}))
    assert rows[1].startswith("FAILED: desk") and task.name.rpartition(" | ")[2].rpartition(" : ")[2] in rows[1]
    assert "  the disk is full" in rows and "    cp: no space left" in rows


def test_a_host_that_goes_away_in_the_middle_is_told() -> None:
    rows = told(Narrator(proves=True).unreachable("desk", STEP, {"msg": "Connection timed out"}, ignored=True))
    assert rows[1:] == [
        "NOT REACHED: desk at 'Take the steps of one action' (the run goes on)",
        "  Connection timed out",
    ]


def test_hosts_that_a_look_without_an_inventory_has_not_seen_are_left_to_its_answer() -> None:
    narrator, discover = Narrator(proves=False), Task("Find", "ib_gateway_diagnose", "ib_desk_info")
    assert not narrator.answers
    assert told(narrator.begins(discover, 2)) == ["", "Looking at 2 hosts."] and narrator.answers
    assert told(narrator.failed("a", discover, {"msg": "x"})) == told(narrator.unreachable("b", discover, {})) == []


def test_a_failure_without_a_message_is_told_all_the_same() -> None:
    assert told(Narrator(proves=False).failed("desk", OTHER, {}))[-1] == "  it gave no reason"


def test_messages_come_line_by_line_without_marks_around_them() -> None:
    show = Task("ib_client_audit : tell | Show the report", "ib_client_audit", "debug")
    rows = told(Narrator(proves=False).ok("desk", show, {"msg": ["1 host, 2 files", "  bot.py:3:1: warning: 'x'"]}))
    assert rows == ["", "1 host, 2 files", "  bot.py:3:1: warning: 'x'"]


def test_a_command_in_a_message_of_the_repair_s_own_is_never_broken() -> None:
    show = Task("ib_gateway_repair : pause | Say what holds now", "ib_gateway_repair", "debug")
    command = "  ansible-playbook playbooks/resume.yml -i %s" % ("deep/" * 20)
    assert told(Narrator(proves=False).ok("desk", show, {"msg": "To end it:\n" + command}), 40)[-1] == command


def test_a_failure_that_repeats_what_was_shown_is_not_shown_again() -> None:
    narrator = Narrator(proves=False)
    show = Task("ib_client_audit : tell | Show the report", "ib_client_audit", "debug")
    told(narrator.ok("desk", show, {"msg": ["desk: 3 warnings in 1 file"]}))
    fail = Task("ib_client_audit : fail | Fail", "ib_client_audit", "fail")
    assert told(narrator.failed("desk", fail, {"msg": "desk: 3 warnings in 1 file"})) == []
    assert told(narrator.failed("desk", fail, {"msg": "desk: another thing"})) != []


def test_a_report_that_is_not_whole_says_so_and_repeats_nothing() -> None:
    narrator = Narrator(proves=False)
    reported(narrator, fleets.document(fleets.host("desk", fleets.looks()["good"])))
    whole = Task("ib_fleet_report : Show the report", "ib_fleet_report", "assert")
    rows = told(narrator.failed("desk", whole, {"msg": ["a line", "The report is not whole:", "the disk is full"]}))
    assert rows[2:] == ["  The report is not whole:", "  the disk is full"]


def test_what_changes_is_named_by_its_task_and_a_diff_comes_without_its_head() -> None:
    narrator = Narrator(proves=False)
    plain = "--- before\n+++ after\n@@ -1 +0,0 @@\n-pid 31 of trader\n"
    named = "--- before: bot.py\n+++ after: bot.py\n@@ -1 +1 @@\n-a\n+b\n"
    rows = told(narrator.diff("desk", OTHER, plain)) + told(narrator.diff("desk", OTHER, named))
    rows += told(narrator.ok("desk", OTHER, {"changed": True}))
    assert rows == [
        *("", "CHANGED", "  desk", "    -pid 31 of trader"),
        *("    --- before: bot.py", "    +++ after: bot.py", "    @@ -1 +1 @@", "    -a", "    +b", "    Copy the kit"),
    ]


def test_the_recap_has_ansible_s_counts_and_of_a_large_fleet_only_the_hosts_with_something_to_see() -> None:
    quiet = {"ok": 6, "failures": 0, "unreachable": 0, "changed": 0, "skipped": 2, "rescued": 0, "ignored": 0}
    assert told(recap.lines({"desk": quiet})) == [
        *("", "PLAY RECAP", "  desk : ok=6 changed=0 unreachable=0 failed=0 skipped=2")
    ]
    fleet = {"desk%02d" % number: quiet for number in range(40)}
    rows = told(recap.lines({**fleet, "desk07": {**quiet, "failures": 1}}))
    assert rows[2:] == [
        "  desk07 : ok=6 changed=0 unreachable=0 failed=1 skipped=2",
        "  39 more hosts: changed=0 unreachable=0 failed=0",
    ]
    assert told(recap.lines({})) == []
