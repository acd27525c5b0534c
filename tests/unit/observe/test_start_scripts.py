"""Which commands of a cron line start an entry's gateway: IBC's scripts by name, others by what is in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Optional

import pytest
from ansible.module_utils.ib_gateway.observe.start_scripts import Account, Search
from unit.facts import spec

IBC = "/opt/ibc/scripts/ibcstart.sh 1045 -g --mode=%s"
SCRIPTS: Dict[str, str] = {
    "start.sh": "#!/bin/bash\nexport DISPLAY=:1  # where Xvfb is\ncd /opt/ibc # IBC\n./gatewaystart.sh -inline &\n",
    "native.sh": "nohup ~/Jts/ibgateway/1045/ibgateway &\n",
    "java.sh": 'exec java -cp "$JARS" ibcalpha.ibc.IbcGateway "$INI"\n',
    "watch.sh": '#!/bin/sh\nif ! pgrep -f GWClient >/dev/null; then\n    $(dirname "$0")/start.sh\nfi\n',
    "watch2.sh": '#!/bin/sh\n# don\'t touch\npgrep -f GWClient || exec "$HERE/start.sh"\n',
    "variable.sh": '#!/bin/sh\nIBC=/opt/ibc/gatewaystart.sh\n[ -x "$IBC" ] && "$IBC"\n',
    "sourced.sh": '. ./settings.sh\nrun "$GATEWAY_START"\n',
    "start_paper.sh": "/opt/ibc/gatewaystart.sh\n",
    "of_paper.sh": "export TRADING_MODE=paper\n/opt/ibc/gatewaystart.sh\n",
    "tws.sh": "/opt/ibc/twsstart.sh\n",
    "both.sh": "%s &\n%s &\n" % (IBC % "paper", IBC % "live"),
    "stop_gateway.sh": "#!/bin/sh\npkill -f GWClient\n",
    "check_gateway.sh": "#!/bin/sh\npgrep -f ibgateway >/dev/null || echo 'no gateway' | mail -s gateway desk\n",
    "again.sh": "/bin/true\n./again.sh\n",
    "start.py": "import subprocess\nsubprocess.Popen(['/opt/ibc/gatewaystart.sh'])\n",
    "bot.py": "from ib_insync import IB\nIB().connect(port=4001)  # ibgateway\n",
    "own.sh": "#!/bin/sh\nexec /opt/desk/desk-tool up\n",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name, text in SCRIPTS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def found(command: str, home: Path, **entry: Any) -> Optional[str]:
    account = Account("trader", os.geteuid(), str(home))
    words = Search(spec(service=None, **entry), account, ()).command_in(command.replace("HOME", str(home)))
    return None if words is None else " ".join(words).replace(str(home), "HOME")


@pytest.mark.parametrize(
    "command",
    [
        "/opt/ibc/gatewaystart.sh -inline",
        "cd /opt/ibc && ./gatewaystart.sh >>/var/log/gw.log 2>&1",
        IBC % "live",
        "DISPLAY=:1 /usr/bin/xvfb-run -a %s" % (IBC % "LIVE"),
        "/home/t/Jts/ibgateway/1045/ibgateway",
        "java -cp x ibgateway.GWClient",
        "flock -n /tmp/gw.lock HOME/start.sh",
        "flock -n /tmp/gw.lock -c 'HOME/start.sh live'",
        "sleep 20; HOME/start.sh",
        "HOME/native.sh",
        "sh HOME/java.sh",
        "cd HOME && ./watch.sh",
        "~/watch.sh",
        "$HOME_OF_NOBODY/x.sh; bash -lc 'HOME/watch2.sh'",
        "su - trader -c HOME/start.sh",
        "sudo -u trader bash -c 'cd HOME; ./start.sh'",
        "pgrep -f GWClient >/dev/null || HOME/start.sh",
        "[ -f /tmp/stop ] || HOME/variable.sh",
        "screen -dmS gw HOME/start.sh",
        "tmux new-session -d -s gw 'HOME/start.sh live'",
        "screen -dmS gw /opt/ibc/gatewaystart.sh",
        "HOME/both.sh",
        "python3 HOME/start.py",
    ],
)
def test_a_command_that_starts_the_gateway_counts(command: str, home: Path) -> None:
    assert found(command, home) is not None


@pytest.mark.parametrize(
    "command",
    [
        "HOME/stop_gateway.sh",
        "HOME/check_gateway.sh",
        "HOME/start_paper.sh",
        "HOME/of_paper.sh",
        "HOME/start.sh paper",
        IBC % "paper",
        "HOME/tws.sh",
        "/opt/ibc/twsstart.sh",
        "HOME/again.sh",
        "HOME/sourced.sh",
        "HOME/missing_start_ibgateway.sh",
        "python3 HOME/bot.py",
        "pkill -f ibcstart.sh",
        "pgrep -f 'java.*GWClient'",
        "tail -n 100 /var/log/ibgateway.log",
        "cp /opt/ibc/gatewaystart.sh /backup",
        "systemctl restart bot.service",
        "echo /opt/ibc/gatewaystart.sh",
        "HOME/own.sh",
        "start.sh",
        "'",
        "",
    ],
)
def test_a_command_that_starts_another_or_nothing_does_not(command: str, home: Path) -> None:
    assert found(command, home) is None


def test_what_the_entry_itself_is_started_by_counts_whatever_is_in_it(home: Path) -> None:
    own = ("/bin/sh", str(home / "own.sh"), "live")
    assert found("flock -n /tmp/l HOME/own.sh live", home, start_command=own) == "flock -n /tmp/l HOME/own.sh live"
    assert found("HOME/own.sh paper", home, start_command=own) is None
    assert found("docker restart bot", home, start_command=("docker", "restart", "ib")) is None


def test_of_a_line_the_command_is_told_that_starts_the_gateway(home: Path) -> None:
    assert found("cd /srv; TOKEN=x curl -s http://t/; HOME/start.sh live", home) == "HOME/start.sh live"


def test_a_script_is_read_only_where_nobody_else_put_it(home: Path) -> None:
    link = home / "link.sh"
    link.symlink_to(home / "start.sh")
    assert found("HOME/link.sh", home) is None
    os.mkfifo(home / "pipe.sh")
    assert found("HOME/pipe.sh", home) is None
    (home / "long.sh").write_text(SCRIPTS["start.sh"] + "#" * (1 << 15), encoding="utf-8")
    assert found("HOME/long.sh", home) is None
    (home / "binary.sh").write_bytes(SCRIPTS["start.sh"].encode() + b"\0")
    assert found("HOME/binary.sh", home) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_a_script_of_another_account_is_not_read(home: Path) -> None:
    os.chown(home / "start.sh", 65534, 65534)
    assert found("HOME/start.sh", home) is None


def test_scripts_that_run_each_other_without_end_are_read_once(home: Path) -> None:
    many = "".join("./s%d.sh\n" % each for each in range(100))
    for each in range(100):
        (home / ("s%d.sh" % each)).write_text(many, encoding="utf-8")
    assert found("HOME/s0.sh", home) is None
