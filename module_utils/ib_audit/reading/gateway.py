"""What the audit takes from the package that looks at gateways: the only place that names it, besides `looking`."""

from __future__ import annotations

from ansible.module_utils.ib_gateway.model import (
    API_PORTS,
    GATEWAY_PORTS,
    LIVE,
    TRADING_MODES,
    TWS_PORTS,
    GatewaySpec,
)
from ansible.module_utils.ib_gateway.recognition import matches_any
from ansible.module_utils.ib_gateway.redaction import HIDDEN, plain_text

__all__ = [
    "API_PORTS",
    "GATEWAY_PORTS",
    "HIDDEN",
    "LIVE",
    "TRADING_MODES",
    "TWS_PORTS",
    "GatewaySpec",
    "matches_any",
    "plain_text",
]
