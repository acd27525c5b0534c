"""Which table's line starts an entry's gateway next: real files, and a process that passes for cron."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Sequence

import psutil
import pytest
from ansible.module_utils.ib_gateway.base.crontab import CronStart
from ansible.module_utils.ib_gateway.observe import crontabs, processes
from unit.facts import spec

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: nobody else's table is the system's")

ME = pwd.getpwuid(os.geteuid()).pw_name
#: 2026-03-01 08:03:30 UTC.
NOW = 1772352210.0
START = "/opt/ibc/gatewaystart.sh"
Cron = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    """This run's zone, whatever the machine's is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(autouse=True)
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders for tables in place of the host's."""
    for name in ("cron.d", "spool", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(crontabs, "_SYSTEM_TABLE", str(tmp_path / "crontab"))
    monkeypatch.setattr(crontabs, "_SYSTEM_TABLES", str(tmp_path / "cron.d"))
    monkeypatch.setattr(crontabs, "_DEBIAN_S", str(tmp_path / "spool"))
    monkeypatch.setattr(crontabs, "_TABLES_OF_ACCOUNTS", (str(tmp_path / "spool"), str(tmp_path / "elsewhere")))
    return tmp_path


@pytest.fixture
def cron(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cron]:
    """Starts a shell that passes for a cron daemon; nothing else of this machine does."""
    started: List[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(processes, "pids", lambda: [each.pid for each in started])
    (tmp_path / "crond").write_text("echo\nread -r _\nread -r _\n")  # what busybox runs

    def start(
        name: str = "cron", *arguments: str, zone: str = "UTC", spaces: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.symlink_to("/bin/sh")
        process = subprocess.Popen(
            [*spaces, str(program), *arguments],
            cwd=tmp_path,
            env={"TZ": zone, "PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"echo\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"\n"
        return process

    yield start
    for each in started:
        each.kill()
        each.communicate()


def told(account: str = ME) -> Optional[CronStart]:
    return crontabs.next_start(spec(service=None, user=account), account, NOW)


def test_the_line_of_the_account_s_own_table_is_told_with_its_next_time(tables: Path, cron: Cron) -> None:
    (tables / "spool" / ME).write_text("MAILTO=x\n*/5 * * * * flock -n /tmp/gw.lock %s --pw=hush\n" % START)
    assert told() is None  # no cron runs
    cron()
    found = told()
    assert found == CronStart(
        str(tables / "spool" / ME), 2, "*/5 * * * *", "flock -n *** /opt/ibc/gatewaystart.sh --pw=***", 90.0
    )
    assert found.soon


@pytest.mark.usefixtures("cron")
def test_where_other_accounts_processes_are_hidden_cron_may_well_run(tables: Path) -> None:
    (tables / "spool" / ME).write_text("*/5 * * * * %s\n" % START)
    found = [crontabs.next_start(spec(service=None), ME, NOW, all_seen=seen) for seen in (True, False)]
    assert [each is not None for each in found] == [False, True]


def test_the_line_that_is_due_first_is_told(tables: Path, cron: Cron) -> None:
    (tables / "spool" / ME).write_text("0 9 * * * %s\n*/10 * * * * %s\n@reboot %s\n" % (START, START, START))
    cron()
    found = told()
    assert found is not None and (found.number, found.within) == (2, 390.0) and not found.soon


def test_what_is_due_in_more_than_a_day_is_not_told(tables: Path, cron: Cron) -> None:
    (tables / "spool" / ME).write_text("0 9 3 * * %s\n" % START)
    cron()
    assert told() is None


def test_a_table_is_found_where_this_system_s_cron_keeps_it(tables: Path, cron: Cron) -> None:
    (tables / "elsewhere" / ME).write_text("* * * * * %s\n" % START)
    cron("crond")
    found = told()
    assert found is not None and found.within == 30.0


@as_root
def test_of_the_system_s_tables_the_lines_of_the_account_and_of_root_count(tables: Path, cron: Cron) -> None:
    (tables / "crontab").write_text("* * * * * daemon %s\n*/10 * * * * nobody %s\n" % (START, START))
    (tables / "cron.d" / "gateway").write_text("*/5 * * * * root %s\n" % START)
    cron()
    found, own = told("nobody"), told("root")
    assert found is not None and (found.table, found.within) == (str(tables / "cron.d" / "gateway"), 90.0)
    (tables / "cron.d" / "gateway").unlink()
    found, own = told("nobody"), told("root")
    assert found is not None and (found.number, found.within) == (2, 390.0) and own is None


@as_root
@pytest.mark.parametrize("name", ["gateway.off", ".gateway", "gateway~", "gateway.dpkg-old"])
def test_what_debian_s_cron_does_not_read_as_a_table_does_not_count(tables: Path, cron: Cron, name: str) -> None:
    (tables / "cron.d" / name).write_text("* * * * * root %s\n" % START)
    cron()
    assert told() is None


@as_root
def test_with_another_cron_a_table_may_have_a_dot_in_its_name(
    tables: Path, cron: Cron, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crontabs, "_DEBIAN_S", str(tables / "none"))
    (tables / "cron.d" / "gateway.cron").write_text("* * * * * root %s\n" % START)
    cron()
    assert told() is not None


@as_root
def test_a_table_counts_only_where_its_account_or_root_put_it(tables: Path, cron: Cron) -> None:
    cron()
    own = tables / "spool" / "nobody"
    own.write_text("* * * * * %s\n" % START)
    assert told("nobody") is not None  # root may write it
    os.chown(own, 65534, 65534)
    assert told("nobody") is not None
    os.chown(own, 2, 2)
    assert told("nobody") is None
    own.unlink()
    real = tables / "table"
    real.write_text("* * * * * %s\n" % START)
    own.symlink_to(real)
    assert told("nobody") is None
    system = tables / "cron.d" / "gateway"
    system.write_text("* * * * * nobody %s\n" % START)
    assert told("nobody") is not None
    os.chown(system, 65534, 65534)
    assert told("nobody") is None


def test_an_account_that_may_not_read_its_table_asks_for_it(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tables / "bin" / "crontab"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n[ $1 = -l ] && echo '* * * * * %s'\n" % START)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "%s:%s" % (program.parent, os.environ["PATH"]))
    assert crontabs._told() == "* * * * * %s\n" % START
    program.write_text("#!/bin/sh\nexit 1\n")
    assert crontabs._told() is None
    program.unlink()
    monkeypatch.setenv("PATH", str(program.parent))
    assert crontabs._told() is None


@pytest.mark.parametrize(
    ("argv", "counts"),
    [(("cron",), True), (("crond",), True), (("busybox", "crond"), True), (("anacron",), False), (("busybox",), False)],
)
def test_a_table_counts_while_a_cron_runs(tables: Path, cron: Cron, argv: List[str], counts: bool) -> None:
    (tables / "spool" / ME).write_text("* * * * * %s\n" % START)
    cron(*argv)
    assert (told() is not None) is counts


def test_no_table_counts_while_its_cron_is_stopped_by_a_signal(tables: Path, cron: Cron) -> None:
    (tables / "spool" / ME).write_text("* * * * * %s\n" % START)
    process = cron()
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    assert told() is None
    process.send_signal(signal.SIGCONT)
    os.waitid(os.P_PID, process.pid, os.WCONTINUED)
    assert told() is not None


@as_root
def test_the_cron_of_a_container_reads_none_of_the_host_s_tables(
    tables: Path, cron: Cron, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tables / "spool" / ME).write_text("* * * * * %s\n" % START)
    process = cron(spaces=("unshare", "--pid", "--fork", "--kill-child"))
    (inside,) = psutil.Process(process.pid).children()
    monkeypatch.setattr(processes, "pids", lambda: [inside.pid])
    assert told() is None
    monkeypatch.setattr(processes, "pid_namespace", lambda _pid: None)  # nothing tells that it is one
    assert told() is not None


def test_in_a_zone_of_cron_s_own_only_what_is_due_in_every_hour_counts(tables: Path, cron: Cron) -> None:
    (tables / "spool" / ME).write_text("5 8 * * * %s\n*/20 * * * * %s\n" % (START, START))
    cron(zone="America/New_York")
    found = told()
    assert found is not None and (found.number, found.within) == (2, 990.0)
