"""On a host the shared code comes in an archive; what its package does there to be found and loaded cheaply."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Dict

PACKAGE = Path(__file__).resolve().parents[3] / "module_utils" / "ib_gateway" / "__init__.py"
_PROGRAM = """
import gc, json, sys, zipimport
compiled = []
real = zipimport._compile_source
def counted(path, source):
    compiled.append(path.rpartition("/")[2])
    return real(path, source)
zipimport._compile_source = counted
sys.path.insert(0, sys.argv[1])
before = gc.get_freeze_count()
import shared.one
try:
    import shared.missing
except ImportError as error:
    missing = str(error)
found = {
    "value": shared.one.VALUE, "file": shared.one.__file__, "low": shared.base.low.__file__,
    "two": shared.two.__file__, "missing": missing,
    "compiled": compiled, "frozen": gc.get_freeze_count() - before,
}
json.dump(found, sys.stdout)
"""


def loaded(folder: Path, *, packed: bool) -> Dict[str, Any]:
    """What an interpreter says that has imported a package with this project's __init__, out of an archive or not."""
    texts = {
        "shared/__init__.py": PACKAGE.read_text(encoding="utf-8"),
        "shared/one.py": "from shared import two\nfrom shared.base import low\nVALUE = two.VALUE + low.VALUE\n",
        "shared/base/__init__.py": "",
        "shared/base/low.py": "VALUE = 1\n",
        "shared/two.py": "VALUE = 1\n",
    }
    where = folder / ("sent.zip" if packed else "folder")
    if packed:
        with zipfile.ZipFile(where, "w") as archive:
            for name, text in texts.items():
                archive.writestr(name, text)
    else:
        for name, text in texts.items():
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            (where / name).write_text(text, encoding="utf-8")
    argv = [sys.executable, "-c", _PROGRAM, str(where)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: Dict[str, Any] = json.loads(done.stdout)
    assert (found["value"], found["file"]) == (2, str(where / "shared" / "one.py"))
    assert found["low"] == str(where / "shared" / "base" / "low.py")
    assert found["missing"] == "No module named 'shared.missing'"
    return found


def test_in_an_archive_each_file_of_the_package_and_of_its_sub_packages_is_compiled_once(tmp_path: Path) -> None:
    compiled = loaded(tmp_path, packed=True)["compiled"]
    assert [compiled.count(name) for name in ("one.py", "two.py", "low.py")] == [1, 1, 1]


def test_in_an_archive_what_was_there_before_is_no_longer_searched_for_garbage(tmp_path: Path) -> None:
    assert loaded(tmp_path, packed=True)["frozen"] > 1000


def test_on_the_controller_the_package_leaves_the_interpreter_alone(tmp_path: Path) -> None:
    assert loaded(tmp_path, packed=False)["frozen"] == 0
