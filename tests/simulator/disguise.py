"""A Python process that /proc shows as any other program: name, file and argv.

The file is a copy of Python under the program's name. Python would read the program's arguments as its own, so it is
started with one word that is as long as all of them, and writes them over it before it does anything else.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Dict, List, Sequence

from .program import own_python, python_home

ORDER = "SIMULATED_DISGUISE"  # the environment variable that says what the process shall look like, and do
HOOK = f"""\
import json
import os
import runpy
import sys
import traceback

order = json.loads(os.environ.pop({ORDER!r}))
with open("/proc/self/stat", "rb") as file:
    start, end = (int(word) for word in file.read().rpartition(b")")[2].split()[45:47])
argv = b"".join(os.fsencode(word) + b"\\0" for word in order["argv"])
assert len(argv) == end - start
with open("/proc/self/mem", "r+b", buffering=0) as memory:
    memory.seek(start)
    memory.write(argv)
sys.argv = [order["script"], *order["arguments"]]
sys.path.insert(0, os.path.dirname(order["script"]))
code = 0
try:
    runpy.run_path(order["script"], run_name="__main__")
except SystemExit as error:
    code = error.code or 0
except BaseException:
    traceback.print_exc()
    code = 1
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)
"""


def program(folder: Path, name: str) -> Path:
    """The file to execute: Python, under this name."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    if not file.exists():
        shutil.copy2(own_python(), file)
    return file


def first_word(argv: Sequence[str]) -> str:
    """The one word to start it with: it takes as much room as these, and begins like them."""
    room = sum(len(os.fsencode(word)) + 1 for word in argv) - 1
    return argv[0] + " " * (room - len(os.fsencode(argv[0])))


def environment(folder: Path, argv: Sequence[str], script: Path, arguments: List[str]) -> Dict[str, str]:
    """What the process is told: look like `argv`, and run `script` with these arguments."""
    hook = folder / "site" / "sitecustomize.py"
    hook.parent.mkdir(parents=True, exist_ok=True)
    hook.write_text(HOOK, encoding="utf-8")
    order = {"argv": list(argv), "script": str(script), "arguments": arguments}
    return {**python_home(own_python()), "PYTHONPATH": str(hook.parent), ORDER: json.dumps(order)}
