"""Starts a command so that it outlives this run, the login session, and the service that the run may be part of.

A session of its own is not enough where systemd runs: the command would stay in the control group of the ssh session or
of the timer that runs ansible-pull, and would end with it. There it gets a scope of its own, which systemd ends with
nobody.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import List, Mapping, Optional, Sequence

from .accounts import PATH, Account, become, lingers

_BOOTED = "/run/systemd/system"
#: Becomes the account once the scope is there: only root may make one, and systemd-run sets no supplementary groups.
_BECOME = (
    "import os, sys; name, uid, gid = sys.argv[1:4]; os.initgroups(name, int(gid)); os.setgid(int(gid)); "
    "os.setuid(int(uid)); os.execvp(sys.argv[4], sys.argv[4:])"
)


def start(
    name: str, command: Sequence[str], account: Account, folder: str, environment: Mapping[str, str], output: int
) -> subprocess.Popen[bytes]:
    """Starts an entry's command as the account; its pid is the command's own. Raises OSError, SubprocessError."""
    scope = _scope(name, account)
    by_helper = scope and os.geteuid() != account.uid
    helper = [sys.executable, "-I", "-c", _BECOME, account.name, str(account.uid), str(account.gid)]
    # S603: the command is the inventory's start_command, an argv list that never passes a shell.
    return subprocess.Popen(
        [*scope, *(helper if by_helper else []), *command],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        close_fds=True,
        preexec_fn=None if by_helper else become(account),
    )


def ends_with_login(account: Account) -> bool:
    """Whether systemd ends what this run starts when the account's last login ends."""
    if not os.path.isdir(_BOOTED) or os.geteuid() == 0 or _whose(account) is not None:
        return False
    manager = ["org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"]
    command = ["busctl", "--system", "get-property", *manager, "KillUserProcesses"]
    try:
        told = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    return told.split() == [b"b", b"true"]


def _scope(name: str, account: Account) -> List[str]:
    """The words before a command that give it a scope of its own; none where there is no systemd to ask.

    systemd-run replaces itself with the command, so neither the command's words nor its environment reach systemd.
    """
    program = shutil.which("systemd-run", path=PATH)
    whose = _whose(account)
    if program is None or whose is None:
        return []
    unit = "--unit=ib-gateway-%s-%s.scope" % (name, os.urandom(4).hex())
    text = "--description=IB gateway %s, started by a repair" % name
    return [program, *whose, "--scope", "--quiet", "--collect", unit, text, "--"]


def _whose(account: Account) -> Optional[List[str]]:
    """Whose systemd is asked: the system's by root; the account's own where that outlives its last login."""
    if not os.path.isdir(_BOOTED):
        return None
    if os.geteuid() == 0:
        return ["--slice=system.slice"]
    return ["--user"] if lingers(account) and os.path.exists(account.runtime_dir + "/systemd/private") else None
