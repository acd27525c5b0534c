"""Hundreds of made-up desks that share their host with an attacker: whom a plan may mean, whatever he starts.

The oracle knows who is who, because it made them; the project only sees what a look sees.
"""

from __future__ import annotations

import random
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Set

import pytest
from ansible.module_utils.ib_gateway.base.host import ApiConnection, Client, Folder, Process, Snapshot
from ansible.module_utils.ib_gateway.base.plan import Step
from ansible.module_utils.ib_gateway.base.probe import Probe
from ansible.module_utils.ib_gateway.base.spec import GatewaySpec
from ansible.module_utils.ib_gateway.decide import claims, planning
from ansible.module_utils.ib_gateway.decide.assign import entries_of
from ansible.module_utils.ib_gateway.decide.diagnosis import diagnose
from unit.facts import FOLDER, UNIT, connection, gateway, listener, probe, process, script, snapshot, spec

DESKS = 600
OWNER, MALLORY = "trader", "mallory"
OUTCOMES = ("ready", "refused", "silent", "dropped", "stalled", "upstream_down", "client_id_in_use")


class Desk(NamedTuple):
    """A host, its entry, and what is true of it. gateways, clients: pids that a plan may mean as such."""

    spec: GatewaySpec
    look: Snapshot
    shaken: Optional[Probe]
    gateways: Set[int]
    clients: Set[int]
    attacker: Set[int]


class Making:
    """One desk in the making."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - a desk made up for a test
        self.facts: List[Any] = []
        self.gateways: Set[int] = set()
        self.clients: Set[int] = set()
        self.attacker: Set[int] = set()
        self._pids = self.chance.sample(range(100, 60_000), 60)

    def often(self, share: float) -> bool:
        return self.chance.random() < share

    def pid(self) -> int:
        return self._pids.pop()

    def add(self, one: Process) -> Process:
        self.facts.append(one)
        return one

    def session(self, server: int, *holders: Process, maker: str, **more: Any) -> ApiConnection:
        made = connection(
            *(each.pid for each in holders),
            server=server,
            client_port=self.chance.randrange(20_000, 60_000),
            client_user=maker,
            idle=self.chance.choice((1.0, 50.0, 4000.0, 90_000.0)),
            sent=self.chance.choice((0, 60, 5000)),
            received=self.chance.choice((0, 60, 5000)),
            cookie=self.chance.choice((None, 77, 77, 77)),
            state="ESTABLISHED" if self.often(0.9) else "CLOSE_WAIT",
            accepted=self.often(0.95),
            **more,
        )
        self.facts.append(made)
        return made


def real_part(making: Making) -> List[Process]:
    """The declared account's own gateways and scripts."""
    found = []
    for _ in range(making.chance.choice((0, 1, 1, 1, 1, 2))):
        one = gateway(
            making.pid(), user=OWNER, unit=making.chance.choice((None, UNIT)), age=making.chance.choice((5.0, 9e5))
        )
        found.append(making.add(one))
        making.gateways.add(one.pid)
        if making.often(0.8):
            making.facts.append(listener(4001, one.pid, accept_queue=making.chance.choice((0, 50))))
        for _ in range(making.chance.choice((0, 1, 2, 3))):
            client = making.add(script(making.pid(), user=OWNER, unit=making.chance.choice((None, "bots.service"))))
            making.clients.add(client.pid)
            making.session(one.pid, client, maker=OWNER)
    if making.often(0.3):
        making.clients.add(making.add(script(making.pid(), user=OWNER)).pid)  # named by a pattern, not connected
    return found


def fake_gateways(making: Making) -> None:
    """His own programs with the gateway's command line: on the port, on another address of it, or on none."""
    for _ in range(making.chance.choice((0, 0, 1, 2))):
        folder = making.chance.choice((FOLDER, FOLDER, "/home/mallory", None))
        fake = making.add(
            gateway(
                making.pid(),
                folder,
                user=MALLORY,
                cwd=making.chance.choice((FOLDER, "/tmp", None)),  # noqa: S108 - a name, not a file
                mode=making.chance.choice((None, "live", "paper")),
                age=making.chance.choice((1.0, 9e6)),
                served_before=making.often(0.2),
            )
        )
        making.attacker.add(fake.pid)
        if making.often(0.7):
            address = making.chance.choice(("127.0.0.2", "::", "127.0.0.1"))
            making.facts.append(listener(4001, fake.pid, address=address, families=("ipv4",), user=MALLORY))
        if making.often(0.4):
            victim = making.add(script(making.pid(), user=OWNER))  # whom he has got to connect to his own
            making.clients.add(victim.pid)
            making.session(fake.pid, victim, maker=OWNER)


def parked(making: Making, servers: List[Process]) -> None:
    """Connections that he opened and whose descriptors he gave to others; sessions that others hold beside him."""
    for _ in range(making.chance.choice((0, 0, 1, 3)) if servers else 0):
        server = making.chance.choice(servers)
        user, unit = making.chance.choice(
            (("messagebus", "dbus.service"), ("root", "systemd-logind.service"), ("root", None), ("bob", None))
        )
        holder = making.add(process(making.pid(), "/usr/bin/dbus-daemon", "--system", user=user, unit=unit))
        more = [making.add(script(making.pid(), user=MALLORY))] if making.often(0.5) else []
        making.clients |= {each.pid for each in more}  # who opened it himself is a client like any other
        making.session(server.pid, holder, *more, maker=MALLORY)
    if servers and making.often(0.3):
        # A system service of another account that really connects, such as a monitoring agent.
        agent = making.add(process(making.pid(), "/usr/sbin/agent", user="nagios", unit="agent.service"))
        making.session(making.chance.choice(servers).pid, agent, maker="nagios")


