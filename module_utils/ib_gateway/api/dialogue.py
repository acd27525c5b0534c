"""The handshake without a socket: which answers come, what they mean, and how far it got. No I/O.

The stages, as in probe.STAGES: `tcp` the connection, `server_version` the answer to the hello, `start_api` the opening
of the session, `ready` nextValidId and managedAccounts have both come, `current_time` the gateway serves a request,
`sync` it answers what IB.connect reads before a script goes on. A Probe that failed names the stage that it failed in,
a good one the last stage that it passed.

A quick handshake ends with the time. A gateway that does not tell it is asked for the rest, because a session that
opens and then answers nothing is of no use to anybody.
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional

from ..base.probe import FULL, QUICK, Probe
from . import messages, requests, wire
from .farms import Farms
from .requests import Request
from .sync import Sync

READY = "ready"
REFUSED = "refused"
SILENT = "silent"
DROPPED = "dropped"
STALLED = "stalled"
INCOMPLETE = "incomplete"
UNANSWERED = "unanswered"
UNSUPPORTED = "unsupported"
ID_IN_USE = "id_in_use"

CLIENT_ID_IN_USE = 326
UPSTREAM_LOST = (1100, 2110)
UPSTREAM_BACK = (1101, 1102)
#: With these a server says that it does not speak a version of ours.
_REFUSED_VERSION = (503, 506)
_HARMLESS_NOTICES = frozenset((2104, 2106, 2107, 2108, 2119, 2158, 2159))
_MAX_NOTICES = 100
#: Of the whole time, the share that a gateway must have been silent for after it was ready, for that to say anything.
_FAIR_SHARE = 0.5


class Dialogue:
    """A client's side of one handshake without its socket: bytes in, requests to send out, and in the end a Probe.

    outcome: None until it is certain. done: nothing that may still come would change the Probe. offered: the server
    versions that the hello names; spoken: those that can be read, and speaker: by whom.
    """

    def __init__(
        self,
        client_id: int,
        timeout: float,
        depth: str = QUICK,
        offered: wire.Versions = wire.OFFERED,
        spoken: wire.Versions = wire.SPOKEN,
        speaker: str = "this project",
    ) -> None:
        self.client_id = client_id
        self.outcome: Optional[str] = None
        self.done = False
        self.server_version: Optional[int] = None
        self.versions_refused = False
        self._timeout, self._depth = timeout, depth
        self._offered, self._spoken, self._speaker = offered, spoken, speaker
        self._decoder = wire.FrameDecoder(wire.MAX_HELLO_FRAME)
        self._stage = "tcp"
        self._timings: Dict[str, float] = {}
        self._mark = time.monotonic()
        self._ready_at = self._mark
        self._answered: Optional[float] = None
        self._accounts: Optional[messages.ManagedAccounts] = None
        self._has_order_id = False
        self._sync = Sync()
        self._farms = Farms()
        self._notices: List[int] = []
        self._last_notice: Optional[messages.ApiError] = None
        self._upstream: Optional[messages.ApiError] = None
        self._error: Optional[Dict[str, Any]] = None

    def connected(self) -> bytes:
        """The connection stands; gives the hello."""
        self._pass("tcp", "server_version")
        return wire.hello(self._offered)

    @property
    def awaits_time(self) -> bool:
        """Whether the session is ready and only its clock was asked for so far."""
        return self.outcome == READY and self._sync.began is None

    def receive(self, data: bytes) -> List[Request]:
        """Takes what the gateway sent; gives what to ask for now. Once done it takes nothing more."""
        wanted: List[Request] = []
        if self.done:
            return wanted
        try:
            for payload in self._decoder.feed(data):
                wanted += self._hello(payload) if self.server_version is None else self._message(payload)
                if self.done:
                    break
        except wire.ProtocolError as broken:
            self.settle(DROPPED, f"answered with something that is not the API protocol: {broken}")
        return wanted

    def time_is_late(self) -> List[Request]:
        """The gateway was given long enough to tell the time; gives what to ask for instead."""
        return self._begin_sync() if self.awaits_time and not self.done else []

    def parting(self) -> List[Request]:
        """What to send before the connection is closed, so that no subscription is left behind."""
        return self._sync.cancels()

    def ended(self, how: str = "") -> None:
        """The gateway closed or reset the connection; how: the error's name."""
        when = {
            "server_version": "before it told its version",
            "ready": "as soon as the session was ready",
            "current_time": "as soon as the session was ready",
            "sync": "instead of answering the first requests",
        }
        message = f"closed the connection {when.get(self._stage, 'before the session was ready')}"
        if self.versions_refused:
            self.settle(UNSUPPORTED, f"refuses the server versions offered, {self._offered}")
        self.settle(DROPPED, f"{message} ({how})" if how else message)

    def expired(self) -> None:
        """The time is over; a session that was ready is judged by what it has answered."""
        if self.outcome == READY:
            self._judge_sync()
        elif self.server_version is None:
            some = f" (bytes that came: {self._decoder.buffered})" if self._decoder.buffered else ""
            self.settle(SILENT, f"connected, but no server version came within {self._timeout:g} s{some}")
        else:
            needed = {"nextValidId": self._has_order_id, "managedAccounts": bool(self._accounts)}
            missing = " and ".join(name for name, came in needed.items() if not came)
            came = " and ".join([f"server version {self.server_version}", *(name for name in needed if needed[name])])
            outcome = INCOMPLETE if any(needed.values()) else STALLED
            self.settle(outcome, f"{came} came, {missing} did not within {self._timeout:g} s")

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
            sync=self._sync.took_ms,
            farms=tuple(each._asdict() for each in self._farms.broken),
        )

    def _pass(self, stage: str, following: str) -> None:
        now = time.monotonic()
        self._timings[stage] = round((now - self._mark) * 1000, 1)
        self._mark, self._stage = now, following

    def _hello(self, payload: bytes) -> List[Request]:
        version = messages.server_version(payload)
        if version is None:
            early = messages.parse_early(payload)
            if early:
                self.versions_refused = self.versions_refused or early.code in _REFUSED_VERSION
                self._on_error(early)
            return []
        self.server_version = version
        self._decoder.limit = wire.MAX_FRAME
        self._pass("server_version", "start_api")
        if not self._spoken.lowest <= version <= self._spoken.highest:
            self.settle(UNSUPPORTED, f"speaks server version {version}, {self._speaker} {self._spoken}")
            return []
        return [requests.start_api(self.client_id)]

    def _message(self, payload: bytes) -> List[Request]:
        message = messages.parse(payload, self.server_version or 0)
        if self._answered is None:
            self._answered = time.monotonic()
        if message is None:
            return []
        if self._sync.began is not None and self._sync.take(message):
            return self._on_synced()
        if isinstance(message, messages.ApiError):
            self._on_error(message)
        elif isinstance(message, messages.NextValidId):
            self._has_order_id = True
        elif isinstance(message, messages.ManagedAccounts) and message.accounts:
            self._accounts = message
        elif isinstance(message, messages.CurrentTime) and self.outcome == READY:
            return self._on_time()
        if self.outcome is None and self._has_order_id and self._accounts:
            return self._on_ready(self._answered)
        return []

    def _on_ready(self, answered: float) -> List[Request]:
        self.outcome = READY
        # start_api took until the first word after it, ready until the last one that was needed.
        self._timings["start_api"] = round((answered - self._mark) * 1000, 1)
        self._mark = answered
        self._pass("ready", "ready")
        self._ready_at = self._mark
        return [requests.current_time()]

    def _on_time(self) -> List[Request]:
        if "current_time" in self._timings:
            return []
        late = self._sync.began is not None
        self._timings["current_time"] = round((time.monotonic() - self._ready_at) * 1000, 1)
        if self._depth != FULL:
            self._stage, self.done = "current_time", True
            return []
        if late:
            return []
        self._stage = "current_time"
        return self._begin_sync()

    def _begin_sync(self) -> List[Request]:
        self._stage = "sync"
        return self._sync.begin(self._accounts.first if self._accounts else "", self.server_version or 0)

    def _on_synced(self) -> List[Request]:
        if self._sync.complete:
            self._timings["sync"] = max((took for took in self._sync.took_ms.values() if took), default=0.0)
            self.done = True
        return []

    def _judge_sync(self) -> None:
        """A ready session whose time is over: whether what it did not answer says that it serves nobody."""
        waited = time.monotonic() - self._ready_at
        if self._sync.began is None or self.done:
            self.done = True
        elif not self._sync.answered and waited >= self._timeout * _FAIR_SHARE:
            told = "only the time was told" if "current_time" in self._timings else "nothing was answered"
            self.settle(UNANSWERED, f"the session opened in full, and {told} within {waited:.1f} s after that")
        else:
            self.done = True
            if messages.EXECUTIONS in self._sync.missing:
                missing = ", ".join(self._sync.missing).replace("_", " ")
                self._error = {"code": None, "message": f"within {waited:.1f} s not answered in full: {missing}"}

    def _on_error(self, error: messages.ApiError) -> None:
        if error.code == CLIENT_ID_IN_USE:
            self.outcome, self.done = ID_IN_USE, True
            self._error = {"code": error.code, "message": _in_words(error)}
        elif error.request_id in messages.NO_REQUEST:
            known = self._farms.take(error.code, error.raw)
            if known or error.code in _HARMLESS_NOTICES:
                return
            if error.code in self._notices:
                self._notices.remove(error.code)  # of a code that comes again the newest place counts
            if len(self._notices) < _MAX_NOTICES:
                self._notices.append(error.code)
            self._last_notice = error
            if error.code in UPSTREAM_LOST:
                self._upstream = error
            elif error.code in UPSTREAM_BACK:
                self._upstream = None


def _in_words(error: messages.ApiError) -> str:
    return error.text or f"error {error.code}"
