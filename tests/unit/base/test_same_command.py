"""A process is a command that somebody has run if it is the same program with the same arguments."""

from __future__ import annotations

import pytest
from ansible.module_utils.ib_gateway.base.same_command import runs_command

START = "/opt/gw/start.sh"


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        ("/usr/bin/python3 /opt/gw/up.py -v", "/usr/bin/python3 /opt/gw/up.py -v"),
        ("python3 /opt/gw/up.py", "/usr/bin/python3 /opt/gw/up.py"),
        ("/bin/bash /opt/gw/start.sh live", "/opt/gw/start.sh live"),
        ("/bin/bash -e /opt/gw/start.sh", "/opt/gw/start.sh"),
        ("sudo -u trader /opt/gw/start.sh", "/opt/gw/start.sh"),
        ("runuser -u trader -- /opt/gw/start.sh live", "/opt/gw/start.sh live"),
        ("/bin/sh /opt/gw/start.sh", "/usr/bin/env MODE=live nohup setsid /opt/gw/start.sh"),
        ("nohup /opt/gw/start.sh", "setsid /opt/gw/start.sh"),
        ("sleep 9", "/bin/sleep 9"),
        ("/opt/gw/keep -l", "/opt/gw/keep -l"),
        ("perl /opt/gw/up", "/opt/gw/up"),
    ],
)
def test_a_command_is_known_past_wrappers_and_behind_its_interpreter(argv: str, command: str) -> None:
    assert runs_command(argv.split(), command.split(), str.__eq__)


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        ("/bin/bash /opt/gw/start.sh paper", "/opt/gw/start.sh live"),
        ("/bin/bash /opt/gw/start.sh live more", "/opt/gw/start.sh live"),
        ("/bin/bash /opt/gw/start.sh", "/opt/gw/start.sh live"),
        ("/bin/bash /opt/paper/start.sh", "/opt/live/start.sh"),
        ("/opt/paper/keep", "/opt/live/keep"),
        ("vim /opt/gw/start.sh", "/opt/gw/start.sh"),
        ("python3 -m up", "python3 -m down"),
        ("sleep 8", "/bin/sleep 9"),
        ("perl /opt/gw/up.py", "python3 /opt/gw/up.py"),
        ("java -Dmode=paper -jar /opt/gw/up.jar", "java -Dmode=live -jar /opt/gw/up.jar"),
        ("sudo", "/opt/gw/start.sh"),
        ("/opt/gw/start.sh", ""),
        ("", "/opt/gw/start.sh"),
    ],
)
def test_another_program_or_another_argument_is_another_command(argv: str, command: str) -> None:
    assert not runs_command(argv.split(), command.split(), str.__eq__)


def test_what_a_shell_is_given_as_text_counts_whole() -> None:
    command = ["/bin/sh", "-c", "cd /opt/gw; ./start live"]
    assert runs_command(["sh", "-c", "cd /opt/gw; ./start live"], command, str.__eq__)
    assert not runs_command(["sh", "-c", "cd /opt/gw; ./start paper"], command, str.__eq__)


def test_a_script_whose_path_is_not_absolute_is_another_one_in_another_folder() -> None:
    command = ["sh", "start.sh"]
    assert runs_command(command, command, lambda _own, _meant: True)
    assert not runs_command(command, command, lambda _own, _meant: False)
