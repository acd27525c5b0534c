"""What keeps a gateway is a real parent, and brings a new process when one ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import psutil
import pytest

from .conftest import use_library
from .keepers import KEEPERS, KeptGateway
from .launch import SimulatedGateway, free_port
from .program import marked
from .shapes import PASSWORD_CANARY

Keep = Callable[..., KeptGateway]


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    """Starts a kept gateway that ends with the test."""
    kept: List[KeptGateway] = []

    def start(
        keeper: str,
        wait: bool = True,
        environment: Any = (),
        gap: float = 0.0,
        on2fatimeout: str = "exit",
        **options: Any,
    ) -> KeptGateway:
        settings = {"launcher": "ibc-java", "bind": "127.0.0.1", "lifetime": 60, **options}
        gateway = SimulatedGateway(tmp_path / "gateway", **settings)
        changes = dict(environment)
        keeping: Dict[str, Any] = {
            "keeper": keeper,
            "gap": gap,
            "on2fatimeout": on2fatimeout,
            "environment_changes": changes,
        }
        kept.append(KeptGateway(tmp_path, gateway=gateway, lifetime=60, **keeping))
        gateway.folder.mkdir()
        return kept[-1].start(wait)

    yield start
    for each in kept:
        each.stop(timeout=0.5)


def until(condition: Callable[[], object]) -> None:
    """Wait for something that no ready file says."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def command(port: int, line: str) -> List[str]:
    """What the command server answers, up to its close or its silence."""
    with socket.create_connection(("127.0.0.1", port), 3) as connection:
        connection.sendall(line.encode() + b"\n")
        answer = b""
        connection.settimeout(0.5)
        try:
            while data := connection.recv(4096):
                answer += data
        except TimeoutError:
            pass
    return answer.decode().splitlines()


@pytest.mark.parametrize("keeper", [name for name in KEEPERS if name != "ibcstart"])
def test_a_gateway_that_crashes_is_started_again_by_what_keeps_it(keeper: str, keep: Keep) -> None:
    kept = keep(keeper)
    first = kept.gateway_pid

    os.kill(first, signal.SIGKILL)

    assert kept.next_pid(after=first) != first
    assert use_library("ib_insync", kept.gateway.port).accounts == ["DU1234567"]


def test_ibcstart_gives_up_after_a_crash_and_says_with_which_status(keep: Keep) -> None:
    kept = keep("ibcstart")

    os.kill(kept.gateway_pid, signal.SIGKILL)

    assert kept.wait() == 137
    assert "IBC returned exit status 137\n" in kept.ibc_log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("event", "on2fatimeout", "said"),
    [
        ("cold-restart", "exit", "IBC: Cold restart in progress"),
        ("login-timeout", "restart", "IBC returned exit status 87"),
    ],
)
def test_ibcstart_logs_in_anew_after_a_failed_login(event: str, on2fatimeout: str, said: str, keep: Keep) -> None:
    kept = keep("ibcstart", on2fatimeout=on2fatimeout, settings={"event": event, "ibc-log": "-"})
    first = kept.gateway_pid

    os.kill(first, signal.SIGUSR1)

    second = psutil.Process(kept.next_pid(after=first))
    assert not [word for word in second.cmdline() if word.startswith("-Drestart=")]
    assert said in kept.ibc_log.read_text(encoding="utf-8")


def test_ibcs_scripts_are_the_parents_and_have_their_own_argv(keep: Keep) -> None:
    kept = keep("ibcstart")

    ibcstart, banner = psutil.Process(kept.gateway_pid).parents()[:2]

    assert banner.pid == kept.pid
    assert banner.cmdline() == ["/bin/bash", str(kept.folder / "ibc/scripts/displaybannerandlaunch.sh")]
    assert ibcstart.cmdline()[:2] == ["/bin/bash", str(kept.folder / "ibc/scripts/ibcstart.sh")]
    assert f"--pw={PASSWORD_CANARY}" in ibcstart.cmdline()
    assert "--mode=paper" in ibcstart.cmdline()


