"""Names as Ansible has them: short in a checkout, with the collection's name before them in a collection. Pure."""

from __future__ import annotations

_IN_COLLECTION = "ansible_collections"


def full(name: str, place: str = __name__) -> str:
    """By which name Ansible's loaders find a plugin of this project.

    place: the dotted name of any module of it; a collection's begins with ansible_collections.NAMESPACE.NAME.
    """
    parts = place.split(".")
    return ".".join([*parts[1:3], name]) if parts[0] == _IN_COLLECTION else name


def short(name: str) -> str:
    """An action's or a role's name without its collection."""
    return name.rpartition(".")[2]
