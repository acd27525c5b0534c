#!/usr/bin/env python3
"""One host of a fleet.json as a monitoring plugin's line: check_ib_gateway.py FLEET_JSON HOST [--max-age SECONDS].

Exit code: 0 OK healthy, 1 WARNING degraded, 2 CRITICAL unhealthy or unreachable, 3 UNKNOWN for everything else: not
judged, not in the report, a report that is too old or cannot be read. Needs nothing but Python 3.8.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime, timezone
from typing import Any, Dict, List, NoReturn, Optional, Sequence, Tuple

OK, WARNING, CRITICAL, UNKNOWN = range(4)
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
CODES = {"healthy": OK, "degraded": WARNING, "unhealthy": CRITICAL, "unreachable": CRITICAL}
MAX_AGE = 3600.0


class Parser(argparse.ArgumentParser):
    """An argument that is wrong is UNKNOWN; argparse's own 2 would be CRITICAL."""

    def error(self, message: str) -> NoReturn:
        """Says so in the plugin's own form."""
        print(line(UNKNOWN, message))
        sys.exit(UNKNOWN)


def check(path: str, host: str, max_age: float, now: Optional[float] = None) -> Tuple[int, str]:
    """The exit code and the line."""
    try:
        with open(path, encoding="utf-8") as stream:
            fleet = json.load(stream)
        found = next((each for each in fleet["hosts"] if each["name"] == host), None)
        if found is None:
            return UNKNOWN, line(UNKNOWN, "%s is not in %s" % (host, path))
        stamp = found["reported_at"].replace("Z", "+00:00")
        age = (now or datetime.now(timezone.utc).timestamp()) - datetime.fromisoformat(stamp).timestamp()
        code = CODES.get(found["status"], UNKNOWN)
        told, data = _told(found), _data(found)
    except OSError as error:
        return UNKNOWN, line(UNKNOWN, "%s cannot be read: %s" % (path, error.strerror))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        return UNKNOWN, line(UNKNOWN, "%s is no fleet document: %s %s" % (path, type(error).__name__, error))
    if age > max_age:
        return UNKNOWN, line(UNKNOWN, "the report is %d s old, it may be %d; then: %s" % (age, max_age, told))
    return code, line(code, told, data)


def line(code: int, text: str, data: Sequence[str] = ()) -> str:
    """One line; nothing in the text can end it, or be taken for the figures behind the bar."""
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    figures = " | %s" % " ".join(data) if data else ""
    return "IB_GATEWAY %s - %s%s" % (WORDS[code], shown.replace("|", "/"), figures)


def _told(host: Dict[str, Any]) -> str:
    return "%s is %s%s" % (host["name"], host["status"], ": %s" % host["reason"] if host["reason"] else "")


def _data(host: Dict[str, Any]) -> List[str]:
    """Performance data: handshake in seconds and open connections, for each gateway; labels in quotes."""
    found = []
    for gateway in (host["after"] or host["before"] or {"gateways": ()})["gateways"]:
        name = "".join(each if each.isalnum() or each in "._-" else "_" for each in gateway["name"])
        timings = (gateway["api"] or {}).get("timings_ms") or {}
        if timings:
            found.append("'%s_handshake'=%.4fs" % (name, sum(timings.values()) / 1000))
        found.append("'%s_clients'=%d" % (name, sum(bool(each["connected"]) for each in gateway["clients"])))
    return found


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs the check."""
    parser = Parser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("fleet_json")
    parser.add_argument("host")
    parser.add_argument("--max-age", type=float, default=MAX_AGE, metavar="SECONDS", help="default: %(default)d")
    options = parser.parse_args(arguments)
    code, told = check(options.fleet_json, options.host, options.max_age)
    print(told)
    return code


if __name__ == "__main__":
    sys.exit(main())
