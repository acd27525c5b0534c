"""What a plan was made from, as one short text: the same evidence has the same digest. Pure.

Only what would make the plan wrong counts. Ages, idle times, queues and attempts at a session come and go while the
plan stays right, so they are left out.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, Iterable, List, Mapping, Sequence

from ..base.host import Client, Process
from ..base.plan import Entry


def digest(entry: Entry) -> str:
    """64 hex digits over what of the host a plan for this entry rests on.

    The entry itself (without the words of its start_command and the texts of its start_environment, which are not
    known everywhere), the identities and ports of its gateways and of those that might be its own, who listens on its
    port, whether its unit is up without a gateway, and whose sessions work on it.
    """
    facts = {
        "spec": _spec(entry),
        "gateways": _sorted(_gateway(entry, each) for each in entry.processes),
        "ambiguous": _sorted(_gateway(entry, each) for each in entry.ambiguous),
        "unplaced": _sorted(_gateway(entry, each) for each in entry.unplaced),
        "owners": sorted({pid for each in entry.listeners if each.port == entry.spec.port for pid in each.pids}),
        "unit_is_up": entry.unit_age is not None,
        "working": _sorted(_client(each) for each in entry.clients if each.working),
    }
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def digests(entries: Sequence[Entry]) -> Mapping[str, str]:
    """The digests of several entries, by name."""
    return {entry.spec.name: digest(entry) for entry in entries}


def _spec(entry: Entry) -> Dict[str, Any]:
    found = entry.spec._asdict()
    if entry.spec.container is not None:
        found["container"] = list(entry.spec.container._asdict().values())
    found["start_command"] = len(entry.spec.start_command)
    found["start_environment"] = [name for name, _text in entry.spec.start_environment]
    return found


def _gateway(entry: Entry, process: Process) -> List[Any]:
    return [process.pid, process.started_ticks, process.boot_id, list(entry.listening(process))]


def _client(client: Client) -> List[Any]:
    """Whose session it is: a process of this host, or an address; the address is empty for one that is not seen."""
    if client.process is not None:
        return [client.process.pid, client.process.started_ticks, client.process.boot_id]
    return [(client.connection.remote_host if client.connection else None) or ""]


def _sorted(rows: Iterable[List[Any]]) -> List[List[Any]]:
    """In an order that does not depend on the one in which they were found; one that is there twice stays twice."""
    return sorted(rows, key=json.dumps)
