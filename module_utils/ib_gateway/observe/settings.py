"""Where a gateway keeps its settings, and whose folder that is: reads links, owners and an installation's own file."""

from __future__ import annotations

import os
from typing import Dict, Iterable, Optional, Sequence

from ..base.host import Folder, GatewayKind


def folder(argv: Sequence[str], kind: GatewayKind) -> Optional[str]:  # noqa: ARG001 - argv: see installation below
    """The settings folder a gateway was started with, without symbolic links; None where nothing tells.

    A working directory does not tell: it is where somebody stood when the gateway was started.
    """
    return resolved(kind.config_dir) if kind.config_dir else None


def resolved(path: str) -> str:
    """A path without symbolic links, in the form in which others are told; what is not there stays as it is."""
    return os.fsencode(os.path.realpath(path)).decode("utf-8", "backslashreplace")


def folders(paths: Iterable[str]) -> Dict[str, Folder]:
    """What each of these folders really is, and which account owns it."""
    return {path: Folder(resolved(path), _owner(path), _free(path)) for path in paths}


def _free(path: str) -> Optional[int]:
    try:
        found = os.statvfs(path)
    except OSError:
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
