"""The shapes in which processes and clients are evidence, and what of a client shows that it hangs or is lost. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from ..base.host import Client, Process
from ..base.plan import Entry

#: Seconds after which data that nobody reads shows that a script hangs; an event loop reads at once.
_UNREAD_FOR = 60.0
#: Seconds without an answer after which a session is given up though nobody needs its place: a way that was down comes
#: back before, and the session goes on.
_GONE_AFTER = 300.0
#: The same where its place is needed. What the other end has sent meanwhile shows that only its way back is lost.
_IN_THE_WAY_AFTER = 30.0


def lost(client: Client) -> bool:
    """Whether the kernel waits in vain for answers of a client on another host, so that cutting it harms nobody."""
    connection = client.connection
    return connection is not None and connection.remote_host is not None and connection.lost_for is not None


def gone(entry: Entry, client: Client, needed: bool = False) -> bool:
    """Whether such a client is given up: it has been away for long, or for a while and in the place of the next one.

    needed: whether its place is, also where max_api_clients does not say so.
    """
    limit, connection = entry.spec.max_api_clients, client.connection
    if connection is None or not lost(client):
        return False
    needed = needed or (limit is not None and len(entry.open_connections()) >= limit)
    return (connection.lost_for or 0.0) >= (_IN_THE_WAY_AFTER if needed else _GONE_AFTER)


def hangs(client: Client) -> bool:
    """Whether a signal has stopped it, or what the gateway sent lies unread while nothing passes either way."""
    process, connection = client.process, client.connection
    if process is None or connection is None:
        return False
    unread = (connection.unread or 0) > 0 and (connection.idle or 0.0) >= _UNREAD_FOR
    return process.frozen or unread


def span(seconds: float) -> str:
    """Seconds as a person says them."""
    for name, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return "%d %s" % (seconds // size, name)
    return "%d s" % seconds


def process_info(process: Process) -> Dict[str, Any]:
    return {"pid": process.pid, "user": process.user, "command": list(process.command)}


def client_info(client: Client) -> Dict[str, Any]:
    """A client as evidence; what does not apply is left out."""
    found: Dict[str, Any] = {}
    process, connection = client.process, client.connection
    if process is not None:
        found.update(process_info(process), age=round(process.age, 1))
    if connection is not None:
        found.update(port=connection.port, state=connection.state)
        if connection.idle is not None:
            found["idle"] = round(connection.idle, 1)
        if connection.remote_host:
            found["remote_host"] = connection.remote_host
    marks: List[Tuple[str, Any]] = [
        ("never_served", client.open and not client.working),
        ("orphaned", client.orphaned),
        ("matches_pattern", client.matches_pattern),
        ("protected", client.protected),
        ("relay", process.relay or client.relay if process else None),
        ("parked", client.parked),
        ("service", client.service),
    ]
    found.update({name: value for name, value in marks if value})
    return found
