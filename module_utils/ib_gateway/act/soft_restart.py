"""Has IBC bring a new gateway process with the login kept, and has a gateway make its link to the broker anew.

A command goes only to a listener that is proven, right before, to be that of the process which the plan named. RESTART
is obeyed later: the process ends at the next full minute, and its successor has -Drestart= in its command line.
"""

from __future__ import annotations

import os
import select
import time
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Sequence

from ..base.command_server import RESTARTS_WITHIN, ServerAddress
from ..base.host import Process
from ..base.outcome import DONE, FAILED, REFUSED, WOULD
from ..base.plan import Entry
from ..lifecycle import ibc
from ..lifecycle.ibc import CommandFailed
from ..observe.keepers import is_looped, keepers
from . import held_process, ibc_commands
from .held_process import Gone, Refused, Target

_POLL_INTERVAL = 0.5


class Came(NamedTuple):
    """What became of it: result and reason as an Outcome has them; ended, pid: the old process and the new one."""

    result: str
    reason: str
    ended: Optional[int] = None
    pid: Optional[int] = None


#: Called right before the command is sent. Raises Refused to keep it from that.
Announce = Callable[[], None]
#: The entry beside what is on the host now. Raises OSError.
Look = Callable[[], Entry]


def soft_restart(plan: Mapping[str, Any], look: Look, dry_run: bool, announce: Announce) -> Came:
    """Sends RESTART, and waits until the next process is there. plan: the step's target. Raises OSError."""
    named = _named(plan)
    others = [each.pid for each in _others(look(), named)]
    if others:
        return Came(REFUSED, "another gateway runs than the plan named (pid %s)" % ", pid ".join(map(str, others)))
    try:
        held = held_process.hold(named)
    except Gone:
        return Came(REFUSED, "it had ended before")
    except Refused as refusal:
        return Came(REFUSED, str(refusal))
    try:
        if not is_looped(named.pid, keepers([named.pid])):
            return Came(REFUSED, "IBC's ibcstart.sh no longer carries it, so nothing would bring it back")
        failed = _tell(named, plan, [ibc.RESTART], dry_run, announce)
        if failed or dry_run:
            return failed or Came(WOULD, "would be told RESTART")
        return _await(named, held, look, time.monotonic() + _patience(plan))
    finally:
        os.close(held)


def reconnect(plan: Mapping[str, Any], dry_run: bool, announce: Announce) -> Came:
    """Sends RECONNECTACCOUNT and RECONNECTDATA; whether the link is back, the next look tells."""
    failed = _tell(_named(plan), plan, ibc.RECONNECTS, dry_run, announce)
    if failed or dry_run:
        return failed or Came(WOULD, "would be told %s" % " and ".join(ibc.RECONNECTS))
    return Came(DONE, "IBC has told the gateway to reconnect")


def _patience(plan: Mapping[str, Any]) -> float:
    """Seconds that the next process may take; a step that names none is one with the default."""
    named = plan.get("timeout")
    return RESTARTS_WITHIN if named is None else named


def _named(plan: Mapping[str, Any]) -> Target:
    return Target.named({**plan["process"], "role": "gateway"})


def _tell(
    named: Target, plan: Mapping[str, Any], commands: Sequence[str], dry_run: bool, announce: Announce
) -> Optional[Came]:
    """Sends the commands; what has kept IBC from taking them, None where it has taken all."""
    server, sent = ServerAddress.named(plan["command_server"]), False

    def prove() -> None:
        held_process.prove(named)

    try:
        ibc_commands.prove_listener(named.pid, server, prove)
        if dry_run:
            return None
        announce()
        for command in commands:
            ibc_commands.send(named.pid, server, command, prove)
            sent = True
    except Gone:
        return Came(FAILED if sent else REFUSED, "it had ended before")
    except Refused as refusal:
        return Came(FAILED if sent else REFUSED, str(refusal))
    except CommandFailed as failure:
        return Came(FAILED if sent or failure.sent else REFUSED, str(failure))
    return None


def _await(named: Target, held: int, look: Look, deadline: float) -> Came:
    """Waits for the end of the process, then for its successor."""
    began = time.monotonic()
    poll = select.poll()
    poll.register(held, select.POLLIN)
    if not poll.poll(max(0.0, deadline - began) * 1000):
        seconds = time.monotonic() - began
        return Came(FAILED, "IBC answered OK, and pid %d still runs %d s later" % (named.pid, seconds))
    while True:
        come = _others(look(), named)
        if come:
            return _of_successor(named, come[0])
        if time.monotonic() >= deadline:
            return Came(FAILED, "pid %d has ended, and no gateway has come in its place" % named.pid, named.pid)
        time.sleep(_POLL_INTERVAL)


def _of_successor(named: Target, process: Process) -> Came:
    if process.gateway is not None and process.gateway.restarted:
        return Came(DONE, "pid %d came with the login kept" % process.pid, named.pid, process.pid)
    reason = "pid %d came without the login: it logs in anew, and a person may have to give the second factor"
    return Came(FAILED, reason % process.pid, named.pid, process.pid)


def _others(entry: Entry, named: Target) -> List[Process]:
    """The gateways that are or may be the entry's, the one that is meant left out."""
    every = (*entry.processes, *entry.ambiguous, *entry.unplaced)
    return [each for each in every if (each.pid, each.started_ticks) != (named.pid, named.started_ticks)]
