# SPDX-License-Identifier: Apache-2.0
"""Jinja filters of the playbooks: each hands its input to a pure function of module_utils."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleFilterError

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_SHARED = str(Path(__file__).resolve().parent.parent / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_fleet.document import latest, plan_text  # noqa: E402 - needs the path above
from ansible.module_utils.ib_fleet.run import answers, escalation, fleet_guard, reset_windows  # noqa: E402 - likewise
from ansible.module_utils.ib_gateway.base import findings, inventory, keys  # noqa: E402 - needs the path above
from ansible.module_utils.ib_gateway.base.command_server import RESTARTS_WITHIN  # noqa: E402 - likewise
from ansible.module_utils.ib_gateway.state import holder, pause  # noqa: E402 - needs the path above

_LOOK = "ib_gateway_diagnose_result"
#: Verdicts of a gateway that serves the API.
_SERVES = (findings.FARM_BROKEN.code, findings.SESSION_SLOW.code, findings.STALE_REMOTE_SESSION.code)
#: Seconds for what surrounds the longest wait of a step: the looks, the proof and its soak, slow connections.
_LEASE_MARGIN = 180.0
#: A year; ib_repair_pause takes no more.
_MOST_PAUSE_MINUTES = 366 * 24 * 60
#: Seconds before the broker ends all logins in which none is kept any more: a soft restart takes up to three minutes.
_LOGIN_MARGIN = 300.0


def inventory_problems(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[str]:
    """What is wrong with the hosts' ib_gateways, a line for each problem, naming host, entry and key."""
    return [problem for host in hosts for problem in inventory.parse(hostvars[host].get("ib_gateways"), str(host))[1]]


