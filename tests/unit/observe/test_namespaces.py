"""Looking into another network namespace: what is read there, and that a pid which was used anew leads nowhere."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest
from ansible.module_utils.ib_gateway.observe import namespaces, proc_net, processes, sockets

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a network namespace")

FIB_TRIE = """\
Main:
  +-- 0.0.0.0/1 2 0 2
     +-- 10.88.0.0/16 2 0 2
           |-- 10.88.0.0
              /16 link UNICAST
           |-- 10.88.0.18
              /32 host LOCAL
        |-- 10.88.255.255
           /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.1
              /32 host LOCAL
"""


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """The pid of a process in a network namespace of its own that listens on port 4001 there."""
    script = (
        "import socket, sys; server = socket.socket(); server.bind(('0.0.0.0', 4001)); server.listen(7); "
        "print('ready', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        ["unshare", "--net", "/usr/bin/python3", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        yield child.pid
    finally:
        child.communicate()


def ticks(pid: int) -> int:
    stat = processes.read_stat(pid)
    assert stat is not None
    return stat.started_ticks


@needs_root
def test_the_sockets_of_another_namespace_are_read_and_this_one_is_not_left(elsewhere: int) -> None:
    before = processes.network_namespace("self")
    with socket.create_server(("127.0.0.1", 0)) as own:
        found = namespaces.tables(elsewhere, ticks(elsewhere))
        assert [(each.local_port, each.send_queue) for each in found.listeners] == [(4001, 7)]
        assert own.getsockname()[1] in [each.local_port for each in sockets.listeners()]
    assert processes.network_namespace("self") == before


@needs_root
def test_a_pid_that_another_process_has_meanwhile_leads_nowhere(elsewhere: int) -> None:
    with pytest.raises(ProcessLookupError):
        namespaces.tables(elsewhere, ticks(elsewhere) + 1)


@needs_root
def test_where_entering_is_refused_procfs_tells_less_of_the_same(
    elsewhere: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr(namespaces, "within", refused)
    found = namespaces.tables(elsewhere, ticks(elsewhere))
    assert [each.local_port for each in found.listeners] == [4001]


@needs_root
def test_what_fails_inside_fails_outside(elsewhere: int) -> None:
    def fails() -> None:
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        namespaces.within(elsewhere, ticks(elsewhere), fails, 5)


@needs_root
def test_work_that_does_not_end_in_time_is_left_behind(elsewhere: int) -> None:
    reading, writing = os.pipe()
    try:
        with pytest.raises(TimeoutError):
            namespaces.within(elsewhere, ticks(elsewhere), lambda: os.read(reading, 1), 0.05)
    finally:
        os.write(writing, b"x")
        os.close(writing)


def test_the_addresses_of_a_namespace_are_its_own_without_loopback() -> None:
    assert namespaces.parse_addresses(FIB_TRIE) == ("10.88.0.18",)


@pytest.mark.parametrize(
    ("line", "inside"),
    [(b"NSpid:\t13457\t1\n", 1), (b"NSpid:\t13457\n", None), (b"NSpid:\t9\t8\t7\n", 7), (b"", None)],
)
def test_a_process_s_number_in_its_own_pid_namespace(line: bytes, inside: int | None) -> None:
    assert processes.parse_pid_inside(b"Name:\tjava\n" + line + b"NSpgid:\t1\t1\n") == inside


def test_procfs_of_this_process_is_read_through_any_root() -> None:
    assert proc_net.read(sockets.ANY_STATE, (), "/proc/self") is not None
