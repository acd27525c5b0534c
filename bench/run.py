"""`make bench`: measures every row, or those that are named, prints the table and writes bench/results.json.

    python -m bench.run [ROW ...]

Rows: snapshot patterns sockets files module report incident fleet mitogen; thousand where it is named. Every row but
that compares within itself, in interleaved rounds; what cannot be measured here says why. Ends with 0 when nothing
crashed, also where a goal is missed.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Dict, List

from bench.rounds import Row

#: An interpreter without a buffer reads a program byte by byte from its standard input, as pipelining sends it, and one
#: that may not write bytecode compiles the controller's plugins at every start. Neither is how people run Ansible.
UNUSUAL = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")
RESULTS = Path(__file__).resolve().parent / "results.json"
ROWS = {
    "snapshot": "apart.snapshot_rows",
    "patterns": "apart.pattern_rows",
    "sockets": "apart.socket_rows",
    "files": "apart.file_rows",
    "module": "modules.module_rows",
    "report": "reporting.report_rows",
    "incident": "incident.incident_rows",
    "fleet": "fleet.fleet_rows",
    "mitogen": "strategies.mitogen_rows",
    "thousand": "thousand.thousand_rows",
}
#: Takes minutes, and is measured only where it is named.
LONG = ("thousand",)


def measured(name: str) -> List[Row]:
    """The rows of one name; a row that cannot be measured says so and does not keep the others from it."""
    module, function = ROWS[name].split(".")
    try:
        rows: List[Row] = getattr(importlib.import_module("bench." + module), function)()
    except Exception as error:
        return [Row(name, name, "", "", note=f"not measured: {type(error).__name__}: {error}")]
    return rows


def table(rows: Sequence[Row]) -> List[str]:
    """The rows as lines of Markdown, so that they can be read and kept."""
    lines = ["| what | against | ours | theirs | ratio | goal | reached |", "|---|---|---:|---:|---:|---|---|"]
    for row in rows:
        reached = {True: "yes", False: "NO", None: ""}[row.met]
        ours = "" if row.ours is None else f"{row.ours:.3g} {row.unit}"
        other = "" if row.other is None else f"{row.other:.3g} {row.unit}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
        lines.append(f"| {row.what} | {row.against} | {ours} | {other} | {ratio} | {row.goal} | {reached} |")
    return lines + [f"{row.what}: {row.note}" for row in rows if row.note]


def document(rows: Sequence[Row]) -> Dict[str, Any]:
    """What is kept of a run: the rows, and on what they were measured, without what names this machine."""
    return {
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpus": os.cpu_count(),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "load": [round(each, 2) for each in os.getloadavg()],
        "rows": [{**vars(row), "ratio": row.ratio, "goal": row.goal, "met": row.met} for row in rows],
    }


def kept(names: Sequence[str]) -> List[Row]:
    """The rows of an earlier run that this run does not measure."""
    try:
        rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]
    except (OSError, ValueError, KeyError):
        return []
    made = ("ratio", "goal", "met")
    return [Row(**{key: row[key] for key in row if key not in made}) for row in rows if row["name"] not in names]


def main() -> int:
    """The command line."""
    names = sys.argv[1:] or [name for name in ROWS if name not in LONG]
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        print(f"No such row: {', '.join(unknown)}. There are {', '.join(ROWS)}.", file=sys.stderr)
        return 2
    for variable in UNUSUAL:
        os.environ.pop(variable, None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended then as well
    rows: List[Row] = []
    for name in names:
        began = time.monotonic()
        rows += measured(name)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    order = list(ROWS)
    everything = sorted([*kept(names), *rows], key=lambda row: order.index(row.name) if row.name in order else 99)
    RESULTS.write_text(json.dumps(document(everything), indent=1) + "\n", encoding="utf-8")
    print("\n".join(table(rows)))
    return 1 if any(row.note.startswith("not measured: ") and row.name == row.what for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
