"""Rows: plays over real SSH hosts of the lab, beside a play of one ping over the same hosts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Dict, List, Tuple

from bench.hosts import CONTAINERS, SSH_CONFIG, hosts, inventory_of, play, why_not
from bench.rounds import Cost, Row, interleaved

# With fewer, medians were not steady enough for goals that are a few percent away.
_ROUNDS = 7
_BUDGET = 150.0  # seconds for one comparison; two rounds are made in any case
_SIZES = (20, 50)
_SWEEPS = ("ping", "passive", "handshake")
#: Way: (playbook, what to pass). The inventory's own account becomes root in all of them.
_WAYS: Dict[str, Tuple[str, Dict[str, Any]]] = {
    "ping": ("bench/lab/ping.yml", {}),
    "passive": ("playbooks/health_sweep.yml", {"ib_gateway_diagnose_probe": "never"}),
    "handshake": ("playbooks/health_sweep.yml", {"ib_gateway_diagnose_probe": "auto"}),
    "remediate": ("remediate.yml", {}),
    "stock": ("bench/lab/stock.yml", {}),
}
_PLAIN = {f"{way}, plain": _WAYS[way] for way in ("ping", "passive")}
#: Other values of ansible.cfg's settings, by Ansible's own variables.
_OTHERS = {
    "pipelining off": {"ANSIBLE_PIPELINING": "0"},
    "ssh not compressing": {"ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s"},
    "a connection for each task": {"ANSIBLE_SSH_ARGS": "-o ControlMaster=no"},
    "workers that load for themselves": {"ANSIBLE_CALLBACKS_ENABLED": "ib_fleet_progress"},
    "5 forks": {"ANSIBLE_FORKS": "5"},
    "50 forks": {"ANSIBLE_FORKS": "50"},
}
_PING = "a play of one ping over the same hosts"


def fleet_rows() -> List[Row]:
    """Sweeps, a repair of a fleet that needs none, and the same questions with stock modules. Wall time."""
    reason = why_not()
    if reason:
        return [_unmeasured(reason)]
    rows: List[Row] = []
    try:
        with hosts(max(_SIZES)) as folder:
            few, many = _SIZES
            rows += _rows(few, _measure(folder, few, [*_SWEEPS, "remediate", *_PLAIN]))
            rows += _rows(many, _measure(folder, many, _SWEEPS))
            # By itself, because it takes so long that there would be few rounds of the others.
            rows.append(_stock_row(few, _measure(folder, few, ["handshake", "stock"], _BUDGET / 2)))
            rows += _settings(folder)
    except (subprocess.SubprocessError, RuntimeError) as error:
        rows.append(_unmeasured(str(error)))
    return rows


def _unmeasured(why: str) -> Row:
    return Row("fleet", f"sweeps over {_SIZES[0]} and {_SIZES[1]} SSH hosts", _PING, "s", note=f"not measured: {why}")


def _rows(size: int, costs: Mapping[str, Cost]) -> List[Row]:
    def row(what: str, way: str, **goal: Any) -> Row:
        return Row("fleet", f"{what}, {size} hosts", _PING, "s", costs[way].wall, costs["ping"].wall, **goal)

    note = f"{size} names of {CONTAINERS} hosts" if size > CONTAINERS else ""
    found = [
        row("health sweep, passive", "passive", at_most=1.15, note=note),
        row("health sweep with handshake", "handshake", at_most=1.3, note=note),
    ]
    if "remediate" in costs:
        found.append(row("remediate.yml on a healthy fleet", "remediate", at_most=2.3))
    if "passive, plain" in costs:
        mine, theirs = costs["passive, plain"].wall, costs["ping, plain"].wall
        against = f"{_PING}, no templates in the connection's variables"
        found.append(Row("fleet", f"health sweep, passive, {size} hosts", against, "s", mine, theirs, at_most=1.15))
    return found


def _stock_row(size: int, costs: Mapping[str, Cost]) -> Row:
    return Row(
        "fleet",
        f"health sweep with handshake, {size} hosts",
        "the same questions with stock modules",
        "s",
        costs["handshake"].wall,
        costs["stock"].wall,
        at_least=5.0,
        note="ps, ss twice, lsof, systemctl, wait_for, a script that connects, assert",
    )


def _measure(folder: Path, size: int, ways: Sequence[str], budget: float = _BUDGET) -> Dict[str, Cost]:
    inventory = _written(folder, size)
    asked = {way: _plain(folder, *_PLAIN[way]) if way in _PLAIN else _WAYS[way] for way in ways}
    return interleaved({way: play(folder, inventory, *asked[way]) for way in ways}, _ROUNDS, budget=budget)


def _written(folder: Path, size: int) -> Path:
    """The inventory of so many hosts."""
    path = folder / f"hosts{size}.json"
    path.write_text(json.dumps(inventory_of(size)), encoding="utf-8")
    return path


def _plain(
    folder: Path, playbook: str, extra: Mapping[str, Any], sockets: str = "sockets"
) -> Tuple[str, Dict[str, Any]]:
    """The same way with the connection's variables in plain text.

    The lab's are templates with filters, for which each worker of a ping loads all of Ansible's filters. sockets: the
    folder for ssh's shared connections: one that another way has opened would be taken over, with its settings.
    """
    paths = {"ansible_ssh_common_args": f"-F {SSH_CONFIG}", "ansible_control_path_dir": str(folder / sockets)}
    return playbook, {**extra, **paths}


def _settings(folder: Path) -> List[Row]:
    """What each setting of ansible.cfg buys: a sweep with it, and the same sweep with another value."""
    inventory = _written(folder, _SIZES[0])
    ways = {"ansible.cfg": play(folder, inventory, *_plain(folder, *_WAYS["passive"]))}
    for name, other in _OTHERS.items():
        ways[name] = play(folder, inventory, *_plain(folder, *_WAYS["passive"], name.replace(" ", "-")), other)
    costs = interleaved(ways, _ROUNDS, budget=_BUDGET * 2 / 3)
    what = f"health sweep, passive, {_SIZES[0]} hosts, with ansible.cfg"
    ours = costs["ansible.cfg"]
    # CPU of the controller with its ssh clients: where hosts and controller share a machine, wall time is noise.
    by_cpu = [Row("fleet", what, f"the same with {name}", "s CPU", ours.cpu, costs[name].cpu) for name in _OTHERS]
    return by_cpu + [Row("fleet", what, f"the same with {name}", "s", ours.wall, costs[name].wall) for name in _OTHERS]
