"""What discovery reads of a host beside its processes: unit files, start scripts, the scripts that use the API."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional, Tuple
from unittest import mock

import pytest
from ansible.module_utils.ib_gateway.base.proposal import UnitFile
from ansible.module_utils.ib_gateway.base.spec import Container
from ansible.module_utils.ib_gateway.observe import api_scripts, origins, processes, unit_files

IBC = "[Service]\nUser=trader\nExecStart=/opt/ibc/gatewaystart.sh -inline --mode=paper\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (IBC, ("trader", "gateway", None)),
        ("[Service]\nExecStart=-/opt/ibc/gatewaystart.sh \\\n  -inline\n", ("root", "gateway", None)),
        (
            "[Service]\nUser=t\nExecStart=/jre/bin/java -cp x -DjtsConfigDir=/srv/jts ibcalpha.ibc.IbcGateway c live\n",
            ("t", "gateway", "/srv/jts"),
        ),
        ("[Service]\nExecStart=/usr/bin/python3 /opt/ibc/report_gateway_bot.py\n", None),
        ("[Service]\nExecStart=/usr/bin/tail -f /var/log/ibgateway.log\n", None),
        ("[Service]\nExecStart='unbalanced ibgateway\n", None),
        ("[Unit]\nDescription=gateway\n", None),
        ("", None),
    ],
)
def test_a_unit_counts_by_what_its_file_starts(text: str, found: Optional[Tuple[Any, ...]]) -> None:
    unit = unit_files.parse("ibgateway.service", text, None)
    assert (unit and (unit.account, unit.product, unit.config_dir)) == found


JAVA = "/jre/bin/java -cp x -DjtsConfigDir=/srv/jts install4j.ibgateway.GWClient"
STARTS = "#!/bin/sh\ncd /opt/ibc\n# what brings it\nexec ./gatewaystart.sh -inline \\\n  --mode=paper\n"


@pytest.mark.parametrize(
    ("command", "script", "found"),
    [
        ("/bin/sh -c 'exec %s'" % JAVA, None, ("gateway", None, "/srv/jts")),
        ("/bin/bash -lc 'cd /opt/ibc; DISPLAY=:1 ./gatewaystart.sh --mode=live &'", None, ("gateway", "live", None)),
        ("/bin/bash -c 'while :; do /opt/ibc/gatewaystart.sh; sleep 5; done'", None, ("gateway", None, None)),
        ("/bin/bash /srv/run.sh", STARTS, ("gateway", "paper", None)),
        ("/srv/run.sh", STARTS, ("gateway", "paper", None)),
        # Live and paper at once: what the two have in common is told, and no more.
        (
            "/bin/sh -c '%s --mode=live & %s --mode=paper'" % ("/opt/ibc/gatewaystart.sh", "/opt/ibc/gatewaystart.sh"),
            None,
            ("gateway", None, None),
        ),
        ("/bin/sh -c '%s & %s'" % (JAVA, JAVA.replace("/srv/jts", "/srv/p")), None, ("gateway", None, None)),
        ("/bin/sh -c 'tail -F /srv/ibgateway/ibgateway.log'", None, None),
        ("/bin/sh -c 'pgrep -f ibgateway || systemctl restart ibgateway'", None, None),
        ("/srv/run.sh", "#!/usr/bin/python3\nimport ib_insync  # ibgateway\n", None),
        ("/srv/run.sh", "", None),
        # A home-made script's text wins over its name; IBC's own are known by name.
        ("/srv/watch_ibgateway.sh", "#!/bin/sh\npgrep -f GWClient || systemctl restart ibgateway\n", None),
        ("/srv/start-ibgateway", "", ("gateway", None, None)),
        ("/opt/ibc/gatewaystart.sh --mode=live", None, ("gateway", "live", None)),
    ],
)
def test_a_unit_that_runs_a_shell_counts_by_what_the_shell_runs(
    command: str, script: Optional[str], found: Optional[Tuple[Any, ...]]
) -> None:
    unit = unit_files.parse("ibgateway.service", _shell(command), None, False, lambda _path, _account: script)
    assert (unit and (unit.product, unit.trading_mode, unit.config_dir)) == found
    assert unit is None or not unit.doubt


def _shell(command: str) -> str:
    return "[Service]\nUser=trader\nExecStart=%s\n" % command


def test_a_script_of_any_name_is_read_of_a_unit_whose_own_words_say_nothing() -> None:
    unit = unit_files.parse("desk.service", _shell("/srv/go.sh"), None, False, lambda _path, _account: STARTS)
    assert unit is not None and (unit.product, unit.account, unit.doubt) == ("gateway", "trader", "")
    read = mock.Mock()
    assert unit_files.parse("desk.service", _shell("/usr/sbin/sshd -D"), None, False, read) is None
    assert not read.called


@pytest.mark.parametrize(
    ("command", "script", "doubt"),
    [
        ("/bin/bash /srv/run.sh", None, "/srv/run.sh could not be read"),
        ("/srv/start-ibgateway.sh", None, "/srv/start-ibgateway.sh could not be read"),
        ("/srv/run.sh", "#!/bin/bash\n. /etc/desk.env\n$START\n", "/srv/run.sh runs programs whose names tell nothing"),
        ("/bin/sh -c 'exec $$PROGRAM'", None, "its shell command runs programs whose names tell nothing"),
    ],
)
def test_a_unit_of_a_gateway_s_name_whose_script_does_not_tell_is_in_doubt(
    command: str, script: Optional[str], doubt: str
) -> None:
    unit = unit_files.parse("ibgateway.service", _shell(command), None, True, lambda _path, _account: script)
    assert unit is not None and (unit.doubt, unit.account, unit.product) == (doubt, "trader", None)
    other = _shell(command.replace("ibgateway", "backup"))
    assert unit_files.parse("backup.service", other, None, True, lambda _path, _account: script) is None


def test_a_script_of_another_account_is_not_read(tmp_path: Path) -> None:
    script, me = tmp_path / "run.sh", pwd.getpwuid(os.getuid()).pw_name
    script.write_text(STARTS)
    assert unit_files._script(str(script), me) == STARTS
    script.write_bytes(b"\x7fELF\0")
    assert unit_files._script(str(script), me) == "", "a program is no text, and was read"
    os.mkfifo(tmp_path / "pipe")
    assert unit_files._script(str(tmp_path / "pipe"), me) is None
    assert unit_files._script(str(tmp_path), me) is None
    assert unit_files._script("/srv/\0", me) is None and unit_files._script(str(tmp_path / "no"), me) is None
    if os.geteuid() == 0:
        script.write_text(STARTS)
        os.chown(script, 12345, -1)
        assert unit_files._script(str(script), me) is None


def test_an_instance_of_a_template_says_its_mode() -> None:
    unit = unit_files.parse("ib@paper.service", IBC.replace("--mode=paper", "--mode=%i"), None, wanted=True)
    assert unit == UnitFile("ib@paper.service", "system", "trader", "gateway", "paper", None, True)


def test_a_unit_of_an_account_is_that_account_s() -> None:
    unit = unit_files.parse("ibgateway.service", IBC, "ops")
    assert unit is not None and (unit.scope, unit.account) == ("user", "ops")


def test_units_are_found_with_whether_systemd_starts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "live.service").write_text(IBC)
    (tmp_path / "paper.service").write_text(IBC)
    (tmp_path / "multi-user.target.wants").mkdir()
    (tmp_path / "multi-user.target.wants" / "live.service").symlink_to(tmp_path / "live.service")
    (tmp_path / "masked.service").symlink_to("/dev/null")
    (tmp_path / "waits.service").symlink_to(tmp_path / "fifo")
    os.mkfifo(tmp_path / "fifo")
    place = unit_files._Place((str(tmp_path),))
    monkeypatch.setattr(unit_files, "_places", lambda: iter([place]))
    assert [(each.name, each.wanted) for each in unit_files.unit_files()] == [
        ("live.service", True),
        ("paper.service", False),
    ]


@pytest.mark.parametrize(
    ("argv", "kept"),
    [
        (("/bin/bash", "/opt/ibc/gatewaystart.sh", "-inline"), ("/opt/ibc/gatewaystart.sh", "-inline")),
        (("/opt/ibc/gatewaystart.sh",), ("/opt/ibc/gatewaystart.sh",)),
        (("/opt/ibc/ibcstart.sh", "1030", "-g", "--user=me", "--pw=hunter2"), ()),
        (("/opt/ibc/gatewaystart.sh", "hunter2"), ()),
        (("bash", "gatewaystart.sh"), ()),
        (("bash", "-c", "/opt/ibc/gatewaystart.sh"), ()),
        ((), ()),
    ],
)
def test_a_start_script_is_copied_only_where_no_word_of_it_can_be_a_secret(
    argv: Tuple[str, ...], kept: Tuple[str, ...]
) -> None:
    assert origins._command(argv) == kept


def test_a_gateway_in_a_container_names_it_and_one_in_ours_does_not(tmp_path: Path) -> None:
    one, other = "a" * 64, "b" * 64
    for pid, path in (("self", one), ("1", one), ("2", other)):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cgroup").write_text("0::/system.slice/docker-%s.scope\n" % path)
    with mock.patch.object(processes, "PROC", str(tmp_path)):
        assert origins.containers([1, 2, 3]) == {2: Container("docker", "b" * 12)}


def test_a_script_that_uses_the_api_is_found_with_the_port_that_it_names(tmp_path: Path) -> None:
    bot, other = tmp_path / "bot.py", tmp_path / "other.py"
    wait = "import sys\nprint(flush=True)\nsys.stdin.read()\n"
    bot.write_text("PORT = 4002\nif False:\n    from ib_insync import IB\n" + wait)
    other.write_text("# import ib_insync\n" + wait)
    started = [
        subprocess.Popen([sys.executable, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for path in (bot, other)
    ]
    try:
        for each in started:
            assert each.stdout and each.stdout.readline()
        mine = [each for each in api_scripts.api_scripts({4001, 4002}, ()) if each.pid in {one.pid for one in started}]
        assert [(each.pid, each.library, each.ports) for each in mine] == [(started[0].pid, "ib_insync", (4002,))]
        assert [each for each in api_scripts.api_scripts({4002}, {started[0].pid}) if each in mine] == []
    finally:
        for each in started:
            each.kill()
            each.communicate()


@pytest.mark.parametrize(
    ("text", "found"),
    [("--port=4002", (4002,)), ("v4002", ()), ("10.4002", ()), ("40021", ()), ("4001, 4002", (4001, 4002))],
)
def test_a_port_is_a_number_of_its_own(text: str, found: Tuple[int, ...]) -> None:
    assert api_scripts.named_ports([text], {4001, 4002}) == found
