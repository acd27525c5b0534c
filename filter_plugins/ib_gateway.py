"""Jinja filters of the playbooks: each hands its input to a pure function of module_utils."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleFilterError

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_SHARED = str(Path(__file__).resolve().parent.parent / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_gateway import inventory, ladder, windows  # noqa: E402 - needs the path above


def inventory_problems(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[str]:
    """What is wrong with the hosts' ib_gateways, a line for each problem, naming host, entry and key."""
    return [problem for host in hosts for problem in inventory.parse(hostvars[host].get("ib_gateways"), str(host))[1]]


def to_repair(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[str]:
    """The hosts whose plan has a step that may be acted on."""
    return [host for host in hosts if ladder.next_rung(_looked(hostvars[host]))]


def to_verify(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[str]:
    """The hosts that were reached and judged, and so can be looked at again."""
    return [host for host in hosts if _looked(hostvars[host])]


def _looked(variables: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found = variables.get("ib_gateway_diagnose_result")
    return found if isinstance(found, Mapping) and "gateways" in found else None


def reset_window(declared: Sequence[Mapping[str, Any]], now: float) -> str:
    """The broker's reset window that a moment, in seconds since the epoch, lies in; empty for none."""
    try:
        return windows.current(declared, float(now))
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


def names(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """The entries' names of some steps, each once, in order."""
    return list(dict.fromkeys(str(step["gateway"]) for step in steps))


class FilterModule:
    """The filters under the names the playbooks use."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {
            "ib_inventory_problems": inventory_problems,
            "ib_to_repair": to_repair,
            "ib_to_verify": to_verify,
            "ib_steps": ladder.steps,
            "ib_reset_window": reset_window,
            "ib_known_served": ladder.known_served,
            "ib_next_rung": ladder.next_rung,
            "ib_plan_lines": ladder.lines,
            "ib_step_names": names,
        }
