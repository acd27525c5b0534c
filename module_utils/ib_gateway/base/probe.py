"""What one API handshake came to."""

from types import MappingProxyType
from typing import Any, Callable, Collection, Dict, Mapping, NamedTuple, Optional, Tuple

# How far an API handshake came, in order; `ready` and what follows it are good.
STAGES = ("tcp", "server_version", "start_api", "ready", "current_time", "sync")

#: How much a handshake asks for: `full` also all that IB.connect reads before a script goes on.
QUICK, FULL = "quick", "full"


_NO_TIMINGS: Mapping[str, Any] = MappingProxyType({})


class Probe(NamedTuple):
    """What one API handshake came to. timings_ms: by stage, for the stages that were passed.

    stage: the last stage that was tried; ok: ready was reached and no error stands against it. accounts: masked.
    error: {"code": int or None, "message": str}, or None. notices: codes the gateway sent on its own, each at its
    newest place, farm notices left out. outcome: ready, refused, silent, dropped, stalled, incomplete, unanswered,
    unsupported or id_in_use. sync: milliseconds that each request of the stage sync took, None where its answer did
    not come; empty where none was made. farms: the broker's farms that the gateway called broken last, each
    {"serves", "name", "code"}.
    """

    outcome: str
    stage: str
    ok: bool
    engine: str = "socket"
    server_version: Optional[int] = None
    accounts: Tuple[str, ...] = ()
    trading_mode: Optional[str] = None
    client_id: Optional[int] = None
    error: Optional[Dict[str, Any]] = None
    notices: Tuple[int, ...] = ()
    timings_ms: Mapping[str, float] = _NO_TIMINGS
    sync: Mapping[str, Optional[float]] = _NO_TIMINGS
    farms: Tuple[Dict[str, Any], ...] = ()


#: Opens one API session: (host, port, timeout in seconds, QUICK or FULL, client ids that others use).
Prober = Callable[[str, int, float, str, Collection[int]], Probe]
