"""Opens the API sessions of entries as a script on this host would, and beside whom."""

from __future__ import annotations

import re
import time
from typing import List, Optional, Sequence, Set, Tuple

from ..base.host import Snapshot
from ..base.plan import Entry
from ..base.probe import Probe, Prober

#: A client id of handshakes in an argv; see client_ids.PROBE_IDS.
_PROBE_ID = r"(?<![0-9])9[0-9]{8}(?![0-9])"


#: So many gateways of a host are asked at the same time.
_AT_ONCE = 16


def probe_entries(
    entries: Sequence[Entry],
    snapshot: Snapshot,
    prober: Prober,
    depth: str,
    timeout: float,
    patience: float = 0.0,
    at_once: bool = False,
) -> List[Tuple[Entry, Optional[Probe]]]:
    """One handshake with each as a script on this host would make it; of a gateway in a container also from inside,
    where that fails. (the entry, with what that tells of the way to it; the handshake)

    timeout: seconds for each; patience: those that all of them together may take beyond that. at_once: whether the
    prober may be called by several threads. Several that hang are waited for together then: one after the other, a
    host with many would be judged by what has long changed.
    """
    avoid = _ids_in_use(snapshot)

    def probed(entry: Entry, seconds: float) -> Tuple[Entry, Optional[Probe]]:
        return _probed(entry, prober, seconds, depth, avoid)

    if at_once and len(entries) > 1:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            return list(pool.map(probed, entries, [timeout + patience] * len(entries)))
    found = []
    for entry in entries:
        began = time.monotonic()
        found.append(probed(entry, timeout + patience))
        patience = max(0.0, patience - max(0.0, time.monotonic() - began - timeout))
    return found


def _probed(entry: Entry, prober: Prober, seconds: float, depth: str, avoid: Set[int]) -> Tuple[Entry, Optional[Probe]]:
    way = entry.way
    outside = None
    if way is None or way.published:
        outside = prober(_address(entry), entry.spec.port, seconds, depth, avoid)
    if way is None:
        return entry, outside
    from .contained import Handshake, probed

    probe, way = probed(entry, outside, Handshake(seconds, depth, avoid))
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
