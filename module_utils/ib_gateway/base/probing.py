"""How a look shakes hands with gateways."""

from __future__ import annotations

from typing import NamedTuple

from .probe import Prober


class Probing(NamedTuple):
    """How handshakes are made. policy: auto, always or never, whether to make any; timeout: seconds for each; depth:
    QUICK or FULL; patience: seconds that all of them together may take beyond that. at_once: whether the prober
    may be called by several threads.
    """

    prober: Prober
    policy: str
    timeout: float
    depth: str
    patience: float = 0.0
    at_once: bool = False
