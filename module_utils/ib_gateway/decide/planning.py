"""What to do about a Diagnosis: Steps, least disruptive first. Pure.

A plan names exactly whom it means. What would help but must not be done is withheld, with its reason. A step that
cannot cure the fault is never taken, and nothing is stopped unless the whole repair can be finished.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Optional, Sequence, Tuple

from ..base import findings
from ..base.actions import RESTART, RESUME, START, STOP_CLIENT, STOP_GATEWAY, WAIT
from ..base.findings import UNHEALTHY
from ..base.host import ENDS_WHEN_IT_GOES_ON, FROZEN_GROUP, Process
from ..base.login import SECOND_FACTOR_LIMIT
from ..base.plan import Diagnosis, Entry, Plan, Relay, Step
from ..base.steps import in_order
from . import soft_restart, surplus, targets
from .costs import cost
from .eviction import HANDSHAKE_FAULTS, client_steps, untouchable

#: Findings with which nothing is done, and why.
_NOTHING_HELPS: Dict[str, str] = {
    findings.PARTIAL_VISIBILITY.code: "nothing is touched while something is not seen",
    findings.CLAIMED_BY_ANOTHER_ACCOUNT.code: "nothing is touched while two accounts claim this gateway",
    findings.CANNOT_JUDGE.code: "nothing is touched that cannot be judged",
    findings.WRONG_TRADING_MODE.code: (
        "nothing is done on a gateway that is logged in to accounts of the other trading mode"
    ),
    findings.PORT_TAKEN.code: "no gateway is started, restarted or stopped while another program has its port",
    findings.WRONG_PORT.code: "a restart does not change the port of a gateway",
    findings.LOGIN_TAKEN_OVER.code: "to restart would take the session back from the person who has it now",
    findings.LOGIN_REFUSED.code: "one more login could get the account locked out; a person has to see why",
    findings.GATEWAY_STOPPED.code: "somebody has stopped this gateway by a command, and may want it so",
    findings.DISCLAIMER_PENDING.code: "a restart brings the disclaimer back; a person has to accept it at the screen",
    findings.DISK_FULL.code: "no gateway starts on a full disk",
    findings.CRASH_LOOP.code: "one more start ends as the last ones did",
}
#: States that end by themselves or by a person: what is waited for, and why nothing else is done.
_WAITS: Dict[str, Tuple[str, str, Optional[int]]] = {
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
_BEFORE_IT = (
    "a restart does not help: the gateway listens and has room for connections, so that something before it refuses "
    "them, as a packet filter of this host does: `nft list ruleset` or `iptables -S` shows its rules"
)
#: How a connection to an address of this host fails where a packet filter has a say, and no listener has.
_FILTERED = ("ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "EPERM")
_UNNAMED = "its entry does not say which container that is; give it container, with engine and name"
_COMING_UP = findings.GATEWAY_COMING_UP.code
#: Seconds between the two looks in which a gateway has to be missing before one is started.
_SECOND_LOOK = 30
#: Faults that only a new gateway process ends, in the order in which the restart names its reason.
_RESTART_FAULTS = (
    findings.NOT_LISTENING.code,
    findings.ACCEPT_QUEUE_FULL.code,
    *HANDSHAKE_FAULTS,
    findings.STALE_CONNECTIONS.code,
)
#: Of these, the ones during which clients may still work: they are not cut off for the sake of others.
_SPARES_LIVE_CLIENTS = (
    findings.ACCEPT_QUEUE_FULL.code,
    *HANDSHAKE_FAULTS,
    findings.STALE_CONNECTIONS.code,
    findings.UPSTREAM_DOWN.code,
    findings.CONTAINER_LINK_DOWN.code,
)


def plan(diagnosis: Diagnosis) -> Plan:
    """The steps that would bring this entry's gateway to health, and what is withheld."""
    found = _steps(diagnosis)
    barred = _barred(diagnosis.entry, found.steps)
    if barred is None:
        return found._replace(steps=tuple(each._replace(costs=cost(diagnosis.entry, each)) for each in found.steps))
    waits = tuple(step for step in found.steps if step.action == WAIT)
    return Plan(steps=waits, withheld=(*found.withheld, barred))


