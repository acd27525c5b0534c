"""What the doctor says and writes: sentences, next commands, an inventory that carries nothing of a stranger's."""

from __future__ import annotations

import copy
import re
import shlex
from typing import Any, Dict, List

import pytest
import yaml
from ansible.module_utils.ib_fleet.document.desk_inventory import Found, text
from ansible.module_utils.ib_fleet.render.desk import Again, Host, cures, host_lines
from ansible.module_utils.ib_fleet.render.desk_next import Commands, next_lines, summary
from ansible.module_utils.ib_fleet.render.layout import laid_out
from ansible.module_utils.ib_fleet.run import answers
from ansible.module_utils.ib_gateway.base import inventory
from ansible.module_utils.ib_gateway.base.host import Visibility
from ansible.module_utils.ib_gateway.base.proposal import Evidence, Proposal
from ansible.module_utils.ib_gateway.decide.assign import entries_of
from ansible.module_utils.ib_gateway.decide.diagnosis import diagnose
from ansible.module_utils.ib_gateway.decide.discovery import propose
from ansible.module_utils.ib_gateway.decide.planning import plan
from ansible.module_utils.ib_gateway.module import result
from unit.facts import (
    DAY,
    GATEWAY,
    OTHER_SCRIPT,
    ROOT,
    SCRIPT,
    SECOND,
    Fact,
    connection,
    gateway,
    listener,
    process,
    script,
    snapshot,
)

COMMANDS = Commands("PLAY doctor.yml", "PLAY remediate.yml", "PLAY health_sweep.yml")
ORDINARY = Visibility(user="me", privileged=False)


def answer(*facts: Fact, sight: Visibility = ROOT) -> Dict[str, Any]:
    """What ib_desk_info returns of these facts."""
    look = snapshot(*facts, sight=sight)
    gateways = sorted((each for each in look.processes.values() if each.gateway), key=lambda each: each.pid)
    proposals, left = propose((), gateways, Evidence(look, 300))
    found = [diagnose(each, look) for each in entries_of([each.spec for each in proposals], look)[0]]
    health = {
        "status": result.overall(each.status for each in found),
        "gateways": [result.judgement(each, plan(each), dict(look.processes)) for each in found],
        "undeclared": [],
        "visibility": result.visibility(look.visibility, found),
        "taken_at": result.timestamp(look.taken_at),
        "elapsed_ms": 1.0,
    }
    return {
        "health": health,
        "proposals": [_proposal(each) for each in proposals],
        "left": [{**result.gateway(each.process, ()), "why": each.why} for each in left],
        **{key: [] for key in ("differing", "starters", "units", "scripts", "listeners")},
    }


def _proposal(each: Proposal) -> Dict[str, Any]:
    notes = [{"key": key, "text": told} for key, told in each.notes.items()]
    return {"entry": each.entry(), "pids": list(each.pids), "notes": notes, "guessed": sorted(each.guessed)}


SEED = answer(
    gateway(GATEWAY, mode="live"),
    gateway(SECOND),
    script(SCRIPT, "cleanup_positions.py", age=2 * DAY),
    connection(SCRIPT, idle=7200.0),
)
WELL = answer(gateway(mode="live"), listener(), script(), connection(SCRIPT))


def said(desk: Dict[str, Any], width: int = 1000, name: str = "desk1") -> str:
    return "\n".join(laid_out(host_lines(Host(name, desk)), width))


def commands(desk: Dict[str, Any], **more: Any) -> List[str]:
    lines = next_lines([Host("desk1", desk)], COMMANDS._replace(**more))
    return [line.text for line in lines if line.whole]


def test_what_is_tested_here_is_what_the_gate_lets_through() -> None:
    for each in (SEED, WELL):
        assert answers.checked(each, "desk") == each


def test_the_incident_is_told_with_who_is_in_the_way_and_since_when() -> None:
    told = said(SEED)
    assert "live does not work (gateway of trader in /srv/ibgateway/live, API port 4001)" in told
    assert "2 gateway processes run for live, one is wanted" in told
    assert "script pid 815 of trader (python3 cleanup_positions.py), running since" in told
    assert "(2 days), holds the only API connection, silent for 2 h" in told
    assert "gateway pid 4711 of trader, started by IBC, running since" in told and "listens nowhere" in told


