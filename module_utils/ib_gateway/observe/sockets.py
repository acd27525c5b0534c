"""The kernel's TCP socket table on Linux: over NETLINK_SOCK_DIAG, or where that is refused as proc_net.py reads it.

Asking over netlink lets the kernel filter by port and state, and tells an unprivileged caller the owner, both queues
and how long a connection has been idle. Struct layouts are those of linux/inet_diag.h and linux/netlink.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Iterable, Iterator, List, NamedTuple, Optional, Tuple

from .addresses import STATES, SocketRow, text_address

_SYN_SENT, _LISTEN = 2, 10
# Everything a client and a gateway can hold between them: no listeners, no TIME_WAIT, no closed sockets.
_CONNECTED = sum(1 << state for state in (1, 2, 3, 4, 5, 8, 9, 11))

_NETLINK_SOCK_DIAG = 4
# The older of two requests, since the newer one asks for one family at a time, and the kernel then walks its table of
# connections twice: a quarter of a million buckets on a host with 16 GiB, whether they hold anything or not.
_TCPDIAG_GETSOCK = 18
_DUMP_REQUEST = 0x301  # NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_ATTR_BYTECODE, _ATTR_INFO, _ATTR_V6ONLY = 1, 2, 11
_BC_JMP, _BC_S_EQ, _BC_D_EQ = 1, 11, 12
_HEADER = struct.Struct("=LHHLL")
_REQUEST = struct.Struct("=BxxB48xL4x")
_DIAG = struct.Struct("=BBBB2s2s16s16s4xLLLLLLL")
_NO_COOKIE = (0, (1 << 64) - 1)
_ATTR = struct.Struct("=HH")
_OP = struct.Struct("=BBH")
_NETLINK_TIMEOUT = 5.0
# A dump comes in datagrams of at most this many bytes, however much room the reader has.
_DATAGRAM = 1 << 15
_SEQUENCE = 1
#: So often in a row the same data was sent again: about seven seconds without an answer at the usual times.
_MANY_RETRANSMITS = 5


def listeners() -> List[SocketRow]:
    """Every listening TCP socket of this network namespace. Raises OSError when neither source can be read."""
    return _read(1 << _LISTEN, ())


def connections(ports: Iterable[int]) -> List[SocketRow]:
    """Every TCP connection with one of these ports at either end. Raises OSError as listeners() does."""
    wanted = tuple(sorted(set(ports)))
    return _read(_CONNECTED, wanted) if wanted else []


def every_connection() -> List[SocketRow]:
    """Every TCP connection of this network namespace. Raises OSError as listeners() does."""
    return _read(_CONNECTED, ())


def unanswered() -> List[SocketRow]:
    """Every TCP connection here that nobody has answered yet. Raises OSError as listeners() does."""
    return _read(1 << _SYN_SENT, ())


def _read(states: int, ports: Tuple[int, ...]) -> List[SocketRow]:
    try:
        return read_netlink(states, ports)
    except (OSError, struct.error):  # refused, or more ports than a filter holds
        from . import proc_net  # hardly ever needed

        return proc_net.read(states, ports)


def read_netlink(states: int, ports: Tuple[int, ...]) -> List[SocketRow]:
    """The rows over netlink. states: a bit for each TCP state; ports: empty for any. Raises OSError."""
    rows: List[SocketRow] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(_NETLINK_TIMEOUT)
        netlink.send(_request(states, ports))
        done = False
        while not done:
            messages, done = parse_netlink(netlink.recv(_DATAGRAM), _SEQUENCE)
            rows.extend(messages)
    return rows


def _request(states: int, ports: Tuple[int, ...]) -> bytes:
    body = _REQUEST.pack(socket.AF_INET, 1 << (_ATTR_INFO - 1), states)  # it answers for both families
    if ports:
        code = port_filter(ports)
        body += _ATTR.pack(_ATTR.size + len(code), _ATTR_BYTECODE) + code
    return _HEADER.pack(_HEADER.size + len(body), _TCPDIAG_GETSOCK, _DUMP_REQUEST, _SEQUENCE, 0) + body


def port_filter(ports: Tuple[int, ...]) -> bytes:
    """Kernel byte code that accepts a socket with any of these ports at either end.

    Each test is two operations (the second one carries the port): a hit falls through to a jump to the very end,
    which accepts; a miss skips that jump. After the last test a miss lands behind the end, which rejects.
    """
    tests = [(code, port) for port in ports for code in (_BC_S_EQ, _BC_D_EQ)]
    test_size, jump_size = 2 * _OP.size, _OP.size
    total = len(tests) * (test_size + jump_size) - jump_size
    code = b""
    for index, (kind, port) in enumerate(tests):
        code += _OP.pack(kind, test_size, test_size + jump_size) + _OP.pack(0, 0, port)
        if index < len(tests) - 1:
            code += _OP.pack(_BC_JMP, jump_size, total - len(code))
    return code


def parse_netlink(data: bytes, sequence: int) -> Tuple[List[SocketRow], bool]:
    """(rows, whether the dump has ended) of one datagram. Raises OSError on an error message or a broken datagram."""
    rows: List[SocketRow] = []
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _flags, answered, _pid = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size or offset + length > len(data):
            raise OSError(errno.EBADMSG, "netlink message does not fit its datagram")
        payload = data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3
        if answered != sequence:
            continue
        if kind == _NLMSG_DONE:
            return rows, True
        if kind == _NLMSG_ERROR:
            code = -struct.unpack_from("=i", payload)[0] if len(payload) >= 4 else errno.EBADMSG
            raise OSError(code or errno.EBADMSG, "sock_diag refused the request")
        if kind == _TCPDIAG_GETSOCK and len(payload) >= _DIAG.size:
            rows.append(_diag_row(payload))
    return rows, False


def _diag_row(payload: bytes) -> SocketRow:
    fields = _DIAG.unpack_from(payload)
    family, state, _timer, _retrans, sport, dport, src, dst, low, high, _expires, rqueue, wqueue, uid, inode = fields
    cookie = low | high << 32
    v6only, info = None, TcpInfo()
    for kind, value in _attributes(payload[_DIAG.size :]):
        if kind == _ATTR_V6ONLY and value:
            v6only = bool(value[0])
        elif kind == _ATTR_INFO and state != _LISTEN:
            info = tcp_info(value)
    return SocketRow(
        family="ipv4" if family == socket.AF_INET else "ipv6",
        state=STATES.get(state, str(state)),
        local=text_address(family, src),
        local_port=int.from_bytes(sport, "big"),
        remote=text_address(family, dst),
        remote_port=int.from_bytes(dport, "big"),
        inode=inode,
        uid=uid,
        receive_queue=rqueue,
        send_queue=wqueue,
        v6only=v6only,
        idle=info.idle,
        sent=info.sent,
        cookie=None if cookie in _NO_COOKIE else cookie,
        received=info.received,
        lost_for=info.lost_for,
    )


class TcpInfo(NamedTuple):
    """What of struct tcp_info the rows tell; as SocketRow has it."""

    idle: Optional[float] = None
    sent: Optional[int] = None
    received: Optional[int] = None
    lost_for: Optional[float] = None


def tcp_info(value: bytes) -> TcpInfo:
    """Reads struct tcp_info, which older kernels cut short. Pure.

    tcpi_retransmits is byte 2, tcpi_unacked a word at byte 24; tcpi_last_data_sent, tcpi_last_data_recv and
    tcpi_last_ack_recv are milliseconds at bytes 44, 52 and 56; tcpi_bytes_acked is at byte 120, tcpi_bytes_received
    at 128.
    """
    idle = min(struct.unpack_from("=L4xL", value, 44)) / 1000 if len(value) >= 56 else None
    sent = struct.unpack_from("=Q", value, 120)[0] if len(value) >= 128 else None
    received = struct.unpack_from("=Q", value, 128)[0] if len(value) >= 136 else None
    lost_for = None
    if len(value) >= 60 and value[2] >= _MANY_RETRANSMITS and struct.unpack_from("=L", value, 24)[0]:
        lost_for = struct.unpack_from("=L", value, 56)[0] / 1000
    return TcpInfo(idle, sent, received, lost_for)


def _attributes(data: bytes) -> Iterator[Tuple[int, bytes]]:
    offset = 0
    while offset + _ATTR.size <= len(data):
        length, kind = _ATTR.unpack_from(data, offset)
        if length < _ATTR.size or offset + length > len(data):
            return
        yield kind, data[offset + _ATTR.size : offset + length]
        offset += (length + 3) & ~3
