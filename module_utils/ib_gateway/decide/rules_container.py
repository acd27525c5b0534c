"""The rule on the way from a port of the host to a gateway in a container. Pure; see docs/findings.md."""

from __future__ import annotations

from typing import Iterator, Sequence, Tuple

from ..base import findings
from ..base.container import GATEWAY_INSIDE
from ..base.findings import Finding
from ..base.plan import Entry
from .context import Rule, RuleContext

#: What an engine says of a container whose health check has not passed yet, or has failed too often.
_NOT_WELL = ("starting", "unhealthy")


def container_link_down(context: RuleContext) -> Iterator[Finding]:
    """A link between the entry's port and its gateway is down: the published port, the relay inside, the gateway."""
    way = context.entry.way
    if way is None or way.taken:
        return
    link, why = way.broken, way.why
    if link is None and way.state is None and way.proxies and not way.members:
        link, why = GATEWAY_INSIDE, "no gateway runs in %s" % way.label
    if link is None:
        return
    yield findings.CONTAINER_LINK_DOWN.found(
        "the way to %s through port %d is interrupted at the %s: %s"
        % (context.spec.name, context.spec.port, link.replace("_", " "), why),
        {
            "link": link,
            "container": way.label,
            "port": context.spec.port,
            "port_inside": way.port_inside,
            "relay": way.relay,
            "gateway_listens_on": way.door[1] if way.door else None,
            "gateways": sorted(way.members),
            "held_on_host_by": sorted(way.proxies),
        },
    )


def with_health(found: Sequence[Finding], entry: Entry) -> Tuple[Finding, ...]:
    """The findings of an entry, each with what the container's own health check says where that is not passed."""
    state = entry.way.state if entry.way else None
    if state is None or state.health not in _NOT_WELL:
        return tuple(found)
    told = {"container_health": state.health}
    return tuple(each._replace(evidence={**each.evidence, **told}) for each in found)


RULES: Tuple[Rule, ...] = (container_link_down,)
