"""docs/fleet-json.md lists every key of a document, says which may be missing, and lists no other."""

from __future__ import annotations

import re
from typing import Any, Dict, Set

import pytest
from ansible.module_utils.ib_fleet.store import documents
from ansible.module_utils.ib_gateway.base.actions import ORDER
from unit.module_runs import PROJECT

PAGE = (PROJECT / "docs" / "fleet-json.md").read_text(encoding="utf-8")
FLEET, AUDIT = documents.schema(), documents.schema(documents.AUDIT)
OBJECTS: Dict[str, Any] = {
    "The document": FLEET,
    "summary": FLEET["properties"]["summary"],
    "timings": FLEET["$defs"]["host"]["properties"]["timings"],
    **{name: each for name, each in FLEET["$defs"].items() if each.get("type") == "object"},
    "audit": AUDIT,
    "audit host": AUDIT["$defs"]["host"],
    "problem": AUDIT["$defs"]["problem"],
}
ROW = re.compile(r"^\| `(\w+)`( \?)? \|", re.MULTILINE)


def section(title: str) -> str:
    found = re.search(r"^## %s\n(.*?)(?=^## |\Z)" % re.escape(title), PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/fleet-json.md has no section {title}"
    return found.group(1)


@pytest.mark.parametrize("name", OBJECTS)
def test_every_key_of_the_schema_is_explained_and_no_other(name: str) -> None:
    rows = {key: bool(mark) for key, mark in ROW.findall(section(name))}
    required: Set[str] = set(OBJECTS[name].get("required", ()))
    assert rows == {key: key not in required for key in OBJECTS[name]["properties"]}


def test_every_section_is_about_an_object_of_the_schema() -> None:
    titles = set(re.findall(r"^## (.+)$", PAGE, re.MULTILINE))
    assert titles == {*OBJECTS, "Two queries that are often wanted"}


@pytest.mark.parametrize(
    ("key", "schema"),
    [
        ("kind", FLEET["properties"]["kind"]),
        ("action", {"enum": ORDER}),
        ("result", FLEET["$defs"]["outcome"]["properties"]["result"]),
    ],
)
def test_every_value_of_a_closed_list_is_named(key: str, schema: Any) -> None:
    (row,) = [
        line for line in PAGE.splitlines() if line.startswith(f"| `{key}` |") and f"`{schema['enum'][0]}`" in line
    ]
    assert all(f"`{value}`" in row for value in schema["enum"])
