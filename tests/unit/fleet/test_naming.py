"""In a collection plugins have longer names, and its callbacks still know which of them are the project's own."""

from __future__ import annotations

import pytest
from ansible.module_utils.ib_fleet.run import naming

PLACES = {
    "checkout": ("ansible.module_utils.ib_fleet.run.naming", "ib_gateway_health"),
    "collection": (
        "ansible_collections.desk.tools.plugins.plugin_utils.ib_fleet.run.naming",
        "desk.tools.ib_gateway_health",
    ),
}


@pytest.mark.parametrize(("place", "name"), PLACES.values(), ids=PLACES)
def test_a_plugin_is_found_by_the_name_that_it_has_where_the_project_lies(place: str, name: str) -> None:
    assert naming.full("ib_gateway_health", place) == name


@pytest.mark.parametrize("name", [name for _place, name in PLACES.values()])
def test_the_short_name_is_the_same_everywhere(name: str) -> None:
    assert naming.short(name) == "ib_gateway_health"
    assert naming.short("") == ""
