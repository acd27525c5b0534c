"""What a command line makes of a process: exact, because what is taken for a gateway may be restarted."""

from __future__ import annotations

import re
from typing import List, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.classify import (
    gateway_kind,
    is_launcher,
    matches_any,
    matches_client,
    relay_name,
)
from ansible.module_utils.ib_gateway.base.command_line import script_of
from ansible.module_utils.ib_gateway.base.java_line import MAIN_CLASSES
from hypothesis import given, settings
from hypothesis import strategies as st

KNOWN = {
    "install4j.ibgateway.GWClient": ("gateway", "native"),
    "ibgateway.GWClient": ("gateway", "native"),
    "ibcalpha.ibc.IbcGateway": ("gateway", "ibc"),
    "ibcontroller.IBGatewayController": ("gateway", "ibcontroller"),
    "ibautomater.IBAutomater": ("gateway", "ibautomater"),
    "install4j.jclient.LoginFrame": ("tws", "native"),
    "jclient.LoginFrame": ("tws", "native"),
    "ibcalpha.ibc.IbcTws": ("tws", "ibc"),
    "ibcontroller.IBController": ("tws", "ibcontroller"),
}
JVM = ("/opt/jre/bin/java", "-cp", "/opt/ibgateway/jars/*", "-Xmx768m")
IBC = (*JVM, "ibcalpha.ibc.IbcGateway", "/opt/ibc/config.ini")


def test_the_known_main_classes_are_these() -> None:
    assert MAIN_CLASSES == KNOWN


@pytest.mark.parametrize("main_class", KNOWN)
@pytest.mark.parametrize("program", ["java", "/opt/i4j_jres/17/bin/java", r"C:\jre\bin\java.exe", "javaw.exe"])
def test_a_java_with_a_known_main_class_is_a_gateway(program: str, main_class: str) -> None:
    found = gateway_kind((program, "-Xmx768m", main_class, "/srv/live"))
    assert found is not None
    assert (found.product, found.launcher, found.main_class) == (*KNOWN[main_class], main_class)


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("",),
        ("java",),
        ("tail", "-f", "ibgateway.log"),
        ("tail", "-f", "/opt/ibgateway/ibcalpha.ibc.IbcGateway"),
        ("vim", "ibgateway.sh"),
        ("Xvnc", ":1", "-auth", "/opt/ibgateway/.Xauthority"),
        ("java", "-jar", "other.jar"),
        ("python", "ibgateway.GWClient"),
        ("grep", "ibcalpha.ibc.IbcGateway"),
        ("pgrep", "-f", "ibgateway.GWClient"),
        ("ibgateway.GWClient",),
        ("/opt/java/tail", "ibgateway.GWClient"),
        ("java-monitor", "ibgateway.GWClient"),
        ("/bin/bash", "/opt/ibc/scripts/ibcstart.sh", "1019", "--gateway"),
        ("sh", "-c", "java ibcalpha.ibc.IbcGateway config.ini"),
    ],
)
def test_what_only_speaks_of_a_gateway_is_none(argv: Tuple[str, ...]) -> None:
    assert gateway_kind(argv) is None


@pytest.mark.parametrize(
    "word",
    [
        "-Dwatch=ibcalpha.ibc.IbcGateway",
        "ibcalpha.ibc.IbcGateway.log",
        "xibgateway.GWClient",
        "my ibgateway.GWClient",
        "/opt/ibgateway.GWClient",
        "IBCALPHA.IBC.IBCGATEWAY",
    ],
)
def test_a_main_class_glued_inside_another_argument_does_not_count(word: str) -> None:
    assert gateway_kind(("java", "-Xmx64m", word)) is None


@pytest.mark.parametrize(
    "argv",
    [
        ("java", "-jar", "/opt/monitor.jar", "ibcalpha.ibc.IbcGateway"),
        ("java", "com.example.Watch", "--process", "install4j.ibgateway.GWClient"),
        ("java", "-cp", "/opt/jars/*", "-Xmx64m", "com.example.Watch", "ibgateway.GWClient"),
    ],
)
def test_another_java_program_that_is_told_of_a_main_class_is_no_gateway(argv: Tuple[str, ...]) -> None:
    assert gateway_kind(argv) is None


