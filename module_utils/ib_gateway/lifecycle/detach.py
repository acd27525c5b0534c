"""Starts a command so that it outlives this run, the login session, and the service that the run may be part of.

A session of its own is not enough where systemd runs: the command would stay in the control group of the ssh session or
of the timer that runs ansible-pull, and would end with it. There it gets a scope of its own, which systemd ends with
nobody. Whether it can have one is asked before anything is ended, and where systemd-run makes none, that is told as its
failure: the command has not been run then.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from typing import List, Mapping, Optional, Sequence, Tuple

from ..base.plain_text import plain_text
from . import places, systemctl
from .accounts import PATH, Account, become, lingers

#: A folder that is there where systemd is the first process.
BOOTED = "/run/systemd/system"
#: Where systemd keeps what it is told of a scope.
_SCOPES = "systemd/transient"
#: Seconds in which systemd has to answer, and those in which it has to make a scope.
_ANSWERS_WITHIN = 10.0
_MAKES_WITHIN = 20.0
_BEGUN = b"\0"
_MOST_WORDS = 1 << 16
#: What runs first in a scope: says that it is there, and joins both outputs again. Then it becomes the account, because
#: only root may make a scope of the system's, and systemd-run sets no supplementary groups.
_BEGIN = """
import os, sys
os.write(2, b"\\0")
os.dup2(1, 2)
name, uid, gid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if os.geteuid() != uid:
    os.initgroups(name, gid)
    os.setgid(gid)
    os.setuid(uid)
os.execvp(sys.argv[4], sys.argv[4:])
"""


class NoScope(Exception):
    """systemd-run has made no scope, and so has not run the command; the message says why."""


def start(
    name: str, command: Sequence[str], account: Account, folder: str, environment: Mapping[str, str], output: int
) -> subprocess.Popen[bytes]:
    """Starts an entry's command as the account; its pid is the command's own.

    Raises OSError, SubprocessError, NoScope.
    """
    scope = _scope(name, account)
    if scope:
        first = [sys.executable, "-I", "-c", _BEGIN, account.name, str(account.uid), str(account.gid)]
        return _in_scope([*scope, *first, *command], folder, environment, output)
    return _popen(command, folder, environment, output, output, account)


def _popen(
    words: Sequence[str],
    folder: str,
    environment: Mapping[str, str],
    output: int,
    errors: int,
    account: Optional[Account] = None,
) -> subprocess.Popen[bytes]:
    """Starts a process in a session of its own; account: what it is to become before."""
    # S603: the command is the inventory's start_command, an argv list that never passes a shell.
    return subprocess.Popen(
        list(words),
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
        close_fds=True,
        preexec_fn=become(account) if account else None,
    )


def _in_scope(
    words: Sequence[str], folder: str, environment: Mapping[str, str], output: int
) -> subprocess.Popen[bytes]:
    """Starts systemd-run, and waits until it has become what runs in the scope. Raises NoScope."""
    reader, writer = os.pipe()
    try:
        try:
            process = _popen(words, folder, environment, output, writer)
        finally:
            os.close(writer)
        said, begun = _said(reader, time.monotonic() + _MAKES_WITHIN)
    finally:
        os.close(reader)
    told, silent = plain_text(said.decode("utf-8", "backslashreplace").strip()), begun is None
    if begun:
        if told:
            os.write(output, said)  # it has warned of something
        return process
    process.kill()
    status = process.wait()
    why = "has not done so within %g s" % _MAKES_WITHIN if silent else "ended with status %d" % status
    raise NoScope("systemd-run, which is to give start_command a scope of its own, %s%s" % (why, told and ": " + told))


def _said(reader: int, until: float) -> Tuple[bytes, Optional[bool]]:
    """(what systemd-run said, whether the scope is there; None where it took too long)."""
    said, poll = b"", select.poll()
    poll.register(reader, select.POLLIN)
    while poll.poll(max(0.0, until - time.monotonic()) * 1000):
        piece = os.read(reader, 4096)
        said = (said + piece)[-_MOST_WORDS:]
        if _BEGUN in piece:
            return said.replace(_BEGUN, b""), True
        if not piece:
            return said, False
    return said, None


def cannot_detach(account: Account) -> Optional[str]:
    """Why systemd could not give the account's command a scope, with the cure; None where it could, or has not to."""
    if not _scope("", account):
        return None
    root = os.geteuid() == 0
    silence = systemctl.silence(_ANSWERS_WITHIN, None if root else account)
    whose = "systemd" if root else "%s's own systemd" % account.name
    if silence:
        text = "%s does not answer (%s), and start_command gets a scope from it to outlive this run: mend that first"
        return text % (whose, silence)
    closed = places.cannot_hold(os.path.join("/run" if root else account.runtime_dir, _SCOPES))
    return "%s could not make a scope for start_command: %s" % (whose, closed) if closed else None


def ends_with_login(account: Account) -> bool:
    """Whether systemd ends what this run starts when the account's last login ends."""
    if not os.path.isdir(BOOTED) or os.geteuid() == 0 or _whose(account) is not None:
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
    if not os.path.isdir(BOOTED):
        return None
    if os.geteuid() == 0:
        return ["--slice=system.slice"]
    return ["--user"] if lingers(account) and os.path.exists(account.runtime_dir + "/systemd/private") else None
