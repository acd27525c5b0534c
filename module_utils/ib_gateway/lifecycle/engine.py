"""Talks to a container engine by its own command line: asks of containers, starts and restarts them.

The one place that runs docker or podman. As root, or as the account whose engine it is: podman of an account has its
own containers. Every call is bounded.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..base.container import ContainerState, Published
from ..base.plain_text import plain_text
from ..base.spec import Container, GatewaySpec
from ..observe import processes
from .accounts import PATH, Account, account_of, become, may_become

#: Seconds for what an engine answers at once; while it stops a container, it keeps others waiting for that one.
_PATIENCE = 20.0
_DOCKER_SOCKET = "docker.sock"
#: How often an engine is asked that says of a container that it runs while its first process is gone, and after how
#: many seconds. An engine whose own watcher was killed says so for ever.
_SETTLING, _MOMENT = 5, 0.3
#: What an answer of another shape than an engine's raises where it is read.
_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)
#: Labels that docker compose and podman-compose give to a service's containers.
_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"
#: What a row of `ps` has where `inspect` says nothing.
_LISTED = "{{.ID}} {{.Names}} {{.State}}"
#: Of one that another one needs.
_STATUS = "{{.State.Status}} {{.Name}}"
#: `compose run` makes a container of a service beside its own.
_ONE_OFF = "com.docker.compose.oneoff"


class EngineError(Exception):
    """The engine did not do as told; the message says what it said. pending: it is still at it."""

    def __init__(self, text: str, pending: bool = False) -> None:
        super().__init__(text)
        self.pending = pending


class NoSuchContainer(EngineError):
    """The engine knows no container of this name."""


def states_of(specs: Sequence[GatewaySpec]) -> Dict[str, ContainerState]:
    """By entry that names a container, what its engine says of it. Never raises: a state has the error."""
    found: Dict[str, ContainerState] = {}
    known: Dict[Tuple[Container, Optional[str]], ContainerState] = {}
    for spec in specs:
        if spec.container is not None:
            key = (spec.container, spec.user)
            if key not in known:
                known[key] = state_of(spec)
            found[spec.name] = known[key]
    return found


def state_of(spec: GatewaySpec) -> ContainerState:
    """What the engine says of an entry's container: that of the entry's user where that one has it, else root's."""
    container = spec.container or Container("")
    engine, name = container.engine, container.called
    first: Optional[ContainerState] = None
    for account in _accounts(spec):
        whose = account.name if account else None
        try:
            return _described(container, account, whose)
        except NoSuchContainer as error:
            found = ContainerState(engine, name, whose, exists=False, error=str(error))
        except EngineError as error:
            found = ContainerState(engine, name, whose, error=str(error))
        # What an engine denies counts less than one that cannot be asked.
        if first is None or (first.exists is False and found.exists):
            first = found
    return first or ContainerState(engine, name, error="nobody's %s can be asked for it" % engine)


def _described(container: Container, account: Optional[Account], whose: Optional[str]) -> ContainerState:
    """The container as its engine describes it. Raises EngineError."""
    for _attempt in range(_SETTLING):
        state = _told(container, account, whose)
        if not state.running or processes.read_stat(state.pid) is not None:
            return _with_shared(state, account) if state.shares else state
        time.sleep(_MOMENT)  # its first process has ended, and the engine is about to notice, or to start it again
    text = "%s says that container %s runs, and its first process (pid %d) is gone"
    return state._replace(error=text % (state.engine, state.name, state.pid))


def _told(container: Container, account: Optional[Account], whose: Optional[str]) -> ContainerState:
    engine, name = container.engine, container.called
    called = [container.name] if container.name else _of_service(container, account)
    try:
        shown = _ask(engine, account, "container", "inspect", *called)
    except NoSuchContainer:
        raise
    except EngineError:
        listing = _ask(engine, account, "ps", "--all", "--no-trunc", "--format", _LISTED)
        state = half_removed(engine, called[0], whose, listing) if len(called) == 1 else None
        if state is None:
            raise
        return state
    return parse(engine, name, whose, shown if container.name else only_one(engine, name, shown))


def _with_shared(state: ContainerState, account: Optional[Account]) -> ContainerState:
    """The state, with what of the containers that it needs is not up."""
    for number in state.shares:
        try:
            told = _ask(state.engine, account, "container", "inspect", "--format", _STATUS, number).split()
        except NoSuchContainer:
            return state._replace(lacks="container %s, which does not exist any more" % number[:12])
        except EngineError:
            continue
        if len(told) == 2 and told[0] not in ("running", "paused"):
            return state._replace(lacks="container %s, which is %s" % (told[1].lstrip("/"), told[0]))
    return state


def _of_service(container: Container, account: Optional[Account]) -> List[str]:
    """The ids of the containers that a compose service has. Raises NoSuchContainer where it has none."""
    labels = (_PROJECT, container.compose_project), (_SERVICE, container.compose_service)
    asked = [word for label, text in labels for word in ("--filter", "label=%s=%s" % (label, text))]
    ids = _ask(container.engine, account, "ps", "--all", "--no-trunc", "--format", "{{.ID}}", *asked).split()
    if not ids:
        raise NoSuchContainer("%s has no container %s" % (container.engine, container.called))
    return ids


