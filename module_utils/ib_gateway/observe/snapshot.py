"""One look at a host: reads it once and pairs both ends of every API connection."""

from __future__ import annotations

import re
import sys
import time
from typing import Callable, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..base.host import ApiConnection, Reading, Snapshot
from ..base.spec import API_PORTS

_QUEUE_SAMPLES = 3
_QUEUE_INTERVAL = 0.1

Reader = Callable[[Iterable[int], Sequence["re.Pattern[str]"], Sequence[str]], Reading]


def reader() -> Reader:
    """What reads this system: procfs and sock_diag on Linux, psutil elsewhere. Raises ImportError without psutil."""
    if sys.platform.startswith("linux"):
        from . import linux

        return linux.read
    from . import portable

    return portable.read


def look(
    ports: Iterable[int] = API_PORTS,
    patterns: Sequence[str] = (),
    units: Sequence[str] = (),
    read: Optional[Reader] = None,
) -> Snapshot:
    """One look. ports: API ports of interest; patterns: regular expressions that name clients by their argv; units:
    system units that should have a gateway.

    Takes milliseconds; where an accept queue is not empty it is sampled three times, 0.1 s apart, because a queue is
    a fault only when it stays. Raises OSError when the system's tables cannot be read at all, re.error on a pattern.
    """
    compiled = [re.compile(pattern) for pattern in patterns]
    reading = (read or reader())(ports, compiled, units)
    connections: Tuple[ApiConnection, ...] = ()
    away: FrozenSet[int] = frozenset()
    if reading.connections:
        from . import pairing

        connections, away = pairing.pair(reading), pairing.away(reading)
    return Snapshot(
        taken_at=time.time(),
        boot_id=reading.boot_id,
        visibility=reading.visibility,
        processes=reading.processes,
        listeners=reading.listeners,
        connections=connections,
        away=away,
        busy=reading.busy,
        accept_queue_samples=_sample_queues(reading),
        units=reading.units,
        boottime=boottime(),
    )


def boottime() -> float:
    """Seconds since boot, the time asleep included; where the system has no such clock, those of its steady one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _sample_queues(reading: Reading) -> Mapping[int, Tuple[int, ...]]:
    samples: Dict[int, List[int]] = {
        listener.port: [listener.accept_queue] for listener in reading.listeners if listener.accept_queue
    }
    if not samples:
        return {}
    from . import sockets

    for _ in range(_QUEUE_SAMPLES - 1):
        time.sleep(_QUEUE_INTERVAL)
        lengths: Dict[int, int] = {}
        for row in sockets.listeners():
            lengths[row.local_port] = max(row.receive_queue, lengths.get(row.local_port, 0))
        for port, found in samples.items():
            found.append(lengths.get(port, 0))
    return {port: tuple(found) for port, found in samples.items()}
