"""The only place that cuts an API connection: the gateway's end of it, by the kernel's own cookie for that socket.

Nothing is cut by addresses alone: a port may have been used again. Right before the cut the host is read again, and
the socket must still join the same two ends and be held by exactly the processes that the plan named. Of a client on
another host no process can be proven: its connection is cut only while the kernel waits in vain for its answer.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Tuple

from ..base.host import ESTABLISHED, ApiConnection, Snapshot
from ..observe import own_address, processes
from ..observe.addresses import normalise
from ..observe.snapshot import look
from . import held_process
from .held_process import Gone, Refused, Target

DROPPED = "dropped"
ALREADY_GONE = "already_gone"
REFUSED = "refused"
UNSUPPORTED = "unsupported"
RESULTS = (DROPPED, ALREADY_GONE, REFUSED, UNSUPPORTED)

_NETLINK_SOCK_DIAG, _SOCK_DESTROY, _NLMSG_ERROR = 4, 21, 2
_REQUEST_AND_ACK = 0x5  # NLM_F_REQUEST | NLM_F_ACK
_CAP_NET_ADMIN = 12
_HEADER = struct.Struct("=LHHLL")
_BODY = struct.Struct("=BBBxL2s2s16s16sLLL")
_TIMEOUT = 5.0
_ANY_STATE = 0xFFF
#: The kernel no longer has this very socket.
_GONE = (errno.ENOENT, errno.ESTALE)
_CANNOT = {
    errno.EPERM: "cutting a connection needs CAP_NET_ADMIN: run with become",
    errno.EACCES: "cutting a connection needs CAP_NET_ADMIN: run with become",
    errno.EOPNOTSUPP: "this kernel cannot cut a connection: it is built without INET_DIAG_DESTROY",
    errno.EINVAL: "this kernel cannot cut a connection: it is older than Linux 4.5",
    errno.EPROTONOSUPPORT: "this kernel has no sock_diag, so no connection can be named to it",
    errno.EAFNOSUPPORT: "this system has no sock_diag, so no connection can be named to it",
}


@dataclass(frozen=True)
class Cut:
    """One connection as a plan names it, and the processes at both ends.

    remote_host: the client's address where the plan has it on another host; then there are no client_processes.
    """

    gateway: str
    port: int
    client: str
    client_port: int
    server: str
    cookie: Optional[int]
    gateway_process: Target
    client_processes: Tuple[Target, ...]
    remote_host: Optional[str] = None

    @classmethod
    def named(cls, plan: Mapping[str, Any]) -> Cut:
        """The connection that a drop_connection step's target names."""
        return cls(
            gateway=plan["gateway"],
            port=plan["port"],
            client=normalise(plan["client"]),
            client_port=plan["client_port"],
            server=normalise(plan["server"]),
            cookie=plan.get("cookie"),
            gateway_process=Target.named({**plan["gateway_process"], "role": "gateway"}),
            client_processes=tuple(Target.named({**each, "role": "client"}) for each in plan["client_processes"]),
            remote_host=plan.get("remote_host"),
        )

    @property
    def ends(self) -> Tuple[str, int, str, int]:
        """Both ends, the gateway's first."""
        return self.server, self.port, self.client, self.client_port


@dataclass(frozen=True)
class Answer:
    """What became of one connection. result: dropped, already_gone, refused or unsupported."""

    cut: Cut
    result: str
    reason: str


class _Unsupported(Exception):
    """This host cannot cut connections, or this run may not; the message says which."""


#: Called right before a connection is cut. Raises Refused to keep it from that.
Announce = Callable[[Cut], None]


def _silently(_cut: Cut) -> None:
    """Announces nothing."""


def is_address(text: str) -> bool:
    """Whether a text is an address as the look writes it."""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return False
    return True


def drop(cut: Cut, dry_run: bool = False, announce: Announce = _silently) -> Answer:
    """Cuts one connection, on a proof of its own.

    dry_run: does everything but the announcement and the cut; the outcome is then what would be. Raises OSError when
    the host's tables cannot be read at all.
    """
    try:
        _prove_able()
        prove(cut)
        if dry_run:
            return Answer(cut, DROPPED, "would be cut")
        announce(cut)
        prove(cut)  # to announce it takes a moment, in which the connection may change hands
        _destroy(cut)
    except Gone as gone:
        return Answer(cut, ALREADY_GONE, str(gone))
    except Refused as refusal:
        return Answer(cut, REFUSED, str(refusal))
    except _Unsupported as reason:
        return Answer(cut, UNSUPPORTED, str(reason))
    if not cut.client_processes:
        return Answer(cut, DROPPED, "cut at the gateway's end; its other end had stopped answering")
    return Answer(cut, DROPPED, "cut at the gateway's end; the script goes on without it")


# --- proof -----------------------------------------------------------------------------------------------------------


def prove(cut: Cut) -> None:
    """Reads everything again that makes this connection the one that was meant. Raises Gone, Refused, _Unsupported."""
    if cut.cookie is None:
        raise Refused("the plan has no cookie for it, so it cannot be told from a later one of the same ports")
    if not cut.client_processes and cut.remote_host is None:
        raise Refused("the plan names no process of this host that holds it")
    _prove_namespace(cut.gateway_process)
    found = _now(cut, look([cut.port]))
    if not cut.client_processes:
        _prove_lost(cut, found)
    for held, named, what in (
        (found.gateway_pids, (cut.gateway_process,), "the gateway's end"),
        (found.client_pids, cut.client_processes, "the client's end"),
    ):
        if held != {each.pid for each in named}:
            pids = ", ".join(str(pid) for pid in sorted(held)) or "nobody that can be seen"
            raise Refused("%s is held by others than the plan named, by %s" % (what, pids))
    for target in (cut.gateway_process, *cut.client_processes):
        try:
            held_process.prove(target)
        except Gone:
            raise Refused("pid %d is not the process that the plan named any more" % target.pid) from None


