"""What a handshake means to whoever asks: a container engine, an orchestrator or a monitoring system. Pure.

For liveness a handshake that fails is not enough. A restart costs a login, often one with a second factor, and ends the
sessions of every script. So only a gateway that opens no session to anybody is called dead, and only where nothing
contradicts that.
"""

from __future__ import annotations

from typing import NamedTuple, Optional, Sequence

from ansible.module_utils.ib_gateway.api import dialogue
from ansible.module_utils.ib_gateway.base.host import HELLO_BYTES, OPENING_BYTES
from ansible.module_utils.ib_gateway.base.probe import Probe
from ansible.module_utils.ib_gateway.observe.addresses import SocketRow

HEALTHCHECK, READINESS, LIVENESS, NAGIOS = "healthcheck", "readiness", "liveness", "nagios"
PURPOSES = (HEALTHCHECK, READINESS, LIVENESS, NAGIOS)
#: Nagios: the exit code of each status.
_OK, _WARNING, _CRITICAL, _UNKNOWN = "OK", "WARNING", "CRITICAL", "UNKNOWN"
_CODES = {_OK: 0, _WARNING: 1, _CRITICAL: 2, _UNKNOWN: 3}
#: The gateway took the connection and did not open the session, nor close it: what a new process can cure.
_STUCK = (dialogue.SILENT, dialogue.STALLED, dialogue.INCOMPLETE, dialogue.UNANSWERED)


class Verdict(NamedTuple):
    """The status in the words of the purpose, the exit code, and one line of text."""

    status: str
    exit_code: int
    text: str


class Sockets(NamedTuple):
    """What the kernel shows of the gateway's port: how many connections wait to be accepted, and the sessions.

    waiting: None where nobody listens.
    """

    waiting: Optional[int]
    working: int


def sockets_of(port: int, listeners: Sequence[SocketRow], connections: Sequence[SocketRow]) -> Sockets:
    """The sockets on this port. A session works where both ends have said more than an opening needs, or none tells."""
    waiting = [row.receive_queue for row in listeners if row.local_port == port]
    working = [
        row
        for row in connections
        if row.local_port == port
        and row.state == "ESTABLISHED"
        and (row.sent is None or row.sent > HELLO_BYTES)
        and (row.received is None or row.received > OPENING_BYTES)
    ]
    return Sockets(max(waiting) if waiting else None, len(working))


def judged(purpose: str, probe: Probe, sockets: Optional[Sockets] = None) -> Verdict:
    """What this handshake means for the purpose. sockets: for liveness; None where they could not be read."""
    if purpose == LIVENESS:
        return _liveness(probe, sockets)
    if purpose == NAGIOS:
        return _nagios(probe)
    good = probe.ok
    words = ("healthy", "unhealthy") if purpose == HEALTHCHECK else ("ready", "not ready")
    return Verdict(words[not good], int(not good), told(probe))


def could_not_ask(purpose: str, why: str) -> Verdict:
    """No handshake was made. For liveness that is no reason to restart anything."""
    if purpose == LIVENESS:
        return Verdict("alive", 0, "nothing was asked: " + why)
    return Verdict("unknown", 1, why) if purpose != NAGIOS else Verdict(_UNKNOWN, _CODES[_UNKNOWN], why)


def told(probe: Probe) -> str:
    """The handshake in one line."""
    message = str((probe.error or {}).get("message") or "")
    if probe.outcome == dialogue.READY:
        facts = ["session ready in %.0f ms" % sum(probe.timings_ms.values())]
        facts += ["server version %s" % probe.server_version, probe.trading_mode or "trading mode not known"]
        message = "; ".join([", ".join(facts), *([message] if message else [])])
    farms = ["%s farm %s is down" % (each["serves"], each["name"] or "without a name") for each in probe.farms]
    return "; ".join([message, *farms])


def _nagios(probe: Probe) -> Verdict:
    if probe.outcome == dialogue.READY and probe.ok:
        status = _WARNING if probe.farms else _OK
    elif probe.outcome == dialogue.UNSUPPORTED:
        status = _UNKNOWN
    elif probe.outcome == dialogue.ID_IN_USE or (probe.outcome == dialogue.READY and not _upstream_lost(probe)):
        status = _WARNING  # it serves others, or it serves and left something out
    else:
        status = _CRITICAL
    # What stands behind a bar is measured values; nothing that a peer said may look like one.
    text = told(probe).replace("|", "/")
    if probe.outcome == dialogue.READY:
        text += " | time=%.3fs;;;0" % (sum(probe.timings_ms.values()) / 1000)
    return Verdict(status, _CODES[status], text)


def _liveness(probe: Probe, sockets: Optional[Sockets]) -> Verdict:
    reason = _reason_to_wait(probe, sockets)
    if reason:
        return Verdict("alive", 0, "%s: %s" % (reason, told(probe)))
    return Verdict("stuck", 1, told(probe))


def _reason_to_wait(probe: Probe, sockets: Optional[Sockets]) -> str:
    """Why a restart would cure nothing or end what works; empty where nothing speaks against one."""
    if probe.outcome == dialogue.READY:
        return "it serves"
    never_accepts = probe.outcome == dialogue.REFUSED and sockets is not None and bool(sockets.waiting)
    if probe.outcome == dialogue.REFUSED and not never_accepts:
        return "the port is closed, as in a start, a login or the wait for a second factor"
    if probe.outcome not in _STUCK and not never_accepts:
        return "it answers"
    if _upstream_lost(probe):
        return "it has no way to the broker, and a restart brings none"
    if sockets is None:
        return "the sockets could not be read, so sessions may work"
    if sockets.working:
        return "%d session%s may work" % (sockets.working, "" if sockets.working == 1 else "s")
    return ""


def _upstream_lost(probe: Probe) -> bool:
    return (probe.error or {}).get("code") in dialogue.UPSTREAM_LOST
