"""The archive as somebody gets it: installed into an empty folder and asked for what it has. Starts Ansible itself.

Nothing of the checkout is in the environment of what is started, so that only the archive can answer.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from collection import build, names

#: What would let a program find the checkout, or this machine's settings.
_OURS = ("ANSIBLE_", "PYTHONPATH")
KINDS = ("module", "filter", "callback", "role")


def environment(folder: Path) -> dict[str, str]:
    """The environment of somebody who has collections in this folder, and no ansible.cfg."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
    return {**kept, "ANSIBLE_COLLECTIONS_PATH": str(folder), "ANSIBLE_LOCAL_TEMP": str(folder / "tmp")}


def install(archive: Path, folder: Path) -> None:
    """Installs the archive into a folder; raises CalledProcessError with its output where that fails."""
    command = ["ansible-galaxy", "collection", "install", str(archive), "-p", str(folder), "--force", "--offline"]
    subprocess.run(command, check=True, cwd="/", env=environment(folder), capture_output=True)


def undocumented(folder: Path) -> Iterator[str]:
    """What ansible-doc does not show, or shows without documentation, of an installed collection."""
    told = build.galaxy()
    known = names.read(build.PROJECT, told)
    own = f"{told['namespace']}.{told['name']}"
    callbacks = frozenset(path.stem for path in build.PROJECT.glob("callback_plugins/*.py"))
    for kind, expected in zip(KINDS, (known.modules, known.filters, callbacks, known.roles)):
        shown = _listed(folder, kind, own)
        for name in sorted(expected):
            if f"{own}.{name}" not in shown:
                yield f"ansible-doc -t {kind} does not list {own}.{name}"
            elif shown[f"{own}.{name}"] == "UNDOCUMENTED":
                yield f"ansible-doc -t {kind} has no documentation of {own}.{name}"


def _listed(folder: Path, kind: str, own: str) -> dict[str, Any]:
    command = ["ansible-doc", "-t", kind, "--list", "--json", own]
    done = subprocess.run(command, check=True, cwd="/", env=environment(folder), capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
