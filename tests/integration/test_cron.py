"""A crontab keeps a gateway: its line starts one where none runs, and nothing is started beside that."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ib_gateway.observe import crontabs, keepers

from integration.desk import PROJECT, Desk
from integration.modules import run_module

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a host with tables of its own is made")

#: Debian's, as `make integration` fetches it where it is not installed.
_CRON = shutil.which("cron", path=f"{PROJECT / '.ansible' / 'bin'}:/usr/sbin")
#: What a host has of cron, hidden by what the test gives it.
_TABLES = """
mount -t tmpfs tmpfs /var/spool && mkdir -p /var/spool/cron/crontabs && mount --bind "$1" /var/spool/cron/crontabs
mount -t tmpfs tmpfs /run
[ ! -e /etc/cron.d ] || mount -t tmpfs tmpfs /etc/cron.d
[ ! -e /etc/crontab ] || mount --bind /dev/null /etc/crontab
echo ready
exec sleep 300
"""
#: Runs a command at a moment, as cron does at its minute.
_STAND_IN = "import subprocess, sys, time; time.sleep(%r - time.time()); subprocess.call(['sh', '-c', %r])"
ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keepers of tests that run beside these, under the same account, are nobody's here."""
    monkeypatch.setattr(keepers, "keepers", lambda *_arguments: ())


class CronHost:
    """A host whose cron tables are a folder of the test."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.tables = desk.folder / "crontabs"
        self.tables.mkdir()
        self.tables.chmod(0o1730)
        own = ("unshare", "--mount", "--propagation", "private", "sh", "-ec", _TABLES, "sh")
        self._holder = desk.bystander(*own, str(self.tables), output=subprocess.PIPE)
        assert self._holder.stdout is not None and self._holder.stdout.readline() == b"ready\n"

    @property
    def inside(self) -> list[str]:
        """What runs a command on it."""
        return ["nsenter", "--mount=/proc/%d/ns/mnt" % self._holder.pid, "--"]

    def python(self) -> str:
        """An interpreter that runs modules on it."""
        path = self._desk.folder / "python"
        path.write_text('#!/bin/sh\nexec %s "$@"\n' % shlex.join([*self.inside, sys.executable]))
        path.chmod(0o755)
        return str(path)

    def keeps(self, command: str) -> str:
        """Has cron run a command at a minute that is at least half a minute away; the line of its table."""
        moment = (int(time.time() + 30) // 60 + 1) * 60
        line = "%s %s" % (time.strftime("%M %H * * *", time.localtime(moment)), command)
        table = self.tables / ME
        table.write_text('MAILTO=""\n%s\n' % line)
        table.chmod(0o600)
        if _CRON is not None:
            self._desk.bystander(*self.inside, _CRON, "-f")
        else:
            self._desk.bystander("cron", "-c", _STAND_IN % (moment, command), executable=sys.executable)
        return line


def watched(desk: Desk) -> tuple[str, Path]:
    """(the command of a line that starts the desk's gateway where none runs, the file that shows that it did)"""
    gateway = desk.prepared()
    script = desk.folder / "watch.sh"
    script.write_text(
        "#!/bin/sh\npgrep -f -- %s >/dev/null || exec %s\n"
        % (shlex.quote("[-]DjtsConfigDir=%s" % desk.config_dir), shlex.join(gateway.command()))
    )
    script.chmod(0o755)
    return f"flock -n {desk.folder}/lock {script}", gateway.ready_file


def test_remediate_waits_for_the_gateway_that_cron_starts_and_starts_none_beside_it(desk: Desk) -> None:
    host = CronHost(desk)
    command, started = watched(desk)
    line = host.keeps(command)
    entry = desk.entry(start_timeout=60)
    facts = {"ansible_connection": "local", "ansible_python_interpreter": host.python(), "ib_gateways": [entry]}
    run = desk.play("remediate.yml", inventory={"trading_hosts": {"hosts": {"desk": facts}}})
    assert run.rc == 0, run.output
    assert started.exists() and len(desk.java()) == 1
    times = line.rpartition(" flock")[0]
    assert f"line 2 of /var/spool/cron/crontabs/{ME} (`{times} flock -n *** {desk.folder}/watch.sh`)" in run.output
    assert {each["action"] for each in run.host()["done"]} == {"wait"}


@pytest.mark.parametrize(
    ("times", "waits", "told"),
    [("* * * * *", (31, 92), True), ("@reboot", (30, 30), False), ("0 0 31 2 *", (30, 30), False)],
)
def test_a_look_tells_when_cron_starts_one_and_a_line_that_is_never_due_changes_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, times: str, waits: tuple[int, int], told: bool
) -> None:
    command, _started = watched(desk)
    (desk.folder / ME).write_text(f"{times} {command}\n")
    monkeypatch.setattr(crontabs, "_TABLES_OF_ACCOUNTS", (str(desk.folder),))
    desk.bystander("cron", "-c", "import time; time.sleep(300)", executable=sys.executable)
    gateway = look(desk)
    wait, start = gateway["plan"]["steps"]
    assert (wait["action"], start["action"], start["only_if_persists"]) == ("wait", "start", True)
    assert waits[0] <= wait["target"]["timeout"] <= waits[1]
    assert ("cron" in gateway["findings"][0]["evidence"]) is told


def test_where_no_cron_runs_its_tables_keep_nobody_waiting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    command, _started = watched(desk)
    (desk.folder / ME).write_text(f"* * * * * {command}\n")
    monkeypatch.setattr(crontabs, "_TABLES_OF_ACCOUNTS", (str(desk.folder),))
    monkeypatch.setattr(crontabs, "_DAEMONS", ("cron-of-this-test",))
    assert look(desk)["plan"]["steps"][0]["target"]["timeout"] == 30
    desk.bystander("cron-of-this-test", "-c", "import time; time.sleep(300)", executable=sys.executable)
    assert look(desk)["plan"]["steps"][0]["target"]["timeout"] > 30


def look(desk: Desk) -> dict[str, Any]:
    found = run_module("ib_gateway_health", gateways=[desk.entry()], probe="never")
    gateway: dict[str, Any] = found["gateways"][0]
    assert gateway["verdict"] == "gateway_not_running", gateway
    return gateway
