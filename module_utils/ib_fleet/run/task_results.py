"""What a callback is told of a task on a host, read alike from every ansible-core.

Up to 2.18 the object's parts have names of Ansible's own (`_task`); since 2.19 they are public (`task`), and the other
names are kept for a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def task(told: Any) -> Any:
    """The task that was run."""
    return _part(told, "task")


def host(told: Any) -> Any:
    """The host that it was run for."""
    return _part(told, "host")


def answer(told: Any) -> Mapping[str, Any]:
    """What the host answered."""
    found: Mapping[str, Any] = _part(told, "result")
    return found


def _part(told: Any, name: str) -> Any:
    return getattr(told, name) if hasattr(told, name) else getattr(told, "_" + name)
