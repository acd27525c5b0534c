"""Rules on the processes of an entry's gateways: stopped ones, surplus ones. Pure; docs/findings.md has the codes."""

from __future__ import annotations

from typing import Iterator, Tuple

from ..base import findings
from ..base.findings import Finding
from .context import Rule, RuleContext
from .evidence import process_info


def gateway_frozen(context: RuleContext) -> Iterator[Finding]:
    """A signal, a debugger or a wait in the kernel holds the process; it answers nothing until it goes on."""
    state = context.entry.way.state if context.entry.way else None
    if state is not None and state.status == "paused":
        yield findings.GATEWAY_FROZEN.found(
            "the %s of %s is paused: it answers nothing until it goes on" % (state.label, context.spec.name),
            {"container": state.label, "status": state.status},
        )
        return
    for process in context.frozen:
        by = {"t": "a debugger", "T": "a signal"}.get(process.state, "the freezer of its control group")
        held = process.kept_stopped if process.held_in_kernel else "has been stopped by %s" % by
        yield findings.GATEWAY_FROZEN.found(
            "gateway pid %d of %s %s: it answers nothing until it goes on" % (process.pid, context.spec.name, held),
            dict(process_info(process), state=process.state, kept_stopped=process.kept_stopped or None),
        )


def duplicate_gateways(context: RuleContext) -> Iterator[Finding]:
    """More than one process runs for one entry; worth knowing only, where one serves and no other may be ended."""
    found = context.entry.processes
    if len(found) > 1:
        from . import surplus  # most hosts never need it

        spared = surplus.spared_for_good(context.entry)
        counted = [process for process in found if process.pid not in spared]
        summary = "%d gateway processes run for %s, one is wanted: pids %s" % (
            len(counted),
            context.spec.name,
            ", ".join(str(process.pid) for process in counted),
        )
        if len(counted) == 1:
            summary = "pid %d serves port %d, and %s left beside it: ending %s would cut off %s" % (
                counted[0].pid,
                context.spec.port,
                "another gateway is" if len(spared) == 1 else "%d other gateways are" % len(spared),
                "it" if len(spared) == 1 else "them",
                ", ".join(reason for reasons in spared.values() for reason in reasons),
            )
        yield findings.DUPLICATE_GATEWAYS.found(
            summary,
            {
                "processes": [
                    dict(process_info(p), listening=list(context.entry.listening(p)), unit=p.unit) for p in found
                ]
            },
            findings.INFO if len(counted) == 1 else None,
        )


RULES: Tuple[Rule, ...] = (gateway_frozen, duplicate_gateways)
