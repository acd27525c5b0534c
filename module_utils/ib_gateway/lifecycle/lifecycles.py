"""Picks the way in which an entry's gateway is started: one line for each way."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Type

from ..base.spec import GatewaySpec
from .base import Asked, CannotStart, Lifecycle, StartCheck
from .command import Command
from .unit import Unit
from .user_unit import UserUnit

#: By the entry's start method, but for containers.
LIFECYCLES: Dict[str, Type[Lifecycle]] = {
    "unit": Unit,
    "user_unit": UserUnit,
    "command": Command,
}


def _way(method: Optional[str]) -> Optional[Type[Lifecycle]]:
    """The way of a start method; that of containers is loaded only where an entry names one."""
    if method == "container":
        from .container import Container

        return Container
    return LIFECYCLES.get(method or "")


def lifecycle(spec: GatewaySpec) -> Lifecycle:
    """How an entry's gateway is started. Raises CannotStart where the entry does not say."""
    way = _way(spec.start_method)
    if way is None:
        raise CannotStart(spec.why_not_startable)
    return way(spec)


def start_checks(asked: Sequence[Asked]) -> List[StartCheck]:
    """Whether a start of each entry can succeed, in their order; each way is asked once for all of its entries."""
    found: Dict[int, StartCheck] = {}
    for method in dict.fromkeys(each.spec.start_method for each in asked):
        way = _way(method)
        indexes = [index for index, each in enumerate(asked) if each.spec.start_method == method]
        if way is not None:
            found.update(zip(indexes, way.start_checks([asked[index] for index in indexes])))
    return [found.get(index, StartCheck()) for index in range(len(asked))]
