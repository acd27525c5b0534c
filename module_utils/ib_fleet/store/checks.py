"""Values of the history's file, checked: others may have written it, and then it is named and no other file suffers."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from ..document.report_error import ReportError

FILE = "history.sqlite"
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


def to_text(name: str) -> str:
    """A name as it is kept: one that is no text SQLite takes (half of a surrogate pair) by its escape."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def word(value: Any) -> str:
    """A text that must be one."""
    if not isinstance(value, str):
        raise damaged("no text")
    return value


def moment(value: Any) -> str:
    """A text that must be an RFC 3339 moment in UTC."""
    if not is_moment(word(value)):
        raise damaged("no time")
    return str(value)


def code(value: Any) -> str:
    """A text that must be a status, a code, an action or a result."""
    if not is_code(word(value)):
        raise damaged("no code")
    return str(value)


def is_moment(text: str) -> bool:
    """Whether it is a moment as documents have it."""
    if not _MOMENT.fullmatch(text):
        return False
    try:
        return bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def is_code(text: str) -> bool:
    """Whether it is a status, a code, an action or a result as documents have it."""
    return bool(_CODE.fullmatch(text))


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
