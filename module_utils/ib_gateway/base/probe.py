"""What one API handshake came to."""

from types import MappingProxyType
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

# How far an API handshake came, in order; `ready` and `current_time` are good.
STAGES = ("tcp", "server_version", "start_api", "ready", "current_time")


_NO_TIMINGS: Mapping[str, float] = MappingProxyType({})


class Probe(NamedTuple):
    """What one API handshake came to. timings_ms: by stage, for the stages that were passed.

    stage: the last stage that was tried; ok: ready was reached and no error stands against it. accounts: masked.
    error: {"code": int or None, "message": str}, or None. notices: codes the gateway sent on its own, farm notices
    left out. outcome: ready, refused, silent, dropped, stalled or id_in_use.
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
