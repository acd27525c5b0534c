"""The rule on gateways of accounts that nothing ties to an entry. Pure; see docs/findings.md for its code."""

from __future__ import annotations

from typing import Iterator, Sequence, Tuple

from ..base import findings
from ..base.findings import Finding
from ..base.host import Process
from .context import Rule, RuleContext
from .evidence import process_info


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


RULES: Tuple[Rule, ...] = (claimed_by_another_account,)
