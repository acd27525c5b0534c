"""Where a gateway keeps its settings, and whose folder that is."""

from __future__ import annotations

import os
from typing import Dict, Iterable, Optional, Sequence

from ..base.host import Folder, FolderId, GatewayKind
from ..base.record import Record


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
    told, folder = kind, kind.config_dir
    if kind.ini or (folder is None and kind.launcher == "native"):
        from .started_files import by_ibc, by_installation

        told = by_ibc(pid, kind, cwd) if kind.ini else kind
        folder = told.config_dir
        if folder is None and kind.launcher == "native":
            folder = by_installation(pid, argv, exe, cwd)
    if folder and cwd and cwd.startswith("/"):
        folder = os.path.join(cwd, folder)  # a JVM never leaves the folder that it was started in
    if not folder or not folder.startswith("/"):
        return Started(told)
    return Started(told, resolved(folder), _id("/proc/%d/root%s" % (pid, folder)))


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
