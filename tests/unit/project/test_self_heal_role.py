"""What ib_self_heal takes to a host: all that decides how it is repaired, and the packages that a controller has."""

from __future__ import annotations

import re
import sys
from typing import Any, Dict, List, Set

import yaml
from unit.module_runs import PROJECT

sys.path.insert(0, str(PROJECT))

from bench.run import UNUSUAL

ROLES = PROJECT / "roles"
#: About a fleet, a controller, or a person at one: nothing of it has a meaning on one host.
LEFT_OUT = {
    "ib_gateway_repair_pause_file",
    "ib_gateway_repair_storm_share",
    "ib_gateway_repair_storm_same",
    "ib_gateway_repair_storm_at_least",
    "ib_gateway_repair_storm_fleet",
}
SHORT_FORMS = {"ib_repair_state_dir", "ib_repair_blackouts"}


def loaded(path: str) -> Any:
    return yaml.safe_load((ROLES / path).read_text(encoding="utf-8"))


VARIABLES: Dict[str, Any] = loaded("ib_self_heal/vars/main.yml")


def options(role: str) -> Set[str]:
    """What the role's own work takes; further entry points are a person's."""
    return set(loaded(f"{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"])


def test_every_option_of_a_repair_is_carried_or_left_out_for_a_reason() -> None:
    wanted = set().union(*(options(f"ib_gateway_{role}") for role in ("diagnose", "repair", "verify")))
    carried = set(VARIABLES["__ib_self_heal_carried"]) - {"ansible_python_interpreter"} - SHORT_FORMS
    assert carried == wanted - LEFT_OUT


def test_short_forms_that_are_carried_are_those_of_options_that_are() -> None:
    defaults = (ROLES / "ib_gateway_repair" / "defaults" / "main.yml").read_text(encoding="utf-8")
    for name in SHORT_FORMS:
        (option,) = re.findall(r'^(\w+): "\{\{ %s\b' % name, defaults, re.MULTILINE)
        assert option in VARIABLES["__ib_self_heal_carried"]


def test_the_packages_are_those_of_a_controller_and_each_is_pinned() -> None:
    pinned: List[str] = VARIABLES["__ib_self_heal_packages"]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", each) for each in pinned)
    wanted = re.findall(r"^([\w-]+==[\d.]+)", (PROJECT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    elsewhere = ("psutil==", "ib_insync==")  # the role ib_host_runtime brings them
    assert {each for each in wanted if not each.startswith(elsewhere)} <= set(pinned)


def test_the_service_s_python_reads_and_compiles_as_usual() -> None:
    unit = (ROLES / "ib_self_heal" / "templates" / "ib-self-heal.service.j2").read_text(encoding="utf-8")
    assert "Environment=" in unit and not [name for name in UNUSUAL if name in unit]
