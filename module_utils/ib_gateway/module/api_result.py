"""How modules return who uses an API: clients and handshakes, and what of both proves that a gateway serves. Pure."""

from __future__ import annotations

from typing import Any, Dict

from ..base.host import Client
from ..base.plan import Diagnosis
from ..base.probe import Probe
from ..base.short_command import short

#: Characters that a command line takes in a sentence.
_COMMAND = 80


def client(each: Client) -> Dict[str, Any]:
    """A client as ib_client_info returns it. local is the client's end, remote the gateway's."""
    process, connection = each.process, each.connection
    return {
        "pid": process.pid if process else None,
        "started_ticks": process.started_ticks if process else None,
        "boot_id": process.boot_id if process else None,
        "argv_digest": process.argv_digest if process else None,
        "user": process.user if process else None,
        "argv": list(process.command) if process else None,
        "unit": process.unit if process else None,
        "connected": connection is not None,
        "port": connection.port if connection else None,
        "local": _end(connection.client, connection.client_port) if connection else None,
        "remote": _end(connection.server, connection.port) if connection else None,
        "state": connection.state if connection else None,
        "accepted": connection.accepted if connection else None,
        "served": connection.served if connection else None,
        "working": each.working,
        "idle": round(connection.idle, 1) if connection and connection.idle is not None else None,
        "age": round(process.age, 1) if process else None,
        "orphaned": each.orphaned,
        "is_relay": bool(process and process.relay),
        "remote_host": connection.remote_host if connection else None,
        "matches_pattern": each.matches_pattern,
        "protected": each.protected,
    }


def _end(address: str, port: int) -> str:
    return "[%s]:%d" % (address, port) if ":" in address else "%s:%d" % (address, port)


def api(probe: Probe) -> Dict[str, Any]:
    """A handshake as ib_api_probe returns it."""
    found = probe._asdict()
    found["accounts"], found["notices"] = list(probe.accounts), list(probe.notices)
    found["timings_ms"], found["error"] = dict(probe.timings_ms), probe.error and dict(probe.error)
    found["sync"], found["farms"] = dict(probe.sync), [dict(each) for each in probe.farms]
    return found


def proof(diagnosis: Diagnosis) -> str:
    """What makes a gateway healthy: its handshake, or who works on it, or only that it listens."""
    probe, holders = diagnosis.probe, diagnosis.entry.at_work()
    if probe is not None and probe.ok:
        return "API session ready through %s, server version %s, %s accounts" % (
            "the socket engine" if probe.engine == "socket" else probe.engine,
            probe.server_version,
            probe.trading_mode or "unknown",
        )
    if holders:
        return "listening; in use by %s" % ", ".join(dict.fromkeys(_holder(each) for each in holders))
    return "listening; no handshake made"


def _holder(each: Client) -> str:
    process = each.process
    if process is None:
        return each.connection.remote_host if each.connection and each.connection.remote_host else "a client not seen"
    return "pid %d (%s)" % (process.pid, short(process.command, _COMMAND))
