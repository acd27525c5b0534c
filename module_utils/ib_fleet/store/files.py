"""Files that are there whole or not at all, in a folder that may be full or not ours."""

from __future__ import annotations

import contextlib
import errno
import getpass
import os
import stat
import tempfile
import time
from pathlib import Path

from ..document.report_error import ReportError

#: Whoever is on the controller may see which files there are; their content is for the owner and the group, except for
#: what is written for another account's collector and holds no secret.
FOLDER_MODE, FILE_MODE, PUBLIC_MODE = 0o755, 0o640, 0o644
_FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
#: What a run that was killed leaves behind is removed by a later one, once nobody can be writing it any more.
_STALE_AFTER = 3600.0


def make_folder(folder: Path) -> None:
    """The folder of the reports, made where it is missing."""
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(FOLDER_MODE)  # whatever the umask: a collector that cannot enter is silent about every fault
    except OSError as error:
        raise ReportError(f"the report folder {folder} could not be made: {why(error)}") from error


def write(path: Path, content: str, mode: int = FILE_MODE) -> None:
    """Puts a file in its place in one step: whoever reads it sees the one from before or the new one, whole.

    The text goes to a temporary file of the same folder, onto the disk, and then takes the name.
    """
    temporary = ""
    try:
        _remove_stale(path)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with open(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            os.fchmod(handle, mode)
            stream.write(content)
            stream.flush()
            os.fsync(handle)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        kept = "; the one from before is untouched" if path.exists() else ""
        raise ReportError(f"{path.name} was not written to {path.parent}: {why(error)}{kept}") from error


def read(path: Path, most: int) -> str:
    """The text of a file that others may have written. Raises OSError, and ValueError for more than `most` bytes."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not make it wait
    with open(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is not a regular file")
        found = stream.read(most + 1)
    if len(found) > most:
        raise ValueError(f"it has more than {most} bytes")
    return found.decode("utf-8")


def why(error: OSError) -> str:
    """What stands in the way, in words, with the system's own after it."""
    told = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _FULL:
        return f"the disk is full ({told})"
    if error.errno in _DENIED:
        return f"it is not writable for account {_account()} ({told})"
    return f"{told}: {error.filename}" if error.filename else told


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.geteuid())


def _remove_stale(path: Path) -> None:
    for left in path.parent.glob(f".{path.name}.*.part"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_AFTER:
                left.unlink()