@pytest.mark.parametrize(
    "options",
    [
        ("-cp", "/opt/ibgateway/jars/*"),
        ("-classpath", "/opt/ibgateway/jars/*", "-Xmx768m"),
        ("--module-path", "/opt/jfx", "--add-modules", "javafx.base", "-ea"),
        ("--add-opens=java.desktop/java.awt=ALL-UNNAMED", "-Dinstaller.uuid=1"),
        ("--add-opens", "java.desktop/java.awt=ALL-UNNAMED"),
    ],
)
def test_options_before_the_main_class_do_not_hide_a_gateway(options: Tuple[str, ...]) -> None:
    assert gateway_kind(("java", *options, "install4j.ibgateway.GWClient")) is not None


def test_an_installer_variable_left_in_argv_is_harmless() -> None:
    found = gateway_kind((*JVM, "install4j.ibgateway.GWClient", "${installer:cmdLineArgs}"))
    assert found is not None
    assert (found.launcher, found.trading_mode, found.config_dir) == ("native", None, None)


def test_the_settings_directory_is_the_one_of_the_command_line() -> None:
    found = gateway_kind(("java", "-DjtsConfigDir=/srv/live", "ibcalpha.ibc.IbcGateway"))
    assert found is not None and found.config_dir == "/srv/live"
    empty = gateway_kind(("java", "-DjtsConfigDir=", "ibcalpha.ibc.IbcGateway"))
    assert empty is not None and empty.config_dir is None


@pytest.mark.parametrize(
    ("words", "mode"),
    [
        ((), None),
        (("live",), "live"),
        (("paper",), "paper"),
        (("trader", "secret", "paper"), "paper"),
        (("--mode=live",), "live"),
        (("--mode=paper", "paper"), "paper"),
        (("live", "paper"), None),
        (("alive",), None),
        (("--mode=demo",), None),
    ],
)
def test_the_trading_mode_is_read_after_the_main_class(words: Tuple[str, ...], mode: Optional[str]) -> None:
    found = gateway_kind((*IBC, *words))
    assert found is not None and found.trading_mode == mode


def test_a_mode_word_before_the_main_class_says_nothing() -> None:
    found = gateway_kind(("java", "-cp", "live", "ibcalpha.ibc.IbcGateway", "/opt/ibc/config.ini"))
    assert found is not None and found.trading_mode is None


@settings(deadline=None)
@given(st.lists(st.text(max_size=20), max_size=6))
def test_any_command_line_can_be_asked(argv: List[str]) -> None:
    assert gateway_kind(argv) is None
    assert (relay_name(argv) or "") in "".join(argv[:1])
    matches_client(re.compile("bot"), argv)


# --- relays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (("socat", "TCP-LISTEN:4003,fork", "TCP:127.0.0.1:4001"), "socat"),
        (("/usr/bin/docker-proxy", "-proto", "tcp", "-host-port", "4001"), "docker-proxy"),
        (("rootlesskit", "--net=slirp4netns", "/usr/bin/dockerd-rootless.sh"), "rootlesskit"),
        (("/usr/sbin/haproxy", "-f", "/etc/haproxy.cfg"), "haproxy"),
        (("ssh", "-L", "4001:127.0.0.1:4001", "desk"), "ssh"),
        (("/usr/sbin/sshd", "-D"), "sshd"),
        (("stunnel",), "stunnel"),
        (("nc", "127.0.0.1", "4001"), "nc"),
        (("/usr/bin/ncat", "127.0.0.1", "4001"), "ncat"),
        (("/opt/frp/frpc", "-c", "/etc/frpc.toml"), "frpc"),
        (("/usr/sbin/tailscaled", "--tun=userspace-networking"), "tailscaled"),
    ],
)
def test_a_relay_is_known_by_its_program(argv: Tuple[str, ...], name: str) -> None:
    assert relay_name(argv) == name


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("sshd: trader@pts/0", "sshd"),
        ("sshd: trader [priv]", "sshd"),
        ("sshd-session: trader@pts/0", "sshd-session"),
        ("nginx: worker process", "nginx"),
        ("nginx: master process /usr/sbin/nginx -c /etc/nginx/nginx.conf", "nginx"),
    ],
)
def test_a_relay_that_sets_its_own_title_is_known(title: str, name: str) -> None:
    assert relay_name((title,)) == name


