"""What a person sees of a real run: the callback of the project, and Ansible's own where that is asked for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from simulator.launch import connect_once

from integration.desk import PROJECT, Desk, Run, local

SWEEP = "playbooks/health_sweep.yml"
FOREIGN = "- hosts: localhost\n  gather_facts: false\n  tasks: [{name: Greet, ansible.builtin.debug: {msg: hello}}]\n"
_SECTIONS = ("FOUND:", "PLANNED", "DONE", "PROVEN", "PLAY RECAP", "FLEET:")


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_COLUMNS", "80")


def words(run: Run) -> str:
    """What was told, however it was wrapped."""
    return " ".join(run.output.split())


def test_a_repair_is_told_section_by_section_each_verdict_once_and_within_80_columns(desk: Desk) -> None:
    desk.gateway("close-listener-on-second")
    desk.script()
    connect_once(desk.port, client_id=16, timeout=1)
    run = desk.play("remediate.yml", client_patterns=[desk.scripts])
    assert run.rc == 0, run.output
    lines = run.output.splitlines()
    assert [word for line in lines for word in _SECTIONS if line.startswith(word)] == list(_SECTIONS)
    before, after = (run.host()[when]["gateways"][0] for when in ("before", "after"))
    for finding in before["findings"]:
        assert words(run).count(finding["summary"]) == 1, run.output
    assert words(run).count(after["summary"]) == 1, run.output
    whole = re.compile(r"PAGE: |  \S*ansible-playbook ")
    assert [line for line in lines if len(line) > 80 and not whole.match(line) and " " in line.strip()] == []
    assert not re.search(r"^\s*- '|=> *$|msg:|TASK \[|\x1b", run.output, re.MULTILINE), run.output


def test_errors_are_shown_with_host_task_and_message_and_do_not_hide_the_others(desk: Desk, tmp_path: Path) -> None:
    desk.gateway()
    (tmp_path / "file").write_text("in the way")
    entry = desk.entry()
    away = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_connection": "ssh", "ib_gateways": [entry]}
    blind = local(ib_gateways=[entry], ansible_python_interpreter="/nonexistent/python")
    hosts = {"away": away, "blind": blind, "good": local(ib_gateways=[entry])}
    run = desk.play(SWEEP, "-e", f"ib_report_dir={tmp_path}/file/x", inventory={"trading_hosts": {"hosts": hosts}})
    assert run.rc != 0
    told = words(run)
    assert "FOUND: 3 hosts: 1 healthy, 1 unknown, 1 unreachable" in told
    assert re.search(r"away was not reached: .*port 1: Connection refused", told)
    assert re.search(r"blind could not be judged: .*/nonexistent/python", told)
    assert "good live is healthy: " in told
    assert "at 'Show the report, and require that it is whole' The report is not whole:" in told


def test_a_task_that_fails_in_the_middle_of_a_repair_is_shown(desk: Desk) -> None:
    run = desk.play("remediate.yml", "-e", "ib_gateway_repair_upstream_wait=soon")
    assert run.rc != 0
    assert re.search(r"^FAILED: desk at '.+'\n +\S", run.output, re.MULTILINE), run.output


def test_a_playbook_that_cannot_be_read_is_an_error_that_is_seen(desk: Desk) -> None:
    run = desk.play("playbooks/not_there.yml")
    assert run.rc != 0 and "not_there.yml could not be found" in words(run)


def test_v_gives_ansible_s_own_output_back(desk: Desk) -> None:
    desk.gateway()
    run = desk.play(SWEEP, "-v")
    assert run.rc == 0 and "TASK [ib_gateway_diagnose : Look at the gateways and judge them]" in run.output
    assert "PLAY RECAP ****" in run.output and "FOUND" not in run.output


def test_check_mode_with_diff_tells_what_would_be_done_under_a_heading_that_says_so(desk: Desk) -> None:
    run = desk.play("remediate.yml", "--check", "--diff")
    lines = run.output.splitlines()
    assert "DONE" not in lines and "WOULD BE DONE (check mode)" in lines, run.output
    assert "    +gateway live, started by its start_command" in lines
    assert "--- before" not in run.output
    assert "    live is still unhealthy, as found above" in lines


@pytest.mark.parametrize("columns", ["80", "120"])
def test_on_a_terminal_titles_and_statuses_are_coloured_and_nothing_is_wider(desk: Desk, columns: str) -> None:
    desk.play(SWEEP)  # writes the inventory
    inventory, reports = desk.folder / "inventory.json", desk.folder / "reports"
    command = f"{Path(sys.executable).parent}/ansible-playbook {SWEEP} -i {inventory} -e ib_report_dir={reports}"
    shown = on_a_terminal(command, columns)
    assert "\x1b[1mFOUND\x1b[0m" in shown and "\x1b[31munhealthy\x1b[0m" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    wide = [row for row in plain if len(row) > int(columns) and not re.match(r"PAGE|  \S*ansible", row)]
    assert [row for row in wide if " " in row.strip()] == [], "only a word that is longer is wider, such as a path"


@pytest.mark.parametrize("columns", ["60", "110"])
def test_the_answer_of_the_doctor_too_is_as_wide_as_the_terminal(columns: str) -> None:
    command = f"{Path(sys.executable).parent}/ansible-playbook playbooks/doctor.yml -i 127.0.0.1,"
    problem = "-e ansible_python_interpreter=/nonexistent/python"  # its message fills more than one line
    shown = on_a_terminal(f"{command} {problem}", columns).splitlines()
    answer = [re.sub(r"\x1b\[[0-9;]*m", "", row).rstrip() for row in shown]
    begin = next(number for number, row in enumerate(answer) if "could not be looked at" in row)
    told = [row for row in answer[begin : answer.index("", begin)] if "ansible-playbook" not in row]
    longest = max(map(len, told))  # a command is never wrapped, so that it can be copied
    assert int(columns) - 30 < longest <= int(columns), answer


def on_a_terminal(command: str, columns: str) -> str:
    """What a command writes to a terminal of so many columns."""
    done = subprocess.run(
        ["script", "-qec", f"stty cols {columns}; {command}", "/dev/null"],
        cwd=PROJECT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": ""},  # the terminal says how wide it is
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout


def test_a_playbook_of_somebody_else_looks_as_it_always_did(desk: Desk, tmp_path: Path) -> None:
    playbook = tmp_path / "theirs.yml"
    playbook.write_text(FOREIGN)
    nobody: dict[str, Any] = {"all": {"hosts": {}}}
    run = desk.play(str(playbook), inventory=nobody)
    assert run.rc == 0 and "TASK [Greet] ****" in run.output and "msg: hello" in run.output
