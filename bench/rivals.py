"""What others make of the seed incident: monit, and ib_insync's Watchdog, each as watchful as it can be set."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import List

import ansible.module_utils
import psutil

from bench.scene import PROJECT, Scene

ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))

from ansible.module_utils.ib_gateway.api import handshake  # noqa: E402 - needs the path above

_PATIENCE = 60.0
_WATCHDOG = Path(__file__).resolve().parent / "watchdog.py"

_MONITRC = """
set daemon 1
set logfile {folder}/monit.log
set idfile {folder}/monit.id
set statefile {folder}/monit.state
set pidfile {folder}/monit.pid
check process live with pidfile {folder}/live.pid
  start program = "{folder}/start" with timeout 1 seconds
  stop program = "{folder}/stop"
  if failed host 127.0.0.1 port {port} type tcp then restart
"""
_START = "#!/bin/sh\nsetsid {command} </dev/null >/dev/null 2>&1 &\necho $! >{folder}/live.pid\n"
_STOP = "#!/bin/sh\nkill $(cat {folder}/live.pid)\n"


def why_no_monit() -> str:
    """Why monit cannot be measured here; empty where it can."""
    return "" if shutil.which("monit") else "monit is not installed (apt-get install monit)"


def monit(scene: Scene) -> float:
    """Seconds until the API serves again under monit, which looks at the port each second and restarts what it knows.

    That is the gateway whose pid it was given.
    """
    folder = scene.folder
    (folder / "live.pid").write_text(f"{scene.gateways[0].pid}\n", encoding="utf-8")
    command = " ".join(f"'{word}'" for word in scene.start_command)
    for name, text in (("start", _START), ("stop", _STOP), ("monitrc", _MONITRC)):
        path = folder / name
        path.write_text(text.format(folder=folder, port=scene.port, command=command), encoding="utf-8")
        path.chmod(0o700)
    return _until_it_serves(scene, ["monit", "-I", "-c", str(folder / "monitrc")])


def watchdog(scene: Scene) -> float:
    """Seconds until the API serves again under ib_insync's Watchdog, which restarts the one gateway it has started."""
    argv = [sys.executable, str(_WATCHDOG), str(scene.port), str(scene.gateways[0].pid), *scene.start_command]
    return _until_it_serves(scene, argv)


def _until_it_serves(scene: Scene, argv: List[str]) -> float:
    """Runs a supervisor until a session can be opened, then ends it. Raises TimeoutError after a minute."""
    began = time.monotonic()
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as supervisor:
        try:
            while time.monotonic() - began < _PATIENCE:
                if handshake.probe("127.0.0.1", scene.port, timeout=2.0).ok:
                    return time.monotonic() - began
                _bury(scene)
                time.sleep(0.05)
            raise TimeoutError(f"{Path(argv[0]).name} brought no session within {_PATIENCE:g} s")
        finally:
            supervisor.send_signal(signal.SIGINT if argv[0] == sys.executable else signal.SIGTERM)
            try:
                supervisor.wait(10)
            except subprocess.TimeoutExpired:
                supervisor.kill()


def left(scene: Scene) -> str:
    """Who is still there that nobody wants, in words."""
    gateways = sum(_alive(each.pid) for each in scene.gateways)
    script = "the forgotten script" if _alive(scene.script.pid) else ""
    return " and ".join(filter(None, (f"{gateways} surplus gateways" if gateways else "", script))) or "nothing"


def _bury(scene: Scene) -> None:
    """Clears the zombies of gateways that a supervisor has ended: they are children of this process, not of an init."""
    for each in scene.gateways:
        if each.process is not None:
            each.process.poll()


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