@pytest.mark.parametrize("program", ["bash", "/bin/sh", "-bash", "/usr/bin/sudo", "xvfb-run", "tini", "timeout"])
def test_shells_and_wrappers_only_launch(program: str) -> None:
    assert is_launcher((program, "anything"))


@pytest.mark.parametrize("argv", [(), ("",), ("cron",), ("/usr/sbin/sshd",), ("python3", "bash"), ("java", "sudo")])
def test_what_does_more_than_launch_is_no_launcher(argv: Tuple[str, ...]) -> None:
    assert not is_launcher(argv)


@pytest.mark.parametrize("argv", [(), ("",), ("vim", "socat"), ("python3", "socat.py"), ("mysocat",), ("socat.sh",)])
def test_what_only_speaks_of_a_relay_is_none(argv: Tuple[str, ...]) -> None:
    assert relay_name(argv) is None


# --- client patterns -------------------------------------------------------------------------------------------------

PATTERN = re.compile(r"cleanup_positions\.py")


@pytest.mark.parametrize(
    "argv",
    [
        ("python3", "cleanup_positions.py"),
        ("/srv/venv/bin/python3.11", "-u", "/srv/desk/cleanup_positions.py", "--live"),
        ("pypy3", "cleanup_positions.py"),
        ("node", "cleanup_positions.py"),
        ("bash", "/srv/desk/cleanup_positions.py"),
        ("/srv/desk/cleanup_positions.py",),
    ],
)
def test_who_runs_the_script_is_a_client(argv: Tuple[str, ...]) -> None:
    assert matches_client(PATTERN, argv)


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("python3", "bot.py"),
        ("vim", "cleanup_positions.py"),
        ("less", "/srv/desk/cleanup_positions.py"),
        ("tail", "-f", "cleanup_positions.py.log"),
        ("grep", "-r", "cleanup_positions.py", "/srv"),
        ("bash", "-c", "vim cleanup_positions.py"),
        ("bash", "wrapper.sh", "cleanup_positions.py"),
        ("sh",),
        ("pythonista", "cleanup_positions.py"),
    ],
)
def test_who_only_reads_the_script_is_a_bystander(argv: Tuple[str, ...]) -> None:
    assert not matches_client(PATTERN, argv)


def test_protection_looks_at_the_whole_command_line() -> None:
    assert matches_any([re.compile("nothing"), re.compile("router")], ("bash", "-c", "exec order_router"))
    assert not matches_any([re.compile("router")], ("bash", "-c", "exec bot"))
    assert not matches_any([], ("order_router",))


# --- what an interpreter runs ----------------------------------------------------------------------------------------

SCRIPT = "/srv/desk/cleanup_positions.py"


@pytest.mark.parametrize(
    "line",
    [
        "python3 -X dev -W ignore -u %s --live",
        "python3.11 -Xdev -uB -- %s",
        "ipython -i %s",
        "nohup nice -n 5 python %s",
        "timeout -k 5 60 python3 %s",
        "sudo -u trader PATH=/bin /venv/bin/python %s",
        "env -i A=b python %s",
        "/bin/sh /usr/bin/xvfb-run -a -s screen python %s",
        "stdbuf -oL setsid -f python %s",
        "tini -g -- python %s",
        "uv run --with ib_async %s",
        "uv run --python 3.12 -- python %s",
        "/usr/bin/python3 /usr/bin/poetry run python %s",
        "pipenv run python -u %s",
        "conda run -n desk --no-capture-output python %s",
        "python -m pdb %s",
        "python -m coverage run %s",
        "flock -n /tmp/lock taskset -c 0 python %s",
        "bash -e -o pipefail %s",
        "node --inspect %s",
        "java -Xmx1g -jar %s",
    ],
)
def test_past_wrappers_and_options_the_script_is_found(line: str) -> None:
    argv = (line % SCRIPT).split()
    assert script_of(argv) == SCRIPT
    assert matches_client(PATTERN, argv)


