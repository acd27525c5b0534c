"""Has IBC bring a new gateway process with the login kept, and has a gateway make its link to the broker anew.

A command goes only to a listener that is proven, right before, to be that of the process which the plan named. RESTART
is obeyed later: the process ends at the next full minute, and its successor has -Drestart= in its command line.
"""

from __future__ import annotations

import os
import re
import select
import time
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..base.command_server import DAILY_RESTART_MOVES, RESTARTS_WITHIN, ServerAddress
from ..base.host import Process
from ..base.outcome import DONE, FAILED, REFUSED, WOULD
from ..base.plan import Entry
from ..lifecycle import ibc
from ..lifecycle.ibc import CommandFailed
from ..observe.keepers import is_looped, keepers
from . import held_process, ibc_commands
from .held_process import Gone, Refused, Target

_POLL_INTERVAL = 0.5
#: When IBC has the gateway restart, in its answer to RESTART.
_AT = re.compile(r"\bat ([0-9]{1,2}:[0-9]{2}(?: ?[AP]M)?)\b", re.IGNORECASE)


class Came(NamedTuple):
    """What became of it: result and reason as an Outcome has them; ended, pid: the old process and the new one."""

    result: str
    reason: str
    ended: Optional[int] = None
    pid: Optional[int] = None

    def also(self, text: str) -> Came:
        """The same with something more in its reason."""
        return self._replace(reason="%s; %s" % (self.reason, text)) if text else self


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
        failed, answer = _tell(named, plan, [ibc.RESTART], dry_run, announce)
        if failed:
            return failed
        moved = _daily_restart(plan.get("own_time"), answer)
        if dry_run:
            return Came(WOULD, "would be told RESTART").also(moved)
        return _await(named, held, look, time.monotonic() + _patience(plan)).also(moved)
    finally:
        os.close(held)


def reconnect(plan: Mapping[str, Any], dry_run: bool, announce: Announce) -> Came:
    """Sends RECONNECTACCOUNT and RECONNECTDATA; whether the link is back, the next look tells."""
    failed, _ = _tell(_named(plan), plan, ibc.RECONNECTS, dry_run, announce)
    if failed or dry_run:
        return failed or Came(WOULD, "would be told %s" % " and ".join(ibc.RECONNECTS))
    return Came(DONE, "IBC has told the gateway to reconnect")


def _patience(plan: Mapping[str, Any]) -> float:
    """Seconds that the next process may take; a step that names none is one with the default."""
    named = plan.get("timeout")
    return RESTARTS_WITHIN if named is None else named


def _named(plan: Mapping[str, Any]) -> Target:
    return Target.named({**plan["process"], "role": "gateway"})


def _daily_restart(own_time: Optional[bool], answer: str) -> str:
    """What the restart does to the time of the daily one, in words; empty for nothing. answer: IBC's, to RESTART."""
    moves, at = DAILY_RESTART_MOVES[own_time], _AT.search(answer)
    return moves and moves % (at.group(1) if at else "the minute of this one")


def _tell(
    named: Target, plan: Mapping[str, Any], commands: Sequence[str], dry_run: bool, announce: Announce
) -> Tuple[Optional[Came], str]:
    """(what has kept IBC from taking the commands, None where it has taken all; its answer to the last one)."""
    server, sent, answer = ServerAddress.named(plan["command_server"]), False, ""

    def prove() -> None:
        held_process.prove_going(named)

    try:
        ibc_commands.prove_listener(named.pid, server, prove)
        if dry_run:
            return None, answer
        announce()
        for command in commands:
            answer = ibc_commands.send(named.pid, server, command, prove)
            sent = True
    except Gone:
        return Came(FAILED if sent else REFUSED, "it had ended before"), answer
    except Refused as refusal:
        return Came(FAILED if sent else REFUSED, str(refusal)), answer
    except CommandFailed as failure:
        return Came(FAILED if sent or failure.sent else REFUSED, str(failure)), answer
    return None, answer


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
