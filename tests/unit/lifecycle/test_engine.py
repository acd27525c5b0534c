"""What a container engine's answers mean: those of podman 4.3.1 and docker 20.10, cut to what is read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict

import pytest
from ansible.module_utils.ib_gateway.base.container import ContainerState, Published
from ansible.module_utils.ib_gateway.base.spec import Container
from ansible.module_utils.ib_gateway.lifecycle import container, engine

PODMAN: Dict[str, Any] = {
    "Id": "29" * 32,
    "State": {"Status": "running", "Pid": 13457, "ExitCode": 0, "Health": {"Status": "", "Log": None}},
    "RestartCount": 0,
    "Config": {"Labels": {"PODMAN_SYSTEMD_UNIT": "ib.service"}, "StopTimeout": 10},
    "HostConfig": {"RestartPolicy": {"Name": "", "MaximumRetryCount": 0}, "PortBindings": {}},
    "NetworkSettings": {"Ports": {"4003/tcp": [{"HostIp": "127.0.0.1", "HostPort": "14001"}], "5900/tcp": None}},
}
DOCKER: Dict[str, Any] = {
    "Id": "94" * 32,
    "State": {"Status": "exited", "Pid": 0, "ExitCode": 137},
    "RestartCount": 2,
    "Config": {"Labels": {}},
    "HostConfig": {
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        "PortBindings": {"4003/tcp": [{"HostIp": "", "HostPort": "4001"}], "53/udp": [{"HostPort": "53"}]},
    },
    "NetworkSettings": {"Ports": {}},
}


def read(shown: Dict[str, Any], kind: str = "podman") -> ContainerState:
    return engine.parse(kind, "ib", None, json.dumps([shown]))


def test_what_podman_says_of_a_container_that_runs() -> None:
    state = read(PODMAN)
    assert (state.status, state.pid, state.running, state.unit) == ("running", 13457, True, "ib.service")
    assert state.published == (Published("127.0.0.1", 14001, 4003),) and state.stop_timeout == 10


def test_what_docker_says_of_one_that_has_ended() -> None:
    state = read(DOCKER, "docker")
    assert (state.status, state.running, state.exit_code, state.policy) == ("exited", False, 137, "on-failure")
    assert state.published == (Published("", 4001, 4003),) and state.unit is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[1]", '[{"Id": "a"}]', '[{"Id": "a", "State": {"Status": "x", "Pid": "y"}}]']
)
def test_an_answer_that_cannot_be_read_is_told_and_not_guessed_at(text: str) -> None:
    with pytest.raises(engine.EngineError, match="cannot be read"):
        engine.parse("docker", "ib", None, text)


@pytest.mark.parametrize(
    ("status", "policy", "exit_code", "back"),
    [
        ("stopped", "always", 0, True),
        ("stopped", "unless-stopped", 3, True),
        ("stopped", "on-failure", 3, True),
        ("stopped", "on-failure", 0, False),
        ("stopped", "", 3, False),
        ("exited", "always", 3, False),
        ("stopping", "always", 0, True),
        ("stopping", "no", 0, False),
        ("restarting", "", 0, True),
    ],
)
def test_a_container_that_its_engine_is_about_to_start_again_is_coming_back(
    status: str, policy: str, exit_code: int, back: bool
) -> None:
    state = ContainerState("podman", "ib", status=status, policy=policy, exit_code=exit_code)
    assert state.comes_back is back and state.as_unit(False).comes_back is back


@pytest.mark.parametrize("policy", ["no", "always"])
def test_a_container_that_is_being_stopped_has_its_processes_as_long_as_they_last(policy: str) -> None:
    state = ContainerState("podman", "ib", status="stopping", policy=policy, pid=7)
    assert state.running and not state.comes_back and state.as_unit(True).active == "deactivating"


def service(name: str, **labels: str) -> Dict[str, Any]:
    """A container of a compose service."""
    return {**DOCKER, "Name": "/" + name, "Config": {"Labels": labels}}


def test_the_container_of_a_compose_service_is_the_one_that_no_single_command_has_made() -> None:
    text = json.dumps([service("desk-live-run-1", **{"com.docker.compose.oneoff": "True"}), service("desk-live-1")])
    state = engine.parse("docker", "?", None, engine.only_one("docker", "of compose service live", text))
    assert state.name == "desk-live-1" and state.label == "docker container desk-live-1"


def test_a_container_s_labels_tell_whose_compose_service_it_is_unless_a_single_command_has_made_it() -> None:
    labels = {"com.docker.compose.project": "desk", "com.docker.compose.service": "live"}
    once = {"com.docker.compose.oneoff": "True"}
    assert read(service("a", **labels), "docker").compose == ("desk", "live")
    assert read(service("a", **labels, **once), "docker").compose is None
    assert read(service("a", **{"com.docker.compose.project": "desk"}), "docker").compose is None
    assert read(PODMAN).compose is None


def test_of_several_containers_of_a_compose_service_none_is_taken() -> None:
    text = json.dumps([service("desk-live-2"), service("desk-live-1")])
    with pytest.raises(engine.EngineError, match="several containers of X: desk-live-1, desk-live-2"):
        engine.only_one("docker", "of X", text)
    alone = json.dumps([service("desk-live-run-1", **{"com.docker.compose.oneoff": "True"})])
    with pytest.raises(engine.NoSuchContainer):
        engine.only_one("docker", "of X", alone)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"Id": "a"}]'])
def test_what_an_engine_says_of_a_compose_service_and_cannot_be_read_is_told(text: str) -> None:
    with pytest.raises(engine.EngineError, match=r"cannot be read|has no container"):
        engine.only_one("docker", "of X", text)


def test_a_container_that_is_listed_as_removing_and_not_described_is_one_whose_removal_was_broken_off() -> None:
    listing = "29aa ib removing\n94bb ib-old Removing\n77cc other Up\n"
    for name in ("ib", "29", "29aa"):
        state = engine.half_removed("podman", name, "trader", listing)
        assert state is not None and (state.name, state.id, state.account) == ("ib", "29aa", "trader")
        assert (state.status, state.exists, state.running, state.error) == ("removing", True, False, "")
    for name in ("other", "none", ""):
        assert engine.half_removed("podman", name, None, listing) is None
    assert engine.half_removed("podman", "ib", None, "") is None


@pytest.mark.parametrize(
    ("status", "carries", "active", "empty", "back"),
    [
        ("running", True, "active", False, False),
        ("running", False, "active", True, False),
        ("restarting", False, "activating", False, True),
        ("stopped", False, "inactive", False, False),
        ("exited", False, "inactive", False, False),
        ("created", False, "inactive", False, False),
        ("removing", False, "inactive", False, False),
        ("dead", False, "inactive", False, False),
    ],
)
def test_a_container_s_state_in_the_words_in_which_rules_think(
    status: str, carries: bool, active: str, empty: bool, back: bool
) -> None:
    unit = ContainerState("podman", "ib", status=status, pid=1).as_unit(carries)
    assert (unit.active, unit.holds_without_process, unit.comes_back) == (active, empty, back)
    assert unit.title == "podman container ib" and unit.manager == "podman"


def test_what_of_the_host_a_container_needs_at_each_start_is_read_and_looked_for(tmp_path: Path) -> None:
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.mkdir()
    shown: Dict[str, Any] = {
        "Id": "1",
        "Name": "ib",
        "State": {"Status": "running", "Pid": 7},
        "Mounts": [{"Type": "bind", "Source": str(there)}, {"Type": "volume", "Source": "/var/lib/volumes/x"}],
        "HostConfig": {"Devices": [{"PathOnHost": "/dev/null"}]},
        "Rootfs": "%s:O" % gone,
    }
    state = engine.parse("podman", "ib", None, json.dumps([shown]))
    assert state.needs == (str(there), str(gone), "/dev/null")
    shown["HostConfig"]["Mounts"] = [{"Type": "bind", "Source": "/srv/a"}, {"Type": "volume", "Source": "x"}]
    of_docker = engine.parse("docker", "ib", None, json.dumps([shown]))
    assert of_docker.needs == ("/srv/a", str(gone), "/dev/null"), "it makes what -v names"
    of_unit = state._replace(unit="ib.service", status="exited", pid=0)
    assert container._blocker(of_unit) is None, "its unit may make them before"
    told = container._blocker(state) or ""
    assert f"the podman container ib needs {gone} of this host at each start, which does not exist" in told
    gone.mkdir()
    assert container._blocker(state) is None


def test_folders_in_which_podman_s_watcher_writes_have_to_be_there_unless_they_are_its_own(tmp_path: Path) -> None:
    own = "/run/containers/storage/overlay-containers/1/userdata/%s"
    shown: Dict[str, Any] = {
        "Id": "1",
        "State": {"Status": "running", "Pid": 7},
        "ConmonPidFile": str(tmp_path / "gone/pid"),
        "PidFile": own % "pidfile",
        "HostConfig": {"LogConfig": {"Path": own % "ctr.log"}},
    }
    assert engine.parse("podman", "ib", None, json.dumps([shown])).needs == (str(tmp_path / "gone"),)
    shown["HostConfig"]["LogConfig"]["Path"] = "/srv/log/ib.log"
    assert "/srv/log" in engine.parse("podman", "ib", None, json.dumps([shown])).needs


def test_podman_that_answers_in_the_place_of_docker_makes_no_folder(tmp_path: Path) -> None:
    shown: Dict[str, Any] = {
        "Id": "1",
        "State": {"Status": "running", "Pid": 7},
        "Mounts": [{"Type": "bind", "Source": str(tmp_path / "gone")}],
        "HostnamePath": "/run/containers/storage/overlay-containers/1/userdata/hostname",
    }
    assert engine.parse("docker", "ib", None, json.dumps([shown])).needs == (str(tmp_path / "gone"),)
    shown["HostnamePath"] = "/var/lib/docker/containers/1/hostname"
    assert engine.parse("docker", "ib", None, json.dumps([shown])).needs == ()


@pytest.mark.parametrize(
    "more",
    [
        {"Dependencies": ["2"]},
        {"HostConfig": {"NetworkMode": "container:2"}},
        {"HostConfig": {"PidMode": "container:2"}, "Dependencies": ["2"]},
    ],
)
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("exited /vpn", "the podman container ib needs container vpn, which is exited: start that first"),
        ("running /vpn", ""),
        (engine.NoSuchContainer("no such container"), "needs container 2, which does not exist any more"),
        (engine.EngineError("it does not answer"), ""),
    ],
)
def test_a_container_that_shares_what_another_one_has_is_not_ended_where_that_is_not_up(
    monkeypatch: pytest.MonkeyPatch, more: Dict[str, Any], answer: Any, says: str
) -> None:
    shown = {"Id": "1", "Name": "ib", "State": {"Status": "running", "Pid": os.getpid()}, **more}

    def ask(_engine: str, _account: Any, *arguments: str, **_more: Any) -> str:
        if "--format" not in arguments:
            return json.dumps([shown])
        assert arguments[-1] == "2"
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setattr(engine, "_ask", ask)
    state = engine._described(Container("podman", "ib"), None, None)
    told = container._blocker(state) or ""
    assert says in told and bool(told) is bool(says)
    assert container._blocker(state._replace(unit="ib.service")) is None, "its unit may make it anew"


@pytest.mark.parametrize(
    ("program", "more", "kept"),
    [("podman", {}, False), ("docker", {}, True), ("podman", {"PODMAN_SYSTEMD_UNIT": "ib.service"}, True)],
)
def test_a_container_that_its_end_removes_is_not_ended(program: str, more: Dict[str, str], kept: bool) -> None:
    shown = {
        "Id": "1",
        "State": {"Status": "running", "Pid": 7},
        "HostConfig": {"AutoRemove": True},
        "Config": {"Labels": more},
    }
    told = container._blocker(engine.parse(program, "ib", None, json.dumps([shown]))) or ""
    assert told == (
        ""
        if kept
        else "the podman container ib is removed as soon as it ends (--rm), with all that is in it: restart it by hand"
    )
