"""Over random desks: what works goes on working, nothing foreign is touched, and no step is taken that cannot cure.

What a step may touch is worked out here from the desk itself, not from what the code under test calls proven.
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible.module_utils.ib_gateway.base.findings import INFO
from ansible.module_utils.ib_gateway.base.host import ApiConnection, Folder, Keeper, Listener, Process, Snapshot
from ansible.module_utils.ib_gateway.base.plan import Diagnosis, Plan, Step
from ansible.module_utils.ib_gateway.base.probe import Probe
from ansible.module_utils.ib_gateway.base.spec import FIX, GatewaySpec
from ansible.module_utils.ib_gateway.decide import planning
from ansible.module_utils.ib_gateway.decide.assign import entries_of
from ansible.module_utils.ib_gateway.decide.diagnosis import diagnose, may_probe
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.facts import BOOT, ROOT, connection, listener, probe, process, spec

JTS, LIVE_DIR, PAPER_DIR = "/home/trader/Jts", "/srv/live", "/srv/paper"
OWNERS = {JTS: "trader", LIVE_DIR: "trader", PAPER_DIR: "trader"}
ACCOUNTS = ("trader", "trader", "trader", "bob")
NAMED, PROTECTED = "cleanup", "router"
#: With these of an entry no gateway of it is started, restarted or stopped.
HANDS_OFF = {
    "partial_visibility",
    "claimed_by_another_account",
    "wrong_port",
    "port_taken",
    "login_pending",
    "gateway_coming_up",
    "gateway_frozen",
    "no_broker_route",
    "wrong_trading_mode",
    "disk_full",
}
#: More: IB_DESKS=20000.
EXAMPLES = int(os.environ.get("IB_DESKS", "60"))
ON_GATEWAYS = ("stop_gateway", "start", "restart")


class Desk(NamedTuple):
    """A host and the entries that its inventory declares. shaken: what a handshake with each entry would come to."""

    specs: Tuple[GatewaySpec, ...]
    look: Snapshot
    shaken: Dict[str, Probe]

    def judged(self, *, always: bool = True) -> List[Tuple[Diagnosis, Plan]]:
        """Each entry's diagnosis and plan; with a handshake where one is allowed, or only where auto makes one."""
        found = []
        for entry in entries_of(self.specs, self.look)[0]:
            diagnosis = diagnose(entry, self.look)
            if may_probe(diagnosis, "always" if always else "auto"):
                diagnosis = diagnose(entry, self.look, self.shaken[entry.spec.name])
            found.append((diagnosis, planning.plan(diagnosis)))
        return found


# --- what a desk consists of -----------------------------------------------------------------------------------------


@st.composite
def declared(draw: st.DrawFn) -> Tuple[GatewaySpec, ...]:
    """One or two entries, rarely a TWS as well."""

    def one(name: str, **more: Any) -> GatewaySpec:
        return spec(
            name=name,
            user=draw(st.sampled_from(["trader", "trader", None])),
            service=draw(st.sampled_from([None, "ib-%s" % name])),
            start_command=draw(st.sampled_from([(), ("/opt/start", name)])),
            max_api_clients=draw(st.sampled_from([None, None, 1, 2])),
            client_patterns=draw(st.sampled_from([(), (), (NAMED,), (PROTECTED, NAMED), ("socat", "proxy", NAMED)])),
            protected_clients=draw(st.sampled_from([(), (PROTECTED,)])),
            allow_restart_with_clients=draw(st.booleans()),
            **more,
        )

    live = one(
        "live", config_dir=draw(st.sampled_from([JTS, LIVE_DIR, None])), port=draw(st.sampled_from([4001, 4010]))
    )
    paper = one("paper", trading_mode="paper", port=4002, config_dir=draw(st.sampled_from([JTS, PAPER_DIR, None])))
    tws = one("desk", product="tws", port=7496, config_dir=JTS)
    return draw(st.sampled_from([(live,), (live,), (live, paper), (paper, live), (live, paper, tws)]))


def argv_of(product: str, mode: Optional[str], folder: Optional[str], native: bool) -> List[str]:
    """A command line as launchers write it."""
    classes = {"gateway": "ibcalpha.ibc.IbcGateway", "tws": "ibcalpha.ibc.IbcTws"}
    words = ["/opt/jre/bin/java"]
    if native:
        main = "jclient.LoginFrame" if product == "tws" else "ibgateway.GWClient"
        return [*words, "-DjtsConfigDir=${installer:jtsConfigDir}", main, "${installer:cmdLineArgs}"]
    if folder:
        words.append("-DjtsConfigDir=" + folder)
    words += [classes[product], "/opt/ibc/config.ini"]
    return words + ([mode] if mode else [])


