"""The client ids that handshakes use, and their turn. Pure, but for the clock."""

from __future__ import annotations

import time
from typing import Callable, Collection, Optional

from ..base.probe import Probe
from .dialogue import DROPPED, ID_IN_USE

#: Few, and the same ones for ever: the gateway keeps the next order id of each client id that it has seen. In a range
#: that scripts do not use, and outside of the ids that ib_connect leases (20000 to 29999).
PROBE_IDS = tuple(range(900_000_001, 900_000_009))
#: Seconds; what is longer is a mistake.
MAX_TIMEOUT = 3600.0
_MAX_CLIENT_ID = 2**31 - 1
#: One release of the gateway closes without a word where an id is in use; so many such closes are the gateway's way.
_SILENT_CLOSES = 3


def with_client_id(
    port: int,
    client_id: Optional[int],
    timeout: float,
    attempt: Callable[[int, float], Probe],
    avoid: Collection[int] = (),
) -> Probe:
    """Runs attempt(client id, deadline): with the id given, or with each of PROBE_IDS until one is free.

    deadline: seconds on the monotonic clock, the same for all attempts. avoid: ids that others of this host use.
    Raises ValueError for what cannot be probed.
    """
    if client_id == 0:
        raise ValueError("client id 0 is not for probes: its session takes over the orders entered by hand in TWS")
    if client_id is not None and not 0 < client_id <= _MAX_CLIENT_ID:
        raise ValueError(f"client id {client_id} is not within 1 and {_MAX_CLIENT_ID}")
    if not 0 < port < 65536:
        raise ValueError(f"port {port} is not within 1 and 65535")
    if not 0 < timeout <= MAX_TIMEOUT:
        raise ValueError(f"timeout {timeout:g} is not within 0 and {MAX_TIMEOUT:g} seconds")
    deadline = time.monotonic() + timeout
    if client_id is not None:
        return attempt(client_id, deadline)
    closes = 0
    for number in _free(avoid):
        began = time.monotonic()
        probe = attempt(number, deadline)
        now = time.monotonic()
        closes += _closed_without_a_word(probe)
        may_be_the_id = probe.outcome == ID_IN_USE or (_closed_without_a_word(probe) and closes < _SILENT_CLOSES)
        if not may_be_the_id or deadline - now < now - began:
            break  # a turn that is cut short would find less than this one did
    return probe


def _free(avoid: Collection[int]) -> Collection[int]:
    # Whoever names all of them in an argv must not keep the look from one.
    return [each for each in PROBE_IDS if each not in avoid] or PROBE_IDS[-1:]


def _closed_without_a_word(probe: Probe) -> bool:
    told = probe.notices or (probe.error or {}).get("code")
    return probe.outcome == DROPPED and probe.stage == "start_api" and not told
