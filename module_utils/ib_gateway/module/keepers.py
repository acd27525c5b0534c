"""What brings the gateways of a host's entries, or brings them back; asked only where one may be needed."""

from __future__ import annotations

import sys
from typing import Dict, Sequence, Tuple

from ..base.host import Keeper, Snapshot
from ..base.spec import GatewaySpec


def keepers_of(found: Snapshot, specs: Sequence[GatewaySpec]) -> Tuple[Keeper, ...]:
    """What brings gateways, on a system that can be asked."""
    if not sys.platform.startswith("linux"):
        return ()
    from ..observe.keepers import keepers

    gateways = [process.pid for process in found.processes.values() if process.gateway]
    return keepers(gateways, _ended([spec.name for spec in specs if spec.startable]))


def _ended(names: Sequence[str]) -> Dict[str, Tuple[Tuple[int, int], ...]]:
    """By entry, what its gateway ran below when a repair ended that."""
    if not names:
        return {}
    from ..lifecycle.environment import parents_of_ended  # only a gateway that can be started was ended by a repair

    return {name: parents_of_ended(name) for name in names}
