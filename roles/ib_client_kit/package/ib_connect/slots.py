"""The queue for the API slots of a gateway, in order of arrival."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import re
import time
from typing import NoReturn, Optional

from .common import log
from .errors import SlotBusy
from .locks import Holder, Lock, read_holder
from .profiles import Profile


class Queue:
    """Who waits for the slots of one gateway, in order of arrival, by ticket files."""

    _numbers = itertools.count()

    def __init__(self, folder: str, profile: Profile, owner: Optional[object] = None) -> None:
        local = profile.host.lower() in ("localhost", "::1")
        gateway = "%s-%d" % (re.sub(r"[^\w.]", "_", "127.0.0.1" if local else profile.host.lower()), profile.port)
        self._folder, self._owner = folder, owner
        self._slots = [os.path.join(folder, f"slot-{gateway}-{n}") for n in range(profile.max_api_clients)]
        self._tickets = f"queue-{gateway}-"

    async def slot(self, until: float) -> Lock:
        """A slot's lock, at the latest at `until` on the monotonic clock; SlotBusy names its holders after that."""
        if until <= time.monotonic():
            return self._free_slot() or self._busy()
        name = f"{self._tickets}{time.monotonic_ns():020d}-{os.getpid()}-{next(self._numbers)}"
        ticket = Lock.take(os.path.join(self._folder, "." + name), self._owner)  # its name only once locked
        assert ticket, name
        try:
            ticket.rename(os.path.join(self._folder, name))
            told = False
            while True:
                ahead = self._ahead(name)
                slot = self._free_slot() if ahead < len(self._slots) else None
                if slot or time.monotonic() >= until:
                    return slot or self._busy()
                if not told:
                    told = True
                    log.info("waits for an API slot held by %s", ", ".join(map(str, self._holders())) or "another")
                pause = min(0.25, 0.02 * (1 + ahead) * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
                await asyncio.sleep(max(0.0, min(pause, until - time.monotonic())))
        finally:
            ticket.release()

    def _free_slot(self) -> Optional[Lock]:
        return next(filter(None, (Lock.take(path, self._owner) for path in self._slots)), None)

    def _ahead(self, name: str) -> int:
        """How many waited before; counted up to the number of slots, from the nearest. Clears what the dead left."""
        count = 0
        before = (each for each in os.listdir(self._folder) if each.startswith(self._tickets) and each < name)
        for each in sorted(before, reverse=True):
            path = os.path.join(self._folder, each)
            left = Lock.take(path, self._owner) if os.path.exists(path) else None
            if left:
                left.release()
            elif os.path.exists(path):
                count += 1
            if count >= len(self._slots):
                break
        return count

    def _holders(self) -> list[Holder]:
        return [holder for holder in map(read_holder, self._slots) if holder]

    def _busy(self) -> NoReturn:
        holders = tuple(self._holders())
        many = f"{len(self._slots)} API slot(s) taken by "
        raise SlotBusy(many + (", ".join(map(str, holders)) or "others who wait"), holders)
