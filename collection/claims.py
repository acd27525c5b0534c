"""What a release says of itself, in several places, and where they disagree. Pure but for reading the sources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from collection import build

LICENCE = "Apache-2.0"
_SPDX = f"# SPDX-License-Identifier: {LICENCE}"
#: Files that carry the licence in their first lines: what Ansible loads by itself.
_MARKED = (
    "library/*.py",
    "action_plugins/checked_module.py",
    "callback_plugins/*.py",
    "filter_plugins/*.py",
    "doc_fragments/*.py",
    "roles/*/action_plugins/*.py",
)
#: Files that name it, and how.
_NAMED = (
    ("pyproject.toml", f'license = {{ text = "{LICENCE}" }}'),
    ("roles/*/package/pyproject.toml", f'license = {{ text = "{LICENCE}" }}'),
    ("collection/about.yml", f"license:\n  - {LICENCE}"),
    ("roles/*/meta/main.yml", f"license: {LICENCE}"),
    ("README.md", f"Licence: {LICENCE}"),
    ("CONTRIBUTING.md", LICENCE),
    ("LICENSE", "Apache License\n                           Version 2.0"),
)
_HEADING = re.compile(r"^## (\d+\.\d+\.\d+)$", re.MULTILINE)
_TOOL = re.compile(r'^TOOL_VERSION = "(.*)"$', re.MULTILINE)


def problems(project: Path = build.PROJECT) -> list[str]:
    """A line for each place that disagrees about licence or version, or has nothing to say."""
    return [*_licence(project), *_version(project)]


def _licence(project: Path) -> Iterator[str]:
    for pattern, text in _NAMED:
        found = sorted(project.glob(pattern))
        if not found:
            yield f"{pattern} is missing"
        yield from (f"{path.relative_to(project)} does not say {text!r}" for path in found if text not in _read(path))
    for pattern in _MARKED:
        for path in sorted(project.glob(pattern)):
            if _SPDX not in _read(path).splitlines()[:3]:
                yield f"{path.relative_to(project)} does not begin with {_SPDX!r}"


def _version(project: Path) -> Iterator[str]:
    version = build.version(project)
    headings = _HEADING.findall(_read(project / "CHANGELOG.md"))
    if headings[:1] != [version]:
        yield f"CHANGELOG.md begins with {headings[:1]}, and pyproject.toml has {version}"
    for path in sorted((project / "module_utils").rglob("*.py")):
        for found in _TOOL.findall(_read(path)):
            if found != version:
                yield f"{path.relative_to(project)} has TOOL_VERSION {found}, and pyproject.toml has {version}"


def _read(path: Path) -> str:
    return path.read_text("utf-8")
