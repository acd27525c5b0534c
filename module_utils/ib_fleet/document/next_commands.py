"""What to run next after a run that did not end healthy: for each host what helps, in words and as a command. Pure.

Every host that is not healthy is in one group at least, so that no such run ends without a command.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ...ib_gateway.base.actions import WAIT
from ...ib_gateway.base.spec import NO_STARTER
from . import blockers
from .latest import gateways

#: What makes a repair act on an entry that is only planned for; the same words everywhere.
ALLOW = "write remediation: auto in place of plan_only"
#: Where the inventory is not known.
ANY_INVENTORY = "-i INVENTORY"
#: Long names: they win over whatever an inventory has set.
_NO_BRAKE = "-e ib_gateway_repair_storm_share=1 -e ib_gateway_repair_storm_same=1"
_NO_BLACKOUT = "-e %s" % shlex.quote(json.dumps({"ib_gateway_repair_blackouts": []}))
_NO_LIMITS = (
    "-e ib_gateway_repair_backoff=0 -e ib_gateway_repair_per_hour=100 -e ib_gateway_repair_restarts_per_hour=100"
)
_REASON = "-e %s" % shlex.quote(json.dumps({"ib_repair_reason": "the cause was seen to"}))
#: How this machine is called, by itself and in what ssh says. Another port than ssh's own is a way to another machine.
_SELF = r"(?:localhost|127\.\d+\.\d+\.\d+|::1)"
_LOCAL = re.compile(rf"^{_SELF}: (?!.* port (?!22:)\d+: )|connect to host {_SELF} port 22: ")
#: More hosts than this are a group's worth.
_MOST = 20

Host = Mapping[str, Any]


class Next(NamedTuple):
    """One command to run next. why: what it does, as an infinitive that follows `to`."""

    why: str
    command: str


class _Way(NamedTuple):
    """What helps hosts of one kind. holds: whether a host is of it; then nothing below it is asked of that host.

    why, playbook, more: of the command; `first` gives the first host alone.
    """

    holds: Callable[[Host, Mapping[str, Any]], bool]
    commands: Sequence[tuple[str, str, str, bool]]


def next_commands(
    fleet: Mapping[str, Any], options: str = ANY_INVENTORY, typed: Callable[[str], str] = str
) -> list[Next]:
    """What to run next. options: what every command takes, such as the inventory.

    typed: makes of a command as it is written here one that works where the run was started.
    """
    found: list[Next] = []
    groups: dict[int, list[str]] = {}
    for host in fleet["hosts"]:
        number = next((n for n, way in enumerate(_WAYS) if way.holds(host, fleet)), None)
        if number is not None and (host["status"] != "healthy" or _kept_off(host) or _shut(host)):
            groups.setdefault(number, []).append(host["name"])
    for number in sorted(groups):
        names = groups[number]
        for why, playbook, more, first in _WAYS[number].commands:
            limit = _limit(names[:1] if first else names)
            if first and len(names) < 2:
                continue
            found.append(Next(why, " ".join(filter(None, (typed(playbook % limit), options, more)))))
    return found


def _limit(hosts: Sequence[str]) -> str:
    """Hosts as a pattern; a fleet's worth of them as the group, which leaves out who needs nothing by itself."""
    if len(hosts) > _MOST or any(each in ":,!&*[]~@" or not each.isprintable() for name in hosts for each in name):
        return "trading_hosts"
    return shlex.quote(",".join(hosts))


# --- which way a host takes ------------------------------------------------------------------------------------------


def _shut(host: Host) -> bool:
    return bool(blockers.urgent(host))


def _kept_off(host: Host) -> str:
    """Why nothing was done on a host, or on gateways of it; empty where nothing kept the run from it."""
    repair = host.get("repair") or {}
    reasons = [] if repair.get("begun", True) else [repair.get("reason")]
    reasons += [each.get("reason") for each in repair.get("refused") or ()]
    reasons += [
        each["reason"] for act in host["done"] for each in act.get("outcomes", ()) if not each.get("admitted", True)
    ]
    return "; ".join(str(each) for each in reasons if each)


def _stands(host: Host, *kinds: str) -> bool:
    return any(each.kind in kinds for each in blockers.of(host))


def _steps(host: Host, remediation: str) -> list[str]:
    """The actions that are planned in entries of one kind."""
    found = [each["plan"]["steps"] for each in gateways(host) if each["remediation"] == remediation]
    return [step["action"] for steps in found for step in steps]


def _open(host: Host, _fleet: Mapping[str, Any]) -> bool:
    return bool(_steps(host, "auto"))


def _lacks_starter(host: Host, _fleet: Mapping[str, Any]) -> bool:
    """Whether a repair is withheld because an entry does not say what starts its gateway."""
    return any(NO_STARTER in reason for each in gateways(host) for reason in each["plan"]["withheld"])


