"""Containers as desks keep them: compose services, units, restart policies, health checks, addresses of their own."""

from __future__ import annotations

from integration.container_looks import actions, codes, first, look, repaired
from integration.containers import Make, podman


def test_a_compose_service_is_found_by_its_labels_and_started_by_its_engine(container: Make) -> None:
    project = container().name
    inside = container().run(*labels(project, "live"))
    once = container()
    entry = inside.entry(container={"engine": "podman", "compose_project": project, "compose_service": "live"})
    assert first(look(entry))["status"] == "healthy"
    once.run(*labels(project, "live", "--label", "com.docker.compose.oneoff=True"))
    assert first(look(entry))["status"] == "healthy"
    podman("stop", inside.name)
    found = look(entry)
    assert actions(first(found)) == ["start"]
    assert first(repaired(found, entry)["health"])["status"] == "healthy"
    assert inside.shown()["State"]["Running"]


def test_a_compose_service_with_two_containers_is_told_and_neither_is_touched(container: Make) -> None:
    project = container().name
    both = [container().run(*labels(project, "live")) for _each in range(2)]
    entry = both[0].entry(container={"engine": "podman", "compose_project": project, "compose_service": "live"})
    for each in both:
        podman("stop", each.name)
    gateway = first(look(entry))
    assert actions(gateway) == []
    assert "several containers of compose service live" in str(gateway)
    missing = {"engine": "podman", "compose_project": project, "compose_service": "paper"}
    gateway = first(look({**entry, "container": missing}))
    assert codes(gateway) == {"gateway_not_running"} and actions(gateway) == []
    assert "podman has no container of compose service paper in project" in gateway["plan"]["withheld"][0]


def labels(project: str, service: str, *more: str) -> tuple[str, ...]:
    """What compose gives to a service's container."""
    return (
        *("--label", f"com.docker.compose.project={project}", "--label", f"com.docker.compose.service={service}"),
        *more,
    )
