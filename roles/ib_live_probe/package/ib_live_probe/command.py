"""Makes one API handshake with a gateway, and answers with an exit code and one line.

    ib_gateway_probe.py --port 4001                     container engines: 0 healthy, 1 unhealthy
    ib_gateway_probe.py --port 4001 --for readiness     orchestrators: 0 ready, 1 not ready
    ib_gateway_probe.py --port 4001 --for liveness      orchestrators: 1 only where a restart can help
    ib_gateway_probe.py --port 4001 --for nagios        monitoring: 0 OK, 1 warning, 2 critical, 3 unknown

It needs Python 3.8 or newer and nothing else, sends no order, and is done when its timeout is over.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Dict, List, NoReturn, Optional

from ansible.module_utils.ib_gateway.api import handshake
from ansible.module_utils.ib_gateway.api.client_ids import MAX_TIMEOUT
from ansible.module_utils.ib_gateway.base.probe import FULL, QUICK, Probe
from ansible.module_utils.ib_gateway.observe import sockets

from .judge import HEALTHCHECK, LIVENESS, PURPOSES, Sockets, Verdict, could_not_ask, judged, sockets_of

#: Liveness looks at the gateway's own sockets, so it has to run where they are.
_BESIDE_IT = ("127.0.0.1", "::1", "localhost")


class _CannotBe(Exception):
    """The command line asks for something that cannot be."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse ends with 2, which container engines reserve and Nagios takes for critical.
        raise _CannotBe(message)


def options(arguments: List[str]) -> argparse.Namespace:
    """The command line read. Raises _CannotBe."""
    parser = _Parser(prog="ib_gateway_probe.py", description="Makes one API handshake with a gateway.")
    parser.add_argument("--host", default="127.0.0.1", help="the gateway's address (default: %(default)s)")
    parser.add_argument("--port", type=int, required=True, help="its API port")
    parser.add_argument("--client-id", type=int, help="never 0; by default the first free one of eight of its own")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds for all of it (default: %(default)g)")
    parser.add_argument(
        "--depth", choices=(QUICK, FULL), default=QUICK, help="full: also what IB.connect reads (default: %(default)s)"
    )
    parser.add_argument(
        "--for", dest="purpose", choices=PURPOSES, default=HEALTHCHECK, help="who asks (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON in place of the text")
    chosen = parser.parse_args(arguments)
    if chosen.purpose == LIVENESS and chosen.host not in _BESIDE_IT:
        raise _CannotBe("liveness is asked beside the gateway: --host must be one of %s" % ", ".join(_BESIDE_IT))
    if not 0 < chosen.timeout <= MAX_TIMEOUT:
        raise _CannotBe("--timeout must be more than 0 and at most %g seconds" % MAX_TIMEOUT)
    return chosen


def asked(chosen: argparse.Namespace) -> Probe:
    """The handshake made. Raises _CannotBe."""
    try:
        return handshake.probe(chosen.host, chosen.port, chosen.client_id, chosen.timeout, chosen.depth)
    except ValueError as error:
        raise _CannotBe(str(error)) from None


def seen(port: int) -> Optional[Sockets]:
    """The gateway's sockets; None where they cannot be read."""
    try:
        return sockets_of(port, sockets.listeners(), sockets.connections([port]))
    except OSError:
        return None


def shown(verdict: Verdict, purpose: str, probe: Optional[Probe], as_json: bool) -> str:
    """The line to print."""
    if not as_json:
        return "%s: %s" % (verdict.status, verdict.text)
    found: Dict[str, Any] = {"for": purpose, **verdict._asdict()}
    found["probe"] = None
    if probe:
        found["probe"] = {**probe._asdict(), "timings_ms": dict(probe.timings_ms), "sync": dict(probe.sync)}
    return json.dumps(found)


def main(arguments: List[str]) -> int:
    """Runs the probe, prints one line, gives the exit code."""
    # What cannot be read as a whole still says who asks.
    purpose = next((each for each in PURPOSES if each in arguments or "--for=" + each in arguments), HEALTHCHECK)
    probe = None
    try:
        chosen = options(arguments)
        purpose, probe = chosen.purpose, asked(chosen)
        verdict = judged(purpose, probe, seen(chosen.port) if purpose == LIVENESS else None)
    except _CannotBe as error:
        verdict = could_not_ask(purpose, str(error))
    except Exception as error:  # a fault of this program's own is no reason to restart a gateway
        verdict = could_not_ask(purpose, "this probe failed: %s" % type(error).__name__)
    line = shown(verdict, purpose, probe, "--json" in arguments)
    print(line.encode("ascii", "backslashreplace").decode())
    return verdict.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
