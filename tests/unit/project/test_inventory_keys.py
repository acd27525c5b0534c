"""The table of inventory keys: every place that speaks of a key says what the table says."""

from __future__ import annotations

import re
from typing import Any, Dict

import pytest
import yaml
from ansible.module_utils.ib_gateway.base import inventory
from ansible.module_utils.ib_gateway.base.keys import ENTRY_OPTIONS, KEYS
from ansible.module_utils.ib_gateway.base.spec import DEFAULT_PORTS, GatewaySpec
from ansible.module_utils.ib_gateway.module.runner import GATEWAYS_OPTION
from unit.module_runs import PROJECT, documented

WORDS = {
    "meaning",
    "unset",
    "bounds",
    "form",
    "secret",
    "type",
    "elements",
    "required",
    "default",
    "choices",
    "options",
}
#: Roles whose option ib_gateways is the list of entries.
TAKERS = ("ib_client_audit", "ib_client_kit", "ib_gateway_diagnose", "ib_gateway_repair", "ib_gateway_verify")
every_key = pytest.mark.parametrize("key", KEYS)


def shown(key: str) -> str:
    """The README's row of a key."""
    row = KEYS[key]
    default = "required" if row.get("required") else row.get("unset", row.get("default", "none"))
    text = str(default).lower() if isinstance(default, bool) else str(default)
    meaning = re.sub(r"[OVC]\((?:gateways\[\]\.)?([^)]*)\)", r"`\1`", row["meaning"].rstrip("."))
    if any("V(%s)" % choice not in row["meaning"] for choice in row.get("choices", ())):
        meaning += "; " + " or ".join("`%s`" % choice for choice in row["choices"])
    if "options" in row:
        known = (
            "`%s` (%s)" % (name, " or ".join(each.get("choices", ["text"]))) for name, each in row["options"].items()
        )
        meaning += "; a dictionary with " + ", ".join(known)
    if "bounds" in row:
        meaning += "; %d to %d" % row["bounds"]
    return "| `%s` | %s | %s |" % (key, text, meaning)


def test_a_row_has_only_words_that_something_reads() -> None:
    rows = [*KEYS.values(), *(each for row in KEYS.values() for each in row.get("options", {}).values())]
    for row in rows:
        assert set(row) <= WORDS and row["meaning"].endswith(".")
        assert row.get("form", "texts") in inventory.FORMS
        assert ("bounds" in row) == (row["type"] == "int")


def test_the_fields_of_a_spec_are_the_keys_of_the_table() -> None:
    assert set(GatewaySpec._fields) == set(KEYS)


@every_key
def test_a_spec_has_the_table_s_default_and_shows_no_secret(key: str) -> None:
    if KEYS[key].get("required") or key == "port":
        assert key not in GatewaySpec._field_defaults
    else:
        default = GatewaySpec._field_defaults[key]
        meant = KEYS[key].get("default")
        assert default == (() if not meant and KEYS[key]["type"] in ("list", "dict") and default is not None else meant)
    assert (key in GatewaySpec._secret) is KEYS[key].get("secret", False)


def test_an_entry_without_a_key_is_what_the_spec_alone_would_be() -> None:
    assert inventory.parse([{"name": "a", "trading_mode": "live"}]) == ([GatewaySpec("a", "live", 4001)], [])


def test_modules_take_the_keys_of_the_table() -> None:
    assert GATEWAYS_OPTION["options"] is ENTRY_OPTIONS and set(ENTRY_OPTIONS) == set(KEYS)


def test_the_modules_documentation_says_what_the_table_says() -> None:
    options: Dict[str, Any] = documented("ib_gateway_health")[0]["options"]["gateways"]["suboptions"]
    assert set(options) == set(KEYS)
    for key, option in options.items():
        assert option["description"][0] == KEYS[key]["meaning"]
        assert [option.get(word) for word in ("type", "choices", "default")] == [
            KEYS[key].get(word) for word in ("type", "choices", "default")
        ]


def test_the_readme_has_a_row_for_each_key_in_the_table_s_order() -> None:
    table = (
        (PROJECT / "README.md").read_text(encoding="utf-8").partition("| Key | Default | Meaning |\n|---|---|---|\n")[2]
    )
    assert table.partition("\n\n")[0].splitlines() == [shown(key) for key in KEYS]


@pytest.mark.parametrize("role", TAKERS)
def test_a_role_leaves_the_keys_to_the_one_parser(role: str) -> None:
    """Ansible's own check would quote the value that it refuses, which may be a start_command."""
    path = PROJECT / "roles" / role / "meta" / "argument_specs.yml"
    option = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]["ib_gateways"]
    assert option == {
        "type": "list",
        "elements": "dict",
        "required": True,
        "description": "The gateways that should run on the host. See the inventory table of the project's README.",
    }


def test_the_examples_are_accepted() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    block = next(each for each in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL) if "trading_hosts:" in each)
    for text in (block, (PROJECT / "inventory" / "example" / "hosts.yml").read_text(encoding="utf-8")):
        for host, variables in yaml.safe_load(text)["trading_hosts"]["hosts"].items():
            assert inventory.parse(variables["ib_gateways"], host)[1] == []


def test_the_connection_kit_gives_an_entry_without_a_port_the_one_that_the_inventory_gives_it() -> None:
    text = (PROJECT / "roles/ib_client_kit/vars/main.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["__ib_client_kit_ports"] == DEFAULT_PORTS
