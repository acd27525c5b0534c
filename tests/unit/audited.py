"""Scripts as tests write them down, and what the audit says about them."""

from __future__ import annotations

import textwrap
from typing import Any, List, Sequence, Set

from ansible.module_utils.ib_audit.reading.model import Problem, Source
from ansible.module_utils.ib_audit.rules.audit import Audit, audit
from ansible.module_utils.ib_gateway.base.spec import GATEWAY_PORTS, GatewaySpec

PATH = "/srv/trading/bot.py"


def spec(mode: str = "live", **fields: Any) -> GatewaySpec:
    """An inventory entry."""
    return GatewaySpec(**{"name": mode, "trading_mode": mode, "port": GATEWAY_PORTS[mode], **fields})


def audited(*texts: str, specs: Sequence[GatewaySpec] = (), **named: str) -> Audit:
    """The audit of one text as PATH, of several as a0.py, a1.py, ..., and of files by their names."""
    paths = [PATH] if len(texts) == 1 else ["/srv/trading/a%d.py" % index for index in range(len(texts))]
    found = list(zip(paths, texts)) + [("/srv/trading/%s.py" % name, text) for name, text in named.items()]
    return audit([Source(path, textwrap.dedent(text).encode()) for path, text in found], specs)


def problems(code: str, *texts: str, specs: Sequence[GatewaySpec] = (), **named: str) -> List[Problem]:
    """Those of one code."""
    return [each for each in audited(*texts, specs=specs, **named).problems if each.code == code]


def codes(*texts: str, specs: Sequence[GatewaySpec] = (), **named: str) -> Set[str]:
    """The codes that were found."""
    return {each.code for each in audited(*texts, specs=specs, **named).problems}
