"""IBKR's own clients, the oldest and the newest: each in a folder of its own, since both import as `ibapi`.

`make test` runs this file first, which installs them beside the project's packages; a test that finds one missing does
the same.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict

CLIENTS = Path(__file__).resolve().parent / "clients"
#: Name -> the highest server version it speaks.
HIGHEST: Dict[str, int] = {"oldest": 157, "newest": 225}
STAMP = "requirements.txt"  # in an installed folder: what it was made from
INSTALL_WITHIN = 300  # seconds


def folder(name: str) -> Path:
    """The folder to put on PYTHONPATH for this client; it is there when this returns."""
    requirements = CLIENTS / f"requirements-ibapi-{name}.txt"
    wanted = requirements.read_text(encoding="utf-8")
    place = Path(sys.prefix) / f"ibapi-{name}"
    if _installed(place) == wanted:
        return place
    with tempfile.TemporaryDirectory(dir=sys.prefix) as draft:
        target = Path(draft) / place.name
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command = [*pip, "--target", str(target), "--requirement", str(requirements)]
        subprocess.run(command, check=True, timeout=INSTALL_WITHIN)
        (target / STAMP).write_text(wanted, encoding="utf-8")
        _put(target, place, wanted)
    return place


def _put(target: Path, place: Path, wanted: str) -> None:
    """Move the folder to its place; another process that was first with the same is fine."""
    if place.exists() and _installed(place) != wanted:
        shutil.rmtree(place)
    try:
        target.rename(place)
    except OSError:
        if _installed(place) != wanted:
            raise


def _installed(place: Path) -> str:
    """The requirements that the folder was made from; empty when there is none."""
    stamp = place / STAMP
    return stamp.read_text(encoding="utf-8") if stamp.is_file() else ""


if __name__ == "__main__":
    for each in HIGHEST:
        print(folder(each))
