"""Rules on what a gateway meets on its host: disk, listen queue, addresses. Pure; docs/findings.md has the codes."""

from __future__ import annotations

from typing import Iterator, Tuple

from ..base import findings
from ..base.findings import Finding
from ..base.host import LEAST_FREE, Listener
from .context import Rule, RuleContext
from .evidence import client_info


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


RULES: Tuple[Rule, ...] = (disk_full, accept_queue_full, localhost_family)