def policy_problems(settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with the variables that limit a repair: {blackouts, storm: {share, same, at_least, fleet}}."""
    found = []
    for check in (
        lambda: reset_windows.current(_windows(settings["blackouts"]), 0, "blackout"),
        lambda: fleet_guard.thresholds(**settings["storm"]),
    ):
        try:
            check()
        except (ValueError, TypeError) as error:
            found.append(str(error))
    return found


def _windows(declared: Any, variable: str = "ib_repair_blackouts") -> list[Mapping[str, Any]]:
    if not isinstance(declared, list) or not all(isinstance(each, Mapping) for each in declared):
        raise ValueError(f"{variable} is {declared!r}; give a list of {{name, zone, start, end, days}}")
    return declared


def reason_problems(reason: str, minutes: Any) -> list[str]:
    """What is wrong with the variables of a pause or a release, each named as a person sets it."""
    found = []
    if not str(reason).strip():
        example = """-e '{"ib_repair_reason": "broker maintenance"}'"""
        found.append(f"ib_repair_reason is empty; say in a few words why, it is kept with what is done: {example}")
    try:
        good = 0 < float(minutes) <= _MOST_PAUSE_MINUTES
    except (TypeError, ValueError):
        good = False
    if not good:
        found.append(f"ib_repair_pause_minutes is {minutes}; give a number above 0, at most {_MOST_PAUSE_MINUTES}")
    return found


def chosen(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The hosts that are to be treated other than one that is well, each as {host, groups}.

    ib_hosts_not_judged: those that were not reached, or could not be judged. ib_hosts_to_repair: those whose plan has
    a step that may be acted on. ib_hosts_to_conclude: those on whose journal a proof may have to be written: to repair,
    or held by a latch.
    """
    found = []
    for host in hosts:
        look = _looked(answers.registered(hostvars[host], _LOOK))
        repair = look is not None and bool(escalation.steps(look))
        latched = look is not None and bool((look.get("repairs") or {}).get("latched"))
        groups = {
            "ib_hosts_not_judged": look is None,
            "ib_hosts_to_repair": repair,
            "ib_hosts_to_conclude": repair or latched,
        }
        if any(groups.values()):
            found.append({"host": host, "groups": [name for name, holds in groups.items() if holds]})
    return found


def next_step(
    result: Mapping[str, Any], before: Mapping[str, Any] | None = None, blocked: Sequence[Any] = ()
) -> dict[str, Any]:
    """The action to take now, as escalation.next_step has it, and under `look` the newest look that says so.

    result: a look; or what a module that acted returned, with its look in `health`, None where that failed: then the
    repair is over. before: what this returned last. blocked: what was refused before any module, [{gateway}].
    """
    look = result.get("health", result)
    refused = [each for each in result.get("outcomes", ()) if not each["admitted"]]
    return {**escalation.next_step(look, before, [*blocked, *refused], result), "look": look}


def frozen(hosts: Iterable[str], hostvars: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    """Why nobody of a fleet is to be touched; empty where a run may act. limits: {share, same, at_least, fleet}."""
    try:
        looks = [latest.seen(answers.registered(hostvars[host], _LOOK)) for host in hosts]
        return fleet_guard.freezes(looks, fleet_guard.thresholds(**limits))
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


def new_run(_nothing: Any = None) -> dict[str, str]:
    """Who repairs: {run, by, holder}. run: a name no other run has. by: account, host and pid on this controller.
    holder: the same process, so that others on this machine can prove that it has ended.
    """
    run = multiprocessing.parent_process()  # Ansible has a worker of its own for each task
    pid = run.pid if run is not None and run.pid is not None else os.getpid()
    by = "%s@%s pid %d" % (getpass.getuser(), socket.gethostname(), pid)
    return {"run": str(uuid.uuid4()), "by": by, "holder": holder.holder(pid)}


def paused(path: str) -> str:
    """What the pause file of this controller says; empty where there is none, or it has expired."""
    found = pause.read(path, time.time())
    return "this controller is %s" % found.text if found else ""


def blackout(declared: Sequence[Mapping[str, Any]], now: float) -> str:
    """The desk's blackout that a moment, in seconds since the epoch, lies in; empty for none."""
    try:
        found = reset_windows.current(_windows(declared), float(now), "blackout")
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error
    return "blackout %s: plan only" % found if found else ""


def _looked(found: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return found if found and "gateways" in found else None


def reset_window(
    regions: Iterable[str], more: Iterable[Any], known: Mapping[str, Iterable[Any]], now: float | None = None
) -> str:
    """The reset window that a moment lies in, of those known for some regions and the others; empty for none.

    now: seconds since the epoch; without it, this moment.
    """
    try:
        return reset_windows.current(
            [*(each for region in regions for each in known[region]), *more], time.time() if now is None else now
        )
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


def login_reset(now: float) -> float:
    """When the broker has last ended all logins, or is about to: a process that is older has to log in anew.

    Both in seconds since the epoch.
    """
    return reset_windows.latest(reset_windows.LOGIN_RESET, now + _LOGIN_MARGIN)


def window_problems(regions: Any, more: Any, known: Mapping[str, Any]) -> list[str]:
    """What is wrong with the reset windows: regions that are not known, windows that are none."""
    if not isinstance(regions, list):
        return [f"ib_gateway_diagnose_reset_regions is {regions!r}; give a list out of {', '.join(known)}"]
    found = [
        f"ib_gateway_diagnose_reset_regions has {each!r}; known are {', '.join(known)}"
        for each in regions
        if each not in known
    ]
    try:
        reset_windows.current(_windows(more, "ib_gateway_diagnose_reset_windows"), 0.0)
    except ValueError as error:
        found.append(str(error))
    return found


def plan_marks(health: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """By which evidence, and when, a host's plans were made: what the host compares before it lets a step be taken."""
    found = []
    for gateway in (health or {}).get("gateways", ()):
        made = gateway["plan"]["made_at"]
        mark = {"gateway": gateway["name"], "digest": gateway["plan"]["digest"]}
        found.append({**mark, "boot_id": made["boot_id"], "made_at": made["boottime"]})
    return found


def results(health: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """What was proven of each gateway: {gateway, healthy, summary}; nothing where nothing could be judged.

    A gateway that serves, and only waits for the broker or keeps the session of a client that is gone, is as well as a
    repair can make it.
    """
    return [
        {
            "gateway": each["name"],
            "healthy": each["status"] == "healthy" or _serves(each),
            "summary": each["summary"],
        }
        for each in (health or {}).get("gateways", ())
    ]


def _serves(gateway: Mapping[str, Any]) -> bool:
    """Whether what speaks against a gateway leaves its API in order; one that is still coming up is not there yet."""
    against = [each["code"] for each in gateway["findings"] if each["severity"] != findings.INFO]
    return gateway["verdict"] in _SERVES and all(code in _SERVES for code in against)


def lease_seconds(entries: Sequence[Mapping[str, Any]], upstream_wait: float) -> float:
    """How long a host stays reserved for a run after its last sign: longer than any single step of it may take."""
    usual = keys.KEYS["start_timeout"]["default"]
    slowest = max((int(entry.get("start_timeout") or usual) for entry in entries), default=0)
    return slowest + float(upstream_wait) + _LEASE_MARGIN + RESTARTS_WITHIN * len(entries)


def age(taken_at: str, now: float) -> float:
    """Seconds between a host's time stamp and now, whichever is later: a clock that is wrong must not look fresh."""
    return abs(now - datetime.fromisoformat(taken_at.replace("Z", "+00:00")).timestamp())


def names(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """The entries' names of some steps, each once, in order."""
    return list(dict.fromkeys(str(step["gateway"]) for step in steps))


class FilterModule:
    """The filters under the names the playbooks use."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {
            "ib_inventory_problems": inventory_problems,
            "ib_chosen": chosen,
            "ib_policy_problems": policy_problems,
            "ib_reason_problems": reason_problems,
            "ib_frozen": frozen,
            "ib_new_run": new_run,
            "ib_paused": paused,
            "ib_blackout": blackout,
            "ib_steps": escalation.steps,
            "ib_reset_window": reset_window,
            "ib_login_reset": login_reset,
            "ib_known_served": escalation.known_served,
            "ib_next_step": next_step,
            "ib_stopped": escalation.stopped,
            "ib_assume_stopped": escalation.assume_stopped,
            "ib_plan_lines": plan_text.lines,
            "ib_window_problems": window_problems,
            "ib_plan_marks": plan_marks,
            "ib_results": results,
            "ib_lease_seconds": lease_seconds,
            "ib_age": age,
            "ib_step_names": names,
        }
