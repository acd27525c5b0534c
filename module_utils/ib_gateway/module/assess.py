"""One assessment of a host, as ib_gateway_health returns it: looks, judges, plans."""

from __future__ import annotations

import time
from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence

from ..base.plan import Diagnosis, Plan
from ..base.probe import FULL, QUICK, Probe, Prober
from ..base.spec import GatewaySpec
from . import result
from .look import Hints, Probing, examine, watch
from .runner import GatewayModule

#: What an assessment can be told.
OPTIONS: Dict[str, Any] = {
    "probe": {"type": "str", "choices": ["auto", "always", "never"], "default": "auto"},
    "probe_depth": {"type": "str", "choices": [QUICK, FULL], "default": QUICK},
    "probe_timeout": {"type": "float", "default": 5.0},
    "probe_patience": {"type": "float", "default": 0.0},
    "known_served": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"pid": {"type": "int", "required": True}, "started_ticks": {"type": "int", "required": True}},
    },
    "reset_window": {"type": "str", "default": ""},
    "login_reset": {"type": "float", "default": 0.0},
    "stopped": {"type": "list", "elements": "str", "default": []},
}
#: client_ids.MAX_TIMEOUT; most looks of a sweep open no session, and what opens one is imported when it is needed.
LONGEST_SESSION = 3600.0


def by_socket(host: str, port: int, timeout: float, depth: str, avoid: Collection[int]) -> Probe:
    """One session with the engine that needs nothing installed."""
    from ..api import handshake

    return handshake.probe(host, port, timeout=timeout, depth=depth, avoid=avoid)


def assess(
    specs: Sequence[GatewaySpec],
    options: Mapping[str, Any],
    prober: Prober = by_socket,
    looks: int = 1,
    soak: float = 0.0,
    stopped: Sequence[str] = (),
) -> Dict[str, Any]:
    """What ib_gateway_health returns, but for the state of repairs.

    options: as OPTIONS has them. looks: how many, spread evenly over `soak` seconds. stopped: names of
    entries whose gateway the module has ended. Raises OSError when the host's
    tables cannot be read at all.
    """
    began = time.monotonic()
    known_served = {(each["pid"], each["started_ticks"]) for each in options["known_served"]}
    hints = Hints(known_served, options["reset_window"], options["login_reset"], [*options["stopped"], *stopped])
    timeout, more = abs(options["probe_timeout"]), _patience(options)
    how = Probing(prober, options["probe"], timeout, options["probe_depth"], more, at_once=prober is by_socket)
    taken = watch(
        lambda: examine(specs, how, hints),
        looks,
        soak,
    )
    snapshot, _, undeclared = taken[-1]
    found = _together([each for _, each, _ in taken])
    processes = dict(snapshot.processes)
    made_at = {"boot_id": snapshot.boot_id, "boottime": snapshot.boottime}
    plans = _plans(found)
    return {
        "status": result.overall(diagnosis.status for diagnosis in found),
        "gateways": [result.judgement(each, planned, processes, made_at) for each, planned in zip(found, plans)],
        "undeclared": result.undeclared(undeclared, snapshot),
        "visibility": result.visibility(snapshot.visibility, found),
        "reset_window": options["reset_window"],
        "looks": [
            {"taken_at": result.timestamp(each.taken_at), "status": result.overall(one.status for one in judged)}
            for each, judged, _ in taken
        ],
        "taken_at": result.timestamp(snapshot.taken_at),
        "elapsed_ms": round((time.monotonic() - began) * 1000, 1),
    }


# Most looks find nothing and are the only one. What they do not need would be compiled anew at each call, so it is not
# loaded.


def _plans(found: Sequence[Diagnosis]) -> List[Plan]:
    if not any(each.findings for each in found):
        return [Plan()] * len(found)
    from ..decide.planning import plan
    from ..decide.targets import ended_by

    plans = [plan(each) if each.findings else Plan() for each in found]
    if any(ended_by(step) is not None for each in plans for step in each.steps):
        from .own_units import with_own_units

        found = with_own_units(found, plans)
        plans = [plan(each) if each.findings else Plan() for each in found]
    if not any(each.entry.stops_units or each.entry.ends_to_come for each in found):
        return plans
    from ..decide.conflicts import apart

    return apart(found, plans)


def _together(looks: List[List[Diagnosis]]) -> List[Diagnosis]:
    if len(looks) == 1:
        return looks[0]
    from ..decide.soak import settled

    return settled(looks)


def check(module: GatewayModule, options: Optional[Mapping[str, Any]]) -> None:
    """Ends the module when an assessment's options cannot be right."""
    if options is not None:
        module.seconds("probe_timeout", LONGEST_SESSION, options)
        if options["probe_patience"]:
            module.seconds("probe_patience", LONGEST_SESSION, options)


def _patience(options: Mapping[str, Any]) -> float:
    """Seconds that the sessions of one look may take beyond their timeouts, all together: a plan must not age by it."""
    return max(0.0, abs(float(options["probe_patience"])) - abs(float(options["probe_timeout"])))


def session_seconds(params: Mapping[str, Any], options: Optional[Mapping[str, Any]]) -> float:
    """Seconds that the sessions of one look may take."""
    each = abs(float(options["probe_timeout"])) if options else 0.0
    return len(params["gateways"] or ()) * each + (_patience(options) if options else 0.0)
