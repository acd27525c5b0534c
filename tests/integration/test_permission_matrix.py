"""Who looks and acts from where, and whose the gateway is: in each cell what is seen, what is said, what is refused.

Two things hold in every cell: what could not be looked at is neither healthy nor broken, and whoever may not do a thing
says so and leaves everybody alive.
"""

from __future__ import annotations

import codecs
import ctypes
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from integration.desk import Desk, alive, until
from integration.modules import run_module, run_module_as

_CLONE_NEWNS, _CLONE_NEWNET, _MS_REC, _MS_PRIVATE = 0x20000, 0x40000000, 0x4000, 0x40000
NOBODY, DAEMON = 65534, 1

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else"),
]

# --- from where ------------------------------------------------------------------------------------------------------


def _libc(call: str, *arguments: Any) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, call)(*arguments):
        raise OSError(ctypes.get_errno(), f"{call} failed")


def become(uid: int) -> None:
    """Another account; like a login's, its processes may be read by itself."""
    if uid:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        _libc("prctl", 4, 1, 0, 0, 0)  # PR_SET_DUMPABLE


def hide_processes() -> None:
    """A /proc of its own, mounted with hidepid=2."""
    _libc("unshare", _CLONE_NEWNS)
    _libc("mount", None, b"/", None, _MS_REC | _MS_PRIVATE, None)
    _libc("mount", b"proc", b"/proc", b"proc", 0, b"hidepid=2")


def leave_network() -> None:
    """A network namespace of its own."""
    _libc("unshare", _CLONE_NEWNET)


def without_netlink() -> None:
    """No netlink socket can be made, as under some container runtimes."""
    codecs.lookup("ascii")  # the child may not be able to read the interpreter's files any more
    real = socket.socket

    class Refusing(real):  # type: ignore[misc, valid-type]
        def __init__(self, family: int = -1, *more: Any, **named: Any) -> None:
            if family == socket.AF_NETLINK:
                raise PermissionError(1, "Operation not permitted")
            super().__init__(family, *more, **named)

    socket.socket = Refusing  # type: ignore[misc]


def stay() -> None:
    """The host as it is."""


@dataclass(frozen=True)
class Cell:
    """Who looks (uid), from where, at whose gateway; and what comes of it.

    verdict: healthy, or partial_visibility with `unseen` in its summary. stop, drop: (list of the result, words);
    drop is None where only that nothing is cut is sure.
    """

    place: Callable[[], None]
    uid: int
    owner: int
    verdict: str
    unseen: str
    stop: tuple[str, str]
    drop: tuple[str, str] | None

    def prepare(self) -> None:
        """What the looking process does first."""
        self.place()
        become(self.uid)


STOPS = ("stopped", "ended after SIGTERM")
NO_SIGNAL = ("refused", "belongs to another user: run with become")
CUTS = ("dropped", "cut at the gateway's end")
NO_CUT = ("unsupported", "run with become")
ELSEWHERE = ("refused", "network namespace")
SEEN, BLIND = ("healthy", ""), "partial_visibility"

CELLS = {
    "root, its own gateway": Cell(stay, 0, 0, *SEEN, STOPS, CUTS),
    "root, another's gateway": Cell(stay, 0, NOBODY, *SEEN, STOPS, CUTS),
    "an account, its own gateway": Cell(stay, NOBODY, NOBODY, *SEEN, STOPS, NO_CUT),
    "an account, root's gateway": Cell(stay, NOBODY, 0, BLIND, "may not read them", NO_SIGNAL, NO_CUT),
    "an account, another's gateway": Cell(stay, DAEMON, NOBODY, BLIND, "may not read them", NO_SIGNAL, NO_CUT),
    "hidepid, root": Cell(hide_processes, 0, NOBODY, *SEEN, STOPS, CUTS),
    "hidepid, an account, its own gateway": Cell(hide_processes, NOBODY, NOBODY, *SEEN, STOPS, NO_CUT),
    "another network, root": Cell(leave_network, 0, NOBODY, BLIND, "network namespace", STOPS, ELSEWHERE),
    "another network, root's gateway": Cell(leave_network, 0, 0, BLIND, "network namespace", STOPS, ELSEWHERE),
    "no netlink, root": Cell(without_netlink, 0, NOBODY, *SEEN, STOPS, None),  # see the last test here
    "no netlink, an account, its own gateway": Cell(without_netlink, NOBODY, NOBODY, *SEEN, STOPS, NO_CUT),
    "no netlink, another's gateway": Cell(without_netlink, DAEMON, NOBODY, BLIND, "may not read", NO_SIGNAL, NO_CUT),
}
each_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)

