"""Whom a start script ends before it starts its own gateway: known from its text, never guessed."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import List, Optional

import pytest
from ansible.module_utils.ib_gateway.lifecycle.unit_commands import runs_of
from ansible.module_utils.ib_gateway.observe.ended_by_start import ended_by_start
from unit.facts import SECOND, gateway

PAPER = gateway(SECOND, folder="/srv/ibgateway/paper", mode="paper")._replace(uid=os.getuid())


def met_by(text: str, folder: Path, other: object = PAPER) -> Optional[str]:
    """The command of a start script with this text that ends another gateway; None without one."""
    script = folder / "gatewaystart.sh"
    script.write_text("#!/bin/bash\n%s\nexec /opt/ibc/ibcstart.sh 1037\n" % text, encoding="utf-8")
    found = ended_by_start([("/bin/bash", str(script))], os.getuid(), [other])  # type: ignore[list-item]  # a Process
    assert found is None or found.process is other
    return " ".join(found.words) if found else None


@pytest.mark.parametrize(
    "command",
    [
        "pkill -f IbcGateway",
        "pkill -9f ibcalpha.ibc",
        "pkill -KILL --full 'ibcalpha[.]ibc'",
        "pkill java",
        "killall java",
        "killall -q -9 java",
        "sudo pkill -u trader -x java",
        "if pgrep -f IbcGateway; then pkill -f IbcGateway; fi",
        "/usr/bin/pkill -f IbcGateway || true",
        "pkill -f IbcGateway >/dev/null 2>&1",
        "pkill -f 'Xvfb|ibcalpha.*Gateway'",
        "kill $(pgrep -f IbcGateway)",
        'kill -TERM "$(pgrep -f IbcGateway)"',
        "kill -9 `pgrep -f IbcGateway`",
        "pgrep -f IbcGateway | xargs -r kill -9",
        "ps aux | grep [I]bcGateway | grep -v grep | awk '{print $2}' | xargs kill",
        "kill $(ps aux | grep \"[I]bcGateway\" | awk '{print $2}')",
        'PID=$(pgrep -f IbcGateway)\nif [ -n "$PID" ]; then kill $PID; fi',
        'for pid in $(pidof java); do kill "$pid"; done',
    ],
)
def test_what_makes_room_for_its_own_gateway_and_meets_another_one_is_told(command: str, tmp_path: Path) -> None:
    assert met_by(command, tmp_path) is not None


@pytest.mark.parametrize(
    "command",
    [
        "pkill -f jtsConfigDir=/srv/ibgateway/live",
        "pkill -f $CONFIG",
        "pkill -f `cat /run/ib.pattern`",
        "pkill -0 -f IbcGateway",
        "pkill Xvfb",
        "pkill -x IbcGateway",
        "killall jav",
        "pgrep -f IbcGateway",
        "if pgrep -f IbcGateway >/dev/null; then exit 0; fi; trap 'kill $!' TERM",
        "PID=$(pgrep -f IbcGateway); kill -0 $PID && exit 0",
        "kill $(pgrep -f jtsConfigDir=/srv/ibgateway/live)",
        "kill $(cat /run/live.pid)",
        "grep IbcGateway /opt/ibc/log.txt; kill $OLD",
        "pkill -f jtsConfigDir=/srv/ibgateway/live > /dev/null",
        "# pkill -f IbcGateway",
        "echo 'pkill -f IbcGateway'",
        "pkill",
        "pkill -f '['",
    ],
)
def test_what_meets_another_program_or_only_the_shell_can_know_is_nobody_s_end(command: str, tmp_path: Path) -> None:
    assert met_by(command, tmp_path) is None


def test_an_ordinary_account_ends_none_of_another_account_s_gateways(tmp_path: Path) -> None:
    other = PAPER._replace(uid=os.getuid() + 1)
    script = tmp_path / "start.sh"
    script.write_text("pkill -f IbcGateway\n", encoding="utf-8")
    assert ended_by_start([(str(script),)], os.getuid() + 2, [other]) is None
    assert ended_by_start([(str(script),)], 0, [other]) is not None or os.getuid() != 0


def test_the_command_itself_may_be_a_shell_s_text() -> None:
    command = ("/bin/sh", "-c", "pkill -f IbcGateway; exec /opt/ibc/gatewaystart.sh")
    assert ended_by_start([command], os.getuid(), [PAPER]) is not None


def test_so_may_what_a_unit_runs_before_its_program() -> None:
    shown = {
        "ExecStartPre": "{ path=/usr/bin/pkill ; argv[]=/usr/bin/pkill -f IbcGateway ; ignore_errors=yes ; pid=0 }",
        "ExecStart": "{ path=/bin/sh ; argv[]=/bin/sh -c killall java; exec /opt/start.sh ; ignore_errors=no ; pid=0 }",
    }
    (runs,) = runs_of(shown, None, stops=True)
    before, start = runs.commands
    assert (runs.uid, runs.folder, runs.stop) == (0, "/", False)
    assert before == ("/usr/bin/pkill", "-f", "IbcGateway")
    assert start == ("/bin/sh", "-c", "killall java; exec /opt/start.sh")
    for each in (before, start):
        found = ended_by_start([("/bin/true",), each], 0, [PAPER])
        assert found is not None and found.process is PAPER
    assert runs_of({**shown, "RootDirectory": "/srv/root"}, None, stops=True) == (), "its files are others than here"


def test_what_a_stop_of_the_unit_runs_counts_where_it_is_stopped_and_as_root_where_its_file_says_so() -> None:
    line = "{ path=/usr/bin/pkill ; argv[]=/usr/bin/pkill -f IbcGateway ; %s ; pid=0 }"
    shown = {
        "User": "nobody",
        "ExecStop": line % "ignore_errors=no",
        "ExecStopPost": line.replace("-f", "-x") % "ignore_errors=no",
        "ExecStopPostEx": line.replace("-f", "-x") % "flags=privileged ignore-failure",
    }
    assert runs_of(shown, None, stops=False) == ()
    own, root = runs_of(shown, None, stops=True)
    assert (own.stop, own.commands) == (True, (("/usr/bin/pkill", "-f", "IbcGateway"),)) and own.uid not in (0, None)
    assert (root.uid, root.commands) == (0, (("/usr/bin/pkill", "-x", "IbcGateway"),))


@pytest.mark.parametrize(
    ("command", "ends"),
    [
        ("systemctl stop router", True),
        ("/usr/bin/systemctl --no-block restart feed.service router.service", True),
        ("systemctl kill 'rout*'", True),
        ("service router stop", True),
        ("systemctl start router", False),
        ("systemctl --user stop router", False),
        ("systemctl stop router.timer", False),
        ("systemctl stop $UNIT", False),
        ("systemctl stop other", False),
    ],
)
def test_who_lives_in_a_unit_that_a_start_stops_ends_by_it(command: str, ends: bool) -> None:
    bot = PAPER._replace(gateway=None, unit="router.service")
    found = ended_by_start([("/bin/sh", "-c", command)], 0, [bot])
    assert (found is not None) is ends


@pytest.mark.parametrize("pattern", ["(a+)+b", ".*.*.*b", "(.*)*", "a{1,9999}b", "(?:a|a)*b", "[" + "a" * 4000 + "]"])
def test_a_pattern_that_would_take_for_ever_is_not_tried(pattern: str, tmp_path: Path) -> None:
    endless = PAPER._replace(argv=("java", "a" * 100_000))
    assert met_by("pkill -f '%s'" % pattern, tmp_path, endless) is None


@pytest.mark.parametrize(
    ("words", "ends"), [(["start"], False), (["stop"], True), (["restart"], True), (["start && ./ib.sh stop"], True)]
)
def test_a_control_script_is_read_for_the_word_that_it_is_given(tmp_path: Path, words: List[str], ends: bool) -> None:
    control = tmp_path / "ib.sh"
    control.write_text(
        'stop() {\n  pkill -f IbcGateway\n}\ncase "$1" in\n  start) exec /opt/start.sh ;;\n  stop) stop ;;\n'
        "  restart) stop; exec /opt/start.sh ;;\nesac\n"
    )
    command = ["/bin/sh", "-c", "./ib.sh " + words[0]] if " " in words[0] else ["/bin/sh", str(control), *words]
    found = ended_by_start([command], os.getuid(), [PAPER], str(tmp_path))
    assert (found is not None) is ends


@pytest.mark.parametrize(
    ("command", "ends"),
    [
        ("pkill -u %s -f IbcGateway", True),
        ("pkill -u nobody -f IbcGateway", False),
        ("pkill -U 65534 java", False),
        ("pkill -u no-such-account -f IbcGateway", True),
        ("pkill -u $WHO -f IbcGateway", True),
    ],
)
def test_a_command_that_names_accounts_ends_nobody_of_another_one(command: str, ends: bool) -> None:
    own = pwd.getpwuid(os.getuid()).pw_name
    text = command % own if "%s" in command else command
    assert (ended_by_start([("/bin/sh", "-c", text)], 0, [PAPER]) is not None) is ends


@pytest.mark.parametrize(
    ("greps", "ends"),
    [
        ("grep java | grep /srv/ibgateway/live | grep -v grep", False),
        ("grep java | grep /srv/ibgateway/paper | grep -v grep", True),
        ("grep java | grep -v grep", True),
        ("grep java | grep $OWN", True),
    ],
)
def test_greps_behind_the_first_narrow_whom_a_kill_is_given(greps: str, ends: bool) -> None:
    text = "ps -ef | %s | awk '{print $2}' | xargs kill" % greps
    assert (ended_by_start([("/bin/sh", "-c", text)], 0, [PAPER]) is not None) is ends