@st.composite
def gateways(draw: st.DrawFn, pid: int) -> Process:
    """A JVM of any product, account, mode and folder."""
    one = process(
        pid,
        *argv_of(
            draw(st.sampled_from(["gateway", "gateway", "gateway", "tws"])),
            draw(st.sampled_from([None, None, "live", "paper", "PAPER"])),
            draw(st.sampled_from([None, JTS, LIVE_DIR, PAPER_DIR, "/srv/other"])),
            draw(st.sampled_from([False, False, False, True])),
        ),
        user=draw(st.sampled_from(ACCOUNTS)),
        age=draw(st.sampled_from([10.0, 119.0, 5000.0, 9e5])),
        unit=draw(st.sampled_from([None, None, "ib-live.service", "ib-paper.service", "other.service"])),
        cwd=draw(st.sampled_from([None, "/opt", JTS, LIVE_DIR])),
        served_before=draw(st.booleans()),
        state=draw(st.sampled_from(["S", "S", "S", "S", "T"])),
        unanswered=draw(st.sampled_from([0, 0, 0, 1])),
        other_netns=draw(st.sampled_from([False] * 9 + [True])),
    )
    if draw(st.sampled_from([False] * 9 + [True])) and one.gateway:
        one = one._replace(gateway=one.gateway._replace(unsupported="a launcher that nobody knows"))
    return one


SCRIPTS: List[Tuple[Tuple[str, ...], Dict[str, Any]]] = [
    (("python3", "bot.py"), {}),
    (("python3", "bot.py"), {"ppid": 1}),
    (("python3", "-m", "strategies.bot"), {"user": "bob"}),
    (("python3", NAMED + ".py"), {}),
    (("python3", NAMED + ".py"), {"user": "bob"}),
    (("python3", NAMED + ".py"), {"other_netns": True}),
    (("black", NAMED + ".py"), {}),
    (("python3", PROTECTED + ".py"), {}),
    (("socat", "TCP-LISTEN:4003,fork", "TCP:127.0.0.1:4001"), {"user": "root"}),
    (("python3", "proxy.py"), {"pairs": True}),
    (("haproxy", "-f", "/etc/haproxy.cfg"), {"pairs": True, "user": "haproxy"}),
    (("ssh", "-L", "4003:127.0.0.1:4001", "vps"), {}),
    (("zabbix_agentd",), {"user": "zabbix", "unit": "zabbix.service"}),
    (("dbus-daemon", "--system"), {"user": "messagebus", "unit": "dbus.service"}),
    (("python3", "AnsiballZ_ib_gateway_health.py"), {"own_run": True, "user": "root"}),
]


@st.composite
def scripts(draw: st.DrawFn, pid: int) -> Process:
    """Whoever may be connected, or be named by a pattern."""
    argv, more = draw(st.sampled_from(SCRIPTS))
    states = st.sampled_from(["S", "S", "S", "T"])
    return process(pid, *argv, **{"age": draw(st.sampled_from([5.0, 60.0, 9e5])), "state": draw(states), **more})


HELD = st.fixed_dictionaries(
    {
        "state": st.sampled_from(["ESTABLISHED"] * 4 + ["CLOSE_WAIT"]),
        "accepted": st.sampled_from([True, True, True, False]),
        "idle": st.sampled_from([None, 1.0, 599.0, 600.0, 9e4]),
        "sent": st.sampled_from([None, 30, 5000, 5000, 5000]),
        "received": st.sampled_from([None, 30, 500, 500]),
        "unread": st.sampled_from([None, 0, 700]),
    }
)


@st.composite
def connections(
    draw: st.DrawFn, servers: List[Tuple[Process, int]], clients: List[Process], number: int
) -> ApiConnection:
    """A connection to any port that anybody listens on, of scripts here, of one elsewhere, or of nobody who is seen."""
    server, port = draw(st.sampled_from(servers))
    more = {**draw(HELD), "cookie": number, "client_port": 40_000 + number}
    held = draw(st.lists(st.sampled_from(clients), max_size=2, unique_by=lambda each: each.pid)) if clients else []
    if not held:
        remote = draw(st.sampled_from([None, "10.0.0.9", "10.8.0.7"]))
        lost = draw(st.sampled_from([None, 900.0]))
        return connection(server=server.pid, port=port, remote_host=remote, lost_for=lost, **more)
    parked = draw(st.sampled_from([False, False, True]))
    maker = "trader" if parked else held[0].user
    return connection(*[each.pid for each in held], server=server.pid, port=port, client_user=maker, **more)


