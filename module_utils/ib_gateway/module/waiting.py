"""Waits until the gateways of entries listen, by looks at the socket table; never connects."""

from __future__ import annotations

import time
from typing import Dict, Optional, Sequence, Set

from ..base.plan import Entry
from ..base.spec import GatewaySpec
from ..decide.assign import entries_of
from .look import look_for

_POLL_INTERVAL = 0.25
#: Seconds in which the next keeper or gateway is there, where one hands over to the other.
_ABANDONED = 5.0


def await_listener(
    specs: Sequence[GatewaySpec], names: Sequence[str], timeout: Optional[float], until_up: bool = False
) -> Dict[str, str]:
    """Waits until a gateway of each named entry owns its port, and says how it went, by entry name.

    Reads the socket table; never connects. timeout: seconds for all; None for each entry's own start_timeout. until_up:
    whether a gateway that comes meanwhile gets its start_timeout from then on. The answers are listening,
    not_listening (the time is up, or what could have brought it has gone) and ended (a gateway was there and has gone).
    """
    patience = _Patience(timeout, until_up)
    answers: Dict[str, str] = {}
    seen: Set[str] = set()
    kept: Dict[str, float] = {}  # when what may bring one was last there
    while True:
        # All entries are looked at together, since which gateway is whose depends on the others.
        for entry in entries_of(specs, look_for(specs))[0]:
            name = entry.spec.name
            if name not in names or name in answers:
                continue
            limit = patience.limit(entry)
            if entry.owners():
                answers[name] = "listening"
            elif name in seen and not entry.processes:
                answers[name] = "ended"
            elif time.monotonic() >= limit or _abandoned(entry, kept):
                answers[name] = "not_listening"
            if entry.processes:
                seen.add(name)
        if len(answers) == len(set(names)):
            return answers
        time.sleep(_POLL_INTERVAL)


class _Patience:
    """Until when the gateway of each entry is waited for. timeout, until_up: as await_listener() has them."""

    def __init__(self, timeout: Optional[float], until_up: bool) -> None:
        self._timeout, self._until_up = timeout, until_up
        self._began = time.monotonic()
        self._was_there: Dict[str, bool] = {}  # at first
        self._came: Dict[str, float] = {}  # when one came that was not

    def limit(self, entry: Entry) -> float:
        """On the monotonic clock; to be asked at each look."""
        name, allowed = entry.spec.name, entry.spec.start_timeout
        was_there = self._was_there.setdefault(name, bool(entry.processes))
        if entry.processes and not was_there:
            self._came.setdefault(name, time.monotonic())
        limit = self._began + (allowed if self._timeout is None else self._timeout)
        return max(limit, self._came[name] + allowed) if self._until_up and name in self._came else limit


def _abandoned(entry: Entry, kept: Dict[str, float]) -> bool:
    """Whether what could have brought the gateway has ended, and for some seconds nothing else has come."""
    name, now = entry.spec.name, time.monotonic()
    if entry.keepers or entry.processes:
        kept[name] = now
    return name in kept and now - kept[name] >= _ABANDONED
