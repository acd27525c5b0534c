"""Sets a fault up on a lab host, and judges afterwards what became of it.

    scene.py stage < steps.json      starts what the steps name, one after the other, and remembers it
    scene.py judge < expected.json   looks with ps, ss, systemctl and a session of its own; prints what is unexpected

Shares no code with the project: this is what the project is measured by. Needs root, Python 3.9 and the standard
library. molecule/README.md lists the steps and what can be expected.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any, Dict, List

from looking import args_of, connected, disk, gateways, is_gateway, listeners, properties, run, session, table
from staging import ACCOUNTS, DATA, OWNER, STAGED, Thing, stage

PORTS = {"live": 4001, "paper": 4002}


def judge(expected: Dict[str, Any]) -> List[str]:
    """What is not as expected, in words; empty when all is well.

    expected: gone (names of staged things that must have ended; all others must live), serves (the inventory entries
    whose gateways must serve), sessions (whether to open them here), untouched (whether the disk must be as it was),
    cut and holds (names of scripts that must live without a session, and with the one they had), logins (how many IBC's
    log must have; None for any).
    """
    staged = json.loads(STAGED.read_text())
    gone = set(expected["gone"])
    problems = [f"the scenario expects {name} to be gone, and never staged it" for name in gone - set(staged["things"])]
    own_units = {unit_of(entry) for entry in expected["serves"]}
    for name, thing in staged["things"].items():
        problems += fate(name, thing, name in gone, own_units)
    for entry in expected["serves"]:
        problems += service(entry, expected["sessions"])
    problems += census(staged["things"], gone, [port_of(entry) for entry in expected["serves"]])
    for name in (*expected["cut"], *expected["holds"]):
        thing = staged["things"][name]
        if connected(thing["pid"], thing["port"]) == (name in expected["cut"]):
            problems.append(f"{name} {'still has' if name in expected['cut'] else 'has lost'} its session")
    if expected["logins"] is not None and logins() != expected["logins"]:
        problems.append(f"IBC's log has {logins()} logins, {expected['logins']} were expected")
    if expected["untouched"]:
        now = disk()
        changed = sorted(path for path in {*now, *staged["disk"]} if now.get(path) != staged["disk"].get(path))
        problems += [f"{path} was changed" for path in changed]
    return problems


def fate(name: str, thing: Thing, gone: bool, own_units: "set[str]") -> List[str]:
    """Whether a staged thing has ended, or lives on as the same process and the same run of its unit."""
    problems = []
    alive = bool(thing["pid"]) and args_of(thing["pid"]) == thing["args"]
    if alive and gone:
        problems.append(f"{name} (pid {thing['pid']}) still runs")
    if thing["pid"] and not alive and not gone:
        problems.append(f"{name} (pid {thing['pid']}) has ended")
    if "unit" in thing:
        now = properties(thing["unit"], thing.get("owner"))
        same = now["InvocationID"] == thing["invocation"]
        if not gone and not (same and now["ActiveState"] == "active" and now["NRestarts"] == "0"):
            problems.append(f"unit {name} was touched: {now}")
        if gone and name in own_units and (same or now["ActiveState"] != "active"):
            problems.append(f"unit {name} was not restarted: {now}")
        if gone and name not in own_units and now["ActiveState"] != "inactive":
            problems.append(f"unit {name} did not stay stopped: {now}")
    return problems


def unit_of(entry: Dict[str, Any]) -> str:
    """The unit of an inventory entry, without its suffix."""
    return str(entry["service"]).rpartition(".service")[0]


def port_of(entry: Dict[str, Any]) -> int:
    """The port of an inventory entry."""
    return int(entry.get("port") or PORTS[entry["trading_mode"]])


def service(entry: Dict[str, Any], open_session: bool) -> List[str]:
    """Whether exactly the unit's own process listens on an entry's port, and serves it."""
    port, holders = port_of(entry), listeners(port_of(entry))
    if entry.get("service") is None:
        return own_group(entry, holders)
    unit = properties(unit_of(entry), OWNER if entry.get("service_scope") == "user" else None)
    # A oneshot unit has no main process once its command has ended, and a keeper's has the gateway below it: what the
    # unit started is in its control group.
    main = int(unit["MainPID"])
    own = [main] if is_gateway(args_of(main)) else [pid for pid in holders if in_unit(pid, unit_of(entry))]
    if len(holders) != 1 or holders != own:
        return [f"port {port} is held by {holders}, not by the process of {unit_of(entry)}: {unit}"]
    owner, line = table()[holders[0]]
    if owner != OWNER or not is_gateway(line):
        return [f"port {port} is held by {owner}'s {line}"]
    if not open_session:
        return []
    answer = session(port, client_id=7001, timeout=4)
    if not answer["connected"] or answer["accounts"] != [ACCOUNTS[entry["trading_mode"]]]:
        return [f"no session of the right account on port {port}: {answer}"]
    return []


def logins() -> int:
    """How many starts of a gateway began with a login, by IBC's log: one that keeps it begins with other words."""
    text = "".join(path.read_text() for path in Path(DATA, "ibc/logs").glob("*.txt"))
    return len(re.findall("^.*IBC: Starting session: ", text, re.MULTILINE))


def in_unit(pid: int, unit: str) -> bool:
    """Whether a process is in the control group of a unit of the system."""
    groups = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return any(line.endswith(f"/system.slice/{unit}.service") for line in groups)


def own_group(entry: Dict[str, Any], holders: List[int]) -> List[str]:
    """Whether a gateway that a start_command has brought up lives in no login's and no service's control group."""
    groups = [Path(f"/proc/{pid}/cgroup").read_text() for pid in holders]
    if len(groups) != 1 or f"/system.slice/ib-gateway-{entry['name']}-" not in groups[0]:
        return [f"port {port_of(entry)} is held by {holders}, not by one in a control group of its own: {groups}"]
    return []


def census(things: Dict[str, Thing], gone: "set[str]", ports: List[int]) -> List[str]:
    """Whether there is no gateway but those that serve and those that were to be left alone."""
    wanted = {pid for port in ports for pid in listeners(port)}
    wanted |= {thing["pid"] for name, thing in things.items() if name not in gone and is_gateway(thing["args"])}
    found = set(gateways())
    return [f"gateways {sorted(found)} run, {sorted(wanted)} were to"] if found != wanted else []


def main() -> None:
    order = json.load(sys.stdin)
    if sys.argv[1:] == ["stage"]:
        stage(order)
    elif sys.argv[1:] == ["judge"]:
        print(json.dumps({"problems": judge(order), "address": run("hostname", "-I").split()[0]}))
    else:
        raise SystemExit("usage: scene.py stage|judge")


if __name__ == "__main__":
    main()