def _prove_lost(cut: Cut, found: ApiConnection) -> None:
    """That the client is on another host, and that TCP shows it to have gone."""
    if found.remote_host is None or found.remote_host != normalise(cut.remote_host or ""):
        raise Refused("the plan has its client on another host, and it is not there")
    if own_address.is_own(found.remote_host) is not False:
        raise Refused("%s is not known to be an address of another host" % found.remote_host)
    if found.lost_for is None:
        raise Refused("TCP does not show that its other end has gone: nothing waits in vain for an answer")


def _prove_namespace(gateway: Target) -> None:
    own, other = processes.network_namespace("self"), processes.network_namespace(str(gateway.pid))
    if other is not None and other != own:
        raise Refused("pid %d lives in a network namespace of its own, which is not served from here" % gateway.pid)


def _now(cut: Cut, snapshot: Snapshot) -> ApiConnection:
    """The connection as it is now, known by its cookie. Raises Gone, Refused or _Unsupported."""
    found = [each for each in snapshot.connections if each.cookie == cut.cookie]
    if not found:
        if any(each.cookie is None and _ends(each) == cut.ends for each in snapshot.connections):
            raise _Unsupported("the kernel's cookies cannot be read here, and without one no connection is cut")
        raise Gone("it had ended before")
    now = found[0]
    if _ends(now) != cut.ends:
        raise Refused("its cookie belongs to a connection between other ends")
    if now.state != ESTABLISHED:
        raise Gone("it is ending by itself: the gateway's end is in %s" % now.state)
    return now


def _ends(connection: ApiConnection) -> Tuple[str, int, str, int]:
    return connection.server, connection.port, connection.client, connection.client_port


# --- the kernel ------------------------------------------------------------------------------------------------------


def _prove_able() -> None:
    """Knows before anything is announced what this run may not do. Raises _Unsupported."""
    if not hasattr(socket, "AF_NETLINK"):
        raise _Unsupported(_CANNOT[errno.EAFNOSUPPORT])
    if not _capabilities() >> _CAP_NET_ADMIN & 1:
        raise _Unsupported(_CANNOT[errno.EPERM])


def _capabilities() -> int:
    """This process's effective capabilities, a bit for each; all of them where that cannot be read."""
    try:
        with open(processes.PROC + "/self/status", encoding="ascii", errors="replace") as status:
            line = next(each for each in status if each.startswith("CapEff:"))
        return int(line.split()[1], 16)
    except (OSError, StopIteration, ValueError, IndexError):
        return -1


def _destroy(cut: Cut) -> None:
    """Has the kernel abort the gateway's socket. Raises Gone, Refused or _Unsupported."""
    error = 0
    for family in _families(cut):
        error = _ask_kernel(destroy_request(cut, family))
        if error not in _GONE:
            break
    if error in _GONE:
        raise Gone("it has ended meanwhile")
    if error in _CANNOT:
        raise _Unsupported(_CANNOT[error])
    if error:
        raise Refused("the kernel refuses to cut it: %s" % os.strerror(error))


def _families(cut: Cut) -> Tuple[int, ...]:
    """A gateway listens dual-stack as a rule: its end may be an IPv6 socket although the addresses are IPv4."""
    return (socket.AF_INET6,) if ":" in cut.server else (socket.AF_INET, socket.AF_INET6)


def destroy_request(cut: Cut, family: int) -> bytes:
    """The netlink message that names one socket by both of its ends and its cookie. Pure."""
    cookie = cut.cookie or 0
    body = _BODY.pack(
        family,
        socket.IPPROTO_TCP,
        0,
        _ANY_STATE,
        cut.port.to_bytes(2, "big"),
        cut.client_port.to_bytes(2, "big"),
        _raw(family, cut.server),
        _raw(family, cut.client),
        0,
        cookie & 0xFFFFFFFF,
        cookie >> 32,
    )
    return _HEADER.pack(_HEADER.size + len(body), _SOCK_DESTROY, _REQUEST_AND_ACK, 1, 0) + body


def _raw(family: int, address: str) -> bytes:
    if family == socket.AF_INET:
        return socket.inet_pton(socket.AF_INET, address)
    return socket.inet_pton(socket.AF_INET6, address if ":" in address else "::ffff:" + address)


def _ask_kernel(request: bytes) -> int:
    """The error number the kernel answers with; 0 when it has done it."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
            netlink.settimeout(_TIMEOUT)
            netlink.send(request)
            return parse_ack(netlink.recv(1 << 16))
    except OSError as error:
        return error.errno or errno.EIO


def parse_ack(data: bytes) -> int:
    """The error number in a netlink acknowledgement; 0 for success, EBADMSG for what is none."""
    if len(data) < _HEADER.size + 4 or _HEADER.unpack_from(data)[1] != _NLMSG_ERROR:
        return errno.EBADMSG
    return -int(struct.unpack_from("=i", data, _HEADER.size)[0])
