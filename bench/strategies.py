"""Rows: a passive sweep by mitogen's strategy and by Ansible's own, beside pings; hosts that are near, and far away."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Dict, List

import ansible_mitogen

from bench.distance import far
from bench.hosts import SSH_CONFIG, hosts, inventory_of, play, why_not
from bench.rounds import Row, interleaved

_SIZES = (20, 50)
_FAR = 0.1  # seconds there and back: on another continent
#: How many hosts, and how far away.
_FLEETS = (*((size, 0.0) for size in _SIZES), (min(_SIZES), _FAR))
_ROUNDS = 3
_BUDGET = 60.0  # seconds for one comparison; two rounds are made in any case
_AT_MOST = 0.6
_PING = "bench/lab/ping.yml"
_SWEEP = ("playbooks/health_sweep.yml", {"ib_gateway_diagnose_probe": "never"})
_MITOGEN = {
    "ANSIBLE_STRATEGY": "mitogen_linear",
    "ANSIBLE_STRATEGY_PLUGINS": str(Path(ansible_mitogen.__file__).parent / "plugins" / "strategy"),
    # It leaves ssh no say about the keys of hosts, and those of the lab are new.
    "ANSIBLE_HOST_KEY_CHECKING": "False",
}
_STOCK = "a play of one ping with Ansible's defaults, connections made anew"
_PING_OURS = "a play of one ping with this ansible.cfg, which keeps connections for a minute"
#: What is compared: (ours, the other one, how the rows call them). A sweep beside a ping with ansible.cfg: fleet.py.
_COMPARED = (
    ("mitogen", "stock ping", "mitogen's strategy", _STOCK),
    ("mitogen", "ping", "mitogen's strategy", _PING_OURS),
    ("sweep", "stock ping", "Ansible's own strategy", _STOCK),
)


def mitogen_rows() -> List[Row]:
    """Wall time. Mitogen is an option that users may have; it never keeps a connection for the next run."""
    reason = why_not()
    if reason:
        return [_unmeasured(reason)]
    try:
        with hosts(max(_SIZES)) as folder:
            return [row for size, round_trip in _FLEETS for row in _rows(folder, size, round_trip)]
    except (subprocess.SubprocessError, RuntimeError) as error:
        return [_unmeasured(str(error))]


def _unmeasured(why: str) -> Row:
    return Row("mitogen", f"sweeps over {_SIZES[0]} and {_SIZES[1]} SSH hosts", "", "s", note=f"not measured: {why}")


def _rows(folder: Path, size: int, round_trip: float) -> Iterator[Row]:
    inventory = folder / f"hosts{size}.json"
    inventory.write_text(json.dumps(inventory_of(size)), encoding="utf-8")
    where = f", {round_trip * 1000:.0f} ms away" if round_trip else ""
    with far(folder, round_trip) if round_trip else contextlib.nullcontext(SSH_CONFIG) as config:
        costs = interleaved(_ways(folder, inventory, config), _ROUNDS, budget=_BUDGET)
    for ours, other, how, against in _COMPARED:
        what = f"health sweep, passive, {how}, {size} hosts{where}"
        yield Row("mitogen", what, against, "s", costs[ours].wall, costs[other].wall, at_most=_AT_MOST)


def _ways(folder: Path, inventory: Path, config: Path) -> Dict[str, Callable[[], None]]:
    def told(sockets: str) -> Dict[str, str]:
        return {"ansible_ssh_common_args": f"-F {config}", "ansible_control_path_dir": str(folder / sockets)}

    kept, run = told(f"kept-{inventory.stem}-{config.name}"), itertools.count()

    # Without a configuration: five forks, and a module is copied, made executable and run, a session each.
    defaults = folder / "defaults.cfg"
    defaults.touch()

    def stock_ping() -> None:
        sockets = told(f"anew-{inventory.stem}-{config.name}-{next(run)}")
        play(folder, inventory, _PING, sockets, {"ANSIBLE_CONFIG": str(defaults)})()

    playbook, extra = _SWEEP
    return {
        "stock ping": stock_ping,
        "ping": play(folder, inventory, _PING, kept),
        "mitogen": play(folder, inventory, playbook, {**extra, **kept}, _MITOGEN),
        "sweep": play(folder, inventory, playbook, {**extra, **kept}),
    }
