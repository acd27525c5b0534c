"""`make release`: builds the collection and checks everything that must hold before it is published. Publishes nothing.

ansible-test makes environments of its own and installs into them; what it keeps lies in build/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from collection import build, claims, shipped

HOME = build.BUILD / "home"
#: ansible-test gets pip for its environments from a site of its own, unless it finds the program here. Python brings
#: the same, so no other site than the package index is needed.
_PIP = "import ensurepip\nensurepip.bootstrap(default_pip=True)\n"
_PIP_FILES = ("get_pip_20_3_4.py", "get_pip_21_3_1.py", "get_pip_23_1_2.py", "get_pip_24_2.py", "get_pip_25_2.py")


def sanity(root: Path, tests: tuple[str, ...] = ()) -> list[str]:
    """Runs ansible-test's sanity tests on a collection's folder: all, or those named. Returns what it complains of.

    The folder has to lie outside of any checkout: of a file that a checkout ignores ansible-test says nothing.
    """
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for name in _PIP_FILES:
        (cache / name).write_text(_PIP, encoding="utf-8")
    named = [word for test in tests for word in ("--test", test)]
    python = "%d.%d" % sys.version_info[:2]
    command = ["ansible-test", "sanity", "--python", python, *named]
    environment = {**shipped.environment(root.parents[1]), "HOME": str(HOME)}
    environment.pop("ANSIBLE_COLLECTIONS_PATH")
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if not done.returncode:
        return []
    lines = (done.stdout + done.stderr).splitlines()
    return [each for each in lines if each.startswith(("ERROR", "FATAL"))] or lines[-20:]


def problems(root: Path, archive: Path) -> list[str]:
    """Everything that keeps this archive from being published."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shipped.install(archive, folder / "installed")
        shown = list(shipped.undocumented(folder / "installed"))
        apart = folder / "tested" / root.relative_to(root.parents[2])
        shutil.copytree(root, apart)
        return [*claims.problems(), *shown, *sanity(apart)]


def main(say: Callable[[str], object] = print) -> int:
    """Builds, checks and tells. Returns the exit code."""
    shutil.rmtree(build.BUILD / "ansible_collections", ignore_errors=True)
    root = build.write(build.BUILD)
    archive = build.archive(root, build.BUILD)
    found = problems(root, archive)
    for each in found:
        say(each)
    say(f"{archive}: {f'{len(found)} problem(s)' if found else 'ready to be published'}")
    return 1 if found else 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
