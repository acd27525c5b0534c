"""The unit that exists for a process which is to end: who looks and who acts are told the same of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, FrozenSet, List, Optional, Sequence

import pytest
from ansible.module_utils.ib_gateway.act import own_unit as act
from ansible.module_utils.ib_gateway.act.held_process import Refused, Target
from ansible.module_utils.ib_gateway.base.host import Process
from ansible.module_utils.ib_gateway.base.unit import OwnUnit, UnitMember
from ansible.module_utils.ib_gateway.lifecycle import bound_units, detach, systemctl
from ansible.module_utils.ib_gateway.lifecycle import own_unit as own_units
from ansible.module_utils.ib_gateway.lifecycle.accounts import Account
from ansible.module_utils.ib_gateway.lifecycle.own_unit import around, own_unit
from ansible.module_utils.ib_gateway.observe import linux, processes
from unit.facts import gateway

UNIT = "sched.service"
SHELL, GATEWAY, CHILD, JOB, ALIEN = 50, 60, 61, 70, 90
PARENTS = {SHELL: 1, GATEWAY: SHELL, CHILD: GATEWAY, JOB: SHELL, ALIEN: 1}
COMMANDS = {SHELL: ("/bin/bash", "start.sh"), GATEWAY: ("java",), CHILD: ("jcef",), JOB: ("sleep", "7201")}


class Host:
    """A unit with these members and this main process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.main_pid, self.members = SHELL, {SHELL, GATEWAY}
        self.whose: Optional[str] = None
        self.shown: Dict[str, Dict[str, str]] = {UNIT: {}, "bot.service": {"ControlGroup": "/bot"}}
        monkeypatch.setattr(systemctl, "show", self.show)
        monkeypatch.setattr(processes, "ancestors", self.ancestors)
        monkeypatch.setattr(processes, "pids", lambda: list(PARENTS))
        monkeypatch.setattr(processes, "read_unit", lambda pid: UNIT if pid in self.members else None)
        monkeypatch.setattr(processes, "read_argv", lambda pid: COMMANDS.get(pid, ()))
        inside = (UnitMember(7, "trader", ("python3", "bot.py"), "other"),)
        monkeypatch.setattr(bound_units, "members_of", lambda group, **_more: inside if group == "/bot" else ())

    def show(self, units: Sequence[str], account: Optional[Account] = None) -> List[Dict[str, str]]:
        assert (account and account.name) == self.whose, "another systemd is asked"
        return [{**self.shown[each], **({"MainPID": str(self.main_pid)} if each == UNIT else {})} for each in units]

    @staticmethod
    def ancestors(pid: int) -> FrozenSet[int]:
        return frozenset({pid}) | (Host.ancestors(PARENTS[pid]) if pid in PARENTS else frozenset())

    def told(self) -> OwnUnit:
        """What a look is told, after making sure that an act does the same."""
        found = own_unit(UNIT, GATEWAY)
        target = Target(GATEWAY, 1, "boot", unit=UNIT)
        if found.refused:
            with pytest.raises(Refused, match=re.escape(found.refused)):
                act.unit_to_stop(target)
        else:
            assert act.unit_to_stop(target) == (UNIT if found.stopped else None)
        return found


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


@pytest.mark.parametrize("main", [SHELL, GATEWAY])
def test_the_unit_of_a_process_that_is_alone_in_it_is_stopped(host: Host, main: int) -> None:
    host.main_pid = main
    assert host.told() == OwnUnit(UNIT, stopped=True)


def test_what_the_process_has_started_itself_ends_with_the_unit(host: Host) -> None:
    host.members |= {CHILD}
    assert host.told() == OwnUnit(UNIT, stopped=True, others=frozenset({CHILD}))


@pytest.mark.parametrize("other", [JOB, ALIEN])
def test_a_unit_with_somebody_else_in_it_is_not_stopped_and_they_may_end_with_its_main_process(
    host: Host, other: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COMMANDS, ALIEN, ("python3", "job.py"))
    host.members |= {CHILD, other}
    assert host.told() == OwnUnit(UNIT, others=frozenset({CHILD, other}))


