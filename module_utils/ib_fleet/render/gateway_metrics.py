"""What the metrics say of each gateway: how it is, since when, its login, what was repaired and refused. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Optional

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ...ib_gateway.base import findings
from ...ib_gateway.base.login import LOGGING_IN, READY, STATES, UNKNOWN
from ..document.text import visible

#: host, gateway, mode.
LABELS = ("host", "gateway", "mode")
Labels = tuple[str, str, str]
Gateways = Sequence[tuple[Labels, Mapping[str, Any]]]


def unix(at: Any) -> Optional[float]:
    """An RFC 3339 moment in seconds since the epoch; None where there is none, or where something else stands."""
    try:
        return datetime.fromisoformat(at).timestamp() if at else None
    except (ValueError, TypeError, OverflowError):
        return None


def login_state(gateway: Mapping[str, Any]) -> str:
    """Where a gateway's login stands, as far as findings and the handshake say it."""
    for each in gateway["findings"]:
        state = each["evidence"].get("state")
        if state in STATES and "log" in each["evidence"]:
            return str(state)
        if each["code"] == findings.LOGIN_PENDING.code:
            return LOGGING_IN
    ready = gateway["status"] == findings.HEALTHY or (gateway["api"] or {}).get("ok") or _working(gateway)
    return READY if ready else UNKNOWN


def _working(gateway: Mapping[str, Any]) -> int:
    return sum(bool(each["connected"] and each.get("working")) for each in gateway["clients"])


def now(gateways: Gateways) -> Iterator[Metric]:
    """What the last look saw."""
    verdict = GaugeMetricFamily("ib_gateway_verdict", "1 for the verdict it has.", labels=(*LABELS, "verdict"))
    login = GaugeMetricFamily("ib_gateway_login_state", "1 for where its login stands.", labels=(*LABELS, "state"))
    sessions = GaugeMetricFamily("ib_gateway_sessions", "API sessions that work.", labels=LABELS)
    started = GaugeMetricFamily(
        "ib_gateway_process_start_time_seconds", "When its oldest process started, Unix time.", labels=LABELS
    )
    for labels, gateway in gateways:
        verdict.add_metric((*labels, visible(gateway["verdict"])), 1)
        login.add_metric((*labels, login_state(gateway)), 1)
        sessions.add_metric(labels, _working(gateway))
        starts = [at for each in gateway["processes"] if (at := unix(each.get("started_at"))) is not None]
        if starts:
            started.add_metric(labels, min(starts))
    yield from (verdict, login, sessions, started)


def past(fleet: Mapping[str, Any], gateways: Gateways) -> Iterator[Metric]:
    """What the history knows; nothing where there is none."""
    modes = {labels[:2]: labels[2] for labels, _ in gateways}
    gauges = {
        "since": GaugeMetricFamily(
            "ib_gateway_status_since_time_seconds",
            "From when on it is healthy, or is not, or is not known, Unix time.",
            labels=LABELS,
        ),
        "last_healthy": GaugeMetricFamily(
            "ib_gateway_last_healthy_time_seconds", "When it was last seen healthy, Unix time.", labels=LABELS
        ),
        "uptime": GaugeMetricFamily(
            "ib_gateway_uptime_ratio",
            "Of the time over the kept sweeps, the share in which it was healthy.",
            labels=LABELS,
        ),
        "mended": GaugeMetricFamily(
            "ib_gateway_last_incident_seconds", "How long its last incident lasted that has ended.", labels=LABELS
        ),
    }
    repairs = CounterMetricFamily(
        "ib_gateway_repairs", "Steps of repairs that were begun.", labels=(*LABELS, "action", "result")
    )
    refusals = CounterMetricFamily("ib_gateway_refusals", "Repairs and steps not begun.", labels=(*LABELS, "kind"))
    known = (fleet.get("history") or {}).get("gateways", ())
    # By the names as they are shown, so that no two gateways share a series.
    for name, each in {(visible(one["host"]), visible(one["gateway"])): one for one in known}.items():
        labels = (*name, modes.get(name, ""))
        for action, results in each["repairs"].items():
            for result, times in results.items():
                repairs.add_metric((*labels, visible(action), visible(result)), times)
        for kind, times in each["refusals"].items():
            refusals.add_metric((*labels, visible(kind)), times)
        ended = [one["seconds"] for one in each["incidents"] if one["seconds"] is not None]
        values = {
            "since": unix(each["since"]),
            "last_healthy": unix(each["last_healthy"]),
            "uptime": each["uptime"],
            "mended": ended[-1] if ended else None,
        }
        for key, value in values.items():
            if value is not None and name in modes:
                gauges[key].add_metric(labels, value)
    yield from (*gauges.values(), repairs, refusals)