def test_a_renamed_gateway_in_a_loop_is_java_by_its_file_only(keep: Keep) -> None:
    kept = keep("loop", argv0="ibgateway-live")

    process = psutil.Process(kept.gateway_pid)

    assert process.cmdline()[:2] == ["ibgateway-live", "-cp"]
    assert process.exe() == str(kept.gateway.folder / "jre/bin/java")
    assert process.ppid() == kept.pid


def test_a_loop_is_the_direct_parent(keep: Keep) -> None:
    loop = keep("loop")

    assert psutil.Process(loop.gateway_pid).ppid() == loop.pid
    assert psutil.Process(loop.pid).cmdline() == ["/bin/bash", str(loop.folder / "run_gateway.sh")]


def test_a_gateway_under_supervisord_leads_its_own_group(keep: Keep) -> None:
    kept = keep("supervisord")

    assert psutil.Process(kept.gateway_pid).ppid() == kept.pid
    assert os.getpgid(kept.gateway_pid) == kept.gateway_pid
    assert psutil.Process(kept.pid).cmdline()[1].endswith("/bin/supervisord")


def test_a_second_factor_is_given_when_its_event_happens(keep: Keep) -> None:
    settings = {"ibc-log": "-", "second-factor": 60, "event": "second-factor"}
    kept = keep("ibcstart", wait=False, settings=settings)
    until(lambda: kept.ibc_log.exists() and "Second Factor Authentication" in kept.ibc_log.read_text(encoding="utf-8"))
    gateway = next(each for each in psutil.Process(kept.pid).children(recursive=True) if "java" in each.cmdline()[0])
    gateway.send_signal(signal.SIGUSR1)
    kept.wait_ready()
    assert "IBC: Login has completed" in kept.ibc_log.read_text(encoding="utf-8")


