"""The kernel's socket table: rows are read right from both sources, and broken ones end as documented."""

from __future__ import annotations

import errno
import socket
import struct
from typing import Iterator, List, Optional, Set, Tuple

import pytest
from ansible.module_utils.ib_gateway.observe import proc_net, sockets
from ansible.module_utils.ib_gateway.observe.addresses import SocketRow, normalise
from ansible.module_utils.ib_gateway.observe.proc_net import parse_line
from ansible.module_utils.ib_gateway.observe.sockets import parse_netlink, port_filter
from hypothesis import given, settings
from hypothesis import strategies as st

SEQUENCE = 7
DONE, ERROR, GETSOCK = 3, 2, 18
INFO, V6ONLY = 2, 11
ANY = "0.0.0.0"  # noqa: S104 - read, not bound to

# --- netlink messages, spelled out by hand ---------------------------------------------------------------------------


def message(kind: int, payload: bytes, sequence: int = SEQUENCE) -> bytes:
    body = struct.pack("=IHHII", 16 + len(payload), kind, 0, sequence, 0) + payload
    return body + bytes(-len(body) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    body = struct.pack("=HH", 4 + len(value), kind) + value
    return body + bytes(-len(body) % 4)


def diag(
    local: Tuple[str, int],
    remote: Tuple[str, int],
    state: int = 1,
    inode: int = 99,
    attributes: bytes = b"",
    cookie: bytes = bytes(8),
) -> bytes:
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    source, target = (socket.inet_pton(family, each[0]).ljust(16, b"\0") for each in (local, remote))
    head = struct.pack("=BBBB", family, state, 0, 0)
    ident = struct.pack(">HH", local[1], remote[1]) + source + target + bytes(4) + cookie
    return head + ident + struct.pack("=IIIII", 0, 3, 50, 1000, inode) + attributes


def rows_of(*payloads: bytes) -> List[SocketRow]:
    rows, done = parse_netlink(b"".join(message(GETSOCK, each) for each in payloads), SEQUENCE)
    assert not done
    return rows


def test_a_connection_is_read_with_its_owner_queues_and_inode() -> None:
    row = rows_of(diag(("127.0.0.1", 4001), ("127.0.0.1", 50000)))[0]
    assert (row.family, row.state) == ("ipv4", "ESTABLISHED")
    assert (row.local, row.local_port, row.remote, row.remote_port) == ("127.0.0.1", 4001, "127.0.0.1", 50000)
    assert (row.uid, row.inode, row.receive_queue, row.send_queue) == (1000, 99, 3, 50)
    assert (row.idle, row.sent, row.v6only) == (None, None, None)


@pytest.mark.parametrize(
    ("words", "cookie"), [((7, 0), 7), ((7, 9), (9 << 32) + 7), ((0, 0), None), ((0xFFFFFFFF, 0xFFFFFFFF), None)]
)
def test_a_socket_s_cookie_is_read_where_it_has_one(words: Tuple[int, int], cookie: Optional[int]) -> None:
    row = rows_of(diag(("127.0.0.1", 4001), ("127.0.0.1", 50000), cookie=struct.pack("=II", *words)))[0]
    assert (row.cookie, row.inode) == (cookie, 99)


def test_procfs_knows_no_cookie_and_netlink_gives_the_same_one_twice() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        port = server.getsockname()[1]
        states = (1 << 1) | (1 << 10)
        first, second = ({row.cookie for row in sockets.read_netlink(states, (port,))} for _ in range(2))
        assert first == second and None not in first and len(first) == 3
        assert {row.cookie for row in proc_net.read(states, (port,))} == {None}


def test_a_mapped_address_is_read_as_ipv4() -> None:
    row = rows_of(diag(("::ffff:127.0.0.1", 4001), ("::ffff:10.0.0.9", 50000)))[0]
    assert (row.family, row.local, row.remote) == ("ipv6", "127.0.0.1", "10.0.0.9")


@pytest.mark.parametrize(("flag", "v6only"), [(b"\0", False), (b"\1", True), (b"", None)])
def test_a_listener_says_whether_it_takes_ipv6_only(flag: bytes, v6only: Optional[bool]) -> None:
    row = rows_of(diag(("::", 4001), ("::", 0), state=10, attributes=attribute(V6ONLY, flag)))[0]
    assert (row.state, row.local, row.v6only) == ("LISTEN", "::", v6only)


INFO_BYTES = bytes(44) + struct.pack("=LLL", 9000, 0, 4000) + bytes(64) + struct.pack("=Q", 231)


@pytest.mark.parametrize(
    ("length", "idle", "sent"), [(136, 4.0, 231), (128, 4.0, 231), (127, 4.0, None), (56, 4.0, None), (55, None, None)]
)
def test_idle_time_and_bytes_are_read_where_the_kernel_gives_them(
    length: int, idle: Optional[float], sent: Optional[int]
) -> None:
    info = INFO_BYTES.ljust(136, b"\0")[:length]
    row = rows_of(diag(("127.0.0.1", 4001), ("127.0.0.1", 50000), attributes=attribute(INFO, info)))[0]
    assert (row.idle, row.sent) == (idle, sent)


def test_a_listener_is_never_idle() -> None:
    row = rows_of(diag((ANY, 4001), (ANY, 0), state=10, attributes=attribute(INFO, INFO_BYTES)))[0]
    assert (row.idle, row.sent) == (None, None)


def test_a_dump_ends_with_its_mark_and_other_answers_are_passed_over() -> None:
    stranger = message(GETSOCK, diag(("127.0.0.1", 1), ("127.0.0.1", 2)), sequence=6)
    wanted = message(GETSOCK, diag(("127.0.0.1", 4001), ("127.0.0.1", 2)))
    rows, done = parse_netlink(stranger + wanted + message(DONE, bytes(4)) + b"behind the end", SEQUENCE)
    assert done and [row.local_port for row in rows] == [4001]
    assert parse_netlink(message(DONE, bytes(4), sequence=6), SEQUENCE) == ([], False)
    assert parse_netlink(b"", SEQUENCE) == ([], False)


@pytest.mark.parametrize(
    ("payload", "number"),
    [(struct.pack("=i", -errno.EPERM), errno.EPERM), (b"", errno.EBADMSG), (bytes(4), errno.EBADMSG)],
)
def test_an_error_message_is_an_os_error(payload: bytes, number: int) -> None:
    with pytest.raises(OSError) as caught:
        parse_netlink(message(ERROR, payload), SEQUENCE)
    assert caught.value.errno == number


@pytest.mark.parametrize("length", [0, 15, 17, 1 << 31])
def test_a_length_that_does_not_fit_is_an_os_error(length: int) -> None:
    with pytest.raises(OSError):
        parse_netlink(struct.pack("=IHHII", length, GETSOCK, 0, SEQUENCE, 0), SEQUENCE)


def parsed_or_os_error(data: bytes) -> None:
    try:
        rows, _done = parse_netlink(data, SEQUENCE)
    except OSError:
        return
    assert all(isinstance(row, SocketRow) for row in rows)


def test_every_cut_of_a_datagram_is_parsed_or_an_os_error() -> None:
    attributes = attribute(V6ONLY, b"\1") + attribute(INFO, INFO_BYTES)
    whole = message(GETSOCK, diag(("::1", 4001), ("::1", 50000), attributes=attributes)) + message(DONE, bytes(4))
    for end in range(len(whole)):
        parsed_or_os_error(whole[:end])


MESSAGES = st.builds(message, st.sampled_from([DONE, ERROR, GETSOCK, 99]), st.binary(max_size=200))


@settings(deadline=None)
@given(
    st.one_of(
        st.binary(), st.lists(MESSAGES, max_size=4).map(b"".join), st.builds(bytes.__add__, MESSAGES, st.binary())
    )
)
def test_any_datagram_is_parsed_or_an_os_error(data: bytes) -> None:
    parsed_or_os_error(data)


# --- the kernel's port filter ----------------------------------------------------------------------------------------


def kernel_accepts(code: bytes, source: int, target: int) -> bool:
    """Runs the byte code as the kernel does: a jump that lands exactly at the end accepts."""
    offset, steps = 0, 0
    while offset < len(code):
        kind, yes, no = struct.unpack_from("=BBH", code, offset)
        port = struct.unpack_from("=BBH", code, offset + 4)[2] if kind in (11, 12) else None
        taken = {1: False, 11: source == port, 12: target == port}[kind]
        distance = yes if taken else no
        assert distance >= 4 and distance % 4 == 0
        offset, steps = offset + distance, steps + 1
        assert steps < 10_000
    return offset == len(code)


PORTS = st.integers(0, 65535)


@settings(deadline=None)
@given(st.lists(PORTS, min_size=1, max_size=8), PORTS, PORTS, st.data())
def test_the_kernel_takes_exactly_the_sockets_with_one_of_the_ports(
    ports: List[int], source: int, target: int, data: st.DataObject
) -> None:
    code = port_filter(tuple(ports))
    assert kernel_accepts(code, source, target) == (source in ports or target in ports)
    wanted = data.draw(st.sampled_from(ports))
    assert kernel_accepts(code, wanted, target) and kernel_accepts(code, source, wanted)


def test_the_kernel_itself_takes_the_filter() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            found: Set[Tuple[int, int]] = set()
            for row in sockets.connections([port, 1]):
                assert port in (row.local_port, row.remote_port)
                found.add((row.local_port, row.remote_port))
            assert len(found) == 2
            assert any(row.local_port == port and row.receive_queue == 1 for row in sockets.listeners())
    assert sockets.connections([]) == []


# --- /proc/net/tcp{,6} -----------------------------------------------------------------------------------------------

REST = "00:00000000 00000000  1000        0 77777 1 0000000000000000 100 0 0 10 0"
LOCAL4, MAPPED = "0100007F", "0000000000000000FFFF00000100007F"
SAMPLES = {
    "listener": (
        f"   0: 00000000:0FA1 00000000:0000 0A 00000032:00000002 {REST}",
        ("ipv4", "LISTEN", ANY, 4001, ANY, 0),
    ),
    "connection": (
        f"   1: {LOCAL4}:0FA1 {LOCAL4}:C350 01 00000000:00000000 {REST}",
        ("ipv4", "ESTABLISHED", "127.0.0.1", 4001, "127.0.0.1", 50000),
    ),
    "half closed": (
        f"  12: {LOCAL4}:0FA2 0900000A:FFFF 08 00000000:00000001 {REST}",
        ("ipv4", "CLOSE_WAIT", "127.0.0.1", 4002, "10.0.0.9", 65535),
    ),
    "dual-stack listener": (
        f"   0: {'0' * 32}:0FA1 {'0' * 32}:0000 0A 00000000:00000000 {REST}",
        ("ipv6", "LISTEN", "::", 4001, "::", 0),
    ),
    "ipv6 loopback": (
        f"   2: {'0' * 24}01000000:0FA1 {'0' * 24}01000000:C350 01 00000000:00000000 {REST}",
        ("ipv6", "ESTABLISHED", "::1", 4001, "::1", 50000),
    ),
    "ipv4 mapped": (
        f"   3: {MAPPED}:0FA1 {MAPPED}:C350 01 00000000:00000000 {REST}",
        ("ipv6", "ESTABLISHED", "127.0.0.1", 4001, "127.0.0.1", 50000),
    ),
}
little_endian = pytest.mark.skipif(struct.pack("=H", 1) != b"\1\0", reason="the samples are of a little-endian host")


@little_endian
@pytest.mark.parametrize(("line", "expected"), SAMPLES.values(), ids=SAMPLES)
def test_a_line_of_the_table_is_read(line: str, expected: Tuple[str, str, str, int, str, int]) -> None:
    row = parse_line(line)
    assert row is not None
    assert (row.family, row.state, row.local, row.local_port, row.remote, row.remote_port) == expected
    assert (row.uid, row.inode) == (1000, 77777)


@little_endian
def test_a_listener_s_queue_is_read_and_its_backlog_is_not_said() -> None:
    row = parse_line(SAMPLES["listener"][0])
    assert row is not None and (row.receive_queue, row.send_queue) == (2, None)


def cuts(line: str) -> Iterator[str]:
    return (line[:end] for end in range(len(line)))


@pytest.mark.parametrize("line", [each[0] for each in SAMPLES.values()], ids=SAMPLES)
def test_a_line_that_is_cut_short_is_none_and_no_error(line: str) -> None:
    for short in cuts(line[: line.index("00:00000000 ")]):
        assert parse_line(short) is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
        "garbage",
        f"0: AB:0FA1 {LOCAL4}:C350 01 0:0 {REST}",
        f"0: :0FA1 :C350 01 0:0 {REST}",
        f"0: {LOCAL4}0:0FA1 {LOCAL4}:C350 01 0:0 {REST}",
        f"0: {LOCAL4}{LOCAL4}:0FA1 {LOCAL4}:C350 01 0:0 {REST}",
        f"0: {LOCAL4}:0FA1 {LOCAL4}:C350 FF 0:0 {REST}",
        f"0: {LOCAL4}:0FA1 {LOCAL4}:C350 01 0:0:0 {REST}",
        f"0: {LOCAL4} {LOCAL4}:C350 01 0:0 {REST}",
        f"0: {LOCAL4}:xyz {LOCAL4}:C350 01 0:0 {REST}",
    ],
)
def test_a_line_that_is_none_of_the_table_is_none(line: str) -> None:
    assert parse_line(line) is None


HEX = st.text("0123456789ABCDEFxyz:", max_size=40)


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(HEX, min_size=8, max_size=13).map(" ".join)))
def test_any_line_is_a_row_or_none(line: str) -> None:
    assert parse_line(line) is None or isinstance(parse_line(line), SocketRow)


def test_both_sources_tell_the_same_of_this_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        states = 1 << 10
        netlink = {row.inode for row in sockets.read_netlink(states, ()) if row.local_port == port}
        procfs = {row.inode for row in proc_net.read(states, (port,)) if row.local_port == port}
    assert netlink == procfs != set()


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:10.0.0.9", "10.0.0.9"),
        ("::FFFF:10.0.0.9", "10.0.0.9"),
        ("FE80::1%eth0", "fe80::1"),
        ("::1", "::1"),
        ("::ffff:a00:9", "::ffff:a00:9"),
        ("", ""),
    ],
)
def test_addresses_have_one_form(address: str, form: str) -> None:
    assert normalise(address) == form
