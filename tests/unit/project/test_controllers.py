"""Which controllers the project promises, in every place that says it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(PROJECT))

from collection import sanity  # noqa: E402 - needs the path above

OLDEST, NEWEST = next(iter(sanity.LINES)), list(sanity.LINES)[-1]


def test_collection_roles_and_changelog_say_the_oldest_and_the_newest_core() -> None:
    runtime = yaml.safe_load((PROJECT / "collection/meta/runtime.yml").read_text("utf-8"))
    assert runtime["requires_ansible"] == f">={OLDEST}.0"
    for path in PROJECT.glob("roles/*/meta/main.yml"):
        assert yaml.safe_load(path.read_text("utf-8"))["galaxy_info"]["min_ansible_version"] == OLDEST, path
    assert f"ansible-core {OLDEST} to {NEWEST}" in (PROJECT / "CHANGELOG.md").read_text("utf-8")


def test_the_table_of_controllers_has_every_core_with_its_pythons() -> None:
    text = (PROJECT / "docs/install.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| (2\.\d+(?:, 2\.\d+)*) \| (3\.\d+(?:, 3\.\d+| to 3\.\d+)) \|$", text, re.MULTILINE))
    told = {core: pythons for cores, pythons in rows.items() for core in cores.split(", ")}
    assert told.keys() == sanity.LINES.keys()
    for core, (controllers, _hosts) in sanity.LINES.items():
        first, last = re.split(", | to ", told[core])
        assert (first, last) == (controllers[0], controllers[-1]), core


def test_the_survey_of_awx_asks_for_variables_that_roles_read() -> None:
    survey = json.loads((PROJECT / "docs/awx/survey.json").read_text("utf-8"))
    read = "".join(path.read_text("utf-8") for path in PROJECT.glob("roles/*/defaults/main.yml"))
    for question in survey["spec"]:
        assert re.search(rf"\b{question['variable']}\b", read), question["variable"]
        assert question["type"] in ("text", "integer", "multiplechoice")
        if question["type"] == "multiplechoice":
            assert question["default"] in question["choices"]
