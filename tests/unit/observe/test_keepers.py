"""What brings a gateway is told from a script's text, in whatever language it is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.observe import processes
from ansible.module_utils.ib_gateway.observe.keepers import keepers, runs_gateway
from ansible.module_utils.ib_gateway.observe.start_commands import StartCommand

READY = "import sys\nprint(flush=True)\nsys.stdin.read()\n"
KEEPER = READY + "import subprocess\nwhile True:\n    subprocess.call(['java', 'ibcalpha.ibc.IbcGateway'])\n"
BOT = READY + "import subprocess\n# connects to IB Gateway under ibc\nsubprocess.call(['date'])\n"
VIEWER = READY + "print('GWClient')\n"


#: Its library starts IBC's script, and so it is in neither text nor command line.
BY_LIBRARY = READY + "from ib_insync import *\nwatchdog = Watchdog(IBC(1030, gateway=True), IB())\nwatchdog.start()\n"
ONCE_BY_LIBRARY = READY + "from ib_async import IB, IBC\nIBC(1030, gateway=True).start()\n"
BECOMES_IT = READY + "import os\nos.execvp('java', ['java', 'ibcalpha.ibc.IbcGateway'])\n"
READS_IT = READY + "import re\nre.compile('IbcGateway').exec\n# see ibcstart\n"
CLIENT = READY + "from ib_insync import IB\n# IBC keeps the gateway\nIB().connect()\n"


@pytest.fixture
def started() -> Iterator[List[subprocess.Popen[bytes]]]:
    processes: List[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


ONCE = READY + "import subprocess\nsubprocess.call(['java', 'ibcalpha.ibc.IbcGateway'])\n"
#: Named as what starts a gateway; the shell waits until the test has looked.
SHELL = """#!/bin/bash
# while it runs, for ever: until somebody ends it
cd "$(dirname "$0")"
%s
echo ready
read -r _
"""
LOOPS = {
    "a loop": "while :; do\n    [ -e stop ] || break\n    java ibcalpha.ibc.IbcGateway\ndone",
    "a loop in one line": "if true; then for i in 1; do true; done; fi",
    "a start of itself": 'again() {\n    exec "$0" "$@"\n}',
    "a handler": "trap 'start_gateway' CHLD",
    "commands of another file": ". ./keep.sh",
}
STARTS = {
    "a start in the background": "false && java -cp x ibcalpha.ibc.IbcGateway &",
    "a start and a file of settings": ". ./settings.sh\nfalse && /opt/ibc/scripts/ibcstart.sh",
    "a word that is no loop": "echo 'wait for it while it starts'",
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("body", "again"),
    [*((each, True) for each in LOOPS.values()), *((each, False) for each in STARTS.values())],
    ids=[*LOOPS, *STARTS],
)
def test_a_shell_script_brings_the_next_gateway_if_something_in_it_repeats(
    body: str, again: bool, tmp_path: Path, started: List[subprocess.Popen[bytes]]
) -> None:
    (tmp_path / "keep.sh").touch()
    (tmp_path / "settings.sh").touch()
    script = tmp_path / "run_ibgateway.sh"
    script.write_text(SHELL % body, encoding="utf-8")
    process = subprocess.Popen(["bash", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.append(process)
    assert process.stdout is not None
    while process.stdout.readline() not in (b"ready\n", b""):
        pass
    assert {each.pid: each.again for each in keepers(())}.get(process.pid) is again


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (KEEPER, [True]),
        (ONCE, [False]),
        (BOT, []),
        (VIEWER, []),
        (BY_LIBRARY, [True]),
        (ONCE_BY_LIBRARY, [False]),
        (CLIENT, []),
        (BECOMES_IT, [True]),
        (READS_IT, []),
    ],
    ids=[
        "keeper",
        "once",
        "bot",
        "viewer",
        "by its library",
        "once by its library",
        "client",
        "becomes it",
        "reads it",
    ],
)
def test_a_script_in_python_keeps_a_gateway_if_it_runs_the_gateway_s_program(
    text: str, kept: List[bool], tmp_path: Path, started: List[subprocess.Popen[bytes]]
) -> None:
    script = tmp_path / "forever.py"
    script.write_text(text, encoding="utf-8")
    process = subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.append(process)
    assert process.stdout is not None
    process.stdout.readline()
    assert [each.again for each in keepers(()) if each.pid == process.pid] == kept


GATEWAY_COMMAND = ("java", "-cp", "x", "ibgateway.GWClient")
FOREVER = "echo ready\nread -r _\n%s\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("body", "arguments", "again"),
    [
        ('while :; do "$@"; sleep 70; done', GATEWAY_COMMAND, True),
        ('exec "$@"', GATEWAY_COMMAND, False),
        ('while :; do "$@"; sleep 70; done', ("tail", "-F", "ibgateway.GWClient.log"), None),
    ],
    ids=["a gateway in a loop", "a gateway once", "another program in a loop"],
)
def test_a_script_that_runs_its_arguments_keeps_the_gateway_that_these_are(
    body: str, arguments: Tuple[str, ...], again: Optional[bool], tmp_path: Path, started: List[subprocess.Popen[bytes]]
) -> None:
    script = tmp_path / "forever.sh"
    script.write_text(FOREVER % body, encoding="utf-8")
    command = ["bash", str(script), *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.append(process)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    assert {each.pid: each.again for each in keepers(())}.get(process.pid) is again


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_script_that_posts_the_project_s_alerts_in_a_loop_keeps_no_gateway(
    tmp_path: Path, started: List[subprocess.Popen[bytes]]
) -> None:
    rules = Path(__file__).resolve().parents[3] / "roles/ib_fleet_report/files/monitoring/ib_gateway.rules.yml"
    alerts = re.findall(r"alert: (\w+)", rules.read_text(encoding="utf-8"))
    assert len(alerts) > 5
    script = tmp_path / "post.sh"
    script.write_text(FOREVER % f"while :; do post {' '.join(alerts)}; sleep 60; done", encoding="utf-8")
    process = subprocess.Popen(["bash", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.append(process)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    assert process.pid not in {each.pid for each in keepers(())}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("text", "keeps"), [(KEEPER, True), (BOT, False)], ids=["a keeper", "a bot"])
def test_a_module_in_python_is_read_as_a_script_is(
    text: str, keeps: bool, tmp_path: Path, started: List[subprocess.Popen[bytes]]
) -> None:
    (tmp_path / "desklib").mkdir()
    (tmp_path / "desklib" / "up.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "desklib.up"]
    process = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.append(process)
    assert process.stdout is not None and process.stdout.readline() == b"\n"
    assert (process.pid in {each.pid for each in keepers(())}) is keeps


#: Its commands stand in a file: `%s` is how the script names that.
LOOPS_OVER_FILE = (
    """%simport subprocess
