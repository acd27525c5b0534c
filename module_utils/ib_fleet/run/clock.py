"""When this run began, as its main process has noted it. Tasks run in processes forked from it, so they see it too."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Optional

_noted: dict[str, str] = {}


def now() -> str:
    """This moment as RFC 3339 in UTC, to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def begin() -> None:
    """Notes that the run begins; the first time counts."""
    _noted.setdefault("started_at", now())


def started_at() -> Optional[str]:
    """When the run began; None where nobody has noted it."""
    return _noted.get("started_at")
