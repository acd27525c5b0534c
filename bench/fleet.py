"""Rows: plays over real SSH hosts of the lab, beside a play of one ping over the same hosts."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "tests"))

from lab import run as lab  # noqa: E402 - needs the path above

from bench.rounds import Cost, Row, interleaved  # noqa: E402 - likewise

LAB = PROJECT / "bench" / "lab"
_SCENARIO = "bench"
# With fewer, medians were not steady enough for goals that are a few percent away.
_ROUNDS = 7
_BUDGET = 150.0  # seconds for one comparison; two rounds are made in any case
_SIZES = (20, 50)
# A host with systemd takes five inotify instances, and a kernel usually grants one account 128 of them. Further names
# lead to the same hosts, each over a connection of its own.
_CONTAINERS = 20
_MAKING = 900.0  # seconds; the first time the images are built as well
_ONE_PLAY = 300.0
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
    why_not = _why_not()
    if why_not:
        return [_unmeasured(why_not)]
    rows: List[Row] = []
    try:
        with _hosts() as folder:
            few, many = _SIZES
            rows += _rows(few, _measure(folder, few, [*_SWEEPS, "remediate", *_PLAIN]))
            rows += _rows(many, _measure(folder, many, _SWEEPS))
            # By itself, because it takes so long that there would be few rounds of the others.
            rows += [_mitogen_row(folder, size) for size in _SIZES]
            rows.append(_stock_row(few, _measure(folder, few, ["handshake", "stock"], _BUDGET / 2)))
            rows += _settings(folder)
    except (subprocess.SubprocessError, RuntimeError) as error:
        rows.append(_unmeasured(str(error)))
    return rows


def _why_not() -> Optional[str]:
    """Why hosts cannot be made here; None where they can."""
    reason = lab.why_not()
    if reason:
        return f"needs lab hosts: {reason}"
    running = subprocess.run(
        ["podman", "ps", "--format", "{{.Names}}"], capture_output=True, text=True, check=False
    ).stdout.split()
    others = [name for name in running if name.startswith("ib-lab-")]
    return f"{len(others)} hosts of another lab run are there; both would measure each other" if others else None


def _unmeasured(why: str) -> Row:
    return Row("fleet", f"sweeps over {_SIZES[0]} and {_SIZES[1]} SSH hosts", _PING, "s", note=f"not measured: {why}")


def _rows(size: int, costs: Mapping[str, Cost]) -> List[Row]:
    def row(what: str, way: str, **goal: Any) -> Row:
        return Row("fleet", f"{what}, {size} hosts", _PING, "s", costs[way].wall, costs["ping"].wall, **goal)

    note = f"{size} names of {_CONTAINERS} hosts" if size > _CONTAINERS else ""
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


def _mitogen_row(folder: Path, size: int) -> Row:
    """Mitogen's strategy is an option that users may have; the ping beside it goes Ansible's own way."""
    import ansible_mitogen  # of use to this row alone

    plugins = Path(ansible_mitogen.__file__).parent / "plugins" / "strategy"
    settings = {"ANSIBLE_STRATEGY_PLUGINS": str(plugins), "ANSIBLE_STRATEGY": "mitogen_linear"}
    inventory = folder / f"hosts{size}.json"
    ways = {
        "ping": _play(folder, inventory, *_WAYS["ping"]),
        "mitogen": _play(folder, inventory, *_WAYS["passive"], settings),
    }
    costs = interleaved(ways, _ROUNDS, budget=_BUDGET / 3)
    what = f"health sweep, passive, mitogen's strategy, {size} hosts"
    return Row("fleet", what, _PING, "s", costs["mitogen"].wall, costs["ping"].wall, at_most=0.6)


def _measure(folder: Path, size: int, ways: Sequence[str], budget: float = _BUDGET) -> Dict[str, Cost]:
    inventory = folder / f"hosts{size}.json"
    inventory.write_text(json.dumps(_inventory(size)), encoding="utf-8")
    asked = {way: _plain(folder, *_PLAIN[way]) if way in _PLAIN else _WAYS[way] for way in ways}
    return interleaved({way: _play(folder, inventory, *asked[way]) for way in ways}, _ROUNDS, budget=budget)


def _plain(
    folder: Path, playbook: str, extra: Mapping[str, Any], sockets: str = "sockets"
) -> Tuple[str, Dict[str, Any]]:
    """The same way with the connection's variables in plain text.

    The lab's are templates with filters, for which each worker of a ping loads all of Ansible's filters. sockets: the
    folder for ssh's shared connections: one that another way has opened would be taken over, with its settings.
    """
    config = lab.WORK / _SCENARIO / "ssh_config"
    paths = {"ansible_ssh_common_args": f"-F {config}", "ansible_control_path_dir": str(folder / sockets)}
    return playbook, {**extra, **paths}


def _settings(folder: Path) -> List[Row]:
    """What each setting of ansible.cfg buys: a sweep with it, and the same sweep with another value."""
    inventory = folder / f"hosts{_SIZES[0]}.json"
    ways = {"ansible.cfg": _play(folder, inventory, *_plain(folder, *_WAYS["passive"]))}
    for name, other in _OTHERS.items():
        ways[name] = _play(folder, inventory, *_plain(folder, *_WAYS["passive"], name.replace(" ", "-")), other)
    costs = interleaved(ways, _ROUNDS, budget=_BUDGET * 2 / 3)
    what = f"health sweep, passive, {_SIZES[0]} hosts, with ansible.cfg"
    ours = costs["ansible.cfg"]
    # CPU of the controller with its ssh clients: where hosts and controller share a machine, wall time is noise.
    by_cpu = [Row("fleet", what, f"the same with {name}", "s CPU", ours.cpu, costs[name].cpu) for name in _OTHERS]
    return by_cpu + [Row("fleet", what, f"the same with {name}", "s", ours.wall, costs[name].wall) for name in _OTHERS]


def _inventory(size: int) -> Dict[str, Any]:
    """Hosts of the lab; everything else about them is in molecule's shared inventory."""
    return {"trading_hosts": {"hosts": {f"bench{number:02}": {} for number in range(1, size + 1)}}}