def _said(word: str) -> Callable[[Host, Mapping[str, Any]], bool]:
    return lambda host, _fleet: word in _kept_off(host)


def _is_frozen(host: Host, fleet: Mapping[str, Any]) -> bool:
    return bool(blockers.frozen(fleet)) and blockers.frozen(fleet) in _kept_off(host)


def _is_here(host: Host, _fleet: Mapping[str, Any]) -> bool:
    """Whether a host that is not reached is this machine itself, to which Ansible went by ssh."""
    return not host["reached"] and bool(_LOCAL.search("%s: %s" % (host["name"], host["reason"])))


def _blind(host: Host, _fleet: Mapping[str, Any]) -> bool:
    sight = (host["after"] or host["before"] or {}).get("visibility") or {}
    return host["status"] == "unknown" and sight.get("privileged") is False


_PLAY, _RELEASE = "ansible-playbook remediate.yml --limit %s", "ansible-playbook playbooks/release.yml --limit %s"
_RESUME = "ansible-playbook playbooks/resume.yml --limit %s"
_SWEEP = "ansible-playbook playbooks/health_sweep.yml --limit %s"
_PING = "ansible %s -m ansible.builtin.ping"

#: The first that holds is taken.
_WAYS: Sequence[_Way] = (
    _Way(
        _is_here,
        [
            (
                "look at this machine itself, without ssh (in the inventory: ansible_connection: local)",
                _SWEEP,
                "-e ansible_connection=local",
                False,
            )
        ],
    ),
    _Way(
        lambda host, _fleet: not host["reached"],
        [("see why the host is not reached", _PING, "", False)],
    ),
    _Way(
        _is_frozen,
        [
            ("repair the first of them alone, and see whether that cures it", _PLAY, "", True),
            ("repair them although the cause may be common", _PLAY, _NO_BRAKE, False),
        ],
    ),
    _Way(
        lambda host, _fleet: _stands(host, blockers.JOURNAL),
        [
            (
                "set the journal aside and begin a new one, when you know why it cannot be used",
                _RELEASE,
                "%s -e ib_repair_reset_journal=true" % _REASON,
                False,
            )
        ],
    ),
    _Way(
        lambda host, _fleet: _stands(host, blockers.LATCHED, blockers.FAILED),
        [
            ("let repairs act on it again, when the cause was seen to", _RELEASE, _REASON, False),
            ("repair it then", _PLAY, "", False),
        ],
    ),
    _Way(
        _said("this controller is paused"),
        [("end the pause of this controller", _RESUME, "-e ib_repair_pause_controller=true", False)],
    ),
    _Way(
        lambda host, _fleet: _stands(host, blockers.PAUSED),
        [("end the pause", _RESUME, "", False)],
    ),
    _Way(
        _said("blackout "),
        [("repair it in the blackout all the same", _PLAY, _NO_BLACKOUT, False)],
    ),
    _Way(
        lambda host, _fleet: any(word in _kept_off(host) for word in ("backoff:", "limit:")),
        [("repair it before the time that is named, without the limits", _PLAY, _NO_LIMITS, False)],
    ),
    _Way(
        lambda host, fleet: bool(fleet["check_mode"]) and _open(host, fleet) and fleet["kind"] != "sweep",
        [("repair it", _PLAY, "", False)],
    ),
    _Way(
        lambda host, _fleet: bool(_kept_off(host)),
        [("run the repair once more", _PLAY, "", False)],
    ),
    _Way(
        lambda host, fleet: _open(host, fleet) and fleet["kind"] == "sweep",
        [("see what a repair would do", _PLAY, "--check --diff", False)],
    ),
    _Way(
        lambda host, fleet: _open(host, fleet),
        [("repair it", _PLAY, "", False)],
    ),
    _Way(
        lambda host, _fleet: any(each != WAIT for each in _steps(host, "plan_only")),
        [("repair it: %s in its entry, then run" % ALLOW, _PLAY, "", False)],
    ),
    _Way(
        lambda host, _fleet: bool(_steps(host, "plan_only")),
        [("look again after the wait that is planned", _SWEEP, "", False)],
    ),
    _Way(
        _blind,
        [("look again as root, who sees everything", _SWEEP, "--become", False)],
    ),
    _Way(
        lambda host, _fleet: _stands(host, blockers.LOST) and host["status"] == "healthy",
        [("see who has a session now", _SWEEP, "", False)],
    ),
    _Way(
        _lacks_starter,
        [("see what a repair would do, once its entry has service or start_command", _PLAY, "--check --diff", False)],
    ),
    _Way(
        lambda host, _fleet: host["status"] != "healthy",
        [("look again, when the cause was seen to", _SWEEP, "", False)],
    ),
)
