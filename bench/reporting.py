"""Row: the report of a thousand hosts, made in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List, Tuple

from bench.rounds import Row

_BEGAN = time.perf_counter()
PROJECT = Path(__file__).resolve().parent.parent
_HOSTS = 1000
_ROUNDS = 3
_WITHIN = 300.0  # seconds


def report_rows() -> List[Row]:
    """Seconds from the first import on, and memory; the run in the middle of a few."""
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder, "fleet.json")
        _run("make", str(document))
        runs = sorted(_once(document) for _ in range(_ROUNDS))
    seconds, megabytes = runs[len(runs) // 2]
    what = f"all files of the report of {_HOSTS:,} hosts"
    return [
        Row("report", what, "", "s", seconds, at_most=5.0, absolute=True),
        Row("report", f"memory for {what}", "", "MB", megabytes, at_most=300.0, absolute=True),
    ]


def _run(*words: str) -> str:
    argv = [sys.executable, "-m", "bench.reporting", *words]
    return subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=_WITHIN, check=True).stdout


def _once(document: Path) -> Tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        found = json.loads(_run("write", str(document), folder))
    return found["seconds"], found["megabytes"]


def make(document: Path) -> None:
    """Makes a fleet up, with every situation the rules know."""
    sys.path.insert(0, str(PROJECT / "tests"))
    from unit import fleets

    document.write_text(json.dumps(fleets.some(_HOSTS)), encoding="utf-8")


def write(document: Path, folder: Path) -> None:
    """Writes its report, and says what that took."""
    from ansible.module_utils.ib_fleet.run import write_report

    found = json.loads(document.read_text(encoding="utf-8"))
    written = write_report.write_all(found, folder)
    if written.problems:
        sys.exit("; ".join(written.problems))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": time.perf_counter() - _BEGAN, "megabytes": peak}), flush=True)


if __name__ == "__main__":
    import ansible.module_utils

    ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        write(Path(sys.argv[2]), Path(sys.argv[3]))
