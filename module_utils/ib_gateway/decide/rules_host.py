"""Rules on what a gateway meets on its host: disk, listen queue, addresses. Pure; docs/findings.md has the codes."""

from __future__ import annotations

from typing import Collection, Iterator, List, Sequence, Tuple

from ..base import findings
from ..base.findings import Finding
from ..base.host import LEAST_FREE, Listener
from .context import Rule, RuleContext
from .evidence import client_info

_EVERY_ADDRESS = ("::", "0.0.0.0")  # noqa: S104 - compared with, not bound to
_LOOPBACK = ("127.0.0.1", "::1")


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
    """Scripts that connect to `localhost` meet no listener of the gateway, or may meet somebody else's."""
    way = context.entry.way
    if way is not None and not way.published:
        return  # it has an address of its own, and localhost is none of it
    names, port = context.snapshot.localhost, context.spec.port
    mine = {process.pid for process in context.entry.owners()}
    every = [each for each in context.entry.listeners if each.port == port]
    heard = [each for each in every if each.pids & mine]
    if not names or not heard:
        return
    met = {name: _met_at(name, every) for name in names}
    beside = {name: [each for each in met[name] if not each.pids & mine] for name in names}
    if any(beside.values()):
        from .rules_localhost import shared_with  # hardly any host has two programs on one port

        known = (*names, *_LOOPBACK, *(each.address for each in heard if each.address not in _EVERY_ADDRESS))
        told = shared_with(context, beside, [address for address in known if _leads(address, every, mine)])
        if told is not None:
            yield told
            return
    if not any(each in heard for name in names for each in met[name]):
        where = ", ".join(sorted({each.address for each in heard}))
        yield findings.LOCALHOST_FAMILY.found(
            "%s listens on %s, and `localhost` is %s on this host: a script that connects to localhost is refused; "
            "one that connects to %s is not" % (context.spec.name, where, ", ".join(names), where),
            {"listening": sorted({each.address for each in heard}), "localhost": list(names)},
        )


def _leads(address: str, every: Sequence[Listener], mine: Collection[int]) -> bool:
    """Whether nobody but the gateway answers at an address."""
    met = _met_at(address, every)
    return bool(met) and all(each.pids & frozenset(mine) for each in met)


def _met_at(address: str, every: Sequence[Listener]) -> List[Listener]:
    """Those of the listeners of one port whom a connection to an address may meet: the kernel gives it to who listens
    on exactly that address, and only without anybody there to who listens on all of them."""
    family = "ipv6" if ":" in address else "ipv4"
    exact = [each for each in every if each.address == address]
    return exact or [each for each in every if each.address in _EVERY_ADDRESS and family in each.families]


RULES: Tuple[Rule, ...] = (disk_full, accept_queue_full, localhost_family)
