"""What to do about a Diagnosis: Steps, least disruptive first. Pure.

A plan names exactly whom it means. What would help but must not be done is withheld, with its reason. A step that
cannot cure the fault is never taken, and nothing is stopped unless the whole repair can be finished.
"""

from __future__ import annotations

from typing import List, Tuple

from ..base import findings
from ..base.actions import WAIT
from ..base.findings import UNHEALTHY
from ..base.plan import Diagnosis, Entry, Plan, Step
from ..base.steps import in_order
from .costs import cost
from .eviction import client_steps
from .gateway_steps import gateway_steps, second_look
from .refusals import barred, cannot_start, hopeless
from .state_plans import WAITS, of_frozen, of_link, of_upstream, of_waiting


def plan(diagnosis: Diagnosis) -> Plan:
    """The steps that would bring this entry's gateway to health, and what is withheld."""
    entry, found = diagnosis.entry, _steps(diagnosis)
    why_barred = barred(entry, found.steps)
    if why_barred is None and entry.own_units:
        from .own_units import kept_from  # most plans end nothing that has a unit of its own

        found, why_barred = kept_from(entry, found)
    if why_barred is None:
        return found._replace(steps=tuple(each._replace(costs=cost(entry, each)) for each in found.steps))
    # A second look is for what would be ended after it.
    waits = (step for step in found.steps if step.action == WAIT and step.finding != findings.NOT_LISTENING.code)
    return Plan(steps=tuple(waits), withheld=(*found.withheld, why_barred))


def _steps(diagnosis: Diagnosis) -> Plan:
    entry, codes = diagnosis.entry, diagnosis.codes
    reason = hopeless(diagnosis)
    if reason or entry.relay:
        return Plan(withheld=(reason, *_unknown_container(entry)) if reason else ())
    for fault, its_plan in ((findings.GATEWAY_FROZEN, of_frozen), (findings.CONTAINER_LINK_DOWN, of_link)):
        if fault.code in codes:
            return its_plan(entry)
    if findings.UPSTREAM_DOWN.code in codes:
        return of_upstream(diagnosis)
    waits = [code for code in WAITS if code in codes]
    if waits:
        return of_waiting(entry, waits[0])
    if _unproven_stale(diagnosis):
        codes -= {findings.STALE_CONNECTIONS.code}
    clients, withheld = client_steps(entry, codes)
    steps, refused = gateway_steps(entry, codes, clients)
    if refused and cannot_start(entry):
        # Nothing is stopped or cut for the sake of a start that cannot succeed.
        return Plan(steps=tuple(step for step in steps if step.action == WAIT), withheld=tuple([*withheld, *refused]))
    if refused:
        # To free a gateway that is then not restarted would cost scripts their sessions for nothing.
        clients = [step for step in clients if step.finding != findings.NOT_LISTENING.code]
    steps = [*second_look(entry, codes, [*clients, *steps]), *steps]
    return _in_order(clients, withheld, steps, refused)


def _unproven_stale(diagnosis: Diagnosis) -> bool:
    """Whether connections are stale without anything to show that they block the slot."""
    return any(
        each.code == findings.STALE_CONNECTIONS.code and each.severity != UNHEALTHY for each in diagnosis.findings
    )


def _unknown_container(entry: Entry) -> Tuple[str, ...]:
    """Where another program has the port, that may be the entry's own container under another name."""
    why = entry.start_blocker if entry.spec.container is not None and not entry.processes else None
    return ("%s could not be started: %s" % (entry.spec.name, why),) if why else ()


def _in_order(clients: List[Step], kept: List[str], gateways: List[Step], refused: List[str]) -> Plan:
    return Plan(steps=tuple(in_order(clients + gateways)), withheld=tuple(kept + refused))