def _barred(entry: Entry, steps: Sequence[Step]) -> Optional[str]:
    """Why this run cannot take all of the steps, and so takes none; None where it can."""
    if not entry.holds and any(_takes_a_signal(entry, step) for step in steps):
        return _unheld(entry)
    named = [step.target.get("process") or step.target for step in steps if step.action != WAIT]
    others = [each for each in named if entry.confined_to and each.get("user") not in (None, entry.confined_to)]
    if not others:
        return None
    whom = ", ".join("pid %d of %s" % (each["pid"], each["user"]) for each in others)
    return "nothing is done on %s: it takes %s to end, and this run is as %s: run with become" % (
        entry.spec.name,
        whom,
        entry.confined_to,
    )


def _takes_a_signal(entry: Entry, step: Step) -> bool:
    """Whether a step sends a signal, to a process that has to be held for it. What a cut makes needless may stay."""
    if step.action == STOP_CLIENT:
        return not step.only_if_persists
    if step.action != RESTART:
        return step.action in (STOP_GATEWAY, RESUME)
    process = step.target.get("process")
    if process is None or step.target["by"] == targets.BY_CONTAINER:
        return False
    killed = entry.unit_state is not None and entry.unit_state.kills_after is not None
    return step.target["by"] != targets.BY_UNIT or (killed and not process.get("allow_kill"))


def _unheld(entry: Entry) -> str:
    cure = "give the host an ansible_python_interpreter of Python 3.9 or newer, on Linux 5.3 or newer"
    if any(entry.in_unit(process) for process in entry.processes):
        cure += ", or the entry allow_kill: true, with which systemd alone ends it"
    return "nothing is done on %s: this host cannot hold a process by pidfd, so that nothing is signalled: %s" % (
        entry.spec.name,
        cure,
    )


def _steps(diagnosis: Diagnosis) -> Plan:
    entry, codes = diagnosis.entry, diagnosis.codes
    hopeless = _hopeless(diagnosis)
    if hopeless or entry.relay:
        return Plan(withheld=(hopeless, *_unknown_container(entry)) if hopeless else ())
    for fault, its_plan in ((findings.GATEWAY_FROZEN, _of_frozen), (findings.CONTAINER_LINK_DOWN, _of_link)):
        if fault.code in codes:
            return its_plan(entry)
    if findings.UPSTREAM_DOWN.code in codes:
        return _of_upstream(diagnosis)
    waits = [code for code in _WAITS if code in codes]
    if waits:
        return _of_waiting(entry, waits[0])
    if _unproven_stale(diagnosis):
        codes -= {findings.STALE_CONNECTIONS.code}
    clients, withheld = client_steps(entry, codes)
    steps, refused = _gateway_steps(entry, codes, clients)
    if refused and _cannot_start(entry):
        # Nothing is stopped or cut for the sake of a start that cannot succeed.
        return Plan(steps=tuple(step for step in steps if step.action == WAIT), withheld=tuple([*withheld, *refused]))
    if refused:
        # To free a gateway that is then not restarted would cost scripts their sessions for nothing.
        clients = [step for step in clients if step.finding != findings.NOT_LISTENING.code]
    return _in_order(clients, withheld, steps, refused)


def _of_waiting(entry: Entry, code: str) -> Plan:
    what, reason, seconds = _WAITS[code]
    wait = _wait(entry, what, reason, code, seconds)
    return Plan(steps=(wait, *(_instead_of_supervisor(entry) if code == _COMING_UP else ())))


def _in_order(clients: List[Step], kept: List[str], gateways: List[Step], refused: List[str]) -> Plan:
    return Plan(steps=tuple(in_order(clients + gateways)), withheld=tuple(kept + refused))


def _hopeless(diagnosis: Diagnosis) -> Optional[str]:
    """Why no step helps, or none may be taken; None where one may, and where nothing calls for any."""
    codes, relay = diagnosis.codes, diagnosis.entry.relay
    told = next((reason for code, reason in _NOTHING_HELPS.items() if code in codes), None)
    told = told or (_BEFORE_IT if _kept_from(diagnosis) else None)
    return told or (_behind_relay(diagnosis.entry, relay) if relay and codes else None)


def _unknown_container(entry: Entry) -> Tuple[str, ...]:
    """Where another program has the port, that may be the entry's own container under another name."""
    why = entry.start_blocker if entry.spec.container is not None and not entry.processes else None
    return ("%s could not be started: %s" % (entry.spec.name, why),) if why else ()


