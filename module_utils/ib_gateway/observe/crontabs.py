"""Which line of a cron table starts an entry's gateway next.

Asked only where a gateway is missing that could be started. Read are the system's tables, and those of the entry's
account and of root. A table that may not be read tells nothing, and none does while no cron runs.
"""

from __future__ import annotations

import os
import pwd
import re
from typing import Iterator, List, Optional, Tuple

from ..base.crontab import CronStart, Line, next_due, parse_table
from ..base.host import STOPPED_STATES
from ..base.redaction import redact_argv
from ..base.short_command import short
from ..base.spec import GatewaySpec
from ..base.words import program_name
from . import processes
from .owned_text import owned_text
from .start_scripts import Account, Search

_SYSTEM_TABLE, _SYSTEM_TABLES = "/etc/crontab", "/etc/cron.d"
#: Debian's and busybox's, SUSE's, Red Hat's.
_DEBIAN_S = "/var/spool/cron/crontabs"
_TABLES_OF_ACCOUNTS = (_DEBIAN_S, "/var/spool/cron/tabs", "/var/spool/cron")
#: What packages and editors leave beside a table, and no cron reads.
_NO_TABLE = re.compile(r"^[.#]|~$|\.(?:rpm(?:save|orig|new)|dpkg-\w+|swp)$")
_DAEMONS = ("cron", "crond", "cronie")
_ROOT = "root"
_MOST_TABLES = 256
#: Of a table.
_MOST_BYTES = 1 << 16
#: What is told of a line that is not waited for, in seconds.
_HORIZON = 86400.0
#: Seconds for `crontab -l`.
_PATIENCE = 5.0


def next_start(spec: GatewaySpec, account: Optional[str], now: float, all_seen: bool = True) -> Optional[CronStart]:
    """The line that starts a gateway of the entry next, within a day; None where none does, or no cron runs.

    account: the entry's, as a name or a number. now: seconds since the epoch. all_seen: whether this run sees the
    processes of other accounts, among which cron is.
    """
    whose = [each for each in (_account(account) if account else None, _account(_ROOT)) if each is not None]
    found: List[Tuple[float, CronStart, bool]] = []
    for each in dict.fromkeys(whose):
        search = Search(spec, each, [one.uid for one in whose])
        for table, line in _lines(each):
            due = next_due(line.schedule, now, _HORIZON)
            command = search.command_in(line.command) if due is not None else None
            if due is not None and command is not None:
                shown = CronStart(table, line.number, line.times, short(redact_argv(command)), due - now)
                found.append((due, shown, line.schedule.every_hour))
    zone = _zone_of_cron() if found else None
    if zone is None and all_seen:
        return None
    # In a zone that is not this run's its hours are not known here, and each minute of all of them is.
    same = (zone or "") == os.environ.get("TZ", "")
    return next((start for _due, start, every_hour in sorted(found) if same or every_hour), None)


# --- tables ----------------------------------------------------------------------------------------------------------


def _account(name: str) -> Optional[Account]:
    try:
        found = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        return None
    return Account(found.pw_name, found.pw_uid, found.pw_dir)


def _lines(account: Account) -> Iterator[Tuple[str, Line]]:
    """Each line that runs as an account, with the table that it stands in."""
    for path in _system_tables():
        for line in parse_table(owned_text(path, (0,), _MOST_BYTES) or "", names_account=True):
            if line.account == account.name:
                yield path, line
    for path, text in _own_tables(account):
        for line in parse_table(text, names_account=False):
            yield path, line


def _system_tables() -> Iterator[str]:
    yield _SYSTEM_TABLE
    try:
        names = sorted(os.listdir(_SYSTEM_TABLES))[:_MOST_TABLES]
    except OSError:
        return
    dotless = os.path.isdir(_DEBIAN_S)  # Debian's cron reads no table with a dot in its name
    for name in names:
        if not _NO_TABLE.search(name) and not (dotless and "." in name):
            yield os.path.join(_SYSTEM_TABLES, name)


def _own_tables(account: Account) -> Iterator[Tuple[str, str]]:
    for folder in _TABLES_OF_ACCOUNTS:
        path = os.path.join(folder, account.name)
        text = owned_text(path, (0, account.uid), _MOST_BYTES)
        if text is not None:
            yield path, text
            return
    if os.geteuid() == account.uid != 0:  # may not enter the folder, and ask for its own
        text = _told()
        if text is not None:
            yield "crontab -l", text


def _told() -> Optional[str]:
    import subprocess  # root needs none of it

    try:
        done = subprocess.run(
            ["crontab", "-l"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout[:_MOST_BYTES].decode("utf-8", "backslashreplace")


def _zone_of_cron() -> Optional[str]:
    """The TZ with which this host's cron runs, empty without one; None where no cron runs that works."""
    own = processes.pid_namespace("self")
    for pid, raw in processes.scan(processes.pids()):
        argv = processes.parse_cmdline(raw)
        name = program_name([argv[0].partition(" ")[0]])
        if name not in _DAEMONS and not (name == "busybox" and argv[1:2] == ("crond",)):
            continue
        found = processes.read_stat(pid)
        if found is None or found.state in ("Z", "X", *STOPPED_STATES):
            continue
        if processes.pid_namespace(str(pid)) not in (None, own):
            continue  # a container's
        return _zone(pid)
    return None


def _zone(pid: int) -> str:
    try:
        words = processes.read_text(pid, "environ").split("\0")
    except OSError:
        return ""
    return next((word[3:] for word in words if word.startswith("TZ=")), "")