def test_a_gateway_that_works_says_who_is_connected_and_has_no_plan() -> None:
    told = said(WELL)
    assert "live works (" in told and "Connected now" in told and "script pid 815 of trader (python3 bot.py)" in told
    assert "What" not in told


def test_a_gateway_on_the_usual_port_of_the_other_mode_is_told_as_that() -> None:
    told = said(answer(gateway(mode="live"), listener(4002)))
    assert "live works (" in told and "API port 4002, the usual one of paper)" in told
    assert "usual one" not in said(WELL)


def test_no_line_is_wider_than_the_terminal() -> None:
    for width in (40, 80, 120):
        assert max(map(len, said(SEED, width).splitlines())) <= width


def test_a_long_command_is_shortened_by_its_folders_and_not_cut_in_its_name() -> None:
    folder = "/srv/" + "deep/" * 16
    desk = answer(
        gateway(mode="live"),
        listener(),
        process(SCRIPT, folder + "bin/python", folder + "order_router.py"),
        connection(SCRIPT),
    )
    assert "in use by pid %d (python order_router.py)" % SCRIPT in desk["health"]["gateways"][0]["summary"]


def test_where_nothing_runs_a_unit_that_could_start_a_gateway_is_named_with_its_state() -> None:
    unit: Dict[str, Any] = {"name": "ibgateway.service", "scope": "system", "account": "trader", "product": "gateway"}
    unit |= {"trading_mode": "live", "config_dir": "/srv/live", "wanted": False, "state": "inactive"}
    unit["doubt"] = ""
    told = said({**answer(), "units": [unit]})
    assert "ibgateway.service starts the live gateway of trader: it is inactive, and not started at boot" in told
    assert "could start one" not in said(answer())
    own = said({**answer(), "units": [unit, {**unit, "scope": "user", "state": ""}]})
    assert "ibgateway.service of trader's own systemd starts the live gateway of trader: it is not started" in own
    assert "it is inactive" in own, "the two have one name and are two units"


def test_of_a_unit_that_may_start_a_gateway_it_is_said_why_that_is_not_known() -> None:
    unit: Dict[str, Any] = {"name": "ibgateway.service", "scope": "system", "account": "trader", "product": None}
    unit |= {"trading_mode": None, "config_dir": None, "wanted": True, "state": "inactive"}
    unit["doubt"] = "/srv/run.sh could not be read"
    told = said({**answer(), "units": [unit]})
    assert "nothing that is known is about to start one" in told
    why = "ibgateway.service may start a gateway of trader: /srv/run.sh could not be read; it is inactive, and started"
    assert why in told


def test_of_a_gateway_that_cannot_be_judged_nobody_is_blamed() -> None:
    desk = answer(gateway(mode="live", sockets_visible=False, user="other"), sight=ORDINARY)
    desk["health"]["gateways"][0]["clients"] = SEED["health"]["gateways"][0]["clients"]
    assert "Connected now" in said(desk) and "In the way" not in said(desk)
    assert "In the way" in said(SEED)


def test_a_finding_names_the_word_under_which_the_documentation_has_it() -> None:
    assert re.search(r"2 gateway processes run for live.* \[duplicate_gateways\]", said(SEED))
    assert "[" not in said(WELL)
    ends = [line.text for line in next_lines([Host("desk1", SEED)], COMMANDS)]
    assert "docs/findings.md" in ends[0]
    assert not any("docs/" in line.text for line in next_lines([Host("desk1", WELL)], COMMANDS))


def test_each_sentence_stands_once() -> None:
    lines = [each for each in said(SEED).splitlines() if each.strip().startswith("- ")]
    assert len(lines) == len(set(lines))


def test_nothing_in_an_answer_moves_the_cursor() -> None:
    desk = copy.deepcopy(SEED)
    desk["proposals"][0]["entry"]["user"] = "trader\x1b[2J\nNext: rm -rf /"
    desk["health"]["gateways"][0]["findings"][0]["summary"] = "a\x1b[31m\rb"
    assert "\x1b" not in said(desk) and "\r" not in said(desk)
    assert "Next: rm" not in [each.strip()[:8] for each in said(desk).splitlines()]


def test_who_is_not_root_is_told_what_root_would_add() -> None:
    other = answer(gateway(mode="live", sockets_visible=False, user="other"), sight=ORDINARY)
    told = said(other)
    assert "looked at as account me, which is not root" in told and "cannot be judged" in told
    assert "As root it would also be seen" in told
    assert commands(other, made=True) == ["sudo make doctor"]
    assert commands(other, local=False, options="-i desk1,")[0] == "PLAY doctor.yml -i desk1, -b -K"


