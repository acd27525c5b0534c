"""What is told where `localhost` may lead to another program than an entry's gateway. Pure; a part of rules_host.py.

Many scripts connect to `localhost` and take what its name gives first: asyncio's, and with it ib_insync, the first of
all its addresses, the official library the first IPv4 one. Two programs may have one port, each on its own family.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..base import findings
from ..base.findings import Finding
from ..base.host import Listener, Process
from ..base.short_command import short
from .context import RuleContext
from .evidence import process_info
from .relays import publishes

#: Characters of a command line; the evidence has all of it.
_SHORT = 48


def shared_with(
    context: RuleContext, beside: Mapping[str, Sequence[Listener]], own: Sequence[str]
) -> Optional[Finding]:
    """The finding on who else answers; None where all of them are relays that lead to the gateway.

    beside: by address of `localhost`, the listeners of others that a connection to it may meet. own: addresses at
    which nobody but the gateway answers, the best first.
    """
    name, port = context.spec.name, context.spec.port
    owners = context.entry.owners()
    others: Dict[str, List[Process]] = {}
    for address, listeners in beside.items():
        for each in listeners:
            holding = [context.snapshot.processes[pid] for pid in sorted(each.pids & set(context.snapshot.processes))]
            # Who was handed a socket, as by systemd, answers for the one that made it.
            if not any(publishes(process, owners, port, context.snapshot) for process in holding):
                others.setdefault(address, []).extend(holding)
    others = {address: holding for address, holding in others.items() if holding}
    if not others:
        return None
    listening = sorted({each.address for each in context.entry.listeners if _is_of(each, owners, port)})
    localhost = list(context.snapshot.localhost)
    everybody = [process for holding in others.values() for process in holding]
    whom = "; ".join("%s on %s" % (_told(holding[0]), address) for address, holding in others.items())
    text = "%s listens on %s, and `localhost` is %s on this host: a script that connects to localhost may meet %s, and "
    told = text % (name, ", ".join(listening), ", ".join(localhost), whom)
    return findings.LOCALHOST_FAMILY.found(
        "%snothing shows that this leads to %s: %s" % (told, name, _cure(own, everybody)),
        {
            "listening": listening,
            "localhost": localhost,
            "others": [_row(process, address) for address, holding in others.items() for process in holding],
        },
        findings.INFO if all(process.pid == 1 for process in everybody) else None,
    )


def _is_of(listener: Listener, owners: Sequence[Process], port: int) -> bool:
    return listener.port == port and any(each.pid in listener.pids for each in owners)


def _cure(own: Sequence[str], others: Sequence[Process]) -> str:
    """What a person can do. Which port a gateway has is its own affair, so one is not asked to move."""
    cures = ["have scripts connect to %s" % own[0]] if own else []
    if any(process.gateway is None for process in others):
        cures.append("move the other program")
    if any(process.gateway is not None for process in others):
        cures.append("end the other gateway if nobody wants it")
    return ", or ".join(cures)


def _told(process: Process) -> str:
    """Who it is, in words."""
    text = "pid %d (%s) of %s" % (process.pid, short(process.command, _SHORT), process.user)
    if process.pid == 1:
        return text + ", which starts what answers there only when somebody connects"
    kind = process.gateway
    if kind is not None:
        mode = "of %s mode" % kind.trading_mode if kind.trading_mode else "whose command line says no mode"
        return "%s, another gateway, %s," % (text, mode)
    return "%s, the relay %s," % (text, process.relay) if process.relay else text


def _row(process: Process, address: str) -> Dict[str, Any]:
    """Who it is, as evidence."""
    kind = process.gateway
    found = {**process_info(process), "address": address, "is_gateway": kind is not None}
    if kind is not None:
        found.update(product=kind.product, trading_mode=kind.trading_mode)
    if process.relay:
        found["relay"] = process.relay
    return found
