"""Made-up fleets: documents as a run would write them, of any size, the same for the same number."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Any, Dict, List, Sequence

from ansible.module_utils.ib_gateway import fleet
from unit.facts import SCRIPT, gateway, health, listener, probe, script, snapshot, spec
from unit.test_planning import LEAST

TIMINGS = {"tcp": 0.4, "server_version": 2.1, "start_api": 14.0, "ready": 31.5, "current_time": 3.2}
UNREACHABLE = {
    "unreachable": True,
    "msg": "Failed to connect to the host via ssh: Connection timed out",
    "changed": False,
}
FAILED = {"failed": True, "msg": "the module failed", "changed": False}
STOPPED = {"pid": SCRIPT, "user": "trader", "command": ["python3", "bot.py"], "reason": "ended after SIGTERM"}
GROUPS = ("trading_hosts", "london", "new_york", "tokyo")
#: Every way a host name or a piece of evidence may try to get out of where it is put.
HOSTILE = (
    "<script>window.hacked=1</script>",
    "\"><img src=x onerror='window.hacked=1'>",
    "</style></script><h1>x",
    "{{ 7 * 7 }}{% raw %}",
    "\x1b[2J\x1b]0;owned\x07",
    "desk\u202e1gnp.exe",
    "a\u200b\u2066b\x00c",
    "half \udcff of a pair",
    'line\nbreak\r\n| col="1" ]]>',
    "'; DROP TABLE hosts; --",
    "&lt;b&gt; %s %(x)s",
)


@lru_cache(maxsize=1)
def looks() -> Dict[str, Dict[str, Any]]:
    """A health result for each situation the rules know, and one of a host with two gateways."""
    paper = spec(name="paper", trading_mode="paper", port=4002)
    good = (spec(), snapshot(gateway(), listener()), probe(timings_ms=TIMINGS))
    found = {name: health((spec(client_patterns=("bot",)), look, shaken)) for name, (look, shaken, _) in LEAST.items()}
    found["good"] = health(good)
    found["two"] = health(good, (paper, snapshot(gateway(mode="paper"), listener(4002), script()), None))
    return found


def host(name: str, before: Any = None, after: Any = None, groups: Sequence[str] = (), **more: Any) -> Dict[str, Any]:
    """A host's document."""
    facts: Dict[str, Any] = {**more, "group_names": list(groups)}
    if before is not None:
        facts["ib_gateway_diagnose_result"] = before
    if after is not None:
        facts["ib_gateway_verify_result"] = after
    return fleet.host_document(name, facts)


def document(*hosts: Dict[str, Any], at: str = "2026-11-22T09:00:00Z", **more: Any) -> Dict[str, Any]:
    """A fleet's document of these hosts."""
    return fleet.document(hosts, {"kind": "sweep", "generated_at": at, "check_mode": False, **more})


def some(count: int, seed: int = 1, **more: Any) -> Dict[str, Any]:
    """A fleet of so many hosts, most of them well."""
    chance = random.Random(seed)  # noqa: S311 - a fleet made up for a test
    broken = [look for name, look in sorted(looks().items()) if name not in ("good", "two")]
    hosts: List[Dict[str, Any]] = []
    for number in range(count):
        draw, name = chance.random(), "desk%04d.example.com" % number
        look: Any = looks()["good" if draw < 0.7 else "two"]
        if draw > 0.97:
            look = UNREACHABLE
        elif draw > 0.85:
            look = chance.choice(broken)
        hosts.append(host(name, look, groups=("trading_hosts", chance.choice(GROUPS[1:]))))
    return document(*hosts, **more)


def hostile() -> Dict[str, Any]:
    """A fleet whose names, groups, evidence and messages are all attempts."""
    hosts = []
    for text in HOSTILE:
        look = health((spec(name="live"), snapshot(gateway(), listener(), script(name=text)), None))
        for each in look["gateways"]:
            each["name"], each["summary"] = text, text
            each["findings"] = [
                {
                    "code": "not_listening",
                    "severity": "unhealthy",
                    "summary": text,
                    "evidence": {text: text},
                    "steps": [],
                }
            ]
            each["status"], each["verdict"] = "unhealthy", "not_listening"
            each["plan"] = {"steps": [], "withheld": [text]}
        look["status"] = "unhealthy"
        act = {"changed": True, "stopped": [{**STOPPED, "command": [text], "user": text}]}
        hosts.append(host(text, look, groups=(text,), ib_gateway_repair_stop_client=act))
        hosts.append(host("away " + text, {"unreachable": True, "msg": text}))
    return document(*hosts)
