"""Reads a small file that another account wrote: a regular one that a trusted account owns, and nothing else.

Never a FIFO or a device, which it would wait for or wake, and never more than it is asked for.
"""

from __future__ import annotations

import os
import stat
from typing import Optional, Sequence

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def owned_text(path: str, owners: Sequence[int], most: int, links: bool = False, binary: bool = False) -> Optional[str]:
    """The text of a regular file of at most so many bytes that one of these accounts owns; None for anything else.

    links: whether a link in its place may lead to it. binary: whether it may have NUL bytes in it.
    """
    try:
        descriptor = os.open(path, _READ | (0 if links else os.O_NOFOLLOW))
    except (OSError, ValueError):
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in owners:
            return None
        raw = os.read(descriptor, most + 1)
        return None if len(raw) > most or (b"\0" in raw and not binary) else raw.decode("utf-8", "backslashreplace")
    except OSError:
        return None
    finally:
        os.close(descriptor)


def regular_text(path: str, most: int) -> Optional[str]:
    """The first bytes of a regular file of anybody's, where a link may lead to it; None for anything else.

    Looked at before it is opened: whoever chose the path may mean a device, to open which would already do something.
    """
    if not hasattr(os, "O_PATH"):
        return None
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            return None
        with open("/proc/self/fd/%d" % place, "rb") as file:
            return file.read(most).decode("utf-8", "backslashreplace")
    except OSError:
        return None
    finally:
        os.close(place)