@pytest.mark.parametrize(
    "line",
    [
        "python3 /venv/bin/black %s",
        "python3 -m pylint %s",
        "python3 /venv/bin/pytest %s",
        "uv run pytest %s",
        "/usr/bin/python3 /usr/bin/aws s3 cp %s s3://desk/",
        "/usr/bin/python3 /usr/bin/ansible-playbook -e script=%s site.yml",
        "tar czf /backup/desk.tgz %s",
        "bash /usr/local/sbin/backup.sh %s",
        "python3 -c pass %s",
        "sh -c %s",
        "sudo vim %s",
        "java -cp /opt/x.jar com.example.Lint %s",
        "perl -ne print %s",
        "timeout 60 less %s",
    ],
)
def test_who_is_only_told_of_the_script_is_no_client(line: str) -> None:
    assert not matches_client(PATTERN, (line % SCRIPT).split())


@pytest.mark.parametrize(
    ("line", "module"),
    [
        ("python -m bots.live -m x", "-m bots.live"),
        ("python -Imbots.live", "-m bots.live"),
        ("uv run -m bots.live", "-m bots.live"),
    ],
)
def test_a_module_is_named_with_its_option(line: str, module: str) -> None:
    assert script_of(line.split()) == module


# --- a JVM, however it was started -----------------------------------------------------------------------------------

MAIN = ("ibcalpha.ibc.IbcGateway", "/opt/ibc/config.ini", "PAPER")


@pytest.mark.parametrize(
    "before",
    [
        ("/usr/bin/qemu-x86_64-static", "/opt/jre/bin/java", "java"),
        ("/usr/bin/qemu-x86_64", "-L", "/lib", "/opt/jre/bin/java"),
        ("box64", "/opt/jre/bin/java"),
        ("/lib64/ld-linux-x86-64.so.2", "/opt/jre/bin/java"),
        ("JAVA.EXE",),
    ],
)
def test_an_emulator_or_a_loader_before_java_changes_nothing(before: Tuple[str, ...]) -> None:
    found = gateway_kind((*before, "-Xmx1g", *MAIN))
    assert found is not None and (found.launcher, found.trading_mode) == ("ibc", "paper")


def test_a_jvm_under_another_name_is_known_by_its_executable() -> None:
    argv = ("desk-gateway", "-Xmx1g", *MAIN)
    assert gateway_kind(argv) is None
    assert gateway_kind(argv, "/usr/bin/python3") is None
    found = gateway_kind(argv, "/opt/jre/bin/java (deleted)")
    assert found is not None and found.executable


def test_a_java_by_name_only_is_told_apart_by_its_executable() -> None:
    found = gateway_kind(("java", *MAIN), "/usr/bin/python3.11")
    assert found is not None and found.executable is False


def test_of_two_settings_folders_the_last_counts_and_a_placeholder_is_none() -> None:
    def folder(*words: str, after: Tuple[str, ...] = ()) -> Optional[str]:
        found = gateway_kind(("java", *("-DjtsConfigDir=" + word for word in words), "ibgateway.GWClient", *after))
        assert found is not None
        return found.config_dir

    assert folder("/srv/old", "/srv/new") == "/srv/new"
    assert folder("/srv/old", "${installer:jtsConfigDir}") is None
    assert folder("${installer:x}/Jts") is None
    assert folder("${installer:jtsConfigDir}", after=("-VjtsConfigDir=/srv/paper",)) == "/srv/paper"


def test_a_main_class_of_somebodys_own_with_the_gateways_jars_is_unsupported() -> None:
    found = gateway_kind(("java", "-cp", "/opt/a.jar:/home/u/Jts/1030/jars/jts4launch-1030.jar", "com.desk.Start"))
    assert found is not None and (found.product, found.launcher) == ("tws", None)
    assert found.unsupported is not None and "com.desk.Start" in found.unsupported


def test_a_word_that_may_be_the_value_of_an_option_is_not_told_as_a_main_class() -> None:
    jar = "/opt/ibgateway/jars/jts4launch-1030.jar"
    found = gateway_kind(("java", "-cp", jar, "--launcher-secret", "hunter2", "com.desk.Start"))
    assert found is not None and found.unsupported is not None and "hunter2" not in str(found)


def test_the_nightly_restart_and_a_fix_login_are_told() -> None:
    found = gateway_kind(("java", "-Drestart=abc", MAIN[0], "config.ini", "a", "b", "c", "d", "Live"))
    assert found is not None and (found.restarted, found.fix_login, found.trading_mode) == (True, True, "live")
    plain = gateway_kind(("java", *MAIN))
    assert plain is not None and (plain.restarted, plain.fix_login, plain.ini) == (False, False, MAIN[1])
