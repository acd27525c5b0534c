"""A command that names a unit, a container, an account or a file ends those who live there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import FrozenSet, List, Optional, Sequence, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.host import Process
from ansible.module_utils.ib_gateway.observe import processes
from ansible.module_utils.ib_gateway.observe.ended_by_start import ended_by_start
from ansible.module_utils.ib_gateway.observe.named_endings import Asks, named_endings
from unit.facts import process

BOT = 815
ROOT = 0


def bot(**more: object) -> Process:
    return process(BOT, "python3", "bot.py", uid=1000)._replace(**more)


class Known:
    """What systemd and the engines say: the bot lives in all that a test names. asked: what they were asked."""

    def __init__(self) -> None:
        self.asked: List[Tuple[object, ...]] = []

    def units(self, verb: str, names: Sequence[str], uid: int, users: bool) -> FrozenSet[int]:
        self.asked.append((verb, tuple(names), uid, users))
        return frozenset({BOT})

    def containers(self, program: str, names: Sequence[str], uid: int) -> FrozenSet[int]:
        self.asked.append((program, tuple(names), uid))
        return frozenset({BOT}) if names else frozenset()


def ends(command: str, one: Optional[Process] = None, known: Optional[Known] = None) -> bool:
    name, *given = command.split()
    asks = Asks(known.units, known.containers) if known is not None else None
    return any(meets(one or bot()) for meets in named_endings(name, given, ROOT, asks))


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        ("systemctl stop bots.target", ("stop", ("bots.target",), ROOT, False)),
        ("systemctl --no-block restart user@2001", ("restart", ("user@2001.service",), ROOT, False)),
        ("systemctl --user stop bots.slice", ("stop", ("bots.slice",), ROOT, True)),
        ("systemctl start rival", ("start", ("rival.service",), ROOT, False)),
        ("systemctl isolate rescue.target", ("isolate", ("rescue.target",), ROOT, False)),
        ("service bots stop", ("stop", ("bots.service",), ROOT, False)),
        ("podman stop -t 5 bots", ("podman", ("5", "bots"), ROOT)),
        ("docker container rm -f bots", ("docker", ("bots",), ROOT)),
    ],
)
def test_systemd_or_the_engine_is_asked_who_lives_in_what_is_named(command: str, asked: Tuple[object, ...]) -> None:
    known = Known()
    assert ends(command, known=known) and known.asked == [asked]


@pytest.mark.parametrize(
    "command",
    [
        "systemctl status bots.target",
        "systemctl daemon-reload",
        "systemctl stop $UNIT",
        "podman run bots",
        "podman stop $NAME",
        "loginctl list-users",
        "tmux new-session",
        "kill $PID",
        "kill 815",
        "start-stop-daemon --start --pidfile /run/bot.pid",
    ],
)
def test_what_ends_nobody_or_does_not_tell_whom_meets_nobody(command: str) -> None:
    assert not ends(command, known=Known())


def test_a_pattern_of_unit_names_meets_by_the_name_alone() -> None:
    known = Known()
    assert ends("systemctl stop bot-*", bot(unit="bot-a.service"), known) and known.asked == []
    assert not ends("systemctl stop bot-*", bot(unit="other.service"), known)
    assert not ends("systemctl start bot-*", bot(unit="bot-a.service"), known), "a start ends nobody in it"


def test_the_end_of_an_account_s_sessions_ends_what_is_no_service_of_the_system_s() -> None:
    assert ends("loginctl terminate-user 1000") and ends("loginctl kill-user 1000")
    assert not ends("loginctl terminate-user 1001") and not ends("loginctl terminate-user no-such-account")
    assert not ends("loginctl terminate-user 1000", bot(unit="bot.service"))


def test_the_end_of_a_terminal_s_server_ends_what_runs_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    server, uid = 700, [ROOT]
    monkeypatch.setattr(processes, "ancestors", lambda pid: frozenset({pid, server, 1}))
    monkeypatch.setattr(processes, "read_argv", lambda pid: ("tmux: server",) if pid == server else ("init",))
    monkeypatch.setattr(processes, "read_real_uid", lambda _pid: uid[0])
    assert ends("tmux kill-server") and not ends("tmux kill-session -t ib")
    uid[0] = 1000
    assert not ends("tmux kill-server"), "it is another account's"


@pytest.mark.parametrize("all_", ["-a", "--all"])
def test_the_end_of_all_containers_ends_whoever_lives_in_one(monkeypatch: pytest.MonkeyPatch, all_: str) -> None:
    inside: List[Optional[int]] = [7]
    monkeypatch.setattr(processes, "pid_inside", lambda _pid: inside[0])
    assert ends("podman stop " + all_, known=Known())
    inside[0] = None
    assert not ends("podman stop " + all_, known=Known())


@pytest.mark.parametrize(
    ("command", "content", "found"),
    [
        ("kill $(cat {})", "815\n", True),
        ("kill -9 `cat {}`", " 815 ", True),
        ("kill $(< {})", "815", True),
        ('kill "$(/bin/cat {})"', "815", True),
        ("pkill -F {}", "815", True),
        ("pkill --pidfile={}", "815", True),
        ("start-stop-daemon --stop --pidfile {}", "815", True),
        ("kill $(cat {})", "816", False),
        ("kill $(cat {})", "", False),
        ("kill $(cat {})", "9" * 5000, False),
        ("echo $(cat {})", "815", False),
    ],
)
def test_whom_a_file_names_now_is_ended_by_what_reads_it(
    tmp_path: Path, command: str, content: str, found: bool
) -> None:
    path = tmp_path / "bot.pid"
    path.write_text(content)
    assert ends(command.format(path)) is found
    path.unlink()
    assert not ends(command.format(path))
    os.mkfifo(path)
    assert not ends(command.format(path)), "nothing waits for a writer"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kill $(cat {})", True),
        ("PID=$(cat {})\nkill -TERM $PID", True),
        ("PID=`cat {}`; [ -n $PID ] && kill $PID", True),
        ("cat {}; echo $PID", False),
        ("cat {}; kill -0 $PID", False),
    ],
)
def test_a_file_s_pid_is_ended_by_a_kill_near_what_reads_it(tmp_path: Path, text: str, found: bool) -> None:
    path = tmp_path / "bot.pid"
    path.write_text("815\n")
    ending = ended_by_start([["/bin/sh", "-c", text.format(path)]], ROOT, [bot()])
    assert (ending is not None) is found


def test_a_device_that_is_named_as_a_pid_file_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """To open some, as a watchdog, does something to the host; the path is chosen by whoever wrote the script."""
    opened: List[int] = []
    really = os.open

    def note(path: str, flags: int, *more: int) -> int:
        opened.append(flags)
        return really(path, flags, *more)

    monkeypatch.setattr(os, "open", note)
    assert not ends("pkill -F /dev/zero") and opened
    assert all(flags & os.O_PATH for flags in opened), "a look at it opens nothing"