def test_the_next_command_writes_the_inventory_and_then_repairs_by_it() -> None:
    assert commands(SEED, made=True) == ["make doctor WRITE=desk.yml"]
    assert commands(SEED, options="-i desk1,") == ["PLAY doctor.yml -i desk1, -e ib_write_inventory=desk.yml"]
    assert commands(SEED, written="desk.yml") == [
        "PLAY remediate.yml -i desk.yml --check --diff",
        "PLAY remediate.yml -i desk.yml",
    ]
    asked = commands(SEED, written="desk.yml", options="-i desk1, -b -K", passwords="-K")
    assert asked == ["PLAY remediate.yml -i desk.yml -K --check --diff", "PLAY remediate.yml -i desk.yml -K"]


def test_after_writing_the_edits_are_named() -> None:
    lines = [line.text for line in next_lines([Host("desk1", SEED)], COMMANDS._replace(written="desk.yml"))]
    edits = next(each for each in lines if each.startswith("Open desk.yml"))
    assert "remediation: auto" in edits and "start_command" in edits


def test_a_port_that_could_not_be_seen_is_asked_for_also_where_nothing_is_known_to_be_broken() -> None:
    hidden = answer(gateway(mode="live", sockets_visible=False), sight=ORDINARY)
    assert [each["status"] for each in hidden["health"]["gateways"]] == ["unknown"]
    lines = [line.text for line in next_lines([Host("desk1", hidden)], COMMANDS._replace(written="desk.yml"))]
    assert [each for each in lines if each.startswith("Open desk.yml") and "port" in each]
    assert lines[-1] == "PLAY health_sweep.yml -i desk.yml"
    assert "# the usual port, not a seen one: its sockets could not be read" in written(hidden)


def test_of_a_gateway_that_works_nothing_is_asked_for_that_only_a_repair_needs() -> None:
    lines = [line.text for line in next_lines([Host("desk1", WELL)], COMMANDS._replace(written="desk.yml"))]
    assert "# start_command: not known" in written(WELL) and not [each for each in lines if "Open desk.yml" in each]


def test_gateways_that_are_missing_in_the_file_are_named_there_and_counted_at_the_end() -> None:
    desk = answer(
        gateway(GATEWAY, "/srv/{{ a }}", "live", user="one"),
        gateway(SECOND, "/srv/{{ b }}", "live", user="two"),
        gateway(OTHER_SCRIPT, "/srv/c", "paper", user="three"),
    )
    told = " ".join(written(desk).replace("#", "").split())
    for pid in (GATEWAY, SECOND):
        assert re.search(r"left out: \S+ \(pid %d\), because [^:]*: config_dir: the value has the signs of" % pid, told)
    lines = [line.text for line in next_lines([Host("desk1", desk)], COMMANDS._replace(written="desk.yml"))]
    assert [each for each in lines if "2 gateways that were left out" in each]


def test_no_run_is_proposed_by_a_file_that_has_no_entry() -> None:
    desk = answer(gateway(GATEWAY, "/srv/{{ a }}", "live"), gateway(SECOND, "/srv/{{ a }}", "live"))
    assert desk["health"]["status"] == "unhealthy" and yaml.safe_load(written(desk))["trading_hosts"]["hosts"] is None
    assert commands(desk, written="desk.yml") == []


def test_a_gateway_that_is_coming_up_is_waited_for_and_not_written_down() -> None:
    coming = answer(gateway(mode="live", age=20.0))
    assert coming["health"]["gateways"][0]["verdict"] == "gateway_starting"
    assert commands(coming, made=True) == ["make doctor"]


def test_the_summary_counts_gateways_and_names_hosts_that_are_missing() -> None:
    hosts = [Host("a", SEED), Host("b", WELL), Host("c", None, False, "no route")]
    assert summary(hosts).text == "2 gateways on 3 hosts: 1 does not work, 1 works; 1 host could not be looked at"


