# SPDX-License-Identifier: Apache-2.0
"""Writes down that this host has looked at its gateways, and what came of it, for a sweep to read.

ib_self_heal_status.py FOLDER EVERY [RESULT]: writes self-heal.json in the folder of the repairs' journal. Without
RESULT systemd's SERVICE_RESULT and EXIT_STATUS say how the run ended. Needs Python 3.8 or newer and nothing else.
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


def result(environment: Mapping[str, str]) -> str:
    """What a run came to, as systemd tells it to ExecStopPost=."""
    if environment.get("SERVICE_RESULT") != "success":
        return "failed"
    return _ENDED.get(environment.get("EXIT_STATUS", ""), "failed")


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
    folder, every, *more = words
    write(folder, int(every), more[0] if more else result(os.environ))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