def half_removed(engine: str, name: str, account: Optional[str], listing: str) -> Optional[ContainerState]:
    """A container that podman lists and cannot describe any more, because its removal was broken off. Pure."""
    rows = [row for row in (line.split() for line in listing.splitlines()) if len(row) == 3]
    found = [each for each in rows if each[1] == name or each[0].startswith(name)]
    if len(found) != 1 or found[0][2].lower() != "removing":
        return None
    return ContainerState(engine, found[0][1], account, id=found[0][0], status="removing")


def only_one(engine: str, name: str, text: str) -> str:
    """Of what `container inspect` has answered, the one container that is no single command's (`compose run`). Pure.

    Raises EngineError where there are several, since nothing tells which carries the gateway.
    """
    try:
        found = [each for each in json.loads(text) if not _once(_labels(each))]
        names = [str(each["Name"]).lstrip("/") for each in found]
    except _UNREADABLE as error:
        raise _unreadable(engine, error) from None
    if not found:
        raise NoSuchContainer("%s has no container %s but for those of single commands" % (engine, name))
    if len(found) > 1:
        raise EngineError("%s has several containers %s: %s" % (engine, name, ", ".join(sorted(names))))
    return json.dumps(found)


def _labels(shown: Mapping[str, Any]) -> Mapping[str, Any]:
    return (shown.get("Config") or {}).get("Labels") or {}


def _once(labels: Mapping[str, Any]) -> bool:
    """Whether a container was made for a single command."""
    return str(labels.get(_ONE_OFF)).lower() == "true"


def _compose(labels: Mapping[str, Any]) -> Optional[Tuple[str, str]]:
    project, service = labels.get(_PROJECT), labels.get(_SERVICE)
    return (str(project), str(service)) if project and service and not _once(labels) else None


def _unreadable(engine: str, error: Exception) -> EngineError:
    return EngineError("%s container inspect gave what cannot be read: %s" % (engine, type(error).__name__))


def _accounts(spec: GatewaySpec) -> List[Optional[Account]]:
    """Whose engines may have an entry's container: its user's own, and the host's, which is None."""
    accounts: List[Optional[Account]] = []
    account = account_of(spec.user)
    if account is not None and account.uid != 0 and may_become(account) and os.path.isdir(account.runtime_dir):
        engine = spec.container.engine if spec.container else ""
        if engine == "podman" or os.path.exists(os.path.join(account.runtime_dir, _DOCKER_SOCKET)):
            accounts.append(account)
    if os.geteuid() == 0 or not accounts:
        accounts.append(None)
    return accounts


def parse(engine: str, name: str, account: Optional[str], text: str) -> ContainerState:
    """What `container inspect` has answered. Raises EngineError on what is no such answer. Pure."""
    try:
        shown = json.loads(text)[0]
        state, host = shown["State"], shown.get("HostConfig") or {}
        policy = host.get("RestartPolicy") or {}
        health = state.get("Health") or state.get("Healthcheck") or {}
        return ContainerState(
            engine=engine,
            name=str(shown.get("Name") or name).lstrip("/"),
            account=account,
            id=str(shown["Id"]),
            status=str(state["Status"]),
            pid=int(state.get("Pid") or 0),
            exit_code=int(state.get("ExitCode") or 0),
            policy=str(policy.get("Name") or ""),
            restarts=int(shown.get("RestartCount") or 0),
            health=str(health.get("Status") or ""),
            published=tuple(sorted(_published(shown, host))),
            stop_timeout=float((shown.get("Config") or {}).get("StopTimeout") or 10),
            unit=_labels(shown).get("PODMAN_SYSTEMD_UNIT") or None,
            compose=_compose(_labels(shown)),
            # docker keeps one that it is told to restart.
            goes_with_its_end=bool(host.get("AutoRemove")) and engine != "docker",
            needs=tuple(_needs(engine, shown, host)),
            shares=tuple(_shares(shown, host)),
        )
    except _UNREADABLE as error:
        raise _unreadable(engine, error) from None


def _needs(engine: str, shown: Mapping[str, Any], host: Mapping[str, Any]) -> List[str]:
    """What of the host it has mounted, its root folder where that is no image, and its devices.

    docker makes a folder that `-v` names and that is not there; what `--mount` names has to be. podman, which may
    answer in its place, makes none.
    """
    mounts = (host if engine == "docker" and not _is_of_podman(shown) else shown).get("Mounts") or ()
    sources = [each.get("Source") for each in mounts if each.get("Type") == "bind" and not _makes_its_own(each)]
    devices = [each.get("PathOnHost") for each in host.get("Devices") or ()]
    root = str(shown.get("Rootfs") or "").partition(":")[0]  # podman writes how it is mounted behind it
    written = [os.path.dirname(str(each or "")) for each in _written(shown, host)]
    return [str(each) for each in (*sources, root, *devices, *written) if str(each or "").startswith("/")]