@pytest.mark.parametrize("mode", ["process", "none"])
def test_where_a_stop_leaves_others_behind_they_do_not_end_with_the_process(host: Host, mode: str) -> None:
    host.shown[UNIT] = {"LoadState": "loaded", "KillMode": mode}
    host.members |= {CHILD}
    assert host.told() == OwnUnit(UNIT, stopped=True)


def test_a_unit_whose_main_process_is_another_one_goes_on(host: Host) -> None:
    host.main_pid, host.members = JOB, {JOB, GATEWAY}
    assert host.told() == OwnUnit(UNIT, apart=True)
    host.main_pid = 0  # nobody knows what it goes on with
    assert host.told() == OwnUnit(UNIT)


def test_nothing_is_ended_where_another_unit_goes_down_with_it_or_systemd_does_not_answer(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.shown[UNIT] = {"RequiredBy": "bot.service"}
    assert host.told().refused == "bot.service goes down with sched.service and carries pid 7 of trader"

    host.shown[UNIT] = {"LoadState": "loaded", "FailureAction": "reboot"}
    assert host.told().refused == "systemd would act on the whole host where sched.service ends (FailureAction=reboot)"
    host.shown[UNIT] = {"OnFailure": "bot.service"}
    host.shown["bot.service"] = {"Conflicts": "paper.service"}
    host.shown["paper.service"] = {"ControlGroup": "/bot"}
    told = "paper.service is stopped by what is started after sched.service and carries pid 7 of trader"
    assert host.told().refused == told

    def silent(*_asked: object, **_more: object) -> None:
        raise systemctl.UnitError("systemctl show was not answered within 20 s", pending=True)

    monkeypatch.setattr(systemctl, "show", silent)
    assert host.told().refused == "systemctl show was not answered within 20 s"


def test_a_process_without_a_unit_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(systemctl, "show")
    assert act.unit_to_stop(Target(GATEWAY, 1, "boot")) is None


def test_nothing_is_ended_where_what_its_unit_runs_then_ends_another_gateway(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = {pid: gateway(pid)._replace(uid=0) for pid in (GATEWAY, 80)}
    monkeypatch.setattr(linux, "gateways", lambda: {GATEWAY: both[GATEWAY]})
    pkill = "{ path=/usr/bin/pkill ; argv[]=/usr/bin/pkill -f IbcGateway ; ignore_errors=no ; pid=0 }"
    host.shown[UNIT] = {"ExecStopPost": pkill, "ExecStartPre": pkill}
    assert host.told().stopped, "it may end its own"
    monkeypatch.setattr(linux, "gateways", lambda: both)
    assert host.told().refused == (
        "what is run when sched.service ends has `/usr/bin/pkill -f IbcGateway`, which ends gateway pid 80"
    )
    host.shown[UNIT] = {"ExecStartPre": pkill}
    assert host.told().stopped, "it is not started"
    host.shown[UNIT] = {"OnFailure": "panic.service"}
    host.shown["panic.service"] = {"ExecStart": pkill}
    assert "which ends gateway pid 80" in host.told().refused


@pytest.fixture
def booted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Systemd is the host's first process."""
    monkeypatch.setattr(detach, "BOOTED", str(tmp_path))


def refused_at_the_act(told: Optional[OwnUnit]) -> str:
    """Why the act does not end the process; as the look has said."""
    assert told is not None
    with pytest.raises(Refused, match=re.escape(told.refused)):
        act.unit_to_stop(Target(GATEWAY, 1, "boot"))
    return told.refused


@pytest.mark.usefixtures("booted")
def test_what_a_unit_sets_off_is_asked_as_well_where_it_is_not_stopped_for_the_sake_of_others_in_it(
    host: Host,
) -> None:
    host.main_pid = GATEWAY
    host.shown[UNIT] = {"FailureAction": "reboot"}
    assert "act on the whole host" in refused_at_the_act(around(GATEWAY))
    act.unit_to_stop(Target(GATEWAY, 1, "boot", unit_weighed=True))
    host.shown[UNIT] = {}
    host.members |= {CHILD}
    assert around(GATEWAY) == OwnUnit(UNIT, others=frozenset({CHILD}))
    assert act.unit_to_stop(Target(GATEWAY, 1, "boot")) is None


@pytest.mark.usefixtures("booted")
def test_a_service_that_goes_on_without_a_process_sets_off_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.shown[UNIT] = {"FailureAction": "reboot"}
    monkeypatch.setitem(COMMANDS, SHELL, ("/usr/sbin/cron",))
    assert around(GATEWAY) is None, "what it was started by is another program, and does not wait for it"
    host.main_pid = JOB
    assert around(GATEWAY) is None


def test_where_systemd_is_not_the_first_process_nobody_is_asked(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(detach, "BOOTED", str(tmp_path / "none"))
    monkeypatch.delattr(systemctl, "show")
    assert around(GATEWAY) is None and host.main_pid


def test_a_process_of_a_unit_of_an_account_has_that_account_s_systemd_asked(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trader = Account("trader", 1000, 1000, frozenset(), "/home/trader", "/bin/sh")
    monkeypatch.setattr(own_units, "account_by", lambda uid: trader if uid == 1000 else None)
    monkeypatch.setattr(Account, "runtime_dir", str(tmp_path))
    monkeypatch.setattr(processes, "read_unit", lambda _pid: None)
    monkeypatch.setattr(processes, "read_user_unit", lambda pid: (1000, UNIT) if pid in host.members else None)
    host.whose, host.main_pid, host.shown[UNIT] = "trader", GATEWAY, {"RequiredBy": "bot.service"}
    assert around(GATEWAY) is None, "without a systemd of its own that runs, nothing is set off"
    (tmp_path / "systemd").mkdir()
    (tmp_path / "systemd/private").touch()
    told = refused_at_the_act(around(GATEWAY))
    assert told == "bot.service goes down with sched.service and carries pid 7 of trader"
    host.shown[UNIT] = {}
    host.members |= {CHILD}
    assert around(GATEWAY) == OwnUnit(UNIT, others=frozenset({CHILD}))


def test_nothing_is_ended_where_what_its_unit_runs_then_ends_a_script_that_is_to_stay(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux, "gateways", dict)
    bot = gateway(80)._replace(uid=0, gateway=None, argv=("python3", "bot.py"), command=("python3", "bot.py"))
    pkill = "{ path=/usr/bin/pkill ; argv[]=/usr/bin/pkill -f bot.py ; ignore_errors=no ; pid=0 }"
    host.shown[UNIT] = {"ExecStopPost": pkill}
    assert host.told().stopped
    assert own_unit(UNIT, GATEWAY, staying=lambda: [bot]).refused == (
        "what is run when sched.service ends has `/usr/bin/pkill -f bot.py`, which ends pid 80 (python3 bot.py)"
    )


def test_a_unit_of_an_account_is_stopped_by_that_account_s_systemd_and_by_no_other(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    trader = Account("trader", 1000, 1000, frozenset(), "/home/trader", "/bin/sh")
    told: List[object] = []
    for module in (own_units, act):
        monkeypatch.setattr(module, "account_by", lambda uid: trader if uid == 1000 else None)
    monkeypatch.setattr(systemctl, "stop", lambda unit, account=None: told.append((unit, account)))
    monkeypatch.setattr(processes, "read_unit", lambda _pid: None)
    monkeypatch.setattr(processes, "read_user_unit", lambda pid: (1000, UNIT) if pid in host.members else None)
    host.whose = "trader"
    assert own_unit(UNIT, GATEWAY, 1000) == OwnUnit(UNIT, stopped=True)
    target = Target.named({"pid": GATEWAY, "started_ticks": 1, "boot_id": "boot", "unit": UNIT, "unit_uid": 1000})
    assert act.unit_to_stop(target) == UNIT
    act.stop(target)
    assert told == [(UNIT, trader)]
    with pytest.raises(Refused, match=r"only root can ask the systemd that sched\.service is a unit of"):
        act.unit_to_stop(Target(GATEWAY, 1, "boot", unit=UNIT, unit_uid=1001))


def test_where_who_else_would_end_cannot_be_seen_the_process_is_refused_and_the_others_of_the_call_go_on(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unseen() -> List[Process]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(linux, "gateways", dict)
    host.shown[UNIT] = {"ExecStopPost": "{ path=/bin/x ; argv[]=/bin/x ; ignore_errors=no ; pid=0 }"}
    with pytest.raises(Refused, match="who else would end with its unit cannot be seen: Permission denied"):
        act.unit_to_stop(Target(GATEWAY, 1, "boot", unit=UNIT), unseen)
