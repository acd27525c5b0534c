"""Sessions as a trading script opens them: by the library that scripts use, or else by the socket engine."""

from __future__ import annotations

from typing import Any, Collection, Dict, Optional

from ..api import session
from ..base.probe import Probe
from . import assess


class Library:
    """Opens sessions with the library, or with the socket engine where that one is not to be had."""

    def __init__(self) -> None:
        self._name = session.available()
        self._missing: Optional[str] = session.how_to_add() if self._name is None else None

    def probe(self, host: str, port: int, timeout: float, depth: str, avoid: Collection[int]) -> Probe:
        """One session."""
        if self._name:
            try:
                return session.probe(host, port, timeout=timeout, depth=depth, avoid=avoid)
            except session.SessionUnavailable as error:
                self._name, self._missing = None, str(error)
        return assess.by_socket(host, port, timeout, depth, avoid)

    def proof(self) -> Dict[str, Any]:
        """Which engine was asked for, which one was used, and what is missing for the one asked for."""
        return {"wanted": "ib_insync", "used": self._name or "socket", "missing": self._missing}