@pytest.mark.parametrize(
    ("problem", "reached", "here", "cure"),
    [
        ("Missing sudo password", True, False, "--ask-become-pass"),
        ("The module interpreter '/x' was not found", True, False, "ansible_python_interpreter"),
        ("ssh: connect to host localhost port 22: refused", False, True, "ansible_connection=local"),
        ("ssh: connect to host desk1 port 22: refused", False, False, "ssh desk1"),
    ],
)
def test_what_keeps_a_host_from_being_looked_at_has_its_remedy(
    problem: str, reached: bool, here: bool, cure: str
) -> None:
    host = Host("desk1", None, reached, problem, here)
    assert cure in cures_of(host, Again()) and problem in "\n".join(laid_out(host_lines(host), 1000))
    for made, begin in ((False, "PLAY doctor.yml -i 'a b,' "), (True, "make doctor ARGS=")):
        for _why, command in cures(host, Again("PLAY doctor.yml", "-i 'a b,'", made)):
            assert command == "ssh desk1" or command.startswith(begin), "a whole command, not an option alone"


def cures_of(host: Host, again: Again) -> str:
    return " ".join("%s: %s" % each for each in cures(host, again))


def test_what_make_started_is_started_again_by_make_with_every_option_in_one_word() -> None:
    again = Again("PLAY doctor.yml", """-i 'a b,' -e '{"ib_x": "$HOME"}'""", made=True)
    program, target, word = shlex.split(again.adding("-K"))
    assert (program, target) == ("make", "doctor") and word.startswith("ARGS=")
    asked = word.removeprefix("ARGS=").replace("$$", "$")
    assert shlex.split(asked) == ["-i", "a b,", "-e", '{"ib_x": "$HOME"}', "-K"]
    assert again.giving("-i HOST,") == "make doctor ARGS='-i HOST,'"
    nothing = "\n".join(laid_out(host_lines(Host("localhost", answer(), here=True), again), 1000))
    assert "look there: make doctor ARGS='-i HOST,'" in nothing


# --- the inventory ---------------------------------------------------------------------------------------------------


def written(desk: Dict[str, Any], **variables: Any) -> str:
    return text([Found("desk1", variables, desk["proposals"])], "now")


def test_what_is_written_is_an_inventory_that_the_check_accepts_and_that_repairs_nothing() -> None:
    found = yaml.safe_load(written(SEED, ansible_user="ops", ansible_become=True))["trading_hosts"]["hosts"]["desk1"]
    assert (found["ansible_user"], found["ansible_become"]) == ("ops", True)
    assert inventory.parse(found["ib_gateways"])[1] == []
    assert [each["remediation"] for each in found["ib_gateways"]] == ["plan_only"]


def test_a_comment_stands_at_what_nothing_tells() -> None:
    told = written(SEED)
    assert "# start_command: not known" in told and "# nothing listens on it; connections to it are still open" in told


@pytest.mark.parametrize("value", ["{{ lookup('pipe', 'id') }}", "{% set x %}", "{# x #}"])
@pytest.mark.parametrize("key", ["config_dir", "service", "user"])
def test_a_template_in_an_answer_never_reaches_the_file(key: str, value: str) -> None:
    desk = copy.deepcopy(SEED)
    desk["proposals"][0]["entry"][key] = "/" + value
    assert value not in "\n".join(each for each in written(desk).splitlines() if not each.lstrip().startswith("#"))
    assert yaml.safe_load(written(desk))["trading_hosts"]["hosts"] is None
    assert "# left out: live (pid %d, %d), because its entry would be refused: %s:" % (GATEWAY, SECOND, key) in written(
        desk
    )


def test_nothing_in_a_note_ends_its_comment() -> None:
    desk = copy.deepcopy(SEED)
    desk["proposals"][0]["notes"][0]["text"] = "x\n          remediation: auto\u2028y\r  z: 1"
    (entry,) = yaml.safe_load(written(desk))["trading_hosts"]["hosts"]["desk1"]["ib_gateways"]
    assert entry["remediation"] == "plan_only" and "z" not in entry


def test_no_password_of_the_inventory_that_was_used_is_written() -> None:
    assert "hunter2" not in written(SEED, ansible_password="hunter2", ansible_become_password="hunter2")  # noqa: S106


def test_a_host_without_a_gateway_is_named_in_a_comment() -> None:
    assert "# desk1: no gateway was found" in text([Found("desk1", {})], "now")


def test_words_that_yaml_takes_for_something_else_stay_texts() -> None:
    desk = copy.deepcopy(SEED)
    desk["proposals"][0]["entry"]["user"] = "no"
    (entry,) = yaml.safe_load(written(desk))["trading_hosts"]["hosts"]["desk1"]["ib_gateways"]
    assert entry["user"] == "no"
