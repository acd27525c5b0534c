"""The kernel's TCP socket table from /proc/net/tcp{,6}: slower than netlink and with less to tell, but always there.

Loaded only where netlink is refused. Parsing is pure.
"""

from __future__ import annotations

import socket
import struct
from typing import List, Optional, Tuple

from .addresses import STATES, SocketRow, text_address


def read(states: int, ports: Tuple[int, ...], root: str = "/proc") -> List[SocketRow]:
    """The rows from procfs: no v6only, no idle time, no backlog. Raises OSError when tcp cannot be read."""
    rows: List[SocketRow] = []
    for name, family in (("tcp", "ipv4"), ("tcp6", "ipv6")):
        try:
            with open(f"{root}/net/{name}", encoding="ascii", errors="replace") as table:
                lines = table.read().splitlines()[1:]
        except FileNotFoundError:
            if family == "ipv4":
                raise
            continue  # a kernel without IPv6 has no tcp6
        rows.extend(row for row in map(parse_line, lines) if row and _wanted(row, states, ports))
    return rows


def _wanted(row: SocketRow, states: int, ports: Tuple[int, ...]) -> bool:
    in_state = any(states >> number & 1 for number, name in STATES.items() if name == row.state)
    return in_state and (not ports or row.local_port in ports or row.remote_port in ports)


def parse_line(line: str) -> Optional[SocketRow]:
    """One line of /proc/net/tcp or tcp6; None for a line that is not one (the file may change while it is read)."""
    fields = line.split()
    try:
        local, local_port = _proc_address(fields[1])
        remote, remote_port = _proc_address(fields[2])
        state = STATES[int(fields[3], 16)]
        send_queue, receive_queue = (int(part, 16) for part in fields[4].split(":"))
        uid, inode = int(fields[7]), int(fields[9])
    except (IndexError, ValueError, KeyError, OSError):
        return None
    return SocketRow(
        family="ipv4" if len(fields[1]) == 13 else "ipv6",
        state=state,
        local=local,
        local_port=local_port,
        remote=remote,
        remote_port=remote_port,
        inode=inode,
        uid=uid,
        receive_queue=receive_queue,
        send_queue=None if state == "LISTEN" else send_queue,
    )


def _proc_address(field: str) -> Tuple[str, int]:
    address, _colon, port = field.partition(":")
    raw = bytes.fromhex(address)
    if len(raw) not in (4, 16):
        raise ValueError("an address of %d bytes" % len(raw))
    words = struct.unpack(">%dL" % (len(raw) // 4), raw)
    # The kernel prints each 32-bit word in the host's order.
    native = struct.pack("=%dL" % len(words), *words)
    family = socket.AF_INET if len(native) == 4 else socket.AF_INET6
    return text_address(family, native), int(port, 16)
