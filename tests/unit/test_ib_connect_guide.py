"""docs/client-kit.md: its script before and after holds against the audit, and its tables name what is there."""

from __future__ import annotations

import ast
import inspect
import re
from typing import List, Set

import pytest
from unit.audited import codes, spec
from unit.client_kit import ib_connect
from unit.module_runs import PROJECT

GUIDE = (PROJECT / "docs" / "client-kit.md").read_text(encoding="utf-8")


def blocks(heading: str) -> List[str]:
    """The Python examples of a section."""
    section = re.search(r"^## %s\n(.*?)(?=^## |\Z)" % re.escape(heading), GUIDE, re.MULTILINE | re.DOTALL)
    assert section, heading
    return re.findall(r"```python\n(.*?)```", section.group(1), re.DOTALL)


def rows(heading: str) -> Set[str]:
    """The first words in backticks of a section's table."""
    section = GUIDE[GUIDE.index(f"## {heading}\n") :]
    return set(re.findall(r"^\| `(\w+)`(?:, `\w+`)? \|", section[: section.find("\n## ", 5)], re.MULTILINE))


def test_the_script_before_has_the_faults_the_guide_tells_of_and_the_one_after_has_none() -> None:
    before, after = blocks("Migrating a script")[:2]
    told = {"hardcoded_client_id", "loop_in_function", "no_disconnect", "connect_without_error_handling"}
    assert told | {"undeclared_port"} <= codes(before, specs=[spec("live")])
    assert codes(after, specs=[spec("live")]) == set()


@pytest.mark.parametrize("text", re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL))
def test_every_example_is_python(text: str) -> None:
    ast.parse("async def example():\n" + "".join(f"    {line}\n" for line in text.splitlines()))


def test_every_error_has_a_row_with_its_name() -> None:
    errors = {
        name
        for name, each in vars(ib_connect).items()
        if inspect.isclass(each) and issubclass(each, ib_connect.ConnectError) and each is not ib_connect.ConnectError
    }
    assert rows("What each error means") == errors


def test_every_option_of_both_calls_is_explained() -> None:
    text = GUIDE[GUIDE.index("## Options\n") :]
    table = text[: text.index("| Also there")]
    for call in (ib_connect.connect, ib_connect.connect_async):
        options = [each.name for each in inspect.signature(call).parameters.values() if each.kind is each.KEYWORD_ONLY]
        assert options and not [name for name in options if f"`{name}`" not in table]