def _written(shown: Mapping[str, Any], host: Mapping[str, Any]) -> List[Any]:
    """The files that podman's watcher writes at each start, but for those in folders of podman's own."""
    named = [(host.get("LogConfig") or {}).get("Path"), shown.get("ConmonPidFile"), shown.get("PidFile")]
    return [each for each in named if "-containers/%s/" % shown.get("Id") not in str(each)]


def _is_of_podman(shown: Mapping[str, Any]) -> bool:
    """Whether podman has answered, by where it keeps what it makes for a container."""
    return "-containers/%s/userdata/" % shown.get("Id") in str(shown.get("HostnamePath") or "")


def _shares(shown: Mapping[str, Any], host: Mapping[str, Any]) -> List[str]:
    """The ids of the containers that have to be up for it to start."""
    modes = [str(host.get(each) or "") for each in ("NetworkMode", "PidMode", "IpcMode")]
    named = [mode.partition(":")[2] for mode in modes if mode.startswith("container:")]
    return list(dict.fromkeys([*(str(each) for each in shown.get("Dependencies") or ()), *named]))


def _makes_its_own(mount: Mapping[str, Any]) -> bool:
    return bool((mount.get("BindOptions") or {}).get("CreateMountpoint"))


def _published(shown: Mapping[str, Any], host: Mapping[str, Any]) -> List[Published]:
    """The TCP ports that are published; those of the running container, whose host ports are known, count most."""
    ports = (shown.get("NetworkSettings") or {}).get("Ports") or host.get("PortBindings") or {}
    found = []
    for inside, bindings in ports.items():
        number, _slash, protocol = inside.partition("/")
        for each in (bindings or ()) if protocol in ("", "tcp") else ():
            if str(each.get("HostPort") or "").isdigit():
                found.append(Published(_address(each.get("HostIp")), int(each["HostPort"]), int(number)))
    return found


def _address(text: Optional[str]) -> str:
    """A host's address as a listener has it; empty for all."""
    return "" if text in (None, "", "0.0.0.0", "::") else str(text)  # noqa: S104 - compared with


def start(state: ContainerState, seconds: float) -> None:
    """Starts a container. Raises EngineError, pending when the seconds are up."""
    _ask(state.engine, _account(state), "start", state.id or state.name, seconds=seconds)


def restart(state: ContainerState, seconds: float) -> None:
    """Restarts a container: it is asked to end, and killed after its own stop timeout. Raises EngineError, pending
    when the seconds are up."""
    _ask(state.engine, _account(state), "restart", state.id or state.name, seconds=seconds + state.stop_timeout)


def _account(state: ContainerState) -> Optional[Account]:
    account = account_of(state.account) if state.account else None
    if state.account and account is None:
        raise EngineError("this host has no account %s" % state.account)
    return account


def first_pid(engine: str, account: Optional[Account], name: str) -> int:
    """The first process of a container, as the host numbers it; 0 where it does not run, or cannot be asked."""
    try:
        told = _ask(engine, account, "container", "inspect", "--format", "{{.State.Pid}}", name).strip()
    except EngineError:
        return 0
    return int(told) if told.isdecimal() and len(told) < 12 else 0


def program(engine: str) -> Optional[str]:
    """The engine's command line; None where this host has none."""
    return shutil.which(engine, path=PATH)


def _ask(engine: str, account: Optional[Account], *arguments: str, seconds: float = _PATIENCE) -> str:
    path = program(engine)
    if path is None:
        raise EngineError("this host has no %s" % engine)
    told = " ".join([engine, *arguments])
    as_account: Dict[str, Any] = {"env": {**os.environ, "PATH": PATH, "LC_ALL": "C"}}
    if account is not None and account.uid != os.geteuid():
        environment = account.environment()
        if engine == "docker":
            environment["DOCKER_HOST"] = "unix://%s/%s" % (account.runtime_dir, _DOCKER_SOCKET)
        as_account = {"env": environment, "preexec_fn": become(account), "cwd": "/"}
    try:
        done: subprocess.CompletedProcess[bytes] = subprocess.run(
            [path, *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            **as_account,
        )
    except subprocess.TimeoutExpired:
        text = "%s has not come to an end within %g s; the engine may go on with it" % (told, seconds)
        raise EngineError(text, pending=True) from None
    except OSError as error:
        raise EngineError("%s failed: %s" % (told, error.strerror or type(error).__name__)) from None
    except subprocess.SubprocessError:
        whom = account.name if account else "root"
        raise EngineError("%s failed: this run may not act as %s" % (told, whom)) from None
    if done.returncode != 0:
        said = plain_text(done.stderr.decode("utf-8", "backslashreplace"))[-500:]
        kind = NoSuchContainer if "no such" in said.lower() else EngineError
        raise kind("%s failed: %s" % (told, said or "status %d" % done.returncode))
    return done.stdout.decode("utf-8", "backslashreplace")
