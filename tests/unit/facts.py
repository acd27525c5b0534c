"""Small builders for what a look finds: everything has a sensible default, a test names only what it is about."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from ansible.module_utils.ib_gateway.base.classify import gateway_kind, relay_name
from ansible.module_utils.ib_gateway.base.host import (
    ApiConnection,
    Client,
    Connection,
    Listener,
    Process,
    Reading,
    Snapshot,
    Visibility,
)
from ansible.module_utils.ib_gateway.base.plan import Diagnosis, Entry, Plan, Step
from ansible.module_utils.ib_gateway.base.probe import Probe
from ansible.module_utils.ib_gateway.base.process_digest import argv_digest
from ansible.module_utils.ib_gateway.base.redaction import redact_argv
from ansible.module_utils.ib_gateway.base.spec import GatewaySpec
from ansible.module_utils.ib_gateway.base.unit import UnitState
from ansible.module_utils.ib_gateway.decide import assign, planning
from ansible.module_utils.ib_gateway.decide.diagnosis import diagnose
from ansible.module_utils.ib_gateway.module import result
from ansible.module_utils.ib_gateway.observe.host_key import digest_key

BOOT = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
FOLDER = "/srv/ibgateway/live"
UNIT = "ibgateway.service"
DAY = 86400.0
ROOT = Visibility(user="root", privileged=True)

#: Pids by their parts, so that a test reads without a legend.
GATEWAY, SECOND, SCRIPT, OTHER_SCRIPT, ALIEN = 4711, 4712, 815, 816, 900

Fact = Union[Process, Listener, ApiConnection]


def spec(**more: Any) -> GatewaySpec:
    """The entry `live`: port 4001, its settings directory, a unit that starts it, one API connection at a time."""
    base = GatewaySpec(
        "live", "live", 4001, user="trader", config_dir=FOLDER, service=UNIT, start_timeout=120, max_api_clients=1
    )
    return base._replace(**more)


def process(pid: int, *argv: str, **more: Any) -> Process:
    """A process of account trader, a day old, started by somebody who is still there."""
    command = redact_argv(argv)
    base = Process(
        pid=pid,
        started_ticks=pid * 1000,
        boot_id=BOOT,
        ppid=700,
        user="trader",
        age=DAY,
        started_at=1_745_600_000.0,
        argv=argv,
        command=command,
        argv_digest=argv_digest(argv, digest_key()),
        gateway=gateway_kind(argv),
        relay=relay_name(argv),
    )
    return base._replace(**more)


def gateway(pid: int = GATEWAY, folder: Optional[str] = FOLDER, mode: Optional[str] = None, **more: Any) -> Process:
    """A gateway under IBC; folder: its -DjtsConfigDir=; mode: what its command line says."""
    argv = ["/opt/jre/bin/java", "ibcalpha.ibc.IbcGateway", "/opt/ibc/config.ini"]
    if folder is not None:
        argv.insert(1, "-DjtsConfigDir=" + folder)
    if mode is not None:
        argv.append(mode)
    return process(pid, *argv, **more)


def script(pid: int = SCRIPT, name: str = "bot.py", **more: Any) -> Process:
    """A trading script."""
    return process(pid, "python3", name, **more)


def listener(port: int = 4001, *pids: int, **more: Any) -> Listener:
    """A dual-stack listener; without pids that of the gateway."""
    base = Listener(port, "::", ("ipv4", "ipv6"), 1000 + port, frozenset(pids or (GATEWAY,)), "trader", 0, 50)
    return base._replace(**more)


def connection(*clients: int, server: int = GATEWAY, port: int = 4001, **more: Any) -> ApiConnection:
    """An open connection of these processes; of one that cannot be seen without any."""
    base = ApiConnection(
        port=port,
        client="127.0.0.1",
        client_port=50_000 + (clients[0] if clients else 0) % 10_000,
        server="127.0.0.1",
        state="ESTABLISHED",
        accepted=True,
        gateway_pids=frozenset((server,)),
        client_pids=frozenset(clients),
        idle=1.0,
    )
    return base._replace(**more)


def row(local: str, remote: str, *pids: int, state: str = "ESTABLISHED", inode: int = 1) -> Connection:
    """One socket as the kernel lists it; both ends as `address port`."""
    (here, here_port), (there, there_port) = local.split(), remote.split()
    return Connection(here, int(here_port), there, int(there_port), state, inode, frozenset(pids))


def reading(
    *rows: Connection, processes: Iterable[Process] = (), listeners: Sequence[Listener] = (), ports: Sequence[int] = ()
) -> Reading:
    """One pass over a system's tables."""
    wanted: FrozenSet[int] = frozenset(ports or (4001, 4002))
    return Reading(BOOT, ROOT, wanted, {each.pid: each for each in processes}, tuple(listeners), rows)


