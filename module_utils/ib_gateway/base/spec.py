"""What should run on a host: one entry of `ib_gateways`, and the ports and modes it speaks about."""

from __future__ import annotations

from typing import Optional, Tuple

from .record import Record

LIVE = "live"
PAPER = "paper"
TRADING_MODES = (LIVE, PAPER)

GATEWAY = "gateway"
TWS = "tws"
PRODUCTS = (GATEWAY, TWS)
#: A gateway that serves FIX alone: no entry can be one.
FIX = "fix"

#: Whose systemd a unit belongs to: the host's, or that of the account that owns the gateway.
SYSTEM_SCOPE = "system"
USER_SCOPE = "user"
SERVICE_SCOPES = (SYSTEM_SCOPE, USER_SCOPE)

CONTAINER_ENGINES = ("docker", "podman")
REMEDIATIONS = ("auto", "plan_only")

#: The API port a gateway opens by default, by trading mode (Gateway first, then TWS).
GATEWAY_PORTS = {LIVE: 4001, PAPER: 4002}
TWS_PORTS = {LIVE: 7496, PAPER: 7497}
API_PORTS = (4001, 4002, 7496, 7497)
DEFAULT_PORTS = {GATEWAY: GATEWAY_PORTS, TWS: TWS_PORTS}
#: IBC's command server listens on the first of these by convention, on others where there are several. Never the API.
HELPER_PORTS = frozenset(range(7462, 7466))


#: Why an entry that says no way to start its gateway is never started or restarted.
NO_STARTER = "its entry has neither service nor start_command to start it with"
#: The ways to start a gateway that a lifecycle exists for, as start_method has them.
STARTABLE_BY = ("unit", "user_unit", "command", "container")


class Container(Record):
    """The container that carries a gateway: engine, docker or podman; its name there, or else its compose service."""

    engine: str
    name: Optional[str] = None
    compose_project: Optional[str] = None
    compose_service: Optional[str] = None

    @property
    def called(self) -> str:
        """What follows the word container: its name, or of which compose service it is."""
        return self.name or "of compose service %s in project %s" % (self.compose_service, self.compose_project)

    @property
    def title(self) -> str:
        """What it is called, for a person."""
        return "%s container %s" % (self.engine, self.called)


class GatewaySpec(Record):
    """One gateway that should run on a host: one entry of `ib_gateways` in the inventory.

    keys.py has the table of the keys: what each means, its bounds and its default, which is the same here.
    """

    _secret = ("start_command", "start_environment")

    name: str
    trading_mode: str
    port: int
    product: str = GATEWAY
    user: Optional[str] = None
    config_dir: Optional[str] = None
    service: Optional[str] = None
    service_scope: str = SYSTEM_SCOPE
    start_command: Tuple[str, ...] = ()
    #: (name, text) pairs in the order of the names.
    start_environment: Tuple[Tuple[str, str], ...] = ()
    container: Optional[Container] = None
    start_timeout: int = 300
    ibc_command_port: Optional[int] = None
    #: How many API connections may be open at once; None: working sessions never compete.
    max_api_clients: Optional[int] = None
    client_patterns: Tuple[str, ...] = ()
    protected_clients: Tuple[str, ...] = ()
    #: Whether what does not end in its grace period may be killed.
    allow_kill: bool = False
    #: Whether the gateway may be restarted although clients work on it; protected ones always keep it from that.
    allow_restart_with_clients: bool = False
    remediation: str = "auto"

    @property
    def unit(self) -> Optional[str]:
        """The full name of the system's unit that starts it; None without one, also where a user's unit does."""
        return self._unit if self.start_method == "unit" else None

    @property
    def user_unit(self) -> Optional[str]:
        """The full name of the unit of `user`'s own systemd that starts it; None without one."""
        return self._unit if self.start_method == "user_unit" else None

    @property
    def any_unit(self) -> Optional[str]:
        """The full name of the unit that starts it, of the system's systemd or of the account's own; None without."""
        return self.unit or self.user_unit

    @property
    def carrier(self) -> Optional[str]:
        """What carries it, in words: its unit or its container; None without one."""
        if self.container is not None:
            return self.container.title
        return "unit %s" % self.any_unit if self.any_unit else None

    @property
    def unit_key(self) -> Optional[str]:
        """How a look names that unit: a user's unit behind its account's name, since two accounts may have one each."""
        return "%s/%s" % (self.user, self.user_unit) if self.user_unit else self.unit

    @property
    def _unit(self) -> str:
        service = self.service or ""
        return service if "." in service else service + ".service"

    @property
    def start_method(self) -> Optional[str]:
        """How the entry says that this gateway is started: unit, user_unit, command or container; None when it does
        not say."""
        if self.container is not None:
            return "container"
        if self.service is not None:
            return "user_unit" if self.service_scope == USER_SCOPE else "unit"
        return "command" if self.start_command else None

    @property
    def startable(self) -> bool:
        """Whether the entry says how to start this gateway, and this project can do that."""
        return self.start_method in STARTABLE_BY

    @property
    def why_not_startable(self) -> str:
        """Why the gateway cannot be started, in words that follow its name; only for one that is not startable."""
        return NO_STARTER
