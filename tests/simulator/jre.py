"""A folder that looks like a Java runtime: its `java` is a Python that becomes the simulated gateway.

It works as a virtual environment does, so nothing but the path of `java` is needed to start it: `pyvenv.cfg` names the
Python behind it, and Python imports `sitecustomize` before it reads its own arguments. Java's `-cp` is Python's `-c`
with the program "p", which is never run.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict

from .program import python_home

HERE = Path(__file__).resolve().parent
HOOK = f"""\
import os
import sys

with open("/proc/self/cmdline", "rb") as file:
    argv = [os.fsdecode(word) for word in file.read().split(b"\\0")[:-1]]
if argv[1:2] in (["-cp"], ["-classpath"]):
    sys.path.insert(0, {str(HERE.parent)!r})
    from {HERE.name}.gateway import main

    code = main(argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
"""


def make(folder: Path, python: str, own_file: bool = False) -> Path:
    """`folder/bin/java`, ready to start; with `own_file` it is a file and no link, and /proc/PID/exe says java."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True, exist_ok=True)
    if own_file:
        if java.is_symlink():
            java.unlink()
        if not java.exists():
            shutil.copy2(os.path.realpath(python), java)
    else:
        with contextlib.suppress(FileExistsError):
            java.symlink_to(python)
    (folder / "pyvenv.cfg").write_text(f"home = {Path(os.path.realpath(python)).parent}\n", encoding="utf-8")
    packages = _packages(folder, python)
    packages.mkdir(parents=True, exist_ok=True)
    (packages / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    return java


def environment(folder: Path, python: str) -> Dict[str, str]:
    """What a `java` needs whose argv[0] does not lead to its folder."""
    return {**python_home(python), "PYTHONPATH": str(_packages(folder, python))}


def _packages(folder: Path, python: str) -> Path:
    version = "%d.%d" % sys.version_info[:2]
    if os.path.realpath(python) != os.path.realpath(sys.executable):
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        version = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return folder / "lib" / f"python{version}" / "site-packages"
