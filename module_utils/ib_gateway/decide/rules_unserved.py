"""Rules on an entry whose port none of its own gateways has: who has it, and what runs instead. Pure.

Loaded only where that is so; see docs/findings.md for each code.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, Sequence, Tuple

from ..base import findings
from ..base.classify import CONTAINER_PROXIES
from ..base.findings import Finding
from ..base.plan import Differing
from . import not_serving
from .context import Rule, RuleContext
from .evidence import client_info, process_info, span
from .ports import stray_ports


def port_taken(context: RuleContext) -> Iterator[Finding]:
    """Somebody who is no gateway of the entry listens on its port."""
    if context.entry.owners() or context.entry.relay:
        return  # others on the same port, on another address, are told by claimed_by_another_account
    for listener in context.entry.listeners:
        if listener.port != context.spec.port:
            continue
        owners = [context.snapshot.processes[pid] for pid in sorted(listener.pids) if pid in context.snapshot.processes]
        if not owners:
            continue
        owner = owners[0]
        if owner.relay in CONTAINER_PROXIES and not_serving.container_returns(context):
            continue  # it holds the port until its container is there again
        what = "the relay %s" % owner.relay if owner.relay else "another gateway" if owner.gateway else "no gateway"
        yield findings.PORT_TAKEN.found(
            "port %d belongs to pid %d of %s, which is %s" % (context.spec.port, owner.pid, owner.user, what),
            {
                "port": context.spec.port,
                "address": listener.address,
                "relay": owner.relay,
                "is_gateway": owner.gateway is not None,
                "owners": [process_info(process) for process in owners],
            },
        )


def port_relayed(context: RuleContext) -> Iterator[Finding]:
    """A relay publishes the gateway's own port on the entry's.

    Worth knowing only, where it is shown to lead to the gateway or a session through it has opened.
    """
    relay, probe = context.entry.relay, context.probe
    if relay is None:
        return
    leads = relay.leads_there or (probe is not None and probe.ok)
    works = probe.ok if probe is not None else leads
    yield findings.PORT_RELAYED.found(
        "port %d belongs to %s (pid %d of %s)%s port %d, on which gateway pid %d of %s itself listens"
        % (
            context.spec.port,
            relay.name,
            relay.process.pid,
            relay.process.user,
            ", which leads to" if leads else "; nothing shows yet that it leads to",
            relay.port,
            relay.gateway.pid,
            context.spec.name,
        ),
        {
            "port": context.spec.port,
            "leads_to": relay.port if leads else None,
            "relay": process_info(relay.process),
            "gateway": dict(process_info(relay.gateway), listening=list(context.entry.listening(relay.gateway))),
        },
        findings.INFO if works else None,
    )


def gateway_not_running(context: RuleContext) -> Iterator[Finding]:
    """No process of the entry runs, and nothing is about to bring one."""
    brought = not_serving.unit_brings_it(context) or (context.entry.keepers and not not_serving.finished(context))
    if not not_serving.absent(context) or not_serving.unit_is_starting(context) or not_serving.told(context) or brought:
        return
    if context.entry.way is not None and context.entry.way.state is None:
        return  # a container has its port: rules_container tells what is wrong there
    spec, unit_age = context.spec, context.entry.unit_age
    expected = {"user": spec.user, "config_dir": spec.config_dir, "port": spec.port}
    summary = "no gateway process for %s is running" % spec.name
    if unit_age is not None:
        summary += ", although its %s has been up for %d s" % (spec.carrier, unit_age)
    summary += "".join("; " + each for each in _near_misses(context.entry.differing))
    evidence: Dict[str, Any] = {"expected": expected, "unit": spec.any_unit, "unit_is_up": unit_age is not None}
    cron = context.entry.cron
    if cron is not None:
        summary += "; cron starts one in %s by %s" % (span(cron.within), cron.label)
        evidence["cron"] = dict(cron._asdict(), within=round(cron.within, 1))
    if context.entry.differing:
        evidence["differing"] = [
            dict(process_info(near.process), keys=[key for key, _has, _says in near.keys])
            for near in context.entry.differing
        ]
    yield findings.GATEWAY_NOT_RUNNING.found(summary, evidence)


def _near_misses(differing: Sequence[Differing]) -> Iterator[str]:
    """In words, those that differ alike together."""
    for keys in dict.fromkeys(near.keys for near in differing):
        pids = [str(near.process.pid) for near in differing if near.keys == keys]
        told = ", and in ".join("key %s: it has %s, the entry says %s" % each for each in keys)
        verbs = "runs and differs" if len(pids) == 1 else "run and differ"
        yield "gateway pid %s %s in %s" % (", ".join(pids), verbs, told)


def wrong_port(context: RuleContext) -> Iterator[Finding]:
    """A gateway of the entry serves another port, and none serves the entry's."""
    entry = context.entry
    for process in () if entry.owners() or entry.relay else (*entry.elsewhere, *not_serving.astray(context)):
        ports = entry.serving(process) or stray_ports(entry, process)
        there = [each for each in entry.clients if each.connection and process.pid in each.connection.gateway_pids]
        here = [each for each in entry.clients if each.connection and each.connection.port == context.spec.port]
        yield findings.WRONG_PORT.found(
            "gateway pid %d of account %s serves port %s, and %s is declared on port %d: %s on port %s, %s on port %d"
            % (
                process.pid,
                process.user,
                _ports(ports),
                context.spec.name,
                context.spec.port,
                _connections(len(there)),
                _ports(ports),
                _connections(len(here)),
                context.spec.port,
            ),
            dict(
                process_info(process),
                expected_port=context.spec.port,
                listening=list(ports),
                clients_there=[client_info(client) for client in there],
                clients_here=[client_info(client) for client in here],
            ),
        )


def _ports(ports: Tuple[int, ...]) -> str:
    return ", ".join(map(str, ports)) or "none"


def _connections(count: int) -> str:
    return "1 client" if count == 1 else "%d clients" % count


def not_listening(context: RuleContext) -> Iterator[Finding]:
    """A gateway that should be up by now, or has served before, listens nowhere."""
    silent = not_serving.silent(context)
    if silent:
        holders = [client for client in context.entry.clients if client.connection is not None]
        yield findings.NOT_LISTENING.found(
            "%s runs (pid %s) but nothing listens on port %d"
            % (context.spec.name, ", ".join(str(process.pid) for process in silent), context.spec.port),
            {
                "port": context.spec.port,
                "processes": [
                    dict(process_info(p), age=round(p.age, 1), served_before=context.entry.has_served(p))
                    for p in silent
                ],
                "connections": [client_info(client) for client in holders],
            },
        )


RULES: Tuple[Rule, ...] = (port_taken, port_relayed, gateway_not_running, wrong_port, not_listening)
