"""Rules on what an API handshake came to. Pure; see docs/findings.md for each code."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Tuple

from ..base import findings
from ..base.findings import Finding
from ..base.probe import STAGES, Probe
from . import not_serving
from .context import Rule, RuleContext
from .evidence import client_info

#: Codes by which the gateway says that its own link to the broker is gone, and that it is back.
_UPSTREAM_LOST, _UPSTREAM_BACK = (1100, 2110), (1101, 1102)
#: The paper account's disclaimer was not accepted since the gateway has started.
_DISCLAIMER = 10141
#: The request that IB.connect fails without; it goes on without the others.
_NEEDED = "executions"
_MOST_NAMED = 5
#: Seconds that IB.connect waits for all of it, unless the script says otherwise.
_USUAL_TIMEOUT = 4.0

_UNTIL_READY = STAGES[: STAGES.index("ready") + 1]

_HANDSHAKES = {
    "refused": (findings.HANDSHAKE_REFUSED, "port %(port)d listens, but a connection to it fails: %(error)s"),
    "silent": (findings.HANDSHAKE_SILENT, "the gateway takes the connection on port %(port)d and says nothing"),
    "dropped": (findings.HANDSHAKE_DROPPED, "the gateway drops the session before it is ready: %(error)s"),
    "stalled": (
        findings.HANDSHAKE_STALLED,
        "the gateway answers with server version %(version)s, then nothing more: what a script sees as "
        "`API connection failed: TimeoutError()`",
    ),
    "incomplete": (
        findings.SESSION_INCOMPLETE,
        "the gateway opens only a part of the session: %(error)s; scripts see `API connection failed: TimeoutError()`",
    ),
    "unanswered": (
        findings.SESSION_SILENT,
        "the gateway opens the session on port %(port)d and answers none of a script's first requests: %(error)s; "
        "`IB.connect` ends in TimeoutError",
    ),
}


def handshake(context: RuleContext) -> Iterator[Finding]:
    """The handshake failed: refused, silent, dropped, stalled, incomplete or unanswered."""
    probe = context.probe
    if probe is None or not _failed(probe):
        return
    fault, text = _HANDSHAKES[probe.outcome]
    yield fault.found(
        text % {"port": context.spec.port, "error": _message(probe), "version": probe.server_version},
        dict(
            _handshake_evidence(probe),
            clients=[client_info(c) for c in context.entry.clients if c.connection is not None],
        ),
    )


def cannot_judge(context: RuleContext) -> Iterator[Finding]:
    """The server and the look have no server version in common."""
    probe = context.probe
    if probe is not None and probe.outcome == "unsupported":
        yield findings.CANNOT_JUDGE.found(
            "the server on port %d %s" % (context.spec.port, _message(probe)), _handshake_evidence(probe)
        )


def disclaimer_pending(context: RuleContext) -> Iterator[Finding]:
    """The gateway opens no session before a person has accepted the paper account's disclaimer."""
    probe = context.probe
    if probe is not None and _refused_by_disclaimer(probe):
        yield findings.DISCLAIMER_PENDING.found(
            "the paper account waits until a person accepts the disclaimer at the gateway's screen (error %d)"
            % _DISCLAIMER,
            _handshake_evidence(probe),
        )


def session_slow(context: RuleContext) -> Iterator[Finding]:
    """A session is ready, and that took longer than scripts wait, or only a part of what they ask for was answered."""
    probe = context.probe
    if probe is None or probe.outcome != "ready":
        return
    took = sum(probe.timings_ms.get(stage, 0.0) for stage in _UNTIL_READY) / 1000
    if took > _USUAL_TIMEOUT:
        yield findings.SESSION_SLOW.found(
            "the session was ready only after %.1f s: `IB.connect`, which waits %d s unless it is given another "
            "timeout, ends in TimeoutError" % (took, _USUAL_TIMEOUT),
            _handshake_evidence(probe),
        )
        return
    late = [name for name, each in probe.sync.items() if each is None]
    if not late:
        return
    needed = _NEEDED in late
    yield findings.SESSION_SLOW.found(
        "the session is ready, and the answer about %s did not come in full in time: %s"
        % (
            ", ".join(late).replace("_", " "),
            "`IB.connect` ends in TimeoutError" if needed else "`IB.connect` goes on without it",
        ),
        _handshake_evidence(probe),
        None if needed else findings.INFO,
    )