@st.composite
def looks(draw: st.DrawFn) -> Snapshot:
    """Any host."""
    jvms = [draw(gateways(4000 + number)) for number in range(draw(st.integers(0, 4)))]
    others = [draw(scripts(800 + number)) for number in range(draw(st.integers(0, 5)))]
    serving: Dict[Tuple[int, str], Process] = {}
    for each in jvms:
        port = draw(st.sampled_from([None, 4001, 4001, 4002, 4010, 7496, 4444, 7463]))
        if port is not None:
            where = "::" if (port, "::") not in serving else "127.0.0.2"
            serving.setdefault((port, where), each)
    if others and draw(st.sampled_from([False, False, False, True])):
        serving.setdefault((draw(st.sampled_from([4001, 4002])), "::"), others[0])
    held = [(owner, port) for (port, _), owner in serving.items()]
    count = draw(st.integers(0, 5)) if held else 0
    facts = [draw(connections(held, others, number)) for number in range(1, count + 1)]
    return _snapshot(
        draw,
        [*jvms, *others],
        [listener(port, one.pid, address=where) for (port, where), one in serving.items()],
        facts,
    )


def _snapshot(
    draw: st.DrawFn, everybody: List[Process], listeners: List[Listener], held: List[ApiConnection]
) -> Snapshot:
    full = draw(st.sampled_from([None, 10**9, 10**9, 0]))
    keeper = Keeper(600, draw(st.sampled_from(ACCOUNTS)), "ibcstart.sh", 900.0)
    ports = {each.port for each in listeners}
    return Snapshot(
        taken_at=1_745_600_000.0,
        boot_id=BOOT,
        visibility=ROOT,
        processes={each.pid: each for each in everybody},
        listeners=tuple(listeners),
        connections=tuple(held),
        accept_queue_samples={
            port: (2, 2, 2) for port in draw(st.sets(st.sampled_from([4001, 4002]), max_size=1)) & ports
        },
        keepers=draw(st.sampled_from([(), (), (keeper,)])),
        localhost=draw(st.sampled_from([(), ("::1",), ("127.0.0.1",)])),
        folders={path: Folder(path, owner, full) for path, owner in OWNERS.items()},
    )


def _probe(outcome: str, mode: Optional[str], notice: Optional[int]) -> Probe:
    return probe(outcome, trading_mode=mode, notices=(notice,) if notice else ())


PROBES = st.builds(
    _probe,
    st.sampled_from(["ready", "stalled", "stalled", "silent", "refused", "dropped", "id_in_use"]),
    st.sampled_from([None, "live", "paper"]),
    st.sampled_from([None, None, None, 1100]),
)
DESKS = st.builds(
    Desk, declared(), looks(), st.fixed_dictionaries({name: PROBES for name in ("live", "paper", "desk")})
)


# --- what a step may touch -------------------------------------------------------------------------------------------


def listening(look: Snapshot, one: Process) -> List[int]:
    return [each.port for each in look.listeners if one.pid in each.pids]


def may_be_of(one: Process, entry: GatewaySpec, look: Snapshot) -> bool:
    """Whether a process could be the entry's gateway at all, by what no command line can fake, and what it says."""
    kind = one.gateway
    if kind is None or kind.product != entry.product or kind.unsupported or one.other_netns or one.own_run:
        return False
    if (kind.trading_mode or entry.trading_mode) != entry.trading_mode:
        return False
    # Without user in the entry, nothing but the folder's owner, or being the only account, makes one its account.
    stranger = one.user not in (entry.user or "trader", "root") and one.unit != entry.unit
    if stranger and (entry.user or entry.config_dir):
        return False
    served = [port for port in listening(look, one) if port not in (7462, 7463, 7464, 7465, 4444)]
    # One that was seen to serve the entry's port is its gateway; what it listens on now may be an agent's.
    if served and entry.port not in served and not one.served_before:
        return False
    told = kind.config_dir or None
    by_unit = entry.unit is not None and one.unit == entry.unit
    return by_unit or entry.config_dir is None or told in (None, entry.config_dir)


def protected(one: Process, desk: Desk) -> bool:
    words = [pattern for each in desk.specs for pattern in each.protected_clients]
    return any(re.search(each, " ".join(one.argv)) for each in words)


def holds(look: Snapshot, pid: int) -> List[ApiConnection]:
    return [each for each in look.connections if pid in each.client_pids]


