"""The connection kit, imported from its role as a script imports it, and what its tests share."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from unit.module_runs import PROJECT

KIT = PROJECT / "roles" / "ib_client_kit" / "files"
PACKAGE = KIT.parent / "package"
if str(KIT) not in sys.path:
    sys.path.insert(0, str(KIT))
#: Any: it lies outside of what the type checker is told to search.
ib_connect: Any = importlib.import_module("ib_connect")


def write_profiles(folder: Path, **profiles: Any) -> Path:
    """A profiles file with these profiles."""
    file = folder / "profiles.json"
    file.write_text(json.dumps({"profiles": profiles}), encoding="utf-8")
    return file


def profile(port: int, mode: str = "live", **changes: Any) -> dict[str, Any]:
    """One profile as the role writes it."""
    return {"host": "127.0.0.1", "port": port, "mode": mode, **changes}


def lock_folder(folder: Path) -> Path:
    """An empty lock folder."""
    locks = folder / "locks"
    locks.mkdir(exist_ok=True)
    return locks
