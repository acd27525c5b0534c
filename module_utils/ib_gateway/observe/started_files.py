"""What the files that a gateway was started with say of it: IBC's settings, and the installation's own.

Every path here was written by another account, so a file is only read when it is a small regular one that the
gateway's account or root owns, and nothing of it is kept but what recognition needs.
"""

from __future__ import annotations

import os
from typing import Optional, Sequence

from ..base.host import GatewayKind
from ..base.installation import RESPONSE_FILE, config_dir_in, installation_folder, parse_ibc_ini
from ..base.spec import FIX
from .owned_text import owned_text

_MOST_BYTES = 1 << 16


def by_ibc(pid: int, kind: GatewayKind, cwd: Optional[str]) -> GatewayKind:
    """What IBC's settings file adds to a command line."""
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


def by_installation(pid: int, argv: Sequence[str], exe: Optional[str], cwd: Optional[str]) -> Optional[str]:
    """The settings folder that the installation's own file names; None where it names none."""
    where = installation_folder(argv, exe, cwd)
    text = read_as(pid, os.path.join(where, RESPONSE_FILE)) if where and where.startswith("/") else None
    return config_dir_in(text) if text is not None else None


def read_as(pid: int, path: str) -> Optional[str]:
    """The text of a file as a process sees it; None for what may not be read, or should not be."""
    try:
        owners = (0, os.stat("/proc/%d" % pid).st_uid)
    except OSError:
        return None
    return owned_text("/proc/%d/root%s" % (pid, path), owners, _MOST_BYTES, links=True, binary=True)
