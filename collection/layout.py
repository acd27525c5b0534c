"""Which source becomes which file of the collection, and how it is spelled there. Pure but for reading the sources."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from collection import spelling
from collection.names import Names

Spell = Callable[[str, Names], str]
_CONTROLLER = functools.partial(spelling.python, controller_only=True)
_SHARED, _CONTROLLERS = "plugins/module_utils", "plugins/plugin_utils"
#: (pattern below the project, folder of the collection, how it is spelled). Files keep their names.
_PLUGINS: tuple[tuple[str, str, Spell], ...] = (
    ("library/*.py", "plugins/modules", spelling.module),
    ("action_plugins/ib_*.py", "plugins/action", spelling.module),
    ("roles/*/action_plugins/*.py", "plugins/action", spelling.module),
    ("callback_plugins/*.py", "plugins/callback", spelling.python),
    ("filter_plugins/*.py", "plugins/filter", spelling.python),
    ("filter_plugins/*.yml", "plugins/filter", spelling.prose),
    ("doc_fragments/*.py", "plugins/doc_fragments", spelling.python),
)
#: (pattern, how it is spelled). They keep their paths.
_TREES: tuple[tuple[str, Spell], ...] = (
    ("playbooks/*.yml", spelling.tasks),
    ("roles/*/*/*.yml", spelling.tasks),
    ("roles/*/README.md", spelling.prose),
    ("docs/*.md", spelling.prose),
)
#: Copied as they are: what hosts get, pages, pictures, data.
_AS_IS = (
    "roles/*/files/**/*",
    "roles/*/templates/**/*",
    "docs/awx/*.json",
    "extensions/eda/rulebooks/*.yml",
    "extensions/eda/requirements.txt",
    "docs/images/*",
    "LICENSE",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
)


@dataclass(frozen=True)
class Made:
    """One file of the collection."""

    path: PurePosixPath
    content: bytes
    source: Path


def files(project: Path, names: Names) -> Iterator[Made]:
    """Every file that is made of a source of the project, each path once."""
    for pattern, folder, spell in _PLUGINS:
        for source in _matching(project, pattern):
            yield _spelled(source, PurePosixPath(folder, source.name), spell, names)
    for source in _matching(project, "roles/*/action_plugins/*.py"):
        documented = spelling.module(spelling.action_as_module(source.read_text("utf-8")), names)
        yield Made(PurePosixPath("plugins/modules", source.name), documented.encode(), source)
    for source in _matching(project, "module_utils/**/*.py"):
        below = source.relative_to(project / "module_utils")
        alone = below.parts[0] == spelling.CONTROLLER_ONLY
        path = PurePosixPath(_CONTROLLERS if alone else _SHARED, below.as_posix())
        yield _spelled(source, path, _CONTROLLER if alone else spelling.python, names)
    for pattern, spell in _TREES:
        for source in _matching(project, pattern):
            yield _spelled(source, PurePosixPath(source.relative_to(project).as_posix()), spell, names)
    for pattern in _AS_IS:
        for source in _matching(project, pattern):
            yield Made(PurePosixPath(source.relative_to(project).as_posix()), source.read_bytes(), source)


def _matching(project: Path, pattern: str) -> list[Path]:
    found = sorted(project.glob(pattern))
    return [each for each in found if each.is_file() and "__pycache__" not in each.parts]


def _spelled(source: Path, path: PurePosixPath, spell: Spell, names: Names) -> Made:
    return Made(path, spell(source.read_text("utf-8"), names).encode(), source)
