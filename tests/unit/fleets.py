"""Made-up fleets: documents as a run would write them, of any size, the same for the same number."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Any, Dict, List, Sequence

from ansible.module_utils.ib_audit.reading.model import SEVERITIES
from ansible.module_utils.ib_audit.report import document as report
from ansible.module_utils.ib_audit.rules.catalogue import NOT_AUDITED, RULES
from ansible.module_utils.ib_fleet.document import fleet_document
from ansible.module_utils.ib_gateway.base.outcome import Outcome
from unit.decide.test_planning import LEAST
from unit.facts import SCRIPT, gateway, health, listener, probe, script, snapshot, spec

TIMINGS = {"tcp": 0.4, "server_version": 2.1, "start_api": 14.0, "ready": 31.5, "current_time": 3.2}
UNREACHABLE = {
    "unreachable": True,
    "msg": "Failed to connect to the host via ssh: Connection timed out",
    "changed": False,
}
FAILED = {"failed": True, "msg": "the module failed", "changed": False}
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


def outcome(action: str, target: Dict[str, Any], result: str = "done", **more: Any) -> Dict[str, Any]:
    """What became of one step, as a module returns it."""
    found = Outcome(action, "live", target, result, "ended after SIGTERM").as_dict()
    return {**found, **more}


def stopped(result: str = "done", **target: Any) -> Dict[str, Any]:
    """The outcome of a script that was to be stopped."""
    whom = {"pid": SCRIPT, "user": "trader", "command": ["python3", "bot.py"], **target}
    return outcome("stop_client", whom, result)


def repaired(*taken: Dict[str, Any], **failed: Any) -> Dict[str, Any]:
    """What a repair leaves among a host's facts. taken: {action, ...}. failed: the result of a module that failed."""
    now = {"log": list(taken), "action": failed.pop("action", None)}
    return {"ib_gateway_repair_escalation": now, **({"ib_gateway_repair_result": failed} if failed else {})}


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
    return fleet_document.host_document(name, facts)


def held_up(look: Dict[str, Any], **repairs: Any) -> Dict[str, Any]:
    """A look at a host whose journal says something of earlier repairs."""
    nothing: Dict[str, Any] = {"note": "", "paused": None, "latched": [], "unfinished": [], "lease": None}
    return {**look, "repairs": {"journal": "ok", **nothing, **repairs}}


def document(*hosts: Dict[str, Any], at: str = "2026-11-22T09:00:00Z", **more: Any) -> Dict[str, Any]:
    """A fleet's document of these hosts."""
    return fleet_document.document(hosts, {"kind": "sweep", "generated_at": at, "check_mode": False, **more})


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


def audit(count: int = 3, at: str = "2026-11-22T09:30:00Z", each: int = 4, **texts: str) -> Dict[str, Any]:
    """An audit of the scripts of so many hosts; one of them could not be read. texts: what a problem says instead."""
    rules = [rule for rule in RULES.values() if rule.code not in NOT_AUDITED]
    hosts = []
    for number in range(count):
        chance = random.Random(number)  # noqa: S311 - likewise
        found = [
            {
                "code": rule.code,
                "severity": rule.severity,
                "file": "/srv/trading/strategies/bot%d.py" % line,
                "line": 3 + 5 * line,
                "column": 5,
                "snippet": 'ib.connect("127.0.0.1", 4001, clientId=15)',
                "summary": rule.title,
                "remedy": rule.remedy,
                **texts,
            }
            for line, rule in enumerate(chance.sample(rules, each))
        ]
        result: Any = {
            "problems": found,
            "summary": {word: sum(one["severity"] == word for one in found) for word in SEVERITIES},
            "files": 9,
            "clients": ["/srv/trading/strategies/bot1.py"],
            "ignored": number % 3,
        }
        if number == 1:
            result = {"unreachable": True, "msg": texts.get("summary", "no route to host")}
        name = texts.get("host", "desk%04d.example.com") % number
        hosts.append(report.host_document(name, result))
    return report.document(hosts, {"generated_at": at, "check_mode": False})


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
        done = {"action": "stop_client", "changed": True, "outcomes": [stopped(command=[text], user=text)]}
        hosts.append(host(text, look, groups=(text,), **repaired(done)))
        hosts.append(host("away " + text, {"unreachable": True, "msg": text}))
    return document(*hosts)