# --- whom ------------------------------------------------------------------------------------------------------------

#: What looks like a login of its account: its files may be read by that account, as those of any program it starts.
_BECOME = """
import ctypes, encodings.idna, os, socket, sys, threading, time
uid = int(sys.argv[1])
if uid:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
"""
_SERVE = """
server = socket.create_server(("127.0.0.1", int(sys.argv[2])))
threading.Thread(target=time.sleep, args=(300,), daemon=True).start()
held = []
while True:
    held.append(server.accept()[0])
"""
_CONNECT = """
held = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
time.sleep(300)
"""


class Scene:
    """A gateway and two scripts of one account; what a plan of root's would do about them."""

    def __init__(self, desk: Desk, owner: int) -> None:
        self.port, self.entry = desk.port, desk.entry(user={0: "root", NOBODY: "nobody"}[owner])
        mark = [f"-DjtsConfigDir={desk.config_dir}", "ibgateway.GWClient"]
        own = [str(owner), str(desk.port)]
        java = desk.prepared().command()[0]  # a Python under a java's name
        self.gateway = desk.bystander(java, "-c", _BECOME + _SERVE, *own, *mark)
        until(desk.listening)
        self.script = desk.bystander(sys.executable, "-c", _BECOME + _CONNECT, *own)
        until(lambda: self.sessions() == 1)
        self.health = run_module("ib_gateway_health", gateways=[self.entry], probe="never")["gateways"][0]

    def sessions(self) -> int:
        """Accepted connections of the gateway, by psutil."""
        rows = psutil.Process(self.gateway.pid).net_connections("tcp")
        return len([row for row in rows if row.status == psutil.CONN_ESTABLISHED])

    def target(self) -> dict[str, Any]:
        """The gateway as a step names it."""
        row = self.health["processes"][0]
        named = {key: row[key] for key in ("pid", "started_ticks")}
        return {**named, "boot_id": boot_id(), "role": "gateway"}

    def connection(self) -> dict[str, Any]:
        """The script's connection as a drop_connection step names it."""
        row = next(each for each in self.health["clients"] if each["pid"] == self.script.pid)
        address, _colon, port = row["local"].rpartition(":")
        return {
            "gateway": "live",
            "port": self.port,
            "client": address,
            "client_port": int(port),
            "server": "127.0.0.1",
            "cookie": self.cookie(int(port)),
            "gateway_process": self.target(),
            "client_processes": [{key: row[key] for key in ("pid", "started_ticks", "boot_id")}],
        }

    def cookie(self, client_port: int) -> int:
        """The kernel's number for the gateway's end."""
        from ansible.module_utils.ib_gateway.observe import sockets

        rows = sockets.connections([self.port])
        found = next(each.cookie for each in rows if (each.local_port, each.remote_port) == (self.port, client_port))
        assert found is not None
        return found


