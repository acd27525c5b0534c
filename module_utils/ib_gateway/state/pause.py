"""The pause file: a person says that nothing is repaired until a moment, and why. On a host, or on the controller.

`{"reason": "...", "until": "2026-11-22T18:00:00Z"}`. In doubt it is paused: a file that cannot be read, or that lacks a
reason or an expiry, counts as a pause, with a text that says so and how to mend it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from dataclasses import dataclass
from typing import Optional

from .records import clean, epoch, load_json, rfc3339

FILE = "pause.json"
_MOST = 65536


@dataclass(frozen=True)
class Pause:
    """reason: why, in one line. until: when it ends, RFC 3339 UTC; '' for a file that could not be understood."""

    reason: str
    until: str = ""

    @property
    def text(self) -> str:
        """The pause as a reason not to act."""
        return "paused until %s: %s" % (self.until, self.reason) if self.until else self.reason


def read(path: str, now: float) -> Optional[Pause]:
    """The pause that a file declares; None where there is no file, or its time is over. Never raises.

    now: seconds since the epoch.
    """
    try:
        data = _read(path)
        found = None if data is None else _parse(data)
    except OSError as error:
        return _doubtful(path, error.strerror or "it cannot be read")
    except ValueError as error:
        return _doubtful(path, str(error))
    if found is None or epoch(found.until) <= now:
        return None
    return found


def _doubtful(path: str, why: str) -> Pause:
    return Pause(
        "paused, because %s is not understood: %s; remove it, or give it a reason and an end like "
        '{"reason": "...", "until": "2026-11-22T18:00:00Z"}' % (clean(path), clean(why))
    )


def _read(path: str) -> Optional[bytes]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError("it is a symlink") from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no regular file")
        data = b""
        while len(data) <= _MOST:
            part = os.read(descriptor, _MOST + 1)
            if not part:
                return data
            data += part
    finally:
        os.close(descriptor)
    raise ValueError("it has more than %d bytes" % _MOST)


def _parse(data: bytes) -> Pause:
    """Raises ValueError that says what is missing."""
    raw = load_json(data)
    if not isinstance(raw, dict):
        raise ValueError("it is no object")
    reason, until = raw.get("reason"), raw.get("until")
    if not isinstance(reason, str) or not clean(reason):
        raise ValueError("it has no reason")
    if not isinstance(until, str):
        raise ValueError("it has no end (until)")
    return Pause(clean(reason), rfc3339(epoch(until)))


def write(path: str, reason: str, until: float, mode: int = 0o600) -> None:
    """Puts a pause in place, whole. until: seconds since the epoch. mode: the file's, whatever the umask.

    Raises OSError, and ValueError for what is no path.
    """
    text = json.dumps({"reason": clean(reason), "until": rfc3339(until)}) + "\n"
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, ".%s.%d.new" % (name, os.getpid()))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.fchmod(descriptor, mode)
            data = text.encode("ascii")
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: str) -> bool:
    """Ends a pause by removing its file, whatever it holds; whether there was one. Raises OSError, ValueError."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True
