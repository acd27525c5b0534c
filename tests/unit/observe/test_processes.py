"""The process table's texts: whatever a process does to its own entry, it is parsed or refused as documented."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from typing import List, Optional, Tuple
from unittest import mock

import pytest
from ansible.module_utils.ib_gateway.observe import linux, processes
from ansible.module_utils.ib_gateway.observe.process_table import Table
from ansible.module_utils.ib_gateway.observe.processes import (
    Stat,
    parse_cmdline,
    parse_real_uid,
    parse_stat,
    parse_unit,
)
from hypothesis import given, settings
from hypothesis import strategies as st

TAIL = b" S 700 4711 4711 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 8812345 43060 3420 18446744073709551615"


# --- stat ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [b"java", b"", b"a b", b"(sd-pam)", b") S 1 (", b"x) Z 0 0", b"two\nlines", b"\xff\xfe", b")" * 15]
)
def test_a_name_may_hold_anything(name: bytes) -> None:
    assert parse_stat(b"4711 (" + name + b")" + TAIL) == Stat("S", 700, 8812345, 4711)


@pytest.mark.parametrize(
    ("first", "ends"),
    [
        (("bash", "/root/scripts/run.sh"), True),
        (("/sbin/tini", "--", "run.sh"), True),
        (("/usr/bin/python3", "/usr/bin/supervisord", "-n"), False),
        (("s6-svscan", "/run/service"), False),
    ],
)
def test_a_container_s_first_process_may_end_with_a_gateway_of_its_session_unless_it_supervises(
    first: Tuple[str, ...], ends: bool
) -> None:
    table = mock.create_autospec(Table)
    table.argv.return_value = first
    assert linux._first_may_end_with_it(table) is ends


@settings(deadline=None)
@given(st.binary(max_size=15))
def test_a_name_may_hold_any_bytes(name: bytes) -> None:
    assert parse_stat(b"4711 (" + name + b")" + TAIL).started_ticks == 8812345


@pytest.mark.parametrize(
    "data", [b"", b"4711", b"4711 (java", b"4711 (java)", b"4711 (java) S 700 1 2", b"4711 (java)" + b" x" * 30]
)
def test_a_stat_that_is_cut_short_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_stat(data)


def test_every_cut_of_a_stat_is_parsed_or_refused() -> None:
    whole = b"4711 (java)" + TAIL
    for end in range(len(whole)):
        try:
            parse_stat(whole[:end])
        except ValueError:
            continue


@settings(deadline=None)
@given(st.one_of(st.binary(), st.builds(bytes.__add__, st.just(b"1 (x)"), st.binary())))
def test_any_bytes_are_a_stat_or_a_value_error(data: bytes) -> None:
    try:
        found = parse_stat(data)
    except ValueError:
        return
    assert isinstance(found.ppid, int) and isinstance(found.started_ticks, int)


# --- cmdline ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "argv"),
    [
        (b"", ()),
        (b"java\0-jar\0x.jar\0", ("java", "-jar", "x.jar")),
        (b"java\0\0x\0", ("java", "", "x")),
        (b"sshd: trader@pts/0\0\0\0\0", ("sshd: trader@pts/0",)),
        (b"no mark at the end", ("no mark at the end",)),
        (b"two\nlines\0", ("two\nlines",)),
        (b"caf\xc3\xa9\0", ("caf\u00e9",)),
        (b"caf\xe9\0\xff\0", (r"caf\xe9", r"\xff")),
    ],
)
def test_a_command_line_is_split_and_always_text(data: bytes, argv: Tuple[str, ...]) -> None:
    assert parse_cmdline(data) == argv


@settings(deadline=None)
@given(st.binary())
def test_any_command_line_can_be_printed(data: bytes) -> None:
    for word in parse_cmdline(data):
        word.encode("utf-8")


# --- cgroup ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/ibgateway.service\n", "ibgateway.service"),
        ("0::/system.slice/system-ibgateway.slice/ibgateway@live.service\n", "ibgateway@live.service"),
        ("0::/system.slice/ibgateway.service/jvm\n", "ibgateway.service"),
        ("12:pids:/x\n1:name=systemd:/system.slice/ib.service\n0::/\n", "ib.service"),
        (r"0::/system.slice/ib\x2dgateway.service", r"ib\x2dgateway.service"),
        ("0::/trading.slice/ibgateway.service\n", "ibgateway.service"),
        ("0::/trading.slice/trading-live.slice/ibgateway.service\n", "ibgateway.service"),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", None),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/bot.service\n", None),
        ("0::/system.slice/docker-0a1b.scope\n", None),
        ("3:cpu:/system.slice/other.service\n", None),
        ("0::/\n", None),
        ("", None),
        ("garbage", None),
    ],
)
def test_the_system_unit_is_read_from_the_control_group(cgroup: str, unit: Optional[str]) -> None:
    assert parse_unit(cgroup) == unit


USER = "/user.slice/user-1000.slice/user@1000.service"


@pytest.mark.parametrize(
    ("path", "first", "unit"),
    [
        # Inside a container that sees its host's paths.
        ("/docker/0a1b/system.slice/ib.service", "/docker/0a1b/init.scope", "ib.service"),
        (
            "/system.slice/docker-0a.scope/system.slice/ib.service",
            "/system.slice/docker-0a.scope/init.scope",
            "ib.service",
        ),
        # On the host: a container's unit of that name, one in a user's own subtree, one in a service's.
        ("/docker/0a1b/system.slice/ib.service", "/init.scope", None),
        ("/system.slice/docker-0a.scope/system.slice/ib.service", "/init.scope", None),
        (USER + "/system.slice/ib.service", "/init.scope", None),
        (USER + "/app.slice/system.slice/ib.service", "/init.scope", None),
        ("/user.slice/system.slice/ib.service", "/init.scope", None),
        ("/system.slice/web.service/system.slice/ib.service", "/init.scope", "web.service"),
        # A user in a container, and a first process that no systemd put anywhere.
        ("/docker/0a1b" + USER + "/system.slice/ib.service", "/docker/0a1b/init.scope", None),
        ("/docker/0a1b/system.slice/ib.service", "/docker/0a1b", None),
        ("/docker/0a1b/system.slice/ib.service", "/docker/other/init.scope", None),
        ("/docker/0a1b/system.slice/ib.service", "", None),
    ],
)
def test_a_folder_that_is_named_like_a_unit_is_one_only_in_the_system_s_own_place(
    path: str, first: str, unit: Optional[str]
) -> None:
    assert parse_unit("0::%s\n" % path, lambda: "0::%s\n" % first) == unit
    assert parse_unit("12:pids:/x\n1:name=systemd:%s\n" % path, lambda: "1:name=systemd:%s\n" % first) == unit


def test_a_manager_below_another_account_s_is_no_manager() -> None:
    mine = "0::%s/app.slice/ib.service\n" % USER
    assert processes.parse_user_unit(mine) == (1000, "ib.service")
    assert processes.parse_user_unit("0::%s/x/user@0.service/app.slice/ib.service\n" % USER) is None


@settings(deadline=None)
@given(st.lists(st.sampled_from(["system.slice", "app.slice", "ib.service", "init.scope", "user@1000.service", "x"])))
def test_no_name_in_a_user_s_own_subtree_makes_a_unit_of_the_system(folders: List[str]) -> None:
    path = "0::%s\n" % "/".join([USER, *folders])
    assert parse_unit(path, lambda: "0::/init.scope\n") is None


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_unit_or_none(text: str) -> None:
    found = parse_unit(text)
    assert found is None or found.endswith(".service")


# --- status ----------------------------------------------------------------------------------------------------------


def test_the_real_uid_is_the_first_one() -> None:
    assert parse_real_uid(b"Name:\tjava\nUid:\t1000\t0\t0\t0\nGid:\t7\t7\t7\t7\n") == 1000


@pytest.mark.parametrize("status", [b"", b"Name:\tUid: 7\n", b"Uid:\n", b"Uid:\tx\n", b"Gid:\t7\t7\n"])
def test_a_status_without_a_uid_is_a_value_error(status: bytes) -> None:
    with pytest.raises(ValueError):
        parse_real_uid(status)


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_a_status_or_a_value_error(data: bytes) -> None:
    try:
        assert parse_real_uid(data) >= 0
    except ValueError:
        return


# --- this process ----------------------------------------------------------------------------------------------------


def test_this_process_is_read_as_the_system_says_it_is() -> None:
    pid = os.getpid()
    stat = processes.read_stat(pid)
    assert stat is not None and stat.ppid == os.getppid()
    assert processes.read_real_uid(pid) == os.getuid()
    assert processes.read_cwd(pid) == os.getcwd()
    assert parse_cmdline(dict(processes.scan([pid]))[pid]) == processes.read_argv(pid)
    assert {pid, os.getppid()} <= processes.ancestors(pid)
    assert re.fullmatch("[0-9a-f-]{36}", processes.boot_id())
    assert processes.uptime() > 0
    assert processes.glance()[pid].st_uid == os.geteuid()


def test_the_threads_of_a_process_are_counted_without_listing_them() -> None:
    assert processes.threads_are_counted()
    before = processes.threads(processes.glance()[os.getpid()])
    done = threading.Event()
    more = threading.Thread(target=done.wait)
    more.start()
    try:
        assert processes.threads(processes.glance()[os.getpid()]) == before + 1
        assert processes.threads_are_counted()
    finally:
        done.set()
        more.join()


def test_a_socket_this_process_holds_is_among_its_inodes() -> None:
    import socket

    with socket.socket() as one:
        inode = os.fstat(one.fileno()).st_ino
        assert inode in (processes.socket_inodes(os.getpid()) or ())
    assert inode not in (processes.socket_inodes(os.getpid()) or ())


def test_a_process_that_is_gone_is_none_and_no_error() -> None:
    gone = 2**22 + 1  # beyond the largest pid the kernel gives
    assert processes.read_argv(gone) == ()
    assert processes.read_stat(gone) is None
    assert processes.read_real_uid(gone) is None
    assert processes.read_cwd(gone) is None
    assert processes.read_unit(gone) is None
    assert processes.socket_inodes(gone) == frozenset()
    assert processes.network_namespace(str(gone)) is None


def test_an_account_without_a_name_is_shown_by_its_number() -> None:
    users = processes.Users()
    assert users.name(0) == "root"
    assert users.name(3_999_999_999) == "3999999999"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/ib.service", (1000, "ib.service")),
        ("0::/user.slice/user-1000.slice/user@1000.service/ib.service/payload", (1000, "ib.service")),
        (
            "1:name=systemd:/lxc/x/user.slice/user-7.slice/user@7.service/app.slice/app-a.slice/b.service",
            (7, "b.service"),
        ),
        ("0::/user.slice/user-1000.slice/user@1000.service/init.scope", None),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope/ib.service", None),
        ("0::/user.slice/user-1000.slice/session-4.scope", None),
        ("0::/system.slice/ib.service", None),
        ("5:memory:/user.slice/user-1000.slice/user@1000.service/app.slice/ib.service", None),
    ],
)
def test_the_unit_of_an_account_s_own_systemd_is_known_by_its_control_group(path: str, found: object) -> None:
    assert processes.parse_user_unit("9:cpu:/\n%s\n" % path) == found


_FORKS = """
import os, sys
for _ in range(900):
    if not os.fork():
        sys.stdin.read()
        os._exit(0)
print(flush=True)
sys.stdin.read()
"""


def test_the_children_of_a_parent_of_many_are_all_listed() -> None:
    """The kernel hands their list over a page at a time."""
    program = [sys.executable, "-S", "-c", _FORKS]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"\n"
        found = processes.children(parent.pid)
    assert found is not None
    assert len(found) == 900
