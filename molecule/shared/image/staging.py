"""Starts what a scenario stages on a lab host, and remembers it. molecule/README.md lists the steps. Needs root."""

import json
import os
import pwd
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

from looking import (
    RUNTIME,
    SERVER,
    args_of,
    connected,
    disk,
    gateways,
    listeners,
    pids_with,
    properties,
    remote_clients,
    run,
    session,
    systemctl,
    unanswered,
)

STATE = Path("/run/lab")
STAGED = STATE / "staged.json"
#: The main class of a native launch.
NATIVE = "install4j.ibgateway.GWClient"
DATA = "/srv/ibgateway"
OWNER = "trader"
READY_WITHIN = 45.0  # seconds
#: Where IBC's command server listens.
COMMANDS = 7462
#: Runs when the next session of root begins; see looked_at.
AT_LOOK = STATE / "at_look"
ACCOUNTS = {"live": "U1234567", "paper": "DU1234567"}

Thing = Dict[str, Any]


class Stage:
    """Starts one thing after the other and knows them by name."""

    def __init__(self) -> None:
        self.things: Dict[str, Thing] = {}

    def unit(self, name: str, options: str = "", before: int = 0, wait: bool = True) -> None:
        """Starts a gateway's unit; its options and the wait before it hold for this start only."""
        ready = STATE / f"{name}.ready"
        environment = STATE / f"{name}.env"
        environment.write_text(f'OPTIONS="--ready-file={ready} {options}"\nBEFORE={before}\n')
        run("systemctl", "start", *([] if wait else ["--no-block"]), f"{name}.service")
        if wait:
            until(ready.exists, f"unit {name} is up")
        elif not before:
            until(lambda: properties(name)["MainPID"] != "0", f"unit {name} runs")
        else:
            until(lambda: properties(name)["ActiveState"] == "activating", f"unit {name} begins")
            time.sleep(1)  # until ExecStartPre has been given its environment
        environment.unlink()
        found = properties(name)
        pid = int(found["MainPID"])
        self.things[name] = {"unit": name, "invocation": found["InvocationID"], "pid": pid, "args": args_of(pid)}

    def kept(
        self, options: str = "", keeper: str = "ibcstart", gap: float = 0, ini: Sequence[str] = (), wait: bool = True
    ) -> None:
        """Starts the live gateway's unit with IBC's scripts, or another keeper, as its program.

        The gateway below it is remembered as `gateway`. gap: seconds between two lives. ini: lines of IBC's settings;
        its command server listens. The options hold for this start of the unit only.
        """
        words = [f"--folder={DATA}", f"--config-dir={DATA}/live", "--mode=live", "--port=4001"]
        words += [f"--keeper={keeper}", f"--gap={gap}", f"--command-port={COMMANDS}"]
        words += [f"'--ini={line}'" for line in (f"CommandServerPort={COMMANDS}", *ini)]
        program = f"/usr/bin/python3 -m simulator.keep {' '.join(words)} $OPTIONS"
        text = f"[Service]\nEnvironment=PYTHONPATH={SERVER}\nExecStart=\nExecStart={program}\n"
        self.file("/etc/systemd/system/ibgateway-live.service.d/kept.conf", text)
        run("systemctl", "daemon-reload")
        self.unit("ibgateway-live", options, wait=wait)
        until(gateways, "its gateway runs")
        self._remember("gateway", gateways()[0])
        self.things["ibgateway-live"]["args"] = args_of(self.things["ibgateway-live"]["pid"])

    def happen(self, name: str) -> None:
        """Makes the event of a gateway's options happen."""
        os.kill(self.things[name]["pid"], signal.SIGUSR1)

    def at_look(self, name: str, until: str = "ended", after: float = 0, skip: int = 0) -> None:
        """Makes the event of a gateway's options happen right before the first look at this host.

        What looks becomes root first, and is let in when the gateway has `ended`, or its port is `closed`. With
        `after` it is let in at once, and the event happens so many seconds later. So many looks as `skip` says come
        before and make nothing happen. A unit that is still in what comes before its gateway goes on then.
        """
        pid = self.things[name]["pid"] or run("systemctl", "show", "--property=ControlPID", "--value", name).strip()
        seen = f"{AT_LOOK}.seen"
        lines = ["#!/bin/sh", f"echo >> {seen}", f"[ $(wc -l < {seen}) -gt {skip} ] || exit 0", f"rm {AT_LOOK}"]
        if after:
            lines.append(f"(sleep {after}; kill -USR1 {pid}) </dev/null >/dev/null 2>&1 &")
        else:
            lasts = {"ended": f"kill -0 {pid}", "closed": "[ -n \"$(ss -Hltn 'sport = :4001')\" ]"}[until]
            lines += [f"kill -USR1 {pid}", f"while {lasts}; do sleep 0.01; done"]
        AT_LOOK.write_text("\n".join([*lines, ""]))
        AT_LOOK.chmod(0o755)

    def user_unit(self, name: str, options: str = "") -> None:
        """Starts the unit as one of the gateways' account's own systemd, which lingers; its options hold for once."""
        run("loginctl", "enable-linger", OWNER)
        home = Path(pwd.getpwnam(OWNER).pw_dir, ".config/systemd/user")
        home.mkdir(parents=True, exist_ok=True)
        text = Path(f"/etc/systemd/system/{name}.service").read_text()
        (home / f"{name}.service").write_text(text.replace(f"User={OWNER}\n", ""))
        for folder in (home, *list(home.parents)[:2]):
            os.chown(folder, pwd.getpwnam(OWNER).pw_uid, pwd.getpwnam(OWNER).pw_gid)
        ready, environment = STATE / f"{name}.ready", STATE / f"{name}.env"
        environment.write_text(f'OPTIONS="--ready-file={ready} {options}"\n')
        until(lambda: os.path.exists(f"/run/user/{pwd.getpwnam(OWNER).pw_uid}/systemd/private"), "its systemd runs")
        run(*systemctl(OWNER), "daemon-reload")
        run(*systemctl(OWNER), "start", f"{name}.service")
        until(ready.exists, f"unit {name} is up")
        environment.unlink()
        found = properties(name, OWNER)
        pid = int(found["MainPID"])
        thing = {"unit": name, "owner": OWNER, "invocation": found["InvocationID"], "pid": pid, "args": args_of(pid)}
        self.things[name] = thing

    def file(self, path: str, text: str = "", mode: str = "0644", link: Optional[str] = None) -> None:
        """Puts a file, or a link to another one, in the place of whatever is there."""
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        if link is not None:
            place.symlink_to(link)
            return
        place.write_text(text)
        place.chmod(int(mode, 8))

    def run(self, argv: List[str], brings: Optional[Dict[str, str]] = None, opens: Optional[int] = None) -> None:
        """Runs a command; brings: by name, what stands in the command line of a process that runs because of it.

        opens: the port that such a process opens.
        """
        run(*argv)
        if opens is not None:
            until(lambda: listeners(opens), f"port {opens} is open")
        for name, part in (brings or {}).items():
            until(lambda part=part: pids_with(part), f"{name} runs")  # type: ignore[misc]
            self._remember(name, pids_with(part)[0])

    def end(self, name: str) -> None:
        """Kills something that was started; it must stay gone."""
        os.kill(self.things.pop(name)["pid"], 9)

    def gateway(
        self, name: str, options: str = "", folder: str = "live", inside: Optional[str] = None, main: str = NATIVE
    ) -> None:
        """Starts a gateway that no unit starts, or one that is left over in the unit of another service.

        main: its main class with that one's own arguments; a native launch does not say its trading mode.
        """
        ready = STATE / f"{name}.ready"
        argv = [f"{SERVER}/jre/bin/java", f"{SERVER}/simulator/gateway.py", f"-DjtsConfigDir={DATA}/{folder}"]
        argv += [*main.split(), "--port=4001", f"--accounts={ACCOUNTS['live']}", "--lifetime=7200"]
        argv += [f"--ready-file={ready}", *options.split()]
        if inside is None:
            start(argv)
        else:
            # As cron leaves it behind: its parent has ended, the service goes on.
            line = f"({' '.join(argv)} </dev/null >/dev/null 2>&1 &); exec sleep 7200"
            run("systemd-run", "--quiet", f"--unit={inside}", f"--uid={OWNER}", "/bin/sh", "-c", line)
            pid = int(properties(inside)["MainPID"])
            self.things[inside] = {"pid": pid, "args": "sleep 7200"}
        until(ready.exists, f"gateway {name} is up")
        self._remember(name, int(json.loads(ready.read_text())["pid"]))

    def script(self, name: str, port: int = 4001, client_id: int = 15, host: str = "127.0.0.1") -> None:
        """Starts a trading script that holds a session and has this name in its argv.

        It is started again until the gateway takes it, since that may be on a host which is still being set up.
        """
        path = Path(f"{DATA}/scripts/{name}.py")
        path.symlink_to(f"{SERVER}/clients/hold_session.py")
        ready = STATE / f"{name}.ready"
        options = [f"--host={host}", f"--port={port}", f"--client-id={client_id}", "--lifetime=7200"]
        process = start([RUNTIME, str(path), *options, f"--ready-file={ready}"])

        def holds() -> bool:
            nonlocal process
            if process.poll() is not None:
                process = start([RUNTIME, str(path), *options, f"--ready-file={ready}"])
            return ready.exists()

        until(holds, f"script {name} has its session")
        self._remember(name, process.pid)
        self.things[name]["port"] = port

    def knock(self, name: str, port: int = 4001) -> None:
        """Starts a program that connects and never says anything."""
        code = f"import socket, time; s = socket.create_connection(('127.0.0.1', {port})); time.sleep(7200)"
        process = start(["/usr/bin/python3", "-c", code])
        until(lambda: connected(process.pid, port), f"{name} is connected")
        self._remember(name, process.pid)

    def listener(self, name: str, port: int = 4001) -> None:
        """Starts a program that is no gateway and listens on a port."""
        code = f"import socket, time; s = socket.create_server(('', {port})); time.sleep(7200)"
        process = start(["/usr/bin/python3", "-c", code])
        until(lambda: listeners(port) == [process.pid], f"{name} listens")
        self._remember(name, process.pid)

    def bystander(self, name: str, argv: List[str], program: Optional[str] = None) -> None:
        """Starts any other program; `program` is what is run where argv's first word says something else."""
        process = start(argv, program)
        until(lambda: args_of(process.pid) == " ".join(argv), f"{name} runs")
        self._remember(name, process.pid)

    def deserted(self, sessions: int, port: int = 4001) -> None:
        """Waits until so many clients of other hosts hold a session, and one of those hosts answers no more.

        The event of the live gateway's options, which says something to all of them, happens again and again meanwhile.
        """
        until(lambda: len(remote_clients(port)) == sessions, f"{sessions} clients of other hosts are connected")

        def gone() -> bool:
            self.happen("ibgateway-live")
            time.sleep(0.5)  # between two of them
            return unanswered(port)

        until(gone, "the same data is sent again and again")

    def attempt(self, connects: bool, port: int = 4001, client_id: int = 15) -> None:
        """A script tries to connect, and it goes as expected, or the stage is not what it was meant to be."""
        answer = session(port, client_id, timeout=1.5)
        if answer["connected"] != connects:
            raise SystemExit(f"a session on port {port} was expected to {'work' if connects else 'fail'}: {answer}")

    def age(self, seconds: float) -> None:
        """Waits until everything is this old."""
        time.sleep(seconds)

    def _remember(self, name: str, pid: int) -> None:
        self.things[name] = {"pid": pid, "args": args_of(pid)}


def stage(steps: List[Dict[str, Any]]) -> None:
    """Does the steps, and remembers what was started and what the disk is like."""
    owner = pwd.getpwnam(OWNER)
    STATE.mkdir()
    os.chown(STATE, owner.pw_uid, owner.pw_gid)
    scene = Stage()
    for step in steps:
        getattr(scene, step.pop("do"))(**step)
    STAGED.write_text(json.dumps({"things": scene.things, "disk": disk()}))


def start(argv: List[str], program: Optional[str] = None) -> "subprocess.Popen[bytes]":
    """Starts a program as the gateways' account, in a session of its own, so that it outlives this run."""
    log = os.open(STATE / "programs.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    return subprocess.Popen(
        argv,
        executable=program,
        user=OWNER,
        group=OWNER,
        extra_groups=[],
        cwd=DATA,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def until(condition: Callable[[], object], what: str) -> None:
    """Returns as soon as the condition holds."""
    deadline = time.monotonic() + READY_WITHIN
    while not condition():
        if time.monotonic() > deadline:
            log = STATE / "programs.log"
            raise SystemExit(f"not within {READY_WITHIN} s: {what}. {log.read_text() if log.exists() else ''}")
        time.sleep(0.02)
