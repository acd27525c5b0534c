"""What keeps a gateway alive is told apart from what only speaks of one, and which gateway it would start."""

from __future__ import annotations

from typing import Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.launchers import launcher_of, role_of


@pytest.mark.parametrize(
    ("argv", "kind", "name"),
    [
        (("/bin/bash", "/opt/ibc/gatewaystart.sh", "-inline"), "launcher", "gatewaystart.sh"),
        (("/bin/bash", "/opt/ibc/twsstartmacos.sh"), "launcher", "twsstartmacos.sh"),
        (("xterm", "-T", "IBC", "-e", "/opt/ibc/scripts/displaybannerandlaunch.sh"), "launcher", "xterm"),
        (("xvfb-run", "-a", "/opt/ibc/gatewaystart.sh"), "launcher", "gatewaystart.sh"),
        (("bash", "-c", "while :; do /opt/ibc/gatewaystart.sh -inline; sleep 5; done"), "launcher", "shell loop"),
        (("sh", "-c", "until false; do A=b nohup java ibgateway.GWClient & wait; done"), "launcher", "shell loop"),
        (("bash", "-c", "cd /opt && exec /opt/ibc/gatewaystart.sh"), "launcher", "gatewaystart.sh"),
        (("/bin/bash", "/home/u/run_gateway.sh"), "launcher", "run_gateway.sh"),
        (("/bin/sh", "/home/u/Jts/ibgateway/1030/ibgateway"), "launcher", "ibgateway"),
        (("tmux", "new", "-d", "-s", "gw", "/opt/ibc/gatewaystart.sh"), "launcher", "tmux"),
        (("SCREEN", "-dmS", "gw", "bash", "/opt/ibc/gatewaystart.sh"), "launcher", "screen"),
        (("timeout", "86400", "java", "ibgateway.GWClient"), "launcher", "timeout"),
        (("/usr/bin/python3", "/usr/bin/supervisord", "-n"), "supervisor", "supervisord"),
        (("/usr/lib/systemd/systemd", "--user"), "supervisor", "systemd --user"),
        (("PM2 v5.3.0: God Daemon (/home/u/.pm2)",), "supervisor", "pm2"),
        (("/usr/sbin/CRON", "-f"), "supervisor", "cron"),
        (("python3", "/home/u/gateway_watchdog.py"), "supervisor", "gateway_watchdog.py"),
        (
            ("java", "-cp", "i4jruntime.jar", "com.install4j.runtime.launcher.UnixLauncher"),
            "restarter",
            "install4j launcher",
        ),
    ],
)
def test_what_keeps_or_starts_a_gateway_is_named(argv: Tuple[str, ...], kind: str, name: str) -> None:
    found = launcher_of(argv)
    assert found is not None and (found.kind, found.name, found.keeps) == (kind, name, True)


@pytest.mark.parametrize(
    ("argv", "again"),
    [
        (("bash", "-c", "while :; do /opt/ibc/gatewaystart.sh -inline; sleep 5; done"), True),
        (("bash", "-c", "cd /opt && /opt/ibc/gatewaystart.sh; sleep infinity"), False),
        (("timeout", "86400", "java", "ibgateway.GWClient"), False),
        (("/bin/sh", "/home/u/Jts/ibgateway/1030/ibgateway"), False),
        (("/bin/bash", "/opt/ibc/scripts/ibcstart.sh"), True),
        (("/bin/bash", "/opt/ibc/gatewaystart.sh"), None),
        (("/bin/bash", "/home/u/run_gateway.sh"), None),
        (("/usr/bin/python3", "/usr/bin/supervisord", "-n"), True),
    ],
)
def test_whether_it_starts_the_next_gateway_is_told_by_its_command_line_or_left_to_its_text(
    argv: Tuple[str, ...], again: Optional[bool]
) -> None:
    found = launcher_of(argv)
    assert found is not None and found.again is again


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("",),
        ("bash",),
        ("bash", "-c", "tail -f ibgateway.log"),
        ("bash", "-c", "while :; do grep -c ibcalpha.ibc.IbcGateway x; done"),
        ("vim", "/opt/ibc/gatewaystart.sh"),
        ("bash", "-c", "vim /opt/ibc/gatewaystart.sh"),
        ("python3", "/srv/bot.py", "/opt/ibc/gatewaystart.sh"),
        ("tmux", "attach"),
        ("xterm",),
        ("/usr/lib/systemd/systemd", "--system"),
        ("java", "ibgateway.GWClient"),
        ("sh", "-c", "'unclosed"),
    ],
)
def test_what_only_speaks_of_a_gateway_keeps_none(argv: Tuple[str, ...]) -> None:
    assert launcher_of(argv) is None


def test_a_display_keeps_no_gateway() -> None:
    found = launcher_of(("Xvfb", ":1"))
    assert found is not None and not found.keeps
    assert role_of(("Xvfb", ":1")) == "launcher"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("-g", "--tws-path=/srv/Jts", "--mode=PAPER", "--ibc-ini=/srv/c.ini"),
            ("gateway", "paper", "/srv/Jts", "/srv/c.ini"),
        ),
        (("--tws-path=/srv/Jts", "--tws-settings-path=/srv/live"), ("tws", None, "/srv/live", None)),
        ((), ("tws", None, None, None)),
    ],
)
def test_ibcs_script_tells_which_gateway_it_starts(words: Tuple[str, ...], told: Tuple[Optional[str], ...]) -> None:
    for before in (("/bin/bash",), ("xterm", "-e"), ("sudo", "-u", "trader", "bash")):
        found = launcher_of((*before, "/opt/ibc/scripts/ibcstart.sh", "1030", *words))
        assert found is not None
        assert (found.product, found.trading_mode, found.config_dir, found.ini) == told


def test_the_name_of_a_home_made_script_is_shown_as_its_command_line_is() -> None:
    for argv in (("ibgateway-runner: login=bob pw=hunter2",), ("/bin/bash", "/home/u/start-gateway-U1234567.sh")):
        found = launcher_of(argv)
        assert found is not None and "hunter2" not in found.name and "1234567" not in found.name
    assert getattr(launcher_of(("/bin/bash", "/home/u/start-gateway.sh")), "name", None) == "start-gateway.sh"
