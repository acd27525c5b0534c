"""The steps on an entry's gateways: one too many is ended, a missing one started, a deaf one restarted. Pure."""

from __future__ import annotations

from typing import FrozenSet, List, Optional, Sequence, Tuple

from ..base import findings
from ..base.actions import RESTART, START, STOP_GATEWAY, WAIT
from ..base.host import Process
from ..base.plan import Entry, Step
from . import soft_restart, surplus, targets
from .eviction import HANDSHAKE_FAULTS
from .evidence import span
from .refusals import beside_others, blockers, mistyped, refusal

#: Seconds between the two looks in which a gateway has to be missing before one is started, or its port closed before
#: anything is ended for it.
_SECOND_LOOK = 30
#: Seconds after the last that a gateway wrote, until which whatever brings it may be about to: gaps of 2 to 90 s were
#: seen in nightly restarts.
_GAP = 120
#: Seconds within which what a unit's gateway wrote last counts as written before the unit ended.
_LAST_WORDS = 15
#: Faults that only a new gateway process ends, in the order in which the restart names its reason.
_RESTART_FAULTS = (
    findings.NOT_LISTENING.code,
    findings.ACCEPT_QUEUE_FULL.code,
    *HANDSHAKE_FAULTS,
    findings.STALE_CONNECTIONS.code,
)


def gateway_steps(entry: Entry, codes: FrozenSet[str], before: Sequence[Step]) -> Tuple[List[Step], List[str]]:
    """(what is done to the gateways themselves, what of it is withheld). before: the steps on clients."""
    waits = []
    if findings.GATEWAY_STARTING.code in codes:
        waits.append(wait(entry, "listener", "it may still be logging in", findings.GATEWAY_STARTING.code))
    later = bool(waits) or findings.NOT_LISTENING.code in codes
    keep = surplus.keep(entry)
    # Where none of the others may be ended beside the one that serves, the finding tells why, and calls for nothing.
    several = findings.DUPLICATE_GATEWAYS.code in codes
    ending, spared = _surplus_gateways(entry, keep, later) if several else ([], [])
    fault = next((code for code in _RESTART_FAULTS if code in codes), None)
    blocking = blockers(entry, fault, before)
    refused: Optional[str] = None
    cure: List[Step] = []
    if findings.GATEWAY_NOT_RUNNING.code in codes:
        refused = refusal(entry, (), "started") or mistyped(entry)
        cure = _bring_up(entry, later)
    elif keep is None and len(entry.processes) > 1:
        refused = refusal(entry, [*blocking, *spared], "stopped and started anew") or mistyped(entry)
        cure = [*ending, start(entry, "none of its gateways serves", findings.DUPLICATE_GATEWAYS.code, later)]
    elif fault is not None and keep is not None:
        refused = refusal(entry, blocking, "restarted") or beside_others(entry, keep, ending)
        persists = bool(later or ending or before)
        soft = [] if ending else soft_restart.steps(entry, keep, fault, persists)
        cure = [*soft, *_renew(entry, keep, fault, persists=persists or bool(soft))]
    steps = waits + (ending if keep is not None else [])
    withheld = ["surplus gateways are left: ending them would cut off " + each for each in spared if keep is not None]
    if refused and keep is not None and ending:
        return waits, [*withheld, refused]
    return (steps, [*withheld, refused]) if refused else (steps + cure, withheld)


def second_look(entry: Entry, codes: FrozenSet[str], steps: Sequence[Step]) -> List[Step]:
    """The wait before `steps` where they are for a closed port: a gateway that logs in anew opens its port by itself.

    Until then sessions may go on, so nothing is ended that a second look would have spared. Nothing where there are no
    steps.
    """
    code = findings.NOT_LISTENING.code
    if code not in codes or all(step.action == WAIT for step in steps):
        return []
    return [wait(entry, "listener", "a gateway that logs in anew opens it by itself", code, _SECOND_LOOK)]


def _surplus_gateways(entry: Entry, kept: Optional[Process], later: bool) -> Tuple[List[Step], List[str]]:
    """(a step for each gateway that is one too many, for whose sake others are left)."""
    steps: List[Step] = []
    spared: List[str] = []
    for process in entry.processes:
        if process is kept:
            continue
        reasons = surplus.why_spared(entry, process, kept)
        spared.extend(reasons)
        if not reasons:
            steps.append(_surplus_step(entry, process, later))
    return steps, spared


def _surplus_step(entry: Entry, process: Process, persists: bool) -> Step:
    target = targets.to_end(entry, process, "gateway")
    reason = "one gateway is wanted for %s" % entry.spec.name
    return Step(STOP_GATEWAY, entry.spec.name, target, reason, findings.DUPLICATE_GATEWAYS.code, persists)


