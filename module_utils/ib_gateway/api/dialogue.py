"""The handshake without a socket: which answers come, what they mean, and how far it got. No I/O.

The stages, as in model.STAGES: `tcp` the connection, `server_version` the answer to the hello, `start_api` the opening
of the session, `ready` nextValidId and managedAccounts have both come, `current_time` the gateway serves a request.
A Probe that failed names the stage that it failed in, a good one the last stage that it passed.
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional

from ..base.probe import Probe
from . import wire

READY = "ready"
REFUSED = "refused"
SILENT = "silent"
DROPPED = "dropped"
STALLED = "stalled"
ID_IN_USE = "id_in_use"

CLIENT_ID_IN_USE = 326
UPSTREAM_LOST = (1100, 2110)
UPSTREAM_BACK = (1101, 1102)
FARM_NOTICES = frozenset((2104, 2106, 2107, 2108, 2158, 2159))
_MAX_NOTICES = 100


class Dialogue:
    """A client's side of one handshake without its socket: bytes in, bytes to send out, and in the end a Probe.

    outcome: None until it is certain. done: nothing that may still come would change the Probe.
    """

    def __init__(self, client_id: int, timeout: float) -> None:
        self.client_id = client_id
        self.outcome: Optional[str] = None
        self.done = False
        self.server_version: Optional[int] = None
        self._timeout = timeout
        self._decoder = wire.FrameDecoder(wire.MAX_HELLO_FRAME)
        self._stage = "tcp"
        self._timings: Dict[str, float] = {}
        self._mark = time.monotonic()
        self._answered: Optional[float] = None
        self._accounts: Optional[wire.ManagedAccounts] = None
        self._has_order_id = False
        self._notices: List[int] = []
        self._last_notice: Optional[wire.ApiError] = None
        self._upstream: Optional[wire.ApiError] = None
        self._error: Optional[Dict[str, Any]] = None

    def connected(self) -> bytes:
        """The connection stands; gives the hello."""
        self._pass("tcp", "server_version")
        return wire.hello()

    def receive(self, data: bytes) -> bytes:
        """Takes what the gateway sent; gives what to send now, possibly nothing. Once done it takes nothing more."""
        answer = b""
        if self.done:
            return answer
        try:
            for fields in self._decoder.feed(data):
                answer += self._hello(fields) if self.server_version is None else self._message(fields)
                if self.done:
                    break
        except wire.ProtocolError as broken:
            self.settle(DROPPED, f"answered with something that is not the API protocol: {broken}")
        return answer

    def ended(self, how: str = "") -> None:
        """The gateway closed or reset the connection; how: the error's name."""
        when = {"server_version": "before it told its version", "ready": "as soon as the session was ready"}
        message = f"closed the connection {when.get(self._stage, 'before the session was ready')}"
        self.settle(DROPPED, f"{message} ({how})" if how else message)

    def expired(self) -> None:
        """The time is over; a session that was ready stays so, whether or not it told the time."""
        if self.outcome == READY:
            self.done = True
        elif self.server_version is None:
            some = f" (bytes that came: {self._decoder.buffered})" if self._decoder.buffered else ""
            self.settle(SILENT, f"connected, but no server version came within {self._timeout:g} s{some}")
        else:
            needed = {"nextValidId": self._has_order_id, "managedAccounts": self._accounts}
            missing = " and ".join(name for name, came in needed.items() if not came)
            came = f"server version {self.server_version} came"
            self.settle(STALLED, f"{came}, {missing} did not within {self._timeout:g} s")

    def settle(self, outcome: str, message: str) -> None:
        """Ends it with this outcome, unless it has ended. A notice that came before is part of the error."""
        if self.done:
            return
        self.outcome, self.done = outcome, True
        notice = self._upstream or self._last_notice
        self._error = {"code": None, "message": message}
        if notice:
            self._error = {"code": notice.code, "message": f"{message}; before that: {_in_words(notice)}"}

    def probe(self, engine: str) -> Probe:
        """What the handshake came to; call it once the outcome is certain."""
        error = self._error
        if error is None and self._upstream:
            error = {"code": self._upstream.code, "message": _in_words(self._upstream)}
        return Probe(
            outcome=self.outcome or SILENT,
            stage=self._stage,
            ok=self.outcome == READY and error is None,
            engine=engine,
            server_version=self.server_version,
            accounts=self._accounts.accounts if self._accounts else (),
            trading_mode=self._accounts.trading_mode if self._accounts else None,
            client_id=self.client_id,
            error=error,
            notices=tuple(self._notices),
            timings_ms=dict(self._timings),
        )

    def _pass(self, stage: str, following: str) -> None:
        now = time.monotonic()
        self._timings[stage] = round((now - self._mark) * 1000, 1)
        self._mark, self._stage = now, following

    def _hello(self, fields: wire.Fields) -> bytes:
        self.server_version = wire.parse_hello(fields).version
        self._decoder.limit = wire.MAX_FRAME
        self._pass("server_version", "start_api")
        return wire.start_api(self.client_id)

    def _message(self, fields: wire.Fields) -> bytes:
        message = wire.parse(fields, self.server_version or 0)
        if self._answered is None:
            self._answered = time.monotonic()
        if isinstance(message, wire.ApiError):
            self._on_error(message)
        elif isinstance(message, wire.NextValidId):
            self._has_order_id = True
        elif isinstance(message, wire.ManagedAccounts) and message.accounts:
            self._accounts = message
        elif isinstance(message, wire.CurrentTime) and self.outcome == READY:
            self._pass("current_time", "current_time")
            self.done = True
        if self.outcome is None and self._has_order_id and self._accounts:
            return self._on_ready(self._answered)
        return b""

    def _on_ready(self, answered: float) -> bytes:
        self.outcome = READY
        # start_api took until the first word after it, ready until the last one that was needed.
        self._timings["start_api"] = round((answered - self._mark) * 1000, 1)
        self._mark = answered
        self._pass("ready", "ready")
        return wire.request_current_time()

    def _on_error(self, error: wire.ApiError) -> None:
        if error.code == CLIENT_ID_IN_USE:
            self.outcome, self.done = ID_IN_USE, True
            self._error = {"code": error.code, "message": _in_words(error)}
        elif error.request_id == -1 and error.code not in FARM_NOTICES:
            if error.code not in self._notices and len(self._notices) < _MAX_NOTICES:
                self._notices.append(error.code)
            self._last_notice = error
            if error.code in UPSTREAM_LOST:
                self._upstream = error
            elif error.code in UPSTREAM_BACK:
                self._upstream = None


def _in_words(error: wire.ApiError) -> str:
    return error.text or f"error {error.code}"