while True:
    subprocess.call(open(%%s).read().split())
"""
    % READY
)
NAMES_NOTHING = "sys.argv[1]"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("text", "said", "keeps"),
    [
        (LOOPS_OVER_FILE % "'gw.json'", "java ibgateway.GWClient", True),
        (LOOPS_OVER_FILE % NAMES_NOTHING, "/opt/ibc/scripts/ibcstart.sh", True),
        (LOOPS_OVER_FILE % "'gw.json'", "java com.example.Report", False),
        (READY + "print(open('gw.json').read())", "java ibgateway.GWClient", False),
        (READY + "import subprocess\nsubprocess.call(open('gw.json').read())", "java ibgateway.GWClient", False),
    ],
    ids=["its text names the file", "it is given the file", "another program", "it runs nothing", "it starts it once"],
)
def test_a_script_that_takes_its_commands_from_a_file_keeps_what_these_start(
    text: str, said: str, keeps: bool, tmp_path: Path, started: List[subprocess.Popen[bytes]]
) -> None:
    (tmp_path / "svc.py").write_text(text)
    (tmp_path / "gw.json").write_text(said)
    command = [sys.executable, "svc.py", *(["gw.json"] if NAMES_NOTHING in text else [])]
    process = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.append(process)
    assert process.stdout is not None and process.stdout.readline()
    assert [each.again and each.supervises for each in keepers([]) if each.pid == process.pid] == [True] * keeps


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="needs root to make namespaces")
@pytest.mark.parametrize(
    ("spaces", "hidden", "apart"),
    [
        (("--pid", "--net"), "", True),
        (("--pid",), "", False),
        (("--net",), "", False),
        (("--pid", "--net"), "network_namespace", False),
        (("--pid", "--net"), "pid_namespace", False),
    ],
    ids=["a container", "on the host's network", "a network of its own", "network not seen", "pids not seen"],
)
def test_what_keeps_gateways_is_apart_where_it_surely_has_pids_and_ports_of_its_own(
    spaces: Tuple[str, ...],
    hidden: str,
    apart: bool,
    tmp_path: Path,
    started: List[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = tmp_path / "start_ibgateway.sh"
    script.write_text("#!/bin/sh\necho ready\nwhile read -r _; do ibcstart.sh; done\n", encoding="utf-8")
    process = subprocess.Popen(
        ["unshare", *spaces, "--fork", "--kill-child", "sh", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    started.append(process)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    child = next(iter(processes.children(process.pid) or ()))
    if hidden:
        real = getattr(processes, hidden)
        monkeypatch.setattr(processes, hidden, lambda pid: real(pid) if pid == "self" else None)
    assert {each.pid: each.apart for each in keepers(())}.get(child) is apart


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("sleep 50; exec '/opt/ibc/gatewaystart.sh';", True),
        ("from os import execv\nexecv('/opt/ibc/gatewaystart.sh', ['x'])", True),
        ("/ibcstart/.exec(line)", False),
        ("sleep 50; exec 'date';", False),
    ],
    ids=["Perl's exec", "Python's execv", "a search in a text", "another program"],
)
def test_what_becomes_a_gateway_s_program_runs_it(text: str, runs: bool) -> None:
    assert runs_gateway(text) is runs


SLOW = "#!%s\n" % sys.executable + READY + "# says nothing of what it starts\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("argv", "command", "folder", "found"),
    [
        (["{0}/up.py", "live"], ["{0}/up.py", "live"], "/", [({"live"}, False)]),
        ([sys.executable, "up.py"], ["{0}/up.py"], "/", [({"live"}, False)]),
        ([sys.executable, "up.py"], [sys.executable, "up.py"], "{0}", [({"live"}, False)]),
        ([sys.executable, "up.py"], [sys.executable, "up.py"], "/", []),
        (["{0}/up.py", "paper"], ["{0}/up.py", "live"], "/", []),
        (
            [sys.executable, "-c", READY + "while 0: 1"],
            [sys.executable, "-c", READY + "while 0: 1"],
            "/",
            [({"live"}, True)],
        ),
    ],
    ids=["by itself", "by its path", "in its folder", "in another folder", "another argument", "its text in argv"],
)
def test_a_process_that_is_a_start_command_keeps_the_gateway_of_its_entry(
    argv: List[str],
    command: List[str],
    folder: str,
    found: List[Tuple[set[str], bool]],
    tmp_path: Path,
    started: List[subprocess.Popen[bytes]],
) -> None:
    script = tmp_path / "up.py"
    script.write_text(SLOW)
    script.chmod(0o755)
    given = [each.replace("{0}", str(tmp_path)) for each in argv]
    process = subprocess.Popen(given, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.append(process)
    assert process.stdout is not None
    process.stdout.readline()
    wanted = StartCommand(
        tuple(each.replace("{0}", str(tmp_path)) for each in command), folder.replace("{0}", str(tmp_path))
    )
    seen = [each for each in keepers((), commands={"live": wanted}) if each.pid == process.pid]
    assert [(set(each.starts), each.again) for each in seen] == found
    assert not [each for each in keepers(()) if each.pid == process.pid]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("title", ["tmux", "java"])
def test_a_gateway_and_a_terminal_s_server_keep_nothing_though_they_have_the_words_of_a_start_command(
    title: str, started: List[subprocess.Popen[bytes]]
) -> None:
    """A multiplexer's server keeps the command line of who called it for as long as any window is open."""
    argv = [title, "-c", READY, *(["ibcalpha.ibc.IbcGateway"] if title == "java" else ["new-session", "/opt/gw/up"])]
    environment = {**os.environ, "PYTHONHOME": sys.base_prefix}
    process = subprocess.Popen(
        argv, executable=sys.executable, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    started.append(process)
    assert process.stdout is not None
    process.stdout.readline()
    found = keepers((), commands={"live": StartCommand(tuple(argv), "/")})
    assert process.pid not in {each.pid for each in found}