def bait(making: Making) -> None:
    """What patterns would name: his own scripts, editors, other accounts', and other programs of the desk."""
    for argv in (("python3", "bot.py"), ("vim", "bot.py"), ("bot",), ("python3", "-c", "bot.py"), ("sleep", "bot.py")):
        if making.often(0.4):
            user = making.chance.choice((MALLORY, "root", "bob"))
            making.add(process(making.pid(), *argv, user=user))
    if making.often(0.3):
        making.add(process(making.pid(), "python3", "bot.py", user="root", own_run=True))


def desk(seed: int) -> Desk:
    """A desk of that number, the same each time."""
    making = Making(seed)
    declared = spec(
        # What says whose the gateway is: the account, the folder's owner, or both.
        user=making.chance.choice((OWNER, OWNER, None)),
        client_patterns=making.chance.choice(((), ("bot",), (r"bot\.py",))),
        protected_clients=making.chance.choice(((), ("agent",))),
        max_api_clients=making.chance.choice((None, 1, 2)),
        allow_restart_with_clients=making.often(0.5),
        allow_kill=making.often(0.5),
    )
    servers = real_part(making)
    fake_gateways(making)
    parked(making, servers)
    bait(making)
    making.chance.shuffle(making.facts)
    look = snapshot(*making.facts, units={UNIT: 9e5} if making.often(0.1) else {})
    look = look._replace(folders={FOLDER: Folder(FOLDER, OWNER)})
    shaken = probe(making.chance.choice(OUTCOMES)) if making.often(0.7) else None
    return Desk(declared, look, shaken, making.gateways, making.clients, making.attacker)


def steps(one: Desk) -> List[Step]:
    """The plan of a desk's entry."""
    entry = entries_of([one.spec], one.look)[0][0]
    return list(planning.plan(diagnose(entry, one.look, one.shaken)).steps)


def meant(step: Step) -> Mapping[str, Set[int]]:
    """The pids that a step would signal or cut, by what they are taken for."""
    target = step.target
    found: Dict[str, Set[int]] = {"gateway": set(), "client": set()}
    if step.action == "drop_connection":
        found["gateway"].add(target["gateway_process"]["pid"])
        found["client"] |= {each["pid"] for each in target["client_processes"]}
    elif step.action in ("stop_client", "stop_gateway"):
        found[target["role"]].add(target["pid"])
    elif step.action == "restart" and target.get("process"):
        found["gateway"].add(target["process"]["pid"])
    return found


def wrong(one: Desk) -> List[str]:
    """Steps of a desk's plan that mean somebody they must not mean."""
    found = []
    for step in steps(one):
        whom = meant(step)
        if whom["gateway"] - one.gateways or whom["client"] - one.clients:
            found.append("%s: %s" % (step.action, dict(whom)))
    return found


def test_no_plan_means_anybody_but_the_declared_account_s_gateways_and_clients() -> None:
    found = {seed: wrong(desk(seed)) for seed in range(DESKS)}
    assert {seed: told for seed, told in found.items() if told} == {}


def test_the_desks_are_worth_looking_at() -> None:
    """Plans are made on them, of every kind, although an attacker is there."""
    actions = [step.action for seed in range(DESKS) if desk(seed).attacker for step in steps(desk(seed))]
    assert {"stop_client", "drop_connection", "stop_gateway", "restart", "start"} <= set(actions)


def test_the_oracle_sees_a_project_that_believes_argv(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what argv says taken for proof, plans do mean the attacker's processes, and the oracle says so."""
    monkeypatch.setattr(claims, "_account_may", lambda *_: True)
    desks = [desk(seed) for seed in range(DESKS)]
    believing = [each._replace(spec=each.spec._replace(user=None)) for each in desks]
    assert any(wrong(each) for each in believing)


def test_the_oracle_sees_a_project_that_takes_every_holder_of_a_connection_for_its_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Client, "parked", property(lambda _client: False))
    assert any(wrong(desk(seed)) for seed in range(DESKS))


def test_two_accounts_that_claim_one_identity_are_unknown_and_nobody_is_touched() -> None:
    """Nothing says whose the gateway is: no account, and the folder is not there."""
    for lower, higher in ((OWNER, MALLORY), (MALLORY, OWNER)):
        for config_dir in (FOLDER, None):
            one = spec(user=None, config_dir=config_dir, service=None, max_api_clients=None)
            look = snapshot(gateway(50, user=lower), gateway(900, user=higher), listener(4001, 50), listener(4001, 900))
            entry = entries_of([one], look)[0][0]
            found = diagnose(entry, look, None)
            assert found.status == "unknown" and planning.plan(found).steps == (), found
            assert "claimed_by_another_account" in [each.code for each in found.findings]
