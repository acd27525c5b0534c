"""The broker's data farms, from the gateway's notices about them: the newest notice of each farm counts. Pure."""

from __future__ import annotations

import re
from typing import Dict, NamedTuple, Tuple

from ..base.redaction import mask_text

MARKET_DATA, HISTORICAL_DATA, CONTRACT_DATA = "market data", "historical data", "contract data"

#: What each notice is about, and whether its farm is broken then. An inactive farm comes back when it is asked.
_NOTICES = {
    2103: (MARKET_DATA, True),
    2104: (MARKET_DATA, False),
    2105: (HISTORICAL_DATA, True),
    2106: (HISTORICAL_DATA, False),
    2107: (HISTORICAL_DATA, False),
    2108: (MARKET_DATA, False),
    2119: (MARKET_DATA, False),
    2157: (CONTRACT_DATA, True),
    2158: (CONTRACT_DATA, False),
}
#: A gateway knows some dozens of farms.
_MAX_FARMS = 200
#: Notices of inactive farms end in `... upon demand.NAME`; the others in `:NAME`.
_INACTIVE = (2107, 2108)
_DEMAND = re.compile(r"^demand\.", re.IGNORECASE)
_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class Farm(NamedTuple):
    """A broken farm: what it serves, its name as the notice has it (empty where none is told), the notice's code."""

    serves: str
    name: str
    code: int


class Farms:
    """What the notices of one session have said so far."""

    def __init__(self) -> None:
        self._broken: Dict[Tuple[str, str], int] = {}

    def take(self, code: int, text: str) -> bool:
        """Takes a notice; gives whether it is about a farm. text: as it came."""
        if code not in _NOTICES:
            return False
        serves, broken = _NOTICES[code]
        farm = (serves, _name(code, text))
        if not broken:
            self._broken.pop(farm, None)
        elif len(self._broken) < _MAX_FARMS:
            self._broken[farm] = code
        return True

    @property
    def broken(self) -> Tuple[Farm, ...]:
        """The farms whose newest notice says that they are broken, in the order of their names."""
        return tuple(Farm(serves, name, code) for (serves, name), code in sorted(self._broken.items()))


def _name(code: int, text: str) -> str:
    """The farm's name as the notice has it; empty where it has none, or none that is harmless to show."""
    name = text.rpartition(":")[2].strip() if ":" in text else ""
    if not name and code in _INACTIVE:
        name = _DEMAND.sub("", (text.split() or [""])[-1])
    return mask_text(name) if _HARMLESS.fullmatch(name) else ""
