"""Rules on who is connected to a gateway, or wants to be. Pure; loaded only where an entry has clients.

See docs/findings.md for each code.
"""

from __future__ import annotations

from typing import Iterator, Sequence, Tuple

from ..base import findings
from ..base.findings import Finding
from ..base.host import CLOSE_WAIT, FORGOTTEN_AFTER, Client
from .context import Rule, RuleContext
from .evidence import client_info, gone, hangs, lost


def stale_connections(context: RuleContext) -> Iterator[Finding]:
    """The gateway holds connections whose client has gone."""
    stale = [
        client
        for client in context.entry.clients
        if client.connection is not None and client.connection.state == CLOSE_WAIT and client.connection.accepted
    ]
    if not stale:
        return
    probe = context.probe
    blocked = probe is not None and probe.outcome not in ("ready", "unsupported")
    severity = findings.UNHEALTHY if blocked else findings.INFO if probe else findings.DEGRADED
    yield findings.STALE_CONNECTIONS.found(
        "the gateway still holds %d connection%s whose client has gone%s"
        % (len(stale), "" if len(stale) == 1 else "s", "; the API slot stays blocked" if blocked else ""),
        {"connections": [client_info(client) for client in stale], "slot_blocked": blocked if probe else None},
        severity,
    )


def competing_clients(context: RuleContext) -> Iterator[Finding]:
    """More connections are open than the entry allows, or a pattern names a running script.

    Without a limit working sessions never compete: a gateway serves 32.
    """
    limit = context.spec.max_api_clients
    holding = [client for client in context.entry.clients if client.open]
    known = (client for client in context.entry.clients if client.matches_pattern)
    named = [client for client in known if client.stoppable or client.ends_others]
    count = len(context.entry.open_connections())
    evidence = {
        "open_connections": count,
        "max_api_clients": limit,
        "clients": [client_info(client) for client in context.entry.clients],
    }
    if limit is not None and count > limit:
        summary = "%d API connections are open on %s, and its max_api_clients is %d" % (count, context.spec.name, limit)
        yield findings.COMPETING_CLIENTS.found(summary, evidence)
    elif named:
        summary = "%s that client_patterns names as competing: %s" % (
            "1 script runs" if len(named) == 1 else "%d scripts run" % len(named),
            ", ".join("pid %d" % client.process.pid for client in named if client.process),
        )
        yield findings.COMPETING_CLIENTS.found(summary, evidence, findings.DEGRADED)
    elif limit is not None and count == limit and holding and all(_silent_for(each) for each in holding):
        summary = "all %d API connections that %s may have are open, and nothing has passed on them for %d minutes" % (
            limit,
            context.spec.name,
            min(client.connection.idle or 0 for client in holding if client.connection) // 60,
        )
        yield findings.COMPETING_CLIENTS.found(summary, evidence, findings.INFO)


def _silent_for(client: Client) -> bool:
    idle = client.connection.idle if client.connection else None
    return not client.protected and idle is not None and idle >= FORGOTTEN_AFTER


def stale_remote_session(context: RuleContext) -> Iterator[Finding]:
    """A session of a client on another host on which nothing passes any more."""
    open_remote = [
        each for each in context.entry.clients if each.open and each.connection and each.connection.remote_host
    ]
    away = [each for each in open_remote if lost(each)]
    quiet = [each for each in open_remote if each not in away and _silent_for(each)]
    if away:
        text = "%s no longer answers: data was sent to it again and again and has been waiting for %d s"
        text %= (_hosts(away), max(each.connection.lost_for or 0 for each in away if each.connection))
        given_up = any(gone(context.entry, each) for each in away)
        yield findings.STALE_REMOTE_SESSION.found(
            text if given_up else text + "; its session may go on when the way to it is back",
            {"connections": [client_info(each) for each in away]},
            findings.DEGRADED if given_up else findings.INFO,
        )
    if quiet:
        yield findings.STALE_REMOTE_SESSION.found(
            "nothing has passed on the session of %s for %d minutes"
            % (_hosts(quiet), min(each.connection.idle or 0 for each in quiet if each.connection) // 60),
            {"connections": [client_info(each) for each in quiet]},
            findings.INFO,
        )


def _hosts(clients: Sequence[Client]) -> str:
    return ", ".join(
        sorted({each.connection.remote_host for each in clients if each.connection and each.connection.remote_host})
    )


def client_id_held(context: RuleContext) -> Iterator[Finding]:
    """A script on this host hangs and keeps its session, and with it its client id."""
    hung = [client for client in context.entry.clients if client.open and hangs(client)]
    if hung:
        yield findings.CLIENT_ID_HELD.found(
            "%s hangs and keeps its API session: a copy that is started with the same client id gets error 326"
            % ", ".join("script pid %d" % client.process.pid for client in hung if client.process),
            {"clients": [client_info(client) for client in hung]},
        )


RULES: Tuple[Rule, ...] = (stale_connections, competing_clients, stale_remote_session, client_id_held)
