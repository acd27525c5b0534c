"""A fleet document as metrics for the textfile collector of Prometheus. Pure.

Base units, no timestamps on samples, and no label that takes endless values: no pid, no account, no message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..document import blockers
from ..document.fleet_document import STATUSES
from ..document.latest import gateways
from ..document.text import visible
from . import gateway_metrics
from .gateway_metrics import LABELS


def prometheus(fleet: Mapping[str, Any]) -> str:
    """The text exposition."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Fleet(fleet))
    return generate_latest(registry).decode("utf-8")


class _Fleet(Collector):
    """Hands a document's numbers to the client library."""

    def __init__(self, fleet: Mapping[str, Any]) -> None:
        self._fleet = fleet
        #: By the name as it is shown, so that no two hosts share a series.
        self._hosts = {visible(host["name"]): host for host in fleet["hosts"]}

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every family once."""
        yield from self._whole()
        yield from self._each_host()
        yield from self._each_gateway()
        gateways = list(self._gateways())
        yield from gateway_metrics.now(gateways)
        yield from gateway_metrics.past(self._fleet, gateways)

    def _whole(self) -> Iterator[GaugeMetricFamily]:
        fleet = self._fleet
        info = GaugeMetricFamily("ib_fleet_report_info", "The run this is of.", labels=("kind", "version"))
        info.add_metric((fleet["kind"], visible(fleet["tool_version"])), 1)
        yield info
        when = datetime.fromisoformat(fleet["generated_at"].replace("Z", "+00:00")).timestamp()
        yield GaugeMetricFamily("ib_fleet_report_time_seconds", "When the report was made, Unix time.", value=when)
        yield GaugeMetricFamily(
            "ib_fleet_declared_hosts", "Hosts that should be in the report.", value=fleet["summary"]["declared"]
        )
        yield GaugeMetricFamily(
            "ib_fleet_frozen",
            "1 where the run stopped repairing altogether.",
            value=float(bool(blockers.frozen(fleet))),
        )
        hosts = GaugeMetricFamily("ib_fleet_hosts", "Hosts in the report by status.", labels=("status",))
        for status in STATUSES:
            hosts.add_metric((status,), fleet["summary"]["statuses"][status])
        yield hosts
        codes = Counter(f["code"] for _, gateway in self._gateways() for f in gateway["findings"])
        findings = GaugeMetricFamily(
            "ib_fleet_findings", "Gateways with this finding, over the fleet.", labels=("code",)
        )
        for code in sorted(codes):
            findings.add_metric((code,), codes[code])
        yield findings

    def _each_host(self) -> Iterator[GaugeMetricFamily]:
        state = GaugeMetricFamily("ib_host_status", "1 for the status the host has.", labels=("host", "status"))
        look = GaugeMetricFamily("ib_host_look_seconds", "How long the look took on the host.", labels=("host",))
        for name, host in self._hosts.items():
            for status in STATUSES:
                state.add_metric((name, status), float(host["status"] == status))
            took = host["timings"]["proof_ms"] or host["timings"]["look_ms"]
            if took is not None:
                look.add_metric((name,), took / 1000)
        yield from (state, look)

    def _each_gateway(self) -> Iterator[GaugeMetricFamily]:
        state = GaugeMetricFamily("ib_gateway_status", "1 for its status.", labels=(*LABELS, "status"))
        processes = GaugeMetricFamily("ib_gateway_processes", "Gateway processes that run for it.", labels=LABELS)
        clients = GaugeMetricFamily("ib_gateway_api_connections", "Open API connections.", labels=LABELS)
        stages = GaugeMetricFamily("ib_gateway_handshake_seconds", "API handshake by stage.", labels=(*LABELS, "stage"))
        latches = GaugeMetricFamily(
            "ib_gateway_repair_latched", "1 where it is not repaired again by itself.", labels=LABELS
        )
        shut = {(name, visible(each)) for name, host in self._hosts.items() for each in blockers.latched(host)}
        for labels, gateway in self._gateways():
            latches.add_metric(labels, float(labels[:2] in shut))
            for status in STATUSES[:-1]:
                state.add_metric((*labels, status), float(gateway["status"] == status))
            processes.add_metric(labels, len(gateway["processes"]))
            clients.add_metric(labels, sum(bool(each["connected"]) for each in gateway["clients"]))
            for stage, took in ((gateway["api"] or {}).get("timings_ms") or {}).items():
                stages.add_metric((*labels, visible(stage)), took / 1000)
        yield from (state, processes, clients, stages, latches)

    def _gateways(self) -> Iterator[tuple[tuple[str, str, str], Mapping[str, Any]]]:
        for name, host in self._hosts.items():
            for gateway in gateways(host):
                yield (name, visible(gateway["name"]), gateway["trading_mode"]), gateway
