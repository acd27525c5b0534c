"""Picks the way in which an entry's gateway is started: one line for each way."""

from __future__ import annotations

from typing import Dict, List, Sequence, Type

from ..base.spec import GatewaySpec
from .base import Asked, CannotStart, Lifecycle, StartCheck
from .command import Command
from .container import Container
from .unit import Unit
from .user_unit import UserUnit

#: By the entry's start method.
LIFECYCLES: Dict[str, Type[Lifecycle]] = {
    "unit": Unit,
    "user_unit": UserUnit,
    "command": Command,
    "container": Container,
}


def lifecycle(spec: GatewaySpec) -> Lifecycle:
    """How an entry's gateway is started. Raises CannotStart where the entry does not say."""
    way = LIFECYCLES.get(spec.start_method or "")
    if way is None:
        raise CannotStart(spec.why_not_startable)
    return way(spec)


def start_checks(asked: Sequence[Asked]) -> List[StartCheck]:
    """Whether a start of each entry can succeed, in their order; each way is asked once for all of its entries."""
    found: Dict[int, StartCheck] = {}
    for method, way in LIFECYCLES.items():
        indexes = [index for index, each in enumerate(asked) if each.spec.start_method == method]
        if indexes:
            found.update(zip(indexes, way.start_checks([asked[index] for index in indexes])))
    return [found.get(index, StartCheck()) for index in range(len(asked))]