@pytest.mark.parametrize("ini", [[], ["AutoRestartTime=11:45 PM"]])
def test_a_process_becomes_a_keeper_with_its_pid(tmp_path: Path, ini: List[str]) -> None:
    ready = tmp_path / "ready"
    argv = [sys.executable, "-m", "simulator.keep", f"--folder={tmp_path}", f"--config-dir={tmp_path / 'jts'}"]
    argv += ["--mode=live", f"--port={free_port()}", "--bind=127.0.0.1", "--lifetime=60", f"--ready-file={ready}"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    process = subprocess.Popen([*argv, *(f"--ini={line}" for line in ini)], env=environment, start_new_session=True)
    try:
        until(ready.exists)
        keeper = psutil.Process(process.pid)
        names = [Path(word).name for word in keeper.cmdline()]
        assert "displaybannerandlaunch.sh" in names
        below = [each.cmdline() for each in keeper.children(recursive=True)]
        assert [words for words in below if "ibcalpha.ibc.IbcGateway" in words]
        assert (tmp_path / "jts" / "config.ini").read_text().splitlines()[1:] == ini
    finally:
        process.terminate()
        process.wait(10)


def test_restart_keeps_the_login_and_brings_a_new_process_with_a_token(keep: Keep) -> None:
    settings = {"command-port": 0, "ibc-log": "-", "second-factor": 1, "restart-delay": 0.2}
    kept = keep("ibcstart", settings=settings)
    first, port = kept.gateway_pid, kept.ready_state()["command_port"]

    answer = command(port, "RESTART")
    second = kept.next_pid(after=first)

    assert answer[0] == "OK RESTART in progress"
    assert answer[1].startswith("OK RESTART at ") and answer[1].endswith((" AM", " PM"))
    assert [word for word in psutil.Process(second).cmdline() if word.startswith("-Drestart=")]
    log = kept.ibc_log.read_text(encoding="utf-8")
    assert log.count("IBC: Second Factor Authentication initiated") == 1
    assert log.count("IBC: Login has completed") == 2
    assert "IBC: Re-starting session" in log
    assert "IBC returned exit status 0\nIBC will restart shortly" in log
    assert not list(kept.gateway.config_dir.glob("*/autorestart"))


def test_stop_ends_the_gateway_and_the_scripts_above_it(keep: Keep) -> None:
    kept = keep("ibcstart", settings={"command-port": 0})

    assert command(kept.ready_state()["command_port"], "STOP") == ["OK Shutting down: STOP command"]
    assert kept.wait() == 0
    assert "IBC returned exit status 0" in kept.ibc_log.read_text(encoding="utf-8")


def test_an_automatic_restart_has_a_gap_without_any_gateway(keep: Keep) -> None:
    kept = keep("loop", gap=1.0, settings={"event": "auto-restart"})
    first = psutil.Process(kept.gateway_pid)

    first.send_signal(signal.SIGUSR1)
    first.wait(5)

    assert "java" not in [child.name() for child in psutil.Process(kept.pid).children()]
    assert kept.next_pid(after=first.pid) != first.pid


def test_a_crash_loop_brings_one_short_life_after_another(keep: Keep) -> None:
    kept = keep("loop", settings={"event": "crash", "event-after": 0.05})

    pids = [kept.gateway_pid]
    for _ in range(2):
        pids.append(kept.next_pid(after=pids[-1]))

    assert len(set(pids)) == 3


def test_without_a_display_a_gateway_ends_at_once(keep: Keep) -> None:
    kept = keep("loop", wait=False, gap=30, settings={"needs-display": "yes"}, environment={"DISPLAY": None})

    deadline = time.monotonic() + 10
    while "HeadlessException" not in kept.log_text() and time.monotonic() < deadline:
        time.sleep(0.02)

    assert "java.awt.HeadlessException" in kept.log_text()
    assert kept.ready_state() == {}
    kept.stop(timeout=0.5)
    assert keep_with_display(kept)["listening"]


def keep_with_display(kept: KeptGateway) -> "dict[str, Any]":
    again = KeptGateway(kept.folder, gateway=kept.gateway, keeper="loop", environment_changes={"DISPLAY": ":1"})
    with again:
        return again.ready_state()


INTERRUPTED = """\
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from simulator.client_programs import NohupBot, Relay, SupervisedBot
from simulator.keepers import KEEPERS, KeptGateway
from simulator.launch import SimulatedGateway
marks = []
for keeper in KEEPERS:
    folder = Path(sys.argv[2]) / keeper
    gateway = SimulatedGateway(folder / "gateway", launcher="ibc-java", bind="127.0.0.1")
    gateway.folder.mkdir(parents=True)
    started = [KeptGateway(folder, gateway=gateway, keeper=keeper, gap=0.1).start()]
    started += [NohupBot(folder, port=gateway.port).start(), Relay(folder, target=gateway.port).start()]
    marks += [each._mark for each in started]
started = [SupervisedBot(folder, port=gateway.port, client_id=30).start()]
print(*marks, started[0]._mark, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_is_left_of_a_test_run_that_was_killed(tmp_path: Path) -> None:
    tests = str(Path(__file__).resolve().parent.parent)
    command = [sys.executable, "-c", INTERRUPTED, tests, str(tmp_path)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    marks = done.stdout.split()
    assert done.returncode == -signal.SIGKILL and len(marks) == 3 * len(KEEPERS) + 1, done.stderr
    deadline = time.monotonic() + 20
    while (left := [pid for mark in marks for pid in marked(mark)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


def test_nothing_is_left_of_a_keeper_that_was_killed(keep: Keep) -> None:
    kept = keep("supervisord")
    gateway = kept.gateway_pid
    kept.kill()
    assert psutil.pid_exists(gateway)

    kept.stop()

    assert marked(kept._mark) == []
