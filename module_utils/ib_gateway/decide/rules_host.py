"""Rules on what the process and socket tables show, without a packet sent. Pure; see docs/findings.md for each code."""

from __future__ import annotations

from typing import Iterator, Sequence, Tuple

from ..base import findings
from ..base.findings import Finding
from ..base.host import LEAST_FREE, Listener, Process
from .context import Rule, RuleContext, client_info, process_info


def claimed_by_another_account(context: RuleContext) -> Iterator[Finding]:
    """A gateway of an account that nothing ties to the entry looks like its own, or shares its port."""
    entry, spec = context.entry, context.spec
    owners = entry.owners()
    own = {process.user for process in owners} | {"root"}
    others = [
        context.snapshot.processes[pid]
        for listener in entry.listeners
        if owners and listener.port == spec.port
        for pid in sorted(listener.pids)
        if pid in context.snapshot.processes and context.snapshot.processes[pid].user not in own
    ]
    sharing = _not_relays(others, context)
    found = list(dict.fromkeys([process.pid for process in (*entry.claimants, *sharing)]))
    if found:
        yield findings.CLAIMED_BY_ANOTHER_ACCOUNT.found(
            "; ".join([*_claiming(context), *_sharing(context, sharing)]),
            {
                "claimants": [process_info(context.snapshot.processes[pid]) for pid in found],
                "gateways": [process_info(each) for each in entry.processes],
            },
        )


def _not_relays(others: Sequence[Process], context: RuleContext) -> Sequence[Process]:
    """Without the relays that lead to the entry's own gateway."""
    if not others:
        return ()
    from .relays import publishes  # most hosts never need it

    owners = context.entry.owners()
    return [each for each in others if not publishes(each, owners, context.spec.port, context.snapshot)]


def _claiming(context: RuleContext) -> Iterator[str]:
    claimants, name = context.entry.claimants, context.spec.name
    if claimants:
        yield (
            "%s %s like %s and nothing shows that the account may run it: nothing is touched; key user of the entry "
            "says which account's gateway is meant"
            % (_accounts(claimants), "looks" if len(claimants) == 1 else "look", name)
        )


def _sharing(context: RuleContext, sharing: Sequence[Process]) -> Iterator[str]:
    distinct = list(dict.fromkeys(each.pid for each in sharing))
    if distinct:
        yield (
            "%s %s on port %d of another address of this host, and nothing shows that this leads to %s: a script may "
            "meet the wrong one, and nothing is touched"
            % (
                _accounts([context.snapshot.processes[pid] for pid in distinct]),
                "listens" if len(distinct) == 1 else "listen",
                context.spec.port,
                context.spec.name,
            )
        )


def _accounts(several: Sequence[Process]) -> str:
    return " and ".join("pid %d of account %s" % (each.pid, each.user) for each in several)


def disk_full(context: RuleContext) -> Iterator[Finding]:
    """Nothing can be written where the gateway keeps its settings and logs."""
    folder = context.snapshot.folders.get(context.spec.config_dir) if context.spec.config_dir else None
    if folder is not None and folder.free is not None and folder.free < LEAST_FREE:
        serving = bool(context.entry.owners())
        yield findings.DISK_FULL.found(
            "the file system of %s has %d KiB left: a gateway that cannot write its settings does not start"
            % (folder.path, folder.free // 1024),
            {"folder": folder.path, "free_bytes": folder.free},
            findings.INFO if serving else None,
        )


def gateway_frozen(context: RuleContext) -> Iterator[Finding]:
    """A signal or a debugger has stopped the process; nothing it is asked for is answered until it goes on."""
    state = context.entry.way.state if context.entry.way else None
    if state is not None and state.status == "paused":
        yield findings.GATEWAY_FROZEN.found(
            "the %s of %s is paused: it answers nothing until it goes on" % (state.label, context.spec.name),
            {"container": state.label, "status": state.status},
        )
        return
    for process in context.frozen:
        by = {"t": "a debugger", "T": "a signal"}.get(process.state, "the freezer of its control group")
        yield findings.GATEWAY_FROZEN.found(
            "gateway pid %d of %s has been stopped by %s: it answers nothing until it goes on"
            % (process.pid, context.spec.name, by),
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


def accept_queue_full(context: RuleContext) -> Iterator[Finding]:
    """Connections wait in every sample of the listen queue."""
    samples = context.snapshot.accept_queue_samples.get(context.spec.port, ())
    if context.entry.owners() and len(samples) > 1 and all(samples):
        waiting = [c for c in context.entry.clients if c.connection is not None and not c.connection.accepted]
        yield findings.ACCEPT_QUEUE_FULL.found(
            "%d connections wait on port %d and the gateway takes none of them" % (samples[-1], context.spec.port),
            {
                "port": context.spec.port,
                "samples": list(samples),
                "backlog": max(
                    (x.backlog or 0 for x in context.entry.listeners if x.port == context.spec.port), default=0
                ),
                "waiting": [client_info(client) for client in waiting],
            },
        )


def localhost_family(context: RuleContext) -> Iterator[Finding]:
    """Scripts that connect to `localhost` meet no listener of the gateway."""
    way = context.entry.way
    if way is not None and not way.published:
        return  # it has an address of its own, and localhost is none of it
    names = context.snapshot.localhost
    mine = {process.pid for process in context.entry.owners()}
    heard = [each for each in context.entry.listeners if each.port == context.spec.port and each.pids & mine]
    if names and heard and not any(_hears(each, name) for each in heard for name in names):
        where = ", ".join(sorted({each.address for each in heard}))
        yield findings.LOCALHOST_FAMILY.found(
            "%s listens on %s, and `localhost` is %s on this host: a script that connects to localhost is refused; "
            "one that connects to %s is not" % (context.spec.name, where, ", ".join(names), where),
            {"listening": sorted({each.address for each in heard}), "localhost": list(names)},
        )


def _hears(listener: Listener, address: str) -> bool:
    family = "ipv6" if ":" in address else "ipv4"
    if listener.address in ("::", "0.0.0.0"):  # noqa: S104 - compared with, not bound to
        return family in listener.families
    return listener.address == address


RULES: Tuple[Rule, ...] = (
    claimed_by_another_account,
    disk_full,
    gateway_frozen,
    duplicate_gateways,
    accept_queue_full,
    localhost_family,
)
