"""Finds by which port of the host a gateway in a container is met and what that is called, where no inventory says it.

Loaded only on hosts where a gateway runs in a container.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Mapping, Sequence, Tuple

from ..base.container import ContainerState, Published
from ..base.host import Process, Snapshot
from ..base.inventory import FORMS
from ..base.proposal import Met
from ..base.spec import API_PORTS, DEFAULT_PORTS, LIVE, PAPER, Container, GatewaySpec
from ..lifecycle import engine
from .contained import looked_into

#: Inside of containers: what shows the gateway's screen.
_SCREENS = frozenset((3389, 5900, 5901, 6080))
#: Relays inside listen so many ports above the gateway's own.
_RELAY_ABOVE = 2


def states(gateways: Sequence[Process], containers: Mapping[int, Container]) -> Dict[int, ContainerState]:
    """By pid, what the engine says of the container that a gateway runs in; without those it does not describe."""
    specs = {
        each.pid: _spec(each, containers[each.pid], LIVE, API_PORTS[0]) for each in gateways if each.pid in containers
    }
    found = engine.states_of(list(specs.values()))
    return {pid: found[spec.name] for pid, spec in specs.items() if not found[spec.name].error}


def named(
    gateways: Sequence[Process], containers: Mapping[int, Container], told: Mapping[int, ContainerState]
) -> Dict[int, Container]:
    """The containers as an inventory names them, so that the next one that is made in their place is meant as well.

    By the compose service where the container is the only one of it, else by its name; by its id, which the next one
    does not have, only where its engine tells nothing more.
    """
    found = dict(containers)
    for each in gateways:
        state = told.get(each.pid)
        if state is not None:
            names = [containers[each.pid]._replace(name=state.name)]
            if state.compose:
                project, service = state.compose
                names.insert(0, Container(state.engine, None, project, service))
            found[each.pid] = next((name for name in names if _means(name, each, state)), containers[each.pid])
    return found


def _means(container: Container, process: Process, state: ContainerState) -> bool:
    """Whether an entry may name a container so, and its engine takes that for this one and no other."""
    if any(text and FORMS["container name"](text) for text in container._asdict().values()):
        return False
    return engine.state_of(_spec(process, container, LIVE, API_PORTS[0])).id == state.id


def host_ports(told: Mapping[int, ContainerState]) -> FrozenSet[int]:
    """All ports of the host that these containers publish."""
    return frozenset(each.port for state in told.values() for each in state.published)


def met(
    snapshot: Snapshot,
    gateways: Sequence[Process],
    containers: Mapping[int, Container],
    told: Mapping[int, ContainerState],
) -> Dict[int, Met]:
    """By pid, how each gateway is met. snapshot: one that has the listeners on host_ports(). Raises OSError.

    A port counts as proven where the way from it leads to the gateway that listens at its end.
    """
    inside = [each for each in gateways if each.pid in told]
    asked = [
        (each.pid, _spec(each, containers[each.pid], mode, port))
        for each in inside
        for mode in _modes(each)
        for port in _candidates(told[each.pid])
    ]
    ways = looked_into(snapshot, [spec for _pid, spec in asked]).ways if asked else {}
    found: Dict[int, Met] = {}
    for pid, spec in asked:
        way = ways.get(spec.name)
        if pid not in found and way is not None and pid in way.gateways and way.door and not way.broken:
            found[pid] = Met(spec.port, way.door[1])
    for each in inside:
        offered = _offered(each, told[each.pid].published)
        if each.pid not in found and offered:
            found[each.pid] = Met(offered[0].port, None)
    return found


def _spec(process: Process, container: Container, mode: str, port: int) -> GatewaySpec:
    product = process.gateway.product if process.gateway else "gateway"
    name = "%d-%s-%d" % (process.pid, mode, port)
    return GatewaySpec(name, mode, port, product=product, user=process.user, container=container)


def _modes(process: Process) -> Tuple[str, ...]:
    said = process.gateway.trading_mode if process.gateway else None
    return (said,) if said else (LIVE, PAPER)


def _candidates(state: ContainerState) -> Sequence[int]:
    """The published ports; of a container that publishes none the usual ones at its own address."""
    return sorted({each.port for each in state.published}) or API_PORTS


def _offered(process: Process, published: Sequence[Published]) -> List[Published]:
    """The published ports that may be an API's although nothing listens at their end, the likeliest first."""
    product = process.gateway.product if process.gateway else "gateway"
    usual = {DEFAULT_PORTS[product][mode] for mode in _modes(process) if product in DEFAULT_PORTS}
    usual |= {port + _RELAY_ABOVE for port in usual}
    rest = [each for each in published if each.inside not in _SCREENS]
    return sorted(rest, key=lambda each: (each.inside not in usual, each.port))
