"""Rules on what an API handshake came to. Pure; see docs/findings.md for each code."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Tuple

from ..base import findings
from ..base.findings import Finding
from ..base.probe import Probe
from .context import Case, Rule, visitor

#: Codes by which the gateway says that its own link to the broker is gone, and that it is back.
_UPSTREAM_LOST, _UPSTREAM_BACK = (1100, 2110), (1101, 1102)

_HANDSHAKES = {
    "refused": (findings.HANDSHAKE_REFUSED, "port %(port)d listens, but a connection to it fails: %(error)s"),
    "silent": (findings.HANDSHAKE_SILENT, "the gateway takes the connection on port %(port)d and says nothing"),
    "dropped": (findings.HANDSHAKE_DROPPED, "the gateway drops the session before it is ready: %(error)s"),
    "stalled": (
        findings.HANDSHAKE_STALLED,
        "the gateway answers with server version %(version)s, then nothing more: what a script sees as "
        "`API connection failed: TimeoutError()`",
    ),
}


def handshake(case: Case) -> Iterator[Finding]:
    """The handshake failed: refused, silent, dropped or stalled."""
    probe = case.probe
    if probe is None or probe.outcome not in _HANDSHAKES:
        return
    fault, text = _HANDSHAKES[probe.outcome]
    error = (probe.error or {}).get("message", "")
    yield fault.found(
        text % {"port": case.spec.port, "error": error, "version": probe.server_version},
        dict(_handshake_evidence(probe), clients=[visitor(c) for c in case.entry.clients if c.connection is not None]),
    )


def client_id_in_use(case: Case) -> Iterator[Finding]:
    """Every client id that was tried is in use."""
    probe = case.probe
    if probe is not None and probe.outcome == "id_in_use":
        yield findings.CLIENT_ID_IN_USE.found(
            "client id %s is in use on %s; another id is free" % (probe.client_id, case.spec.name),
            dict(_handshake_evidence(probe), clients=[visitor(c) for c in case.entry.clients if c.open]),
        )


def wrong_trading_mode(case: Case) -> Iterator[Finding]:
    """The accounts are of the other trading mode."""
    probe = case.probe
    if probe is not None and probe.trading_mode not in (None, case.spec.trading_mode):
        yield findings.WRONG_TRADING_MODE.found(
            "port %d answers with %s accounts, %s is expected: do not trade on it"
            % (case.spec.port, probe.trading_mode, case.spec.trading_mode),
            {"expected": case.spec.trading_mode, "found": probe.trading_mode, "accounts": list(probe.accounts)},
        )


def upstream_down(case: Case) -> Iterator[Finding]:
    """The gateway says that its link to the broker is gone, or it fails while the broker resets its servers."""
    probe = case.probe
    evidence = _handshake_evidence(probe) if probe else {}
    links = [code for code in probe.notices if code in _UPSTREAM_LOST + _UPSTREAM_BACK] if probe else []
    if probe and links and links[-1] in _UPSTREAM_LOST:
        yield findings.UPSTREAM_DOWN.found(
            "the gateway works and has lost the broker's servers (error %d); a restart does not help" % links[-1],
            dict(evidence, notices=list(probe.notices), reset_window=case.reset_window or None),
        )
    elif case.reset_window and _fails_by_itself(case):
        yield findings.UPSTREAM_DOWN.found(
            "the gateway does not serve while the broker resets its servers (%s); a restart does not help"
            % case.reset_window,
            dict(evidence, notices=list(probe.notices) if probe else [], reset_window=case.reset_window),
        )


def _fails_by_itself(case: Case) -> bool:
    """Whether the entry's only gateway does not serve, and nobody holds it: nothing on this host explains that."""
    alone = len(case.entry.processes) == 1 and not any(client.connection for client in case.entry.clients)
    return alone and bool(case.silent or (case.probe and case.probe.outcome in _HANDSHAKES))


def _handshake_evidence(probe: Probe) -> Dict[str, Any]:
    return {
        "stage": probe.stage,
        "server_version": probe.server_version,
        "client_id": probe.client_id,
        "error": probe.error,
        "engine": probe.engine,
        "timings_ms": dict(probe.timings_ms),
    }


RULES: Tuple[Rule, ...] = (wrong_trading_mode, upstream_down, handshake, client_id_in_use)