def _kept_from(diagnosis: Diagnosis) -> bool:
    """Whether connections fail although the kernel has room for them on the port: something before it refuses them."""
    entry, probe = diagnosis.entry, diagnosis.probe
    message = str((probe.error or {}).get("message")) if probe is not None else ""
    rooms = [each.accept_queue == 0 for each in entry.listeners if each.port == entry.spec.port]
    refused = findings.HANDSHAKE_REFUSED.code in diagnosis.codes and any(each in message for each in _FILTERED)
    return refused and bool(rooms) and all(rooms)


def _behind_relay(entry: Entry, relay: Relay) -> str:
    """Whether the gateway or what stands before it is at fault cannot be told on the relay's port."""
    return (
        "nothing is done through %s (pid %d) on port %d: an entry with port %d, on which pid %d itself listens, can be "
        "repaired"
    ) % (relay.name, relay.process.pid, entry.spec.port, relay.port, relay.gateway.pid)


def _instead_of_supervisor(entry: Entry) -> Tuple[Step, ...]:
    """Starts what nothing but a supervisor could bring, once that has had its time: it may keep other programs only."""
    if not entry.keepers or not all(each.supervises for each in entry.keepers) or _refusal(entry, (), "started"):
        return ()
    first = entry.keepers[0]
    reason = "%s (pid %d of %s) did not bring it" % (first.name, first.pid, first.user)
    if entry.spec.container is not None and entry.unit_age is not None:  # it runs, so that a start would do nothing
        return (Step(RESTART, entry.spec.name, targets.to_restart(entry, None), reason, _COMING_UP, True),)
    return (_start(entry, reason, _COMING_UP, persists=True),)


def _unproven_stale(diagnosis: Diagnosis) -> bool:
    """Whether connections are stale without anything to show that they block the slot."""
    return any(
        each.code == findings.STALE_CONNECTIONS.code and each.severity != UNHEALTHY for each in diagnosis.findings
    )


def _of_frozen(entry: Entry) -> Plan:
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
    return "`kill -CONT` lets it go on"


def _why_left(entry: Entry, process: Process) -> str:
    """Why a stopped gateway is not let go on, in words that follow its pid; empty where it is."""
    if process.state == "t":
        return "is stopped by a debugger"
    if process.state != "T":
        return process.kept_stopped
    if len(entry.processes) > 1 or entry.elsewhere or entry.ambiguous:
        return "is stopped by a signal, and is not the only gateway that is or may be the entry's"
    if process.pid == 1 or process.own_run:
        return "is stopped by a signal, and this run's container may end with it"
    return process.kept_stopped


def _of_link(entry: Entry) -> Plan:
    """A link on the way into a container is down: what is in it is not at fault, and its engine makes the way anew."""
    way, code = entry.way, findings.CONTAINER_LINK_DOWN.code
    assert way is not None
    if way.state is None:
        return Plan(withheld=("%s is not restarted: %s" % (way.label, _UNNAMED),))
    if not way.curable:
        return Plan(withheld=("a restart does not change the ports that the %s publishes" % way.label,))
    inside = next((each for each in entry.processes if each.pid in way.gateways), None)
    refused = _refusal(entry, _blockers(entry, code, ()), "restarted")
    reason = "a restart by %s makes the way into its container anew" % way.state.engine
    if way.shortcut:
        reason += "; `%s` may do so by hand without one" % way.shortcut
    step = Step(RESTART, entry.spec.name, targets.to_restart(entry, inside or surplus.keep(entry)), reason, code)
    return Plan(withheld=(refused,)) if refused else Plan(steps=(step,))


def _of_upstream(diagnosis: Diagnosis) -> Plan:
    """The link comes back by itself, or after it was told to; a restart that costs a login is no cure."""
    entry, code = diagnosis.entry, findings.UPSTREAM_DOWN.code
    first = _wait(entry, "upstream", "the link to the broker most often comes back by itself", code)
    owner = next(iter(entry.owners()), None)
    if owner is None or findings.NO_BROKER_ROUTE.code in diagnosis.codes or soft_restart.in_reset_window(diagnosis):
        return Plan(steps=(first,))
    steps = [first, *soft_restart.reconnect(entry, owner, code)]
    soft = soft_restart.steps(entry, owner, code, persists=True) if len(steps) > 1 else []
    refused = _refusal(entry, _blockers(entry, code, ()), "restarted") if soft else None
    return Plan(steps=tuple(steps + ([] if refused else soft)), withheld=(refused,) if refused else ())


