"""What the integration tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from integration.audited_scripts import fixable, folder
from integration.desk import Desk
from integration.pages import browser, show

__all__ = ["browser", "desk", "fixable", "folder", "show"]

#: They count what a look costs or sees on the whole machine.
_ALONE = ("test_syscall_budget", "test_import_budget", "test_look_agreement")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A trading desk that leaves nothing behind, however the test ends."""
    with ExitStack() as stack:
        yield Desk(tmp_path, stack)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here starts real processes."""
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker(pytest.mark.integration)
        if item.path.stem in _ALONE:
            item.add_marker(pytest.mark.alone)
