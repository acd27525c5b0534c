"""What every source of TCP sockets shares: a socket's shape, its states, its addresses in the form that is compared."""

# Annotations are evaluated here: NamedTuple would compile each one that is only text.
import socket
from typing import NamedTuple, Optional

STATES = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    3: "SYN_RECV",
    4: "FIN_WAIT1",
    5: "FIN_WAIT2",
    6: "TIME_WAIT",
    7: "CLOSE",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "SYN_RECV",
}


class SocketRow(NamedTuple):
    """One TCP socket. Addresses are text, IPv4-mapped ones as IPv4.

    Queues: bytes, or connections of a listener. idle: seconds since data last went either way. sent: bytes the other
    end has acknowledged, received: bytes that have come from it. cookie: the kernel's own number for this socket, never
    used twice in a boot. lost_for: seconds since the other end last answered, where data that was sent again and again
    waits for its answer. None where the source does not say.
    """

    family: str
    state: str
    local: str
    local_port: int
    remote: str
    remote_port: int
    inode: int
    uid: int
    receive_queue: int
    send_queue: Optional[int]
    v6only: Optional[bool] = None
    idle: Optional[float] = None
    sent: Optional[int] = None
    cookie: Optional[int] = None
    received: Optional[int] = None
    lost_for: Optional[float] = None


def text_address(family: int, raw: bytes) -> str:
    """The text of an address in network order; an IPv4 one may be followed by anything."""
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[:4])
    return normalise(socket.inet_ntop(socket.AF_INET6, raw))


def normalise(address: str) -> str:
    """An address in the one form used for comparing: IPv4-mapped IPv6 as IPv4, no zone."""
    address = address.partition("%")[0]
    lowered = address.lower()
    return lowered[7:] if lowered.startswith("::ffff:") and "." in lowered else lowered