# --- gateways --------------------------------------------------------------------------------------------------------


def _gateway_steps(entry: Entry, codes: FrozenSet[str], before: Sequence[Step]) -> Tuple[List[Step], List[str]]:
    """(what is done to the gateways themselves, what of it is withheld). before: the steps on clients."""
    waits = []
    if findings.GATEWAY_STARTING.code in codes:
        waits.append(_wait(entry, "listener", "it may still be logging in", findings.GATEWAY_STARTING.code))
    later = bool(waits)
    keep = surplus.keep(entry)
    # Where none of the others may be ended beside the one that serves, the finding tells why, and calls for nothing.
    several = findings.DUPLICATE_GATEWAYS.code in codes
    ending, spared = _surplus_gateways(entry, keep, later) if several else ([], [])
    fault = next((code for code in _RESTART_FAULTS if code in codes), None)
    blockers = _blockers(entry, fault, before)
    refused: Optional[str] = None
    cure: List[Step] = []
    if findings.GATEWAY_NOT_RUNNING.code in codes:
        refused = _refusal(entry, (), "started") or _mistyped(entry)
        cure = _bring_up(entry, later)
    elif keep is None and len(entry.processes) > 1:
        refused = _refusal(entry, [*blockers, *spared], "stopped and started anew") or _mistyped(entry)
        cure = [*ending, _start(entry, "none of its gateways serves", findings.DUPLICATE_GATEWAYS.code, later)]
    elif fault is not None and keep is not None:
        refused = _refusal(entry, blockers, "restarted") or _beside_others(entry, keep, ending)
        persists = bool(waits or ending or before)
        soft = [] if ending else soft_restart.steps(entry, keep, fault, persists)
        cure = [*soft, *_renew(entry, keep, fault, persists=persists or bool(soft))]
    steps = waits + (ending if keep is not None else [])
    withheld = ["surplus gateways are left: ending them would cut off " + each for each in spared if keep is not None]
    if refused and keep is not None and ending:
        return waits, [*withheld, refused]
    return (steps, [*withheld, refused]) if refused else (steps + cure, withheld)


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


def _blockers(entry: Entry, fault: Optional[str], before: Sequence[Step]) -> Tuple[str, ...]:
    """The clients for whose sake the gateway is left alone: protected ones always, others while they may work.

    A relay with a session counts as protected where somebody is: nothing tells who is behind it. Others do not count
    where the entry allows a restart with clients.
    """
    leaving = {step.target.get("pid") for step in before}
    found = []
    for client in entry.clients:
        pid = client.process.pid if client.process else None
        if not client.open or pid in leaving:
            continue
        may_work = client.working and fault in _SPARES_LIVE_CLIENTS
        if client.shields and client.working:
            found.append("%s, behind which a script may be that protected_clients names" % untouchable(client))
        elif client.protected or (may_work and not entry.spec.allow_restart_with_clients):
            found.append("pid %d" % pid if pid else untouchable(client))
    return tuple(dict.fromkeys(found))


def _refusal(entry: Entry, blockers: Sequence[str], what: str) -> Optional[str]:
    name = entry.spec.name
    if not entry.spec.startable:
        return "%s is not %s: %s" % (name, what, entry.spec.why_not_startable)
    if not entry.seen_whole:
        return (
            "%s is not %s: what came of it could not be seen without root, because its entry names no user; give key "
            "user, or run with become" % (name, what)
        )
    if any(process.pid == 1 or process.own_run for process in entry.processes):
        return (
            "%s is not %s: the container of this run may end with it. Restart that from its host, by its engine or by "
            "a run there with an entry that has key container" % (name, what)
        )
    contained = [each for each in entry.processes if each.pid in entry.contained and not entry.carried(each)]
    if contained:
        return "%s is not %s: pid %d lives in a container, and to end it could end that; %s" % (
            name,
            what,
            contained[0].pid,
            _UNNAMED,
        )
    # What is proven is ended and started anew, whoever else there is; where nothing is, a start may be a second one.
    unclear = [*entry.ambiguous, *(() if entry.processes else entry.unplaced)]
    if unclear:
        pids = ", ".join("pid %d" % each.pid for each in unclear)
        return "%s is not %s: %s may be its gateway as well, and nothing tells" % (name, what, pids)
    if entry.start_blocker:
        return "%s is not %s: %s" % (name, what, entry.start_blocker)
    others = entry.others_in_unit() if _through_unit(entry) else ()
    if others:
        whom = ", ".join("pid %d (%s of %s)" % (each.pid, each.kind, each.user) for each in others)
        return "%s is not %s: its %s also carries %s, and all of them would end" % (
            name,
            what,
            entry.spec.carrier,
            whom,
        )
    if blockers:
        return "%s is not %s: that would cut off %s" % (name, what, ", ".join(blockers))
    return None


