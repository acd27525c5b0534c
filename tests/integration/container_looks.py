"""Looks at containers and repairs of them by modules, as tests ask for them."""

from __future__ import annotations

from typing import Any

from integration.containers import Container
from integration.modules import run_module


def look(*entries: dict[str, Any], **options: Any) -> dict[str, Any]:
    """What a health check finds."""
    found = run_module("ib_gateway_health", gateways=list(entries), probe_timeout=2, **options)
    assert "gateways" in found, found
    return found


def first(found: dict[str, Any]) -> dict[str, Any]:
    """The first gateway of what was found."""
    gateway: dict[str, Any] = found["gateways"][0]
    return gateway


def codes(gateway: dict[str, Any]) -> set[str]:
    """The codes of its findings."""
    return {each["code"] for each in gateway["findings"]}


def actions(gateway: dict[str, Any]) -> list[str]:
    """The actions of its plan."""
    return [each["action"] for each in gateway["plan"]["steps"]]


def steps(found: dict[str, Any], action: str) -> list[dict[str, Any]]:
    """The steps of all plans that take this action."""
    return [each for one in found["gateways"] for each in one["plan"]["steps"] if each["action"] == action]


def repaired(found: dict[str, Any], *entries: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Takes the starts or the restarts of a plan, and looks again."""
    action = "restart" if steps(found, "restart") else "start"
    return run_module(
        f"ib_gateway_{action}",
        gateways=list(entries),
        steps=steps(found, action),
        then_look={"probe_timeout": 2},
        **options,
    )


def without_container(container: Container, **changes: Any) -> dict[str, Any]:
    """The entry of somebody who does not say that it is in a container."""
    entry = container.entry(config_dir=str(container.gateways["live"].config_dir), **changes)
    del entry["container"]
    return entry
