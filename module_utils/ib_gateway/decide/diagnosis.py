"""Applies the rules: what was seen of an entry becomes its Diagnosis. Pure: no I/O, no clock.

A rule is a function from a RuleContext to the findings it makes; each file of rules lists its own in RULES, and
_rules() says when these apply. Findings stand in the order of their weight in the catalogue, and the first one of the
worst severity is the verdict. While something is not seen, no rule is applied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, List, Optional, Tuple

from ..base import findings
from ..base.findings import HEALTHY, INFO, SEVERITIES, Finding
from ..base.host import LEAST_FREE, Snapshot, Visibility
from ..base.plan import Diagnosis, Entry
from .context import Rule, RuleContext

if TYPE_CHECKING:  # most looks of a sweep open no session
    from ..base.probe import Probe


def diagnose(entry: Entry, snapshot: Snapshot, probe: Optional[Probe] = None, reset_window: str = "") -> Diagnosis:
    """Applies every rule to one entry.

    probe: what an API handshake came to, where one was made. reset_window: the broker's reset window that this moment
    lies in, in words; empty outside of any.
    """
    context = RuleContext(entry=entry, snapshot=snapshot, probe=probe, reset_window=reset_window)
    found = tuple(_partial_visibility(context)) or _claimed(context) or tuple(_by_weight(context))
    if found and entry.way is not None:
        from . import rules_container

        found = rules_container.with_health(found, entry)
    worst = max((finding.severity for finding in found), key=SEVERITIES.index, default=HEALTHY)
    if worst in (HEALTHY, INFO):
        return Diagnosis(entry, HEALTHY, HEALTHY, found, probe)
    verdict = next(finding.code for finding in found if finding.severity == worst)
    return Diagnosis(entry, worst, verdict, found, probe)


def _claimed(context: RuleContext) -> Tuple[Finding, ...]:
    """Whether another account's gateway is in the way; asked where one looks like the entry's, or where somebody else
    than its own gateways listens on its port."""
    entry = context.entry
    own = {process.pid for process in entry.owners()}
    if not entry.claimants and all(each.pids <= own for each in entry.listeners if each.port == context.spec.port):
        return ()
    from .rules_accounts import claimed_by_another_account

    return tuple(claimed_by_another_account(context))


def _by_weight(context: RuleContext) -> List[Finding]:
    return sorted((finding for rule in _rules(context) for finding in rule(context)), key=lambda each: each.type.weight)


def _rules(context: RuleContext) -> Tuple[Rule, ...]:
    """Every rule that can find something in this entry. Most looks find a gateway that serves: what tells of any other
    state, of clients, a handshake, a login or a container is loaded where there is one.
    """
    rules: Tuple[Rule, ...] = ()
    entry, snapshot = context.entry, context.snapshot
    served = bool(entry.owners())
    if len(entry.processes) > 1 or entry.way is not None or context.frozen:
        from . import rules_processes

        rules += rules_processes.RULES
    full = any(each.free is not None and each.free < LEAST_FREE for each in snapshot.folders.values())
    if full or snapshot.accept_queue_samples or snapshot.localhost:
        from . import rules_host

        rules += rules_host.RULES
    if not served:
        from . import rules_unserved, rules_waiting

        rules += rules_unserved.RULES + rules_waiting.RULES
    if entry.clients:
        from . import rules_clients

        rules += rules_clients.RULES
    if not served or context.probe is not None:
        from . import rules_api

        rules += rules_api.RULES
    if entry.way is not None:
        from . import rules_container

        rules += rules_container.RULES
    if entry.login is not None:
        from . import not_serving, rules_login

        rules += rules_login.RULES if not_serving.told(context) is not None else ()
    return rules


#: Findings with which a handshake would tell nothing, or meet somebody who is not proven to be meant.
_NO_PROBE = frozenset(
    (
        findings.PARTIAL_VISIBILITY.code,
        findings.CLAIMED_BY_ANOTHER_ACCOUNT.code,
        findings.ACCEPT_QUEUE_FULL.code,
        findings.GATEWAY_FROZEN.code,
    )
)


def may_probe(diagnosis: Diagnosis, policy: str) -> bool:
    """Whether an API handshake is called for. policy: auto, always or never.

    Never on a port that neither a gateway of the entry owns nor its relay, nor on one that is frozen. auto: only when
    the passive evidence shows that a session is free and the gateway takes connections, because a handshake that
    competes for the only one would make the fault it looks for. Without max_api_clients one working session proves that
    the gateway serves, and a second one that it serves more than one. A session that never went beyond its opening
    proves nothing, nor does that of a script that hangs: it keeps the slot that the next script needs.
    """
    entry = diagnosis.entry
    if policy == "never" or not (entry.owners() or entry.relay):
        return False
    if policy == "always" and findings.GATEWAY_FROZEN.code not in diagnosis.codes:
        return True
    if diagnosis.codes & _NO_PROBE:
        return False
    from .evidence import hangs  # a passive look counts no sessions

    limit = entry.spec.max_api_clients
    counted = [each for each in entry.at_work() if not (limit is None and hangs(each))]
    working = len({each.connection for each in counted})
    return working != 1 if limit is None else working < limit


def _partial_visibility(context: RuleContext) -> Iterator[Finding]:
    missing = list(_missing(context.entry, context.snapshot.visibility))
    if missing:
        sight = context.snapshot.visibility
        cure = "" if sight.privileged else "; root sees it: run with become (-b)"
        yield findings.PARTIAL_VISIBILITY.found(
            "cannot judge %s, because this could not be seen: %s%s" % (context.spec.name, "; ".join(missing), cure),
            {"missing": missing, "looked_as": context.snapshot.visibility.user},
        )


def _missing(entry: Entry, sight: Visibility) -> Iterator[str]:
    """Each thing without which the rules could err about this entry, in words."""
    spec = entry.spec
    own_entry = spec.user is not None and spec.user == sight.user
    if sight.processes or not own_entry:
        yield from sight.missing
    state = entry.way.state if entry.way else None
    if state is not None and state.error and state.exists:
        yield "what %s says of container %s: %s" % (state.engine, state.name, state.error)
    apart = [process.pid for process in entry.processes if process.other_netns and not process.reached]
    if apart:
        yield "the ports of gateway pid %s, in a network namespace of its own" % ", ".join(map(str, apart))
    for process in entry.processes:
        if process.pid not in apart and not process.sockets_visible:
            yield "the sockets of pid %d belong to %s, and %s may not read them" % (
                process.pid,
                process.user,
                sight.user,
            )
    if not entry.processes and not sight.privileged and not own_entry:
        yield "other users' sockets: %s may read only its own" % sight.user
    for listener in entry.listeners:
        if listener.port == spec.port and not listener.pids:
            yield "who listens on port %d: its owner (%s) cannot be seen" % (spec.port, listener.user or "unknown")
    yield from _unclear(entry)


def _unclear(entry: Entry) -> Iterator[str]:
    for process in entry.ambiguous:
        yield (
            "whose gateway pid %d is: it fits several entries, and neither user, config_dir nor port tells"
            % process.pid
        )
    for process in entry.unplaced:
        if process.cwd is None:
            yield "the working directory of gateway pid %d of %s" % (process.pid, process.user)