def snapshot(
    *facts: Fact,
    sight: Visibility = ROOT,
    queues: Optional[Mapping[int, Tuple[int, ...]]] = None,
    units: Optional[Mapping[str, float]] = None,
) -> Snapshot:
    """A look that found exactly these processes, listeners and connections; units: the age of those that are up."""
    return Snapshot(
        taken_at=1_745_600_000.0,
        boot_id=BOOT,
        visibility=sight,
        processes={each.pid: each for each in facts if isinstance(each, Process)},
        listeners=tuple(each for each in facts if isinstance(each, Listener)),
        connections=tuple(each for each in facts if isinstance(each, ApiConnection)),
        accept_queue_samples=queues or {},
        units=units or {},
    )


def probe(outcome: str = "ready", **more: Any) -> Probe:
    """What a handshake came to; a good one where nothing is said."""
    good = outcome == "ready"
    base = Probe(
        outcome=outcome,
        stage="current_time" if good else "start_api",
        ok=good,
        server_version=176,
        accounts=("U*****67",) if good else (),
        trading_mode="live" if good else None,
        client_id=900_004_711,
        error=None if good else {"code": None, "message": "it went wrong"},
    )
    return base._replace(**more)


def entry(one: GatewaySpec, look: Snapshot) -> Entry:
    """What of a look belongs to a host's only entry."""
    return assign.entries_of([one], look)[0][0]


def client(pid: int, look: Snapshot, one: Optional[GatewaySpec] = None) -> Client:
    """The client that a process is to the entry."""
    return next(each for each in entry(one or spec(), look).clients if each.process and each.process.pid == pid)


def judged(
    look: Snapshot, one: Optional[GatewaySpec] = None, shaken: Optional[Probe] = None, **known: Any
) -> Diagnosis:
    """The diagnosis of a host's only entry; known: what is known of it beside the look, such as its unit_state."""
    return diagnose(entry(one or spec(), look)._replace(**known), look, shaken)


def planned(look: Snapshot, one: Optional[GatewaySpec] = None, shaken: Optional[Probe] = None, **known: Any) -> Plan:
    """The plan for a host's only entry; known: as for judged()."""
    return planning.plan(judged(look, one, shaken, **known))


def plans(
    specs: Sequence[GatewaySpec], look: Snapshot, shaken: Mapping[str, Probe] = MappingProxyType({})
) -> List[Plan]:
    """The plans of all entries of a host, in their order; shaken: what handshakes came to, by entry name."""
    found = assign.entries_of(specs, look)[0]
    return [planning.plan(diagnose(each, look, shaken.get(each.spec.name))) for each in found]


def told(steps: Iterable[Step]) -> Tuple[Tuple[str, Optional[int]], ...]:
    """Each step as its action and the pid it means, where it means one."""
    return tuple((each.action, each.target.get("pid")) for each in steps)


def health(*looks: Tuple[GatewaySpec, Snapshot, Optional[Probe]]) -> Dict[str, Any]:
    """What ib_gateway_health returns for one host, an item for each entry with the look it was judged by.

    The unit of an entry of which nothing runs is inactive.
    """
    judgements = []
    for one, look, shaken in looks:
        inactive = one.unit is not None and not (look.processes or look.units or look.keepers)
        diagnosis = judged(look, one, shaken, **({"unit_state": UnitState(str(one.unit))} if inactive else {}))
        judgements.append(result.judgement(diagnosis, planning.plan(diagnosis), dict(look.processes)))
    return {
        "status": result.overall(each["status"] for each in judgements),
        "gateways": judgements,
        "undeclared": [],
        "proof": {"wanted": "socket", "used": "socket", "missing": None},
        "visibility": {"complete": True, "looked_as": "root", "privileged": True, "missing": []},
        "taken_at": "2025-04-25T05:00:12Z",
        "elapsed_ms": 12.3,
    }
