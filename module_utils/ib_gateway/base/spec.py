"""What should run on a host: one entry of `ib_gateways`, and the ports and modes it speaks about.

A dataclass, because it may hold secrets: JSON would spell a named tuple out, and refuses a dataclass.
"""

from dataclasses import dataclass, field
from typing import Optional, Tuple

LIVE = "live"
PAPER = "paper"
TRADING_MODES = (LIVE, PAPER)

#: What an entry can be; a FIX gateway has no API port and is neither.
GATEWAY, TWS = "gateway", "tws"

#: The API port a gateway opens by default, by trading mode (Gateway first, then TWS).
GATEWAY_PORTS = {LIVE: 4001, PAPER: 4002}
TWS_PORTS = {LIVE: 7496, PAPER: 7497}
API_PORTS = (4001, 4002, 7496, 7497)
#: IBC's command server listens on the first of these by convention, on others where there are several. Never the API.
HELPER_PORTS = frozenset(range(7462, 7466))


@dataclass(frozen=True)
class GatewaySpec:
    """One gateway that should run on a host: one entry of `ib_gateways` in the inventory."""

    name: str
    trading_mode: str
    port: int
    user: Optional[str] = None
    config_dir: Optional[str] = None
    service: Optional[str] = None
    start_command: Tuple[str, ...] = field(default=(), repr=False)
    start_timeout: int = 300
    #: How many API connections may be open at once; None: working sessions never compete.
    max_api_clients: Optional[int] = None
    product: str = GATEWAY
    client_patterns: Tuple[str, ...] = ()
    protected_clients: Tuple[str, ...] = ()
    remediation: str = "auto"
    #: Whether what does not end in its grace period may be killed.
    allow_kill: bool = False
    #: Whether the gateway may be restarted although clients work on it; protected ones always keep it from that.
    allow_restart_with_clients: bool = False

    @property
    def unit(self) -> Optional[str]:
        """The full name of the unit that starts it; None without one."""
        if self.service is None:
            return None
        return self.service if "." in self.service else self.service + ".service"

    @property
    def startable(self) -> bool:
        """Whether the entry says how to start this gateway."""
        return bool(self.service or self.start_command)
