"""Opens the API session of one entry as a script on this host would, and beside whom."""

from __future__ import annotations

import re
from typing import Optional, Set, Tuple

from ..base.host import Snapshot
from ..base.plan import Entry
from ..base.probe import Probe, Prober

#: A client id of handshakes in an argv; see client_ids.PROBE_IDS.
_PROBE_ID = r"(?<![0-9])9[0-9]{8}(?![0-9])"


def probe_entry(
    entry: Entry, snapshot: Snapshot, prober: Prober, timeout: float, depth: str
) -> Tuple[Entry, Optional[Probe]]:
    """One handshake as a script on this host would make it; of a gateway in a container also from inside, where that
    fails. (the entry, with what that tells of the way to it; the handshake)"""
    avoid, way = _ids_in_use(snapshot), entry.way
    outside = None
    if way is None or way.published:
        outside = prober(_address(entry), entry.spec.port, timeout, depth, avoid)
    if way is None:
        return entry, outside
    from .contained import Handshake, probed

    probe, way = probed(entry, outside, Handshake(timeout, depth, avoid))
    return entry._replace(way=way), probe


def _address(entry: Entry) -> str:
    """Where a script on this host would connect to: the gateway's own listener, before one of a relay."""
    own = {process.pid for process in entry.processes}
    heard = [each for each in entry.listeners if each.port == entry.spec.port]
    for listener in sorted(heard, key=lambda each: not each.pids & own):
        if listener.address in ("::", "0.0.0.0"):  # noqa: S104 - compared with, not bound to
            return "127.0.0.1" if "ipv4" in listener.families else "::1"
        return listener.address
    return "127.0.0.1"


def _ids_in_use(snapshot: Snapshot) -> Set[int]:
    """Client ids of the range of handshakes that stand in some process's argv."""
    words = (word for process in snapshot.processes.values() for word in process.argv)
    return {int(number) for word in words for number in re.findall(_PROBE_ID, word)}