def _cannot_start(entry: Entry) -> bool:
    """Whether the gateway could not be started again once it has ended."""
    return entry.start_blocker is not None or not entry.spec.startable


def _through_unit(entry: Entry) -> bool:
    """Whether a start or restart ends whatever lives in the entry's unit."""
    carried = any(entry.carried(process) for process in entry.processes)
    return carried or (not entry.processes and entry.unit_age is not None)


# --- steps -----------------------------------------------------------------------------------------------------------


def _surplus_step(entry: Entry, process: Process, persists: bool) -> Step:
    target = targets.to_end(entry, process, "gateway")
    reason = "one gateway is wanted for %s" % entry.spec.name
    return Step(STOP_GATEWAY, entry.spec.name, target, reason, findings.DUPLICATE_GATEWAYS.code, persists)


def _wait(entry: Entry, what: str, reason: str, code: str, seconds: Optional[int] = None) -> Step:
    return Step(WAIT, entry.spec.name, targets.to_wait_for(entry, what, seconds), reason, code)


def _start(entry: Entry, reason: str, code: str, persists: bool) -> Step:
    return Step(START, entry.spec.name, targets.to_start(entry), reason, code, persists)


def _mistyped(entry: Entry) -> Optional[str]:
    """Why nothing is started beside a gateway that one key of the entry may have wrong: it would log in twice."""
    near = next((each for each in entry.differing if each.may_be_meant), None)
    if near is None:
        return None
    ((key, has, says),) = near.keys
    return (
        "%s is not started: gateway pid %d runs and only its %s differs: it has %s, the entry says %s. Correct the "
        "entry, or end that gateway if it is another one"
    ) % (entry.spec.name, near.process.pid, key, has, says)


def _beside_others(entry: Entry, keep: Process, ending: Sequence[Step]) -> Optional[str]:
    """Why the gateway that serves is not restarted while others are left: the new one would log in beside them."""
    ended = [step.target["pid"] for step in ending]
    left = [each.pid for each in entry.processes if each is not keep and each.pid not in ended]
    if not left:
        return None
    return "%s is not restarted: a new gateway would log in beside pid %s, which may be its gateway as well" % (
        entry.spec.name,
        " and ".join(map(str, left)),
    )


def _bring_up(entry: Entry, persists: bool) -> List[Step]:
    """Starts what is not running; a unit that is up without a gateway would not notice a start.

    A gateway that is between two lives looks the same as one that has ended. Unless what keeps it says that it brings
    nobody back, it has to be missing in two looks some time apart.
    """
    code = findings.GATEWAY_NOT_RUNNING.code
    state = entry.unit_state
    sure = state is not None and state.active in ("inactive", "failed") and not state.comes_back
    first = [] if sure else [_wait(entry, "listener", "it may be between two lives", code, _SECOND_LOOK)]
    persists = persists or not sure
    if state is not None and state.holds_without_process:
        reason = "its %s is up and has no gateway" % (state.noun.strip() or "container")
        return [*first, Step(RESTART, entry.spec.name, targets.to_restart(entry, None), reason, code, persists)]
    reason = "systemd has given its unit up" if state and state.start_limit_hit else "no gateway is running"
    return [*first, _start(entry, reason, code, persists)]


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
    return [end, _start(entry, "%s %s" % (keeper, brought), code, persists=True)]


def _restart(entry: Entry, process: Process, code: str, persists: bool) -> Step:
    reason = "only a new gateway process ends %s%s" % (code, soft_restart.who_is_needed(entry, process))
    return Step(RESTART, entry.spec.name, targets.to_restart(entry, process), reason, code, persists)
