"""Values of the history's file, checked: others may have written it, and then it is named and no other file suffers."""

from __future__ import annotations

import json
from typing import Any

from ..document.report_error import ReportError

FILE = "history.sqlite"


def to_text(name: str) -> str:
    """A name as it is kept: one that is no text SQLite takes (half of a surrogate pair) by its escape."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def word(value: Any) -> str:
    """A text that must be one."""
    if not isinstance(value, str):
        raise damaged("no text")
    return value


def from_json(told: Any) -> Any:
    """What a text in JSON holds."""
    try:
        return json.loads(word(told))
    except (ValueError, RecursionError):
        raise damaged("no JSON") from None


def damaged(what: str) -> ReportError:
    """What is said of a file that holds what no sweep of ours wrote."""
    return ReportError(
        f"the history {FILE} holds what no sweep has written ({what}): move the file away, a new one is begun"
    )