def farm_broken(context: RuleContext) -> Iterator[Finding]:
    """The gateway serves the API, and has lost some of the broker's data farms; expected during a reset window."""
    probe = context.probe
    if probe is None or probe.outcome != "ready" or not probe.farms:
        return
    names = ["%s farm %s" % (farm["serves"], farm["name"] or "without a name") for farm in probe.farms]
    more = " and %d more" % (len(names) - _MOST_NAMED) if len(names) > _MOST_NAMED else ""
    yield findings.FARM_BROKEN.found(
        "the gateway serves, and says that its connection to the broker is broken for: %s%s"
        % (", ".join(names[:_MOST_NAMED]), more),
        {"farms": [dict(farm) for farm in probe.farms], "reset_window": context.reset_window or None},
        findings.INFO if context.reset_window else None,
    )


def client_id_in_use(context: RuleContext) -> Iterator[Finding]:
    """Every client id that was tried is in use."""
    probe = context.probe
    if probe is not None and probe.outcome == "id_in_use":
        yield findings.CLIENT_ID_IN_USE.found(
            "client id %s is in use on %s; another id is free" % (probe.client_id, context.spec.name),
            dict(_handshake_evidence(probe), clients=[client_info(c) for c in context.entry.clients if c.open]),
        )


def wrong_trading_mode(context: RuleContext) -> Iterator[Finding]:
    """The accounts are of the other trading mode."""
    probe = context.probe
    if probe is not None and probe.trading_mode not in (None, context.spec.trading_mode):
        yield findings.WRONG_TRADING_MODE.found(
            "port %d answers with %s accounts, %s is expected: do not trade on it"
            % (context.spec.port, probe.trading_mode, context.spec.trading_mode),
            {"expected": context.spec.trading_mode, "found": probe.trading_mode, "accounts": list(probe.accounts)},
        )


def upstream_down(context: RuleContext) -> Iterator[Finding]:
    """The gateway says that its link to the broker is gone, or it fails while the broker resets its servers."""
    probe = context.probe
    evidence = _handshake_evidence(probe) if probe else {}
    links = [code for code in probe.notices if code in _UPSTREAM_LOST + _UPSTREAM_BACK] if probe else []
    if probe and links and links[-1] in _UPSTREAM_LOST:
        yield findings.UPSTREAM_DOWN.found(
            "the gateway works and has lost the broker's servers (error %d)" % links[-1],
            dict(evidence, notices=list(probe.notices), reset_window=context.reset_window or None),
        )
    elif context.reset_window and _fails_by_itself(context):
        yield findings.UPSTREAM_DOWN.found(
            "the gateway does not serve while the broker resets its servers (%s); a restart does not help"
            % context.reset_window,
            dict(evidence, notices=list(probe.notices) if probe else [], reset_window=context.reset_window),
        )


def _fails_by_itself(context: RuleContext) -> bool:
    """Whether the entry's only gateway does not serve, and nobody holds it: nothing on this host explains that."""
    alone = len(context.entry.processes) == 1 and not any(client.connection for client in context.entry.clients)
    return alone and bool(not_serving.silent(context) or (context.probe and _failed(context.probe)))


def _failed(probe: Probe) -> bool:
    return probe.outcome in _HANDSHAKES and not _refused_by_disclaimer(probe)


def _refused_by_disclaimer(probe: Probe) -> bool:
    return _DISCLAIMER in probe.notices and probe.outcome != "ready"


def _message(probe: Probe) -> str:
    return str((probe.error or {}).get("message", ""))


def _handshake_evidence(probe: Probe) -> Dict[str, Any]:
    return {
        "stage": probe.stage,
        "server_version": probe.server_version,
        "client_id": probe.client_id,
        "error": probe.error,
        "engine": probe.engine,
        "timings_ms": dict(probe.timings_ms),
        "sync": dict(probe.sync),
    }


RULES: Tuple[Rule, ...] = (
    cannot_judge,
    wrong_trading_mode,
    upstream_down,
    handshake,
    session_slow,
    client_id_in_use,
    farm_broken,
    disclaimer_pending,
)
