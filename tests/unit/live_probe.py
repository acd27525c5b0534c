"""The live probe's single file and its package, for tests."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, List, Optional

from unit.module_runs import PROJECT

ROLE = PROJECT / "roles" / "ib_live_probe"
PACKAGE = ROLE / "package"
PROBE = ROLE / "files" / "ib_gateway_probe.py"


def assembler() -> Any:
    """The program that makes the file; under a name of its own, since the connection kit has one of the same name."""
    spec = importlib.util.spec_from_file_location("live_probe_assemble", PACKAGE / "assemble.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def source(name: str) -> Any:
    """A module of the package."""
    sys.path.insert(0, str(PACKAGE))
    try:
        return importlib.import_module("ib_live_probe." + name)
    finally:
        sys.path.remove(str(PACKAGE))


def oldest_python() -> Optional[str]:
    """A Python 3.8 of this machine, None where it has none."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates: List[Optional[str]] = [shutil.which("python3.8"), *map(str, sorted(pyenv.glob("3.8.*/bin/python")))]
    for each in candidates:
        # pyenv's own python3.8 is a script that may have nothing to run.
        if each and subprocess.run([each, "-c", ""], capture_output=True, check=False).returncode == 0:
            return each
    return None
