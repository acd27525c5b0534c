"""What the audit takes from the package that looks at gateways: the only place that names it, besides `looking`."""

from __future__ import annotations

from ...ib_gateway.base.classify import matches_any
from ...ib_gateway.base.plain_text import plain_text
from ...ib_gateway.base.redaction import HIDDEN
from ...ib_gateway.base.spec import API_PORTS, GATEWAY_PORTS, LIVE, TRADING_MODES, TWS_PORTS, GatewaySpec

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
