"""Where the output of a start_command goes: a file of its own for each entry, readable for the gateway's account."""

from __future__ import annotations

import contextlib
import os
from typing import Tuple

from . import places
from .accounts import Account

#: Of an earlier start, this much is kept: its end.
_KEPT = 256 * 1024


def open_log(name: str, account: Account) -> Tuple[int, str]:
    """(a descriptor to write an entry's output to, the file's path; /dev/null where no file can be made).

    Each start begins a new file; the end of the one before is kept beside it, as NAME.log.1.
    """
    root, folder = os.geteuid() == 0, places.log_folder(account.home)
    path = os.path.join(folder, name + ".log")
    try:
        if not os.path.isdir(folder):
            os.makedirs(folder, mode=0o700)
            if root:
                # Whatever this run's umask: the account whose output it is has to get there.
                os.chmod(folder, 0o755)  # noqa: S103 - it holds names of entries; each file is its account's own
        with contextlib.suppress(FileNotFoundError):
            _keep_end(path)
        # O_APPEND: whoever has to make room may cut the file while the gateway writes.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o640)
        if root:
            os.fchown(descriptor, account.uid, account.gid)
        return descriptor, path
    except OSError:
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), os.devnull


def _keep_end(path: str) -> None:
    os.replace(path, path + ".1")
    size = os.lstat(path + ".1").st_size
    if size <= _KEPT:
        return
    with open(path + ".1", "rb+") as file:
        file.seek(size - _KEPT)
        end = file.read(_KEPT)
        file.seek(0)
        file.write(end)
        file.truncate()
