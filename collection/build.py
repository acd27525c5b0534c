"""`make collection`: writes the collection's folder and its archive into build/, and prints where the archive is.

python -m collection.build [FOLDER]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomllib
import yaml

from collection import layout, names, sanity, spelling

PROJECT = Path(__file__).resolve().parent.parent
OWN = PROJECT / "collection"
BUILD = PROJECT / "build"


def galaxy(project: Path = PROJECT) -> dict[str, Any]:
    """What the archive says of itself: collection/about.yml, with the version of pyproject.toml."""
    told: dict[str, Any] = yaml.safe_load((project / "collection/about.yml").read_text("utf-8"))
    return {**told, "version": version(project)}


def version(project: Path = PROJECT) -> str:
    """The project's version, which is written in one place."""
    with (project / "pyproject.toml").open("rb") as file:
        found: str = tomllib.load(file)["project"]["version"]
    return found


def write(folder: Path) -> Path:
    """Writes the collection's files below FOLDER/ansible_collections; returns the collection's own folder."""
    told = galaxy()
    known = names.read(PROJECT, told)
    root: Path = folder / "ansible_collections" / told["namespace"] / told["name"]
    shutil.rmtree(root, ignore_errors=True)
    made = list(layout.files(PROJECT, known))
    for each in made:
        _put(root / each.path, each.content, each.source)
    for path, text in _own(known):
        _put(root / path, text.encode(), None)
    _put(root / "galaxy.yml", yaml.safe_dump(told, sort_keys=False).encode(), None)
    python = {str(each.path): each.content.decode() for each in made if each.path.suffix == ".py"}
    for line in sanity.LINES:
        _put(root / f"tests/sanity/ignore-{line}.txt", sanity.ignored(python, line).encode(), None)
    return root


def _own(known: names.Names) -> Iterator[tuple[str, str]]:
    """(path, text) of what only the collection has."""
    preface = (OWN / "README.md").read_text("utf-8")
    yield "README.md", spelling.readme(preface, (PROJECT / "README.md").read_text("utf-8"), known)
    yield "requirements.txt", libraries((PROJECT / "requirements.txt").read_text("utf-8"))
    for path in ("meta/runtime.yml", "meta/execution-environment.yml", "tests/config.yml"):
        yield path, (OWN / path).read_text("utf-8")


def libraries(text: str) -> str:
    """The controller's libraries without the engine, which whoever installs a collection has."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(("ansible-core", "jinja2")))


def _put(path: Path, content: bytes, source: Path | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755 if source is not None and source.stat().st_mode & 0o100 else 0o644)


def archive(root: Path, into: Path) -> Path:
    """Packs a collection's folder. Returns the archive; raises CalledProcessError where ansible-galaxy refuses."""
    command = ["ansible-galaxy", "collection", "build", str(root), "--output-path", str(into), "--force"]
    subprocess.run(command, check=True, stdout=subprocess.PIPE)
    name: str = "{namespace}-{name}-{version}.tar.gz".format(**galaxy())
    return into / name


def main(arguments: list[str]) -> None:
    """Builds it."""
    into = Path(arguments[0]).resolve() if arguments else BUILD
    print(archive(write(into), into))


if __name__ == "__main__":
    main(sys.argv[1:])
