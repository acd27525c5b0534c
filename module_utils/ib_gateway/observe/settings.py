"""Where a gateway keeps its settings, whose folder that is, and what the files it was started with say of it.

Every path here was written by another account, so a file is only read when it is a small regular one that the
gateway's account or root owns, and nothing of it is kept but what recognition needs.
"""

from __future__ import annotations

import os
import stat
from typing import Dict, Iterable, Optional, Sequence

from ..base.host import Folder, FolderId, GatewayKind
from ..base.record import Record
from ..base.spec import FIX

_MOST_BYTES = 1 << 16


class Started(Record):
    """How a gateway was started, with what its files add to its command line.

    folder: its settings folder without symbolic links; None where nothing tells. A working directory does not tell: it
    is where somebody stood when the gateway was started. folder_id: what that folder is to the kernel, as the gateway
    sees it.
    """

    kind: GatewayKind
    folder: Optional[str] = None
    folder_id: Optional[FolderId] = None


def started(pid: int, kind: GatewayKind, argv: Sequence[str], exe: Optional[str], cwd: Optional[str]) -> Started:
    """Completes what a gateway's command line says by IBC's settings file and by the installation's own."""
    told = _by_ibc(pid, kind, cwd) if kind.ini else kind
    folder = told.config_dir
    if folder is None and kind.launcher == "native":
        folder = _by_installation(pid, argv, exe, cwd)
    if not folder or not folder.startswith("/"):
        return Started(told)
    return Started(told, resolved(folder), _id("/proc/%d/root%s" % (pid, folder)))


def _by_ibc(pid: int, kind: GatewayKind, cwd: Optional[str]) -> GatewayKind:
    from ..base.installation import parse_ibc_ini

    text = read_as(pid, os.path.join(cwd or "/", kind.ini or ""))
    if text is None:
        return kind._replace(ini_unread=True)
    found = parse_ibc_ini(text)
    fix_only = bool(found.fix) and not found.api_login
    return kind._replace(
        product=FIX if fix_only else kind.product,
        trading_mode=kind.trading_mode or found.trading_mode,
        config_dir=kind.config_dir or found.config_dir,
        api_port=found.api_port,
    )


def _by_installation(pid: int, argv: Sequence[str], exe: Optional[str], cwd: Optional[str]) -> Optional[str]:
    from ..base.installation import RESPONSE_FILE, config_dir_in, installation_folder

    where = installation_folder(argv, exe, cwd)
    text = read_as(pid, os.path.join(where, RESPONSE_FILE)) if where and where.startswith("/") else None
    return config_dir_in(text) if text is not None else None


def read_as(pid: int, path: str) -> Optional[str]:
    """The text of a file as a process sees it; None for what may not be read, or should not be."""
    try:
        # Not to wait for a FIFO, and never another account's file.
        descriptor = os.open("/proc/%d/root%s" % (pid, path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    try:
        found = os.fstat(descriptor)
        mine = found.st_uid in (0, os.stat("/proc/%d" % pid).st_uid)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES or not mine:
            return None
        return os.read(descriptor, _MOST_BYTES).decode("utf-8", "backslashreplace")
    except OSError:
        return None
    finally:
        os.close(descriptor)


def resolved(path: str) -> str:
    """A path without symbolic links, in the form in which others are told; what is not there stays as it is."""
    try:
        return os.fsencode(os.path.realpath(path)).decode("utf-8", "backslashreplace")
    except ValueError:  # a settings file can spell what no path can hold: a NUL, half of a surrogate pair
        return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _id(path: str) -> Optional[FolderId]:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def folders(paths: Iterable[str]) -> Dict[str, Folder]:
    """What each of these folders really is, which account owns it, and how much room its file system has."""
    return {path: Folder(resolved(path), _owner(path), free(path), _id(path)) for path in paths}


def free(path: str) -> Optional[int]:
    """Bytes that a path's file system has left for others than root; None where it does not say, as /proc."""
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    if not found.f_blocks:
        return None
    return found.f_bavail * found.f_frsize if found.f_files == 0 or found.f_favail else 0


def _owner(path: str) -> Optional[str]:
    import pwd  # not on every system this file can be imported on

    try:
        uid = os.stat(path).st_uid
    except OSError:
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
