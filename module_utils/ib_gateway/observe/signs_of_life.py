"""When a gateway that is gone was last there: told by what it wrote to its settings folder.

A gateway writes its logs there all day, and its settings when it ends. So a program that brings the next one may be
nobody's known launcher, and still be given its time. Read only where a gateway is missing.
"""

from __future__ import annotations

import itertools
import os
import stat
from typing import Iterator, List, Optional

from ..base.spec import GatewaySpec

#: Where a gateway keeps its settings unless it is told another folder.
_DEFAULT = "Jts"
#: Its own settings; other files of that ending are IBC's, which a person writes.
_SETTINGS = "jts.ini"
#: Of one folder, and of folders in it: more than a gateway has, and a bound on what another account put there.
_MOST_FILES = 512
_MOST_FOLDERS = 64


def settings_folder(spec: GatewaySpec) -> Optional[str]:
    """Where an entry's gateway keeps its settings, symbolic links resolved; None where nothing tells."""
    folder = spec.config_dir or _default_of(spec.user)
    return None if folder is None or spec.container is not None else os.path.realpath(folder)


def last_written(folder: str) -> Optional[float]:
    """When a file of a settings folder, or of a folder in it, was last written; None where none is there.

    In seconds since the epoch, by the host's clock. Several gateways may share the folder, so that an entry's own may
    have been gone for longer.
    """
    below: List[str] = []
    found = list(_written(folder, below))
    for each in below[:_MOST_FOLDERS]:
        found.extend(_written(each, []))
    return max(found, default=None)


def _default_of(user: Optional[str]) -> Optional[str]:
    import pwd  # not on every system this file can be imported on

    try:
        return os.path.join(pwd.getpwnam(user).pw_dir, _DEFAULT) if user else None
    except KeyError:
        return None


def _written(folder: str, below: List[str]) -> Iterator[float]:
    """When each file of a folder was last written. below: takes the folders in it."""
    try:
        with os.scandir(folder) as listed:
            for each in itertools.islice(listed, _MOST_FILES):
                found = each.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    below.append(each.path)
                elif stat.S_ISREG(found.st_mode) and (each.name == _SETTINGS or not each.name.endswith(".ini")):
                    yield found.st_mtime
    except OSError:
        return  # what is gone, or may not be read, tells nothing