def boot_id() -> str:
    """By the kernel."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


# --- what is seen ----------------------------------------------------------------------------------------------------


@each_cell
def test_what_could_not_be_looked_at_is_neither_healthy_nor_broken(desk: Desk, cell: Cell) -> None:
    scene = Scene(desk, cell.owner)
    found = run_module_as(cell.prepare, "ib_gateway_health", gateways=[scene.entry], probe="never")
    assert "gateways" in found, found
    gateway = found["gateways"][0]
    status = "healthy" if cell.verdict == "healthy" else "unknown"
    assert (gateway["status"], gateway["verdict"]) == (status, cell.verdict), gateway["summary"]
    assert cell.unseen in gateway["summary"]
    assert status == "healthy" or not found["visibility"]["complete"]
    assert gateway["plan"]["steps"] == []


@pytest.mark.parametrize("uid", [NOBODY, DAEMON])
def test_a_hidden_gateway_is_unknown_and_never_called_not_running(desk: Desk, uid: int) -> None:
    scene = Scene(desk, 0)
    cell = Cell(hide_processes, uid, 0, BLIND, "hidepid", NO_SIGNAL, NO_CUT)
    gateway = run_module_as(cell.prepare, "ib_gateway_health", gateways=[scene.entry], probe="never")["gateways"][0]
    assert (gateway["status"], gateway["verdict"]) == ("unknown", "partial_visibility")
    assert "hidepid" in gateway["summary"] and gateway["plan"]["steps"] == []


@pytest.mark.parametrize("place", [stay, hide_processes, leave_network, without_netlink])
@pytest.mark.parametrize("uid", [0, NOBODY])
def test_a_gateway_that_does_not_run_is_only_missed_by_who_would_see_it(
    desk: Desk, place: Callable[[], None], uid: int
) -> None:
    cell = Cell(place, uid, 0, "", "", STOPS, CUTS)
    entry = desk.entry(user="root")
    gateway = run_module_as(cell.prepare, "ib_gateway_health", gateways=[entry], probe="never")["gateways"][0]
    assert gateway["verdict"] == ("gateway_not_running" if uid == 0 else "partial_visibility")


# --- what is done ----------------------------------------------------------------------------------------------------


@each_cell
def test_who_may_not_stop_a_gateway_says_so_and_leaves_it_alive(desk: Desk, cell: Cell) -> None:
    scene = Scene(desk, cell.owner)
    options = {"processes": [scene.target()], "grace_period": 5.0}
    would = run_module_as(cell.prepare, "ib_process_stop", check=True, **options)
    assert not would.get("failed") and alive(scene.gateway.pid)
    found = run_module_as(cell.prepare, "ib_process_stop", **options)
    result, words = cell.stop
    assert words in found[result][0]["reason"], found
    assert found["changed"] is (result == "stopped") and alive(scene.gateway.pid) is not found["changed"]


@each_cell
def test_who_may_not_cut_a_connection_says_so_and_leaves_it_open(desk: Desk, cell: Cell) -> None:
    scene = Scene(desk, cell.owner)
    options = {"connections": [scene.connection()]}
    found = run_module_as(cell.prepare, "ib_connection_drop", **options)
    assert not found.get("failed"), found
    if cell.drop is not None:
        assert cell.drop[1] in found[cell.drop[0]][0]["reason"], found
    assert found["changed"] is (cell.drop == CUTS)
    until(lambda: scene.sessions() == (0 if found["changed"] else 1))
    assert alive(scene.gateway.pid) and alive(scene.script.pid)


@each_cell
def test_nobody_starts_a_second_gateway_or_restarts_what_is_not_his(desk: Desk, cell: Cell) -> None:
    scene = Scene(desk, cell.owner)
    started = run_module_as(cell.prepare, "ib_gateway_start", gateways=[scene.entry], only=["live"])
    assert [row["pids"] for row in started["already_running"]] == [[scene.gateway.pid]], started
    if cell.stop[0] == "stopped":
        return
    target = {"by": "identity", "process": scene.target()}
    found = run_module_as(
        cell.prepare,
        "ib_gateway_restart",
        gateways=[scene.entry],
        restarts=[{"gateway": "live", "target": target}],
        grace_period=1.0,
    )
    # Who may not even start it again is told so before anything is tried on the process.
    reason = found["refused"][0]["reason"]
    assert found["changed"] is False and (cell.stop[1] in reason or "only root can start it" in reason), found
    assert desk.java() == [scene.gateway.pid] and alive(scene.gateway.pid)


# --- acting without sight --------------------------------------------------------------------------------------------


def hidden(desk: Desk) -> tuple[Scene, Callable[[], None]]:
    """Root's gateway, and what an account does first that may not see it."""
    return Scene(desk, 0), Cell(hide_processes, NOBODY, 0, BLIND, "", NO_SIGNAL, NO_CUT).prepare


def test_a_process_that_is_hidden_is_not_called_ended(desk: Desk) -> None:
    scene, prepare = hidden(desk)
    found = run_module_as(prepare, "ib_process_stop", processes=[scene.target()], grace_period=1.0)
    assert found["already_gone"] == [] and len(found["refused"]) == 1 and not found["changed"]
    assert alive(scene.gateway.pid)


def test_a_gateway_that_is_hidden_is_not_started_again(desk: Desk) -> None:
    scene, prepare = hidden(desk)
    found = run_module_as(prepare, "ib_gateway_start", gateways=[scene.entry], only=["live"])
    assert found.get("failed") and "become" in found["msg"]
    assert desk.java() == [scene.gateway.pid]


def test_a_connection_that_cannot_be_told_from_others_is_not_called_ended(desk: Desk) -> None:
    scene = Scene(desk, 0)
    found = run_module_as(without_netlink, "ib_connection_drop", connections=[scene.connection()])
    assert found["already_gone"] == [] and not found["changed"]
    assert scene.sessions() == 1