def is_a_script(one: Process, entry: GatewaySpec) -> bool:
    """Whether a process of the desk may be ended or lose a connection at all."""
    named = any(re.search(each, " ".join(one.argv)) for each in entry.client_patterns)
    service = one.unit is not None and one.user != "trader"
    relays = one.argv[0] in ("socat", "haproxy", "ssh") or (one.pairs and not named)
    return not (one.gateway or one.own_run or relays or (service and not named))


def check_client(step: Step, entry: GatewaySpec, desk: Desk) -> None:
    one = desk.look.processes[step.target["pid"]]
    assert is_a_script(one, entry) and not protected(one, desk), one
    held = holds(desk.look, one.pid)
    assert all(each.client_user in (None, one.user) for each in held if each.port == entry.port), "parked"
    if not held:
        runs = one.argv[0] == "python3" and any(re.search(each, one.argv[-1]) for each in entry.client_patterns)
        assert runs, "only whom a pattern names as what it runs"
        assert one.user == (entry.user or one.user) and not one.other_netns
        return
    servers = [desk.look.processes[pid] for each in held for pid in each.gateway_pids if pid in desk.look.processes]
    assert any(may_be_of(each, entry, desk.look) for each in servers), "a client of another gateway"


def check_cut(step: Step, entry: GatewaySpec, desk: Desk) -> None:
    found = [each for each in desk.look.connections if each.cookie == step.target["cookie"]]
    assert len(found) == 1 and found[0].port == entry.port
    assert may_be_of(desk.look.processes[step.target["gateway_process"]["pid"]], entry, desk.look)
    for pid in found[0].client_pids:
        one = desk.look.processes[pid]
        assert is_a_script(one, entry) and not protected(one, desk)
        assert found[0].client_user in (None, one.user)
    if not found[0].client_pids:
        assert found[0].remote_host and found[0].lost_for, "a client elsewhere is cut only when TCP shows it has gone"


def check_gateway(step: Step, entry: GatewaySpec, desk: Desk) -> None:
    target = step.target.get("process") or (step.target if "pid" in step.target else None)
    if target is None:
        return
    one = desk.look.processes[target["pid"]]
    assert may_be_of(one, entry, desk.look), "not proven to be the entry's"
    assert one.state != "T", "a SIGTERM that stays pending would end it later"
    sessions = [each for each in desk.look.connections if one.pid in each.gateway_pids and each.state == "ESTABLISHED"]
    sessions = [each for each in sessions if each.port != 7463]  # peers of IBC's command server use no API
    for each in sessions:
        for pid in each.client_pids & set(desk.look.processes):
            assert not (protected(desk.look.processes[pid], desk) and each.accepted), "cuts off a protected script"


def check_resumed(step: Step, entry: GatewaySpec, desk: Desk) -> None:
    one = desk.look.processes[step.target["pid"]]
    assert may_be_of(one, entry, desk.look) and one.state == "T", "SIGCONT is for what a signal has stopped"


CHECKS = {"stop_client": check_client, "drop_connection": check_cut, "resume": check_resumed}


# --- what always holds -----------------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES, deadline=None)
@given(DESKS)
def test_no_step_targets_what_is_not_proven_to_be_the_entry_s(desk: Desk) -> None:
    for diagnosis, plan in desk.judged():
        for step in plan.steps:
            if step.action != "wait":
                CHECKS.get(step.action, check_gateway)(step, diagnosis.entry.spec, desk)


@settings(max_examples=EXAMPLES, deadline=None)
@given(DESKS)
def test_no_gateway_is_started_stopped_or_restarted_for_what_that_does_not_cure(desk: Desk) -> None:
    for diagnosis, plan in desk.judged():
        acts = [step.action for step in plan.steps if step.action in ON_GATEWAYS]
        assert not (acts and diagnosis.codes & HANDS_OFF), diagnosis.codes
        if "start" in acts or "restart" in acts:
            assert diagnosis.entry.spec.startable
            alone = {step.target["pid"] for step in plan.steps if step.action == "stop_gateway"}
            kept = {each.pid for each in diagnosis.entry.processes} - alone
            assert "start" not in acts or not kept, "nothing is started beside a gateway"


@settings(max_examples=EXAMPLES, deadline=None)
@given(DESKS)
def test_where_a_start_or_restart_is_refused_no_gateway_is_stopped(desk: Desk) -> None:
    for _, plan in desk.judged():
        refused = any(re.search(r" is not (started|restarted|stopped and started)", each) for each in plan.withheld)
        assert not (refused and any(step.action in ON_GATEWAYS for step in plan.steps)), plan.withheld


