"""Becomes a keeper with a gateway below it: what a unit's ExecStart= is where IBC's scripts, or a loop, run a gateway.

    PYTHONPATH=tests python3 -m simulator.keep --folder=DIR --keeper=ibcstart --gap=20 --mode=live --port=4001 ...

The keeper takes this process's place, so that its pid is the unit's. What is no option of this program's is one of the
gateway's (options.py).
"""

import argparse
import os
import sys
from pathlib import Path
from typing import List

from .keepers import KEEPERS, KeptGateway
from .launch import SimulatedGateway


def main(argv: List[str]) -> None:
    """Writes what the keeper needs to disk and becomes it."""
    parser = argparse.ArgumentParser(description="Keep a simulated gateway.")
    parser.add_argument("--folder", type=Path, required=True, help="gets IBC's scripts, its log and a runtime")
    parser.add_argument("--config-dir", type=Path, required=True, help="the gateway's settings directory")
    parser.add_argument("--keeper", choices=KEEPERS, default="ibcstart")
    parser.add_argument("--gap", type=float, default=0.0, help="seconds without a gateway between two lives")
    parser.add_argument("--mode", choices=["live", "paper"], required=True)
    parser.add_argument("--port", type=int, required=True, help="the API port")
    parser.add_argument("--lifetime", type=float, default=7200.0, help="seconds")
    parser.add_argument("--ini", action="append", default=[], help="a line of IBC's settings; several times")
    given, options = parser.parse_known_args(argv)
    gateway = SimulatedGateway(
        given.folder,
        port=given.port,
        config_dir=given.config_dir,
        mode=given.mode,
        launcher="ibc",
        settings={"ibc-log": "-"},
        lifetime=given.lifetime,
        exit_with=None,
        extra=options,
    )
    kept = KeptGateway(given.folder, gateway=gateway, keeper=given.keeper, gap=given.gap, lifetime=given.lifetime)
    command = kept.command()
    with open(given.config_dir / "config.ini", "a", encoding="utf-8") as ini:
        ini.writelines(f"{line}\n" for line in given.ini)
    os.chdir(kept.working_dir)
    os.execv(command[0], command)  # noqa: S606 - the keeper is to have this very process


if __name__ == "__main__":
    main(sys.argv[1:])