def _bring_up(entry: Entry, persists: bool) -> List[Step]:
    """Starts what is not running; a unit that is up without a gateway would not notice a start.

    A gateway that is between two lives looks the same as one that has ended. Unless what keeps it says that it brings
    nobody back, it has to be missing in two looks some time apart.
    """
    code = findings.GATEWAY_NOT_RUNNING.code
    state = entry.unit_state
    ended = state is not None and state.active in ("inactive", "failed") and not state.comes_back
    sure = ended and not _outlived(entry) and not until_cron(entry)[0]
    first = [] if sure else [_between_two_lives(entry, code)]
    persists = persists or not sure
    if state is not None and state.holds_without_process:
        reason = "its %s is up and has no gateway" % (state.noun.strip() or "container")
        return [*first, Step(RESTART, entry.spec.name, targets.to_restart(entry, None), reason, code, persists)]
    reason = "systemd has given its unit up" if state and state.start_limit_hit else "no gateway is running"
    return [*first, start(entry, reason, code, persists)]


def _outlived(entry: Entry) -> bool:
    """Whether a gateway has just written that the entry's unit did not carry: it had ended well before.

    Such a gateway was started by hand or is kept by another program, of which the unit says nothing. Where others that
    run share the folder, live and paper in ~/Jts say, it was most likely they who wrote.
    """
    if entry.folder_shared:
        return False
    ended = entry.unit_state.ended_ago if entry.unit_state else None
    return ended is not None and left_of_gap(entry) > 0 and (entry.written_ago or 0.0) + _LAST_WORDS < ended


def _between_two_lives(entry: Entry, code: str) -> Step:
    """Waits for what may bring the next gateway and is known by nothing; longer where the last one has just gone, and
    until after cron has started one where that is soon."""
    seconds, reason = _SECOND_LOOK, "it may be between two lives"
    if entry.keepers_hidden:
        seconds, reason = _GAP, reason + ", and what would bring it may be hidden from this run"
    elif left_of_gap(entry) > seconds:
        ago = span(max(0.0, entry.written_ago or 0.0))
        seconds, reason = left_of_gap(entry), "%s: a gateway wrote to its settings folder %s ago" % (reason, ago)
    started, by = until_cron(entry)
    if started:
        seconds, reason = max(seconds, started), by
    return wait(entry, "listener", reason, code, seconds)


def until_cron(entry: Entry) -> Tuple[int, str]:
    """(seconds until shortly after cron has started the next gateway, how it does); 0 where that is not soon."""
    cron = entry.cron
    if cron is None or not cron.soon:
        return 0, ""
    return cron.seconds, "cron starts it in %s by %s" % (span(cron.within), cron.label)


def left_of_gap(entry: Entry) -> int:
    """Seconds that whatever brings the next gateway may still need; 0 where nothing shows when the last one was there.

    A clock that was set back makes no more of it than a whole gap.
    """
    return 0 if entry.written_ago is None else max(0, _GAP - int(max(0.0, entry.written_ago)))


def _renew(entry: Entry, process: Process, code: str, persists: bool) -> List[Step]:
    """Restarts it; one that a loop or a supervisor keeps is only ended, since that brings the next one.

    To start one as well would make two. What keeps it may also end with it, as IBC's script does: then it is started.
    """
    carriers = [each for each in entry.carriers if process.pid in each.gateways and each.again]
    if entry.carried(process) or not carriers:
        return [_restart(entry, process, code, persists)]
    keeper = "%s (pid %d of %s)" % (carriers[0].name, carriers[0].pid, carriers[0].user)
    needed = soft_restart.who_is_needed(entry, process)
    sure = not carriers[0].supervises
    brings = "brings the next one" if sure else "may bring the next one"
    reason = "only a new gateway process ends %s, and %s %s%s" % (code, keeper, brings, needed)
    end = Step(STOP_GATEWAY, entry.spec.name, targets.to_end(entry, process, "gateway"), reason, code, persists)
    brought = "ended with its gateway and brings none" if sure else "has not brought the next one"
    return [end, start(entry, "%s %s" % (keeper, brought), code, persists=True)]


def _restart(entry: Entry, process: Process, code: str, persists: bool) -> Step:
    reason = "only a new gateway process ends %s%s" % (code, soft_restart.who_is_needed(entry, process))
    return Step(RESTART, entry.spec.name, targets.to_restart(entry, process), reason, code, persists)


def start(entry: Entry, reason: str, code: str, persists: bool) -> Step:
    """A step that starts the entry's gateway. code: of the finding; persists: only if that is still there by then."""
    return Step(START, entry.spec.name, targets.to_start(entry), reason, code, persists)


def wait(entry: Entry, what: str, reason: str, code: str, seconds: Optional[int] = None) -> Step:
    """A step that waits for `what` (listener or upstream), by default as long as the entry's start may take."""
    return Step(WAIT, entry.spec.name, targets.to_wait_for(entry, what, seconds), reason, code)
