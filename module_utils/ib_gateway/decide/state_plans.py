"""The whole plan where a gateway waits, is stopped by a signal, is off its broker, or its link is down. Pure."""

from __future__ import annotations

from typing import Dict, Optional, Tuple

from ..base import findings
from ..base.actions import RESTART, RESUME
from ..base.host import ENDS_WHEN_IT_GOES_ON, FROZEN_GROUP, HELD_IN_KERNEL, TRACED, Process
from ..base.login import SECOND_FACTOR_LIMIT
from ..base.plan import Diagnosis, Entry, Plan, Step
from . import soft_restart, surplus, targets
from .eviction import GOES_ON_BY_ITSELF
from .gateway_steps import left_of_gap, start, until_cron, wait
from .ports import stray_ports
from .refusals import UNNAMED, blockers, refusal

#: States that end by themselves or by a person: what is waited for, and why nothing else is done.
WAITS: Dict[str, Tuple[str, str, Optional[int]]] = {
    findings.NO_BROKER_ROUTE.code: ("upstream", "a restart does not bring the way to the broker back", None),
    findings.LOGIN_PENDING.code: (
        "listener",
        "a login is under way or waits for a person; a restart would only begin it anew",
        SECOND_FACTOR_LIMIT,
    ),
    findings.GATEWAY_COMING_UP.code: (
        "listener",
        "what keeps it is about to bring it; a second gateway beside it would cost its login",
        None,
    ),
}
_COMING_UP = findings.GATEWAY_COMING_UP.code


def of_waiting(entry: Entry, code: str) -> Plan:
    """Waits for what ends by itself or by a person. code: one of WAITS."""
    what, reason, seconds = WAITS[code]
    first = wait(entry, what, reason, code, seconds)
    instead = _instead_of_supervisor(entry) if code == _COMING_UP else ()
    started, by = until_cron(entry)
    if instead and max(started, left_of_gap(entry)) > first.target["timeout"]:
        # The supervisor may keep other programs only, and what keeps the gateway may be known by nothing, or cron's.
        first = wait(entry, what, by or reason, code, max(started, left_of_gap(entry)))
    return Plan(steps=(first, *instead))


def _instead_of_supervisor(entry: Entry) -> Tuple[Step, ...]:
    """Starts what nothing but a supervisor could bring, once that has had its time: it may keep other programs only.

    One that is the start_command keeps the entry's, and would be started a second time.
    """
    others = all(each.supervises and entry.spec.name not in each.starts for each in entry.keepers)
    if not entry.keepers or not others or refusal(entry, (), "started"):
        return ()
    first = entry.keepers[0]
    reason = "%s (pid %d of %s) did not bring it" % (first.name, first.pid, first.user)
    if entry.spec.container is not None and entry.unit_age is not None:  # it runs, so that a start would do nothing
        return (Step(RESTART, entry.spec.name, targets.to_restart(entry, None), reason, _COMING_UP, True),)
    return (start(entry, reason, _COMING_UP, persists=True),)


def of_frozen(entry: Entry) -> Plan:
    """A stopped process keeps every signal but one waiting, and would end by it later: it is only let go on.

    Nothing else is done until the next look. Of several gateways somebody may have stopped the one that is too many.
    """
    state = entry.way.state if entry.way else None
    if state is not None and state.status == "paused":
        cure = "%s unpause %s" % (state.engine, state.name)
        return Plan(withheld=("the %s is paused: `%s` lets it go on" % (state.label, cure),))
    stopped = [each for each in entry.processes if each.frozen]
    left = [_why_left(entry, each) for each in stopped]
    reasons = ["pid %d %s: %s" % (each.pid, why, _by_hand(each.pid, why)) for each, why in zip(stopped, left) if why]
    if reasons:
        return Plan(withheld=tuple(reasons))
    why = "a signal has stopped it, and nothing else keeps it so"
    code = findings.GATEWAY_FROZEN.code
    return Plan(
        steps=tuple(Step(RESUME, entry.spec.name, targets.to_resume(entry, each), why, code) for each in stopped)
    )


def _by_hand(pid: int, why: str) -> str:
    """The command for a stopped gateway that is left so, and what it does. why: as _why_left() has it."""
    if why.startswith(ENDS_WHEN_IT_GOES_ON):
        return "`kill -CONT %d` ends this gateway and all its sessions" % pid
    if why.startswith(FROZEN_GROUP):
        return "what has frozen that group has to thaw it, as `systemctl thaw UNIT` does after `systemctl freeze`"
    if why.startswith(HELD_IN_KERNEL):
        return GOES_ON_BY_ITSELF
    if why.startswith(TRACED):
        return "what traces it has to let it go on, or to let go of it (gdb: `continue`, `detach`); no signal does"
    return "`kill -CONT` lets it go on"


def _why_left(entry: Entry, process: Process) -> str:
    """Why a stopped gateway is not let go on, in words that follow its pid; empty where it is."""
    if process.state == "t":
        return process.kept_stopped or TRACED + " a debugger"
    if process.state != "T":
        return process.kept_stopped
    if len(entry.processes) > 1 or entry.elsewhere or entry.ambiguous:
        return "is stopped by a signal, and is not the only gateway that is or may be the entry's"
    if process.pid == 1 or process.own_run:
        return "is stopped by a signal, and this run's container may end with it"
    ports = stray_ports(entry, process)
    if ports and entry.spec.port not in ports and not entry.has_served(process):
        told = ", ".join(map(str, ports))
        return "is stopped by a signal, and listens on port %s: it may be another gateway than the entry's" % told
    return process.kept_stopped


def of_link(entry: Entry) -> Plan:
    """A link on the way into a container is down: what is in it is not at fault, and its engine makes the way anew."""
    way, code = entry.way, findings.CONTAINER_LINK_DOWN.code
    if way is None:
        return Plan()  # never with this finding, which is about a way
    if way.state is None:
        return Plan(withheld=("%s is not restarted: %s" % (way.label, UNNAMED),))
    if not way.curable:
        return Plan(withheld=("a restart does not change the ports that the %s publishes" % way.label,))
    inside = next((each for each in entry.processes if each.pid in way.gateways), None)
    refused = refusal(entry, blockers(entry, code, ()), "restarted")
    reason = "a restart by %s makes the way into its container anew" % way.state.engine
    if way.shortcut:
        reason += "; `%s` may do so by hand without one" % way.shortcut
    step = Step(RESTART, entry.spec.name, targets.to_restart(entry, inside or surplus.keep(entry)), reason, code)
    return Plan(withheld=(refused,)) if refused else Plan(steps=(step,))


def of_upstream(diagnosis: Diagnosis) -> Plan:
    """The link comes back by itself, or after it was told to; a restart that costs a login is no cure."""
    entry, code = diagnosis.entry, findings.UPSTREAM_DOWN.code
    first = wait(entry, "upstream", "the link to the broker most often comes back by itself", code)
    owner = next(iter(entry.owners()), None)
    if owner is None or findings.NO_BROKER_ROUTE.code in diagnosis.codes or soft_restart.in_reset_window(diagnosis):
        return Plan(steps=(first,))
    steps = [first, *soft_restart.reconnect(entry, owner, code)]
    soft = soft_restart.steps(entry, owner, code, persists=True) if len(steps) > 1 else []
    refused = refusal(entry, blockers(entry, code, ()), "restarted") if soft else None
    return Plan(steps=tuple(steps + ([] if refused else soft)), withheld=(refused,) if refused else ())