@settings(max_examples=EXAMPLES, deadline=None)
@given(DESKS)
def test_no_more_connections_end_for_a_limit_than_are_too_many(desk: Desk) -> None:
    for diagnosis, plan in desk.judged():
        entry = diagnosis.entry
        ending = {
            connection
            for step in plan.steps
            if step.finding == "competing_clients"
            for connection in desk.look.connections
            if connection in entry.open_connections()
            and (
                connection.cookie == step.target.get("cookie")
                or (step.action == "stop_client" and connection.client_pids == {step.target["pid"]})
            )
        }
        named = {each.process.pid for each in entry.clients if each.matches_pattern and each.process}
        for_the_limit = {each for each in ending if not each.client_pids <= named}
        limit = entry.spec.max_api_clients
        most = 0 if limit is None else max(0, len(entry.open_connections()) - limit)
        assert len(for_the_limit) <= most


# --- a desk that works -----------------------------------------------------------------------------------------------


@st.composite
def bystanders(draw: st.DrawFn, pid: int, port: int) -> Tuple[Process, Optional[Listener]]:
    """A gateway that is none of the entries': of another product, account or mode, or at work on another port."""
    kind = draw(st.sampled_from(["tws", "fix", "bob", "elsewhere", "native", "young"]))
    folder = draw(st.sampled_from([None, JTS, LIVE_DIR]))
    more: Dict[str, Any] = {"age": draw(st.sampled_from([20.0, 9e5]))}
    if kind == "tws":
        one = process(pid, *argv_of("tws", None, folder, draw(st.booleans())), **more)
        return one, draw(st.sampled_from([None, listener(port, pid)]))
    if kind == "fix":
        one = process(pid, *argv_of("gateway", None, folder, False), **more)
        assert one.gateway is not None
        return one._replace(gateway=one.gateway._replace(product=FIX)), None  # as IBC's settings file says
    if kind == "bob":
        one = process(pid, *argv_of("gateway", None, folder, False), user="bob", **more)
        return one, draw(st.sampled_from([None, listener(port, pid)]))
    if kind == "young":
        return process(pid, *argv_of("gateway", None, folder, False), age=20.0), None
    one = process(pid, *argv_of("gateway", None, folder, kind == "native"), served_before=draw(st.booleans()), **more)
    return one, listener(port, pid)


@st.composite
def desks_in_order(draw: st.DrawFn) -> Desk:
    """Each entry's gateway owns its port and serves sessions; nobody is named, and no limit is passed."""
    specs = tuple(
        each._replace(user="trader", client_patterns=()) for each in draw(declared()) if each.product != "tws"
    )
    facts: List[Process] = []
    heard: List[Listener] = []
    held: List[ApiConnection] = []
    others = [draw(scripts(800 + number)) for number in range(5)]
    number = 0
    for index, each in enumerate(specs):
        mode = draw(st.sampled_from([None, each.trading_mode, each.trading_mode.upper()]))
        argv = argv_of("gateway", mode, each.config_dir or draw(st.sampled_from([None, JTS])), False)
        facts.append(process(4000 + index, *argv, age=draw(st.sampled_from([20.0, 9e5])), unit=each.unit))
        heard.append(listener(each.port, 4000 + index))
        for _ in range(draw(st.integers(1, 1 if each.max_api_clients == 1 else 2))):
            number += 1
            session = draw(connections([(facts[-1], each.port)], others, number))
            lost = None if session.remote_host else session.lost_for
            held.append(
                session._replace(state="ESTABLISHED", accepted=True, sent=5000, received=500, idle=1.0, lost_for=lost)
            )
    for index in range(draw(st.integers(0, 3))):
        port = draw(st.sampled_from([7497, 4030, 7500])) + index
        one, ears = draw(bystanders(4100 + index, port))
        facts.append(one)
        if ears is not None and one.gateway:
            heard.append(ears)
            if draw(st.booleans()):
                number += 1
                held.append(connection(others[-1].pid, server=one.pid, port=ears.port, sent=5000, client_port=number))
    look = _snapshot(draw, [*facts, *others], heard, held)._replace(accept_queue_samples={}, keepers=())
    good = {each.name: probe(trading_mode=each.trading_mode) for each in specs}
    return Desk(specs, look, good)


@settings(max_examples=EXAMPLES, deadline=None)
@given(desks_in_order(), st.booleans())
def test_on_a_desk_that_works_nothing_is_done(desk: Desk, always: bool) -> None:
    for diagnosis, plan in desk.judged(always=always):
        assert plan.steps == (), [each.summary for each in diagnosis.findings if each.severity != INFO]
