"""What is so on a simulated host, found without the code under test: evidence and health, pause file and journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from ansible.module_utils.ib_gateway.state.records import epoch
from unit.simulated_host import SimHost

Row = Dict[str, Any]
PROTECTED, NAMED = "risk_monitor", "cleanup"


class Truth(NamedTuple):
    """What of one entry a plan rests on, and what a restart would cost."""

    gateways: Tuple[Tuple[int, int, Optional[int]], ...]
    owners: Tuple[int, ...]
    working: Tuple[Tuple[int, int], ...]
    protected: bool
    protected_works: bool
    serves: bool
    upstream: bool


def truth(host: SimHost, entry: Row) -> Truth:
    """Of one entry, now."""
    gateways = [
        each
        for each in host.processes.values()
        if each.is_gateway and each.user == entry["user"] and each.folder == entry["config_dir"]
    ]
    owners = [each for each in host.processes.values() if each.port == entry["port"] and host.listening(each)]
    # One that listens on another API port is at work for somebody else: no step is about it or its clients.
    aside = [each for each in gateways if each.port != entry["port"] and host.listening(each)]
    sessions = [
        each
        for each in host.sessions
        if each.server in gateways and each.server not in aside and each.state == "ESTABLISHED"
    ]
    guarded = [each for each in sessions if each.client is not None and PROTECTED in " ".join(each.client.argv)]
    # One that still carries a script's session, or a protected script's attempt at one, is never ended, so it stands
    # beside the one that serves for as long.
    carrying = [each.server for each in sessions if each.working or each in guarded]
    # Nor is a native launch that has never served: it does not say its mode, and may be somebody else's.
    unknown = [each for each in gateways if each.port is None and each.argv[-1] == "ibgateway.GWClient"]
    spared = [*owners, *aside, *carrying, *unknown]
    rivals = [each for each in gateways if each not in spared]
    serves = len(owners) == 1 and owners[0] in gateways and not rivals
    free = not any(each.working for each in sessions if each.server in owners)
    return Truth(
        tuple(sorted((each.pid, each.ticks, each.port if host.listening(each) else None) for each in gateways)),
        tuple(sorted(each.pid for each in owners)),
        tuple(
            sorted((each.client.pid, each.client.ticks) if each.client else (0, 0) for each in sessions if each.working)
        ),
        bool(guarded),
        any(each.working for each in guarded),
        serves and (not free or owners[0].api == "ready"),
        free and any(each.api == "upstream" for each in gateways if each in owners),
    )


def paused(state_dir: Path, wall: float) -> bool:
    """Whether a pause file holds; in doubt it does. wall: seconds since the epoch."""
    file = state_dir / "pause.json"
    if not file.exists():
        return False
    try:
        return epoch(json.loads(file.read_text())["until"]) > wall
    except ValueError:
        return True


def lines(state_dir: Path) -> List[Row]:
    """The journal's records, those that a checkpoint keeps among them; half a line at the end is none."""
    file = state_dir / "journal.jsonl"
    if not file.exists():
        return []
    rows = [json.loads(each) for each in file.read_bytes().rpartition(b"\n")[0].splitlines()]
    return [one for each in rows for one in [*each.get("kept", ()), each]]


def open_intents(state_dir: Path, run: str) -> List[Row]:
    """The intents of a run that have no outcome."""
    rows = lines(state_dir)
    closed = {each.get("intent") for each in rows if each["kind"] == "outcome"}
    return [each for each in rows if each["kind"] == "intent" and each["run"] == run and each["n"] not in closed]


def concluded(state_dir: Path, run: str) -> Tuple[Set[str], Set[str], Set[str]]:
    """What a run has on record: the gateways that it meant to act on, that ended well, and that ended in failure."""
    rows = [each for each in lines(state_dir) if each["run"] == run]
    acted = {each["gateway"] for each in rows if each["kind"] == "intent"}
    ends = [(each["gateway"], each["result"] == "success") for each in rows if each["kind"] == "end"]
    return acted, {name for name, well in ends if well}, {name for name, well in ends if not well}


def latches(state_dir: Path) -> Set[str]:
    """The gateways whose last end on record is a failure that nobody has lifted since."""
    found: Set[str] = set()
    for each in lines(state_dir):
        if each["kind"] == "end" and each["result"] == "failure":
            found.add(each["gateway"])
        elif each["kind"] in ("end", "release"):
            found.discard(each["gateway"])
    return found
