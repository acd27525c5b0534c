"""Every role does what it documents: its defaults, its argument spec and its README say the same."""

from __future__ import annotations

import re
from typing import Any, Dict

import jinja2.nativetypes
import pytest
import yaml
from unit.module_runs import PROJECT

ROLES = tuple(sorted(path.name for path in (PROJECT / "roles").iterdir() if path.is_dir()))
every_role = pytest.mark.parametrize("role", ROLES)
#: A row of an option table: | `name` | type | default | description |
ROW = re.compile(r"^\|\s*`(\w+)`\s*\|([^|]+)\|([^|]+)\|(.+)\|\s*$", re.MULTILINE)


def loaded(role: str, path: str) -> Dict[str, Any]:
    file = PROJECT / "roles" / role / path
    found: Dict[str, Any] = (yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else None) or {}
    return found


def options_of(role: str) -> Dict[str, Dict[str, Any]]:
    """The options of all entry points of a role."""
    specs = loaded(role, "meta/argument_specs.yml")["argument_specs"].values()
    return {name: option for each in specs for name, option in (each.get("options") or {}).items()}


def resolved(value: Any) -> Any:
    """A default as it is when nobody sets anything: a short form that may stand in for it is not set."""
    if not isinstance(value, str) or "{{" not in value:
        return value
    # Native, as Ansible templates: the default of a list is a list.
    return jinja2.nativetypes.NativeEnvironment().from_string(value).render()


def test_these_are_the_roles() -> None:
    assert {"ib_gateway_diagnose", "ib_gateway_repair", "ib_gateway_verify", "ib_fleet_report"} <= set(ROLES)


@every_role
def test_the_defaults_are_those_of_the_argument_spec(role: str) -> None:
    documented = {name: option["default"] for name, option in options_of(role).items() if "default" in option}
    assert {name: resolved(value) for name, value in loaded(role, "defaults/main.yml").items()} == documented


@every_role
def test_an_option_without_a_default_is_required_or_says_what_its_absence_means(role: str) -> None:
    for name, option in options_of(role).items():
        assert option.get("description"), name
        assert "default" in option or option.get("required") or "without" in str(option["description"]).lower(), name


@every_role
def test_every_option_bears_the_role_s_name(role: str) -> None:
    for name in options_of(role):
        assert name.startswith(role + "_") or name == "ib_gateways", name


@every_role
def test_the_readme_has_a_row_for_each_option_and_no_other(role: str) -> None:
    readme = PROJECT / "roles" / role / "README.md"
    assert readme.exists(), "roles/%s/README.md is missing" % role
    rows = {name: (kind.strip(), default.strip()) for name, kind, default, _ in ROW.findall(readme.read_text("utf-8"))}
    options = options_of(role)
    assert set(options) <= set(rows), "rows are missing"
    assert {name for name in rows if name.startswith(role + "_")} <= set(options), "rows for options that are gone"
    for name, option in options.items():
        kind, default = rows[name]
        assert option.get("type", "str") in kind, name
        if "default" in option:
            assert str(option["default"]).lower() in default.lower(), name


@every_role
@pytest.mark.parametrize("file", ["defaults/main.yml", "vars/main.yml"])
def test_a_role_sets_no_other_role_s_variables(role: str, file: str) -> None:
    for name in loaded(role, file):
        assert name.startswith((role + "_", "__%s_" % role)), name
