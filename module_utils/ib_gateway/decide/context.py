"""One entry's facts as the rules see them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterator, Optional, Tuple

from ..base.findings import Finding
from ..base.host import Process, Snapshot
from ..base.plan import Entry
from ..base.record import Record
from ..base.spec import GatewaySpec

if TYPE_CHECKING:  # most looks of a sweep open no session
    from ..base.probe import Probe


class RuleContext(Record):
    """One entry's facts, as the rules see them."""

    entry: Entry
    snapshot: Snapshot
    probe: Optional[Probe]
    reset_window: str = ""

    @property
    def spec(self) -> GatewaySpec:
        return self.entry.spec

    @property
    def frozen(self) -> Tuple[Process, ...]:
        """Its gateways that a signal (T) or a tracer (t) has stopped."""
        return tuple(each for each in self.entry.processes if each.frozen)


#: A rule makes the findings that it finds in one entry's facts.
Rule = Callable[[RuleContext], Iterator[Finding]]
