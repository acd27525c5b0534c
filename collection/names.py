"""The names that a collection changes, read from the sources that define them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Names:
    """The collection's own name, and what it gives a full name to."""

    namespace: str
    name: str
    modules: frozenset[str]
    roles: frozenset[str]
    filters: frozenset[str]
    playbooks: frozenset[str]
    #: Parts of a documentation fragment, as `ib_gateway.attributes`.
    fragments: frozenset[str]

    def full(self, name: str) -> str:
        """A name with its collection."""
        return f"{self.namespace}.{self.name}.{name}"

    @property
    def plugins(self) -> str:
        """The Python package that holds all plugins of the collection."""
        return f"ansible_collections.{self.namespace}.{self.name}.plugins"


def read(project: Path, galaxy: dict[str, Any]) -> Names:
    """The names of a checkout. galaxy: what collection/about.yml says."""
    actions = [*project.glob("action_plugins/ib_*.py"), *project.glob("roles/*/action_plugins/*.py")]
    return Names(
        namespace=galaxy["namespace"],
        name=galaxy["name"],
        modules=_stems([*project.glob("library/*.py"), *actions]),
        roles=frozenset(path.parents[1].name for path in project.glob("roles/*/meta/main.yml")),
        filters=_stems(project.glob("filter_plugins/*.yml")),
        playbooks=_stems(project.glob("playbooks/*.yml")),
        fragments=frozenset(part for path in project.glob("doc_fragments/*.py") for part in _parts(path)),
    )


def _stems(paths: Any) -> frozenset[str]:
    return frozenset(path.stem for path in paths)


def _parts(path: Path) -> list[str]:
    """The parts of a file of fragments: the constants of its class."""
    body = next(each for each in ast.parse(path.read_text("utf-8")).body if isinstance(each, ast.ClassDef)).body
    targets = [each.targets[0] for each in body if isinstance(each, ast.Assign)]
    return [f"{path.stem}.{each.id.lower()}" for each in targets if isinstance(each, ast.Name)]
