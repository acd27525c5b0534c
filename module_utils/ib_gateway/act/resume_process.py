"""Lets a gateway go on that a signal has stopped: SIGCONT to exactly the process that a plan named, and to nobody else.

Right before, it is proven again that it is that process, that a signal keeps it stopped, and that nobody else does.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Callable, Mapping, NamedTuple

from ..base.outcome import ALREADY, DONE, FAILED, REFUSED, WOULD
from ..observe import stopped
from .held_process import Gone, Refused, Target, hold, prove, send

#: Seconds within which the kernel lets a process go on; it takes microseconds on a host that has time for it.
GOES_ON_WITHIN = 5.0
_POLL_INTERVAL = 0.05
_STOPPED = "T"


class Came(NamedTuple):
    """What became of it: result and reason as an Outcome has them; sent: whether the signal was."""

    result: str
    reason: str
    sent: bool = False


#: Called right before the signal is sent. Raises Refused to keep it from that.
Announce = Callable[[], None]


def resume(plan: Mapping[str, Any], dry_run: bool, announce: Announce) -> Came:
    """Sends SIGCONT and waits until the process goes on. plan: the step's target."""
    named = Target.named({**plan, "role": "gateway", "unit": None})
    try:
        held = hold(named)
    except Gone:
        return Came(REFUSED, "it had ended before")
    except Refused as refusal:
        return Came(REFUSED, str(refusal))
    try:
        return _let_go_on(named, held, dry_run, announce)
    except Gone:
        return Came(REFUSED, "it had ended before")
    except Refused as refusal:
        return Came(REFUSED, str(refusal))
    finally:
        os.close(held)


def _let_go_on(named: Target, held: int, dry_run: bool, announce: Announce) -> Came:
    if stopped.state_of(named.pid) != _STOPPED:
        return Came(ALREADY, "no signal keeps it stopped any more")
    _prove_nobody_else(named)
    if dry_run:
        return Came(WOULD, "would be sent SIGCONT")
    announce()
    prove(named)  # to announce it takes a moment
    _prove_nobody_else(named)
    send(held, signal.SIGCONT)
    deadline = time.monotonic() + GOES_ON_WITHIN
    while stopped.state_of(named.pid) == _STOPPED:
        if time.monotonic() >= deadline:
            return Came(FAILED, "it was sent SIGCONT, and is stopped %g s later" % GOES_ON_WITHIN, sent=True)
        time.sleep(_POLL_INTERVAL)
    return Came(DONE, "it goes on after SIGCONT", sent=True)


def _prove_nobody_else(named: Target) -> None:
    reason = stopped.kept_stopped(named.pid)
    if reason:
        raise Refused("pid %d %s" % (named.pid, reason))
