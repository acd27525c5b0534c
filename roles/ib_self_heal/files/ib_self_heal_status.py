# SPDX-License-Identifier: Apache-2.0
"""Writes down that this host has looked at its gateways, and what came of it, for a sweep to read.

ib_self_heal_status.py FOLDER EVERY REPORT [RESULT]: writes self-heal.json in the folder of the repairs' journal.
Without RESULT systemd's SERVICE_RESULT and EXIT_STATUS say how the run ended, and whether the run has written REPORT.
Ends with 1 where the run failed. Needs Python 3.8 or newer and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import List, Mapping

NAME = "self-heal.json"
#: By exit status of ansible-playbook, where systemd calls the run a success.
_ENDED = {"0": "healthy", "2": "not_healthy"}


def result(environment: Mapping[str, str], report: str) -> str:
    """What a run came to, as systemd tells it to ExecStopPost=.

    ansible-pull ends with 2 as well where it has fetched nothing that may be run, and ansible-playbook where the
    inventory is refused: whoever has looked at the gateways has written a report.
    """
    if environment.get("SERVICE_RESULT") != "success":
        return "failed"
    ended = _ENDED.get(environment.get("EXIT_STATUS", ""), "failed")
    return ended if _written(report, environment.get("RUNTIME_DIRECTORY", "")) else "failed"


def _written(report: str, since: str) -> bool:
    """Whether the report is of this run. since: the folder that systemd has made for this run, at its beginning."""
    try:
        return os.stat(report).st_mtime >= os.stat(since).st_mtime
    except OSError:
        return False


def write(folder: str, every: int, what: str) -> None:
    """Puts the whole file in place, for its owner alone. Raises OSError."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = json.dumps({"v": 1, "at": at, "every": every, "result": what}) + "\n"
    os.makedirs(folder, mode=0o700, exist_ok=True)
    temporary = os.path.join(folder, ".%s.new" % NAME)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    os.rename(temporary, os.path.join(folder, NAME))


def main(words: List[str]) -> int:
    """The command line."""
    os.umask(0o077)  # also for folders above, which no other account may write to
    folder, every, report, *more = words
    what = more[0] if more else result(os.environ, report)
    write(folder, int(every), what)
    return 1 if what == "failed" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