@contextlib.contextmanager
def _hosts() -> Iterator[Path]:
    """Hosts with one healthy gateway each, reachable by as many names as are asked; removed whatever happens."""
    if not lab.deps():
        raise RuntimeError("the lab's images could not be built")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        inventory = folder / "all.json"
        inventory.write_text(json.dumps(_inventory(_CONTAINERS)), encoding="utf-8")
        try:
            _require(_ansible(inventory, "bench/lab/hosts.yml", {}, _MAKING))
            _add_names()
            yield folder
        finally:
            _ansible(inventory, "bench/lab/remove.yml", {}, _MAKING)


def _add_names() -> None:
    """Lets the names beyond the number of hosts lead to the hosts again."""
    config = lab.WORK / _SCENARIO / "ssh_config"
    told = config.read_text(encoding="utf-8")
    address = dict(re.findall(r"^Host (\S+)\n +HostName (\S+)$", told, re.MULTILINE))
    names = list(_inventory(max(_SIZES))["trading_hosts"]["hosts"])
    for name in names[_CONTAINERS:]:
        told += f"Host {name}\n  HostName {address[names[names.index(name) % _CONTAINERS]]}\n"
    config.write_text(told, encoding="utf-8")


def _play(
    folder: Path, inventory: Path, playbook: str, extra: Mapping[str, Any], settings: Optional[Mapping[str, str]] = None
) -> Callable[[], None]:
    options = {"ib_report_dir": str(folder / "reports"), **extra}

    def run() -> None:
        _require(_ansible(inventory, playbook, options, _ONE_PLAY, settings or {}))

    return run


def _ansible(
    inventory: Path, playbook: str, extra: Mapping[str, Any], limit: float, settings: Optional[Mapping[str, str]] = None
) -> subprocess.CompletedProcess[str]:
    shared = PROJECT / "molecule" / "shared" / "inventory"
    argv = [str(lab.BIN / "ansible-playbook"), "-i", str(shared), "-i", str(inventory), playbook]
    environment = {**lab.environment(_SCENARIO), **(settings or {})}
    os.makedirs(lab.WORK / _SCENARIO, exist_ok=True)
    told = json.dumps({"lab_project": str(PROJECT), **extra})
    with subprocess.Popen(
        [*argv, "-e", told],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as play:
        try:
            output, _ = play.communicate(timeout=limit)
        except BaseException:
            os.killpg(play.pid, signal.SIGKILL)  # its workers as well
            raise
    return subprocess.CompletedProcess(argv, play.returncode, output)


def _require(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise RuntimeError("\n".join(lab.telling(done.stdout)))
