"""The claim of one gateway on one entry: what of its command line, account, folder, unit and ports fits. Pure."""

from __future__ import annotations

import posixpath
from typing import Any, FrozenSet, Mapping, Optional, Tuple

from ..base.host import Folder, Process
from ..base.record import Record
from ..base.spec import GatewaySpec

#: What a gateway is to an entry: not its own, its own, or one whose folder or account nothing proves.
NOT, OWN, UNPLACED, CLAIMS = "not", "own", "unplaced", "claims"


class Host(Record):
    """What of a snapshot decides which gateway is whose.

    ports: by pid, the API ports it serves; held: those on which it holds connections, so that it has served them.
    logins: as a Snapshot has them.
    """

    gateways: Tuple[Process, ...]
    ports: Mapping[int, FrozenSet[int]]
    folders: Mapping[str, Folder]
    looked_as: str
    held: Mapping[int, FrozenSet[int]]
    logins: FrozenSet[str] = frozenset()
    #: By entry, how its port leads into a container.
    ways: Mapping[str, Any] = {}
    #: By pid, all ports on which it listens, but for those that are an agent's or IBC's.
    heard: Mapping[int, FrozenSet[int]] = {}


def serves_another(spec: GatewaySpec, process: Process, host: Host) -> bool:
    """Whether it serves an API port, and not the entry's: at work for somebody, so never the entry's surplus."""
    ports = host.ports[process.pid]
    return bool(ports) and spec.port not in ports


def set_to_another_port(spec: GatewaySpec, process: Process, host: Host) -> bool:
    """Whether IBC's settings file gives it another API port than the entry's, and it has never served that one.

    In a container the port of its settings is not the one that the host sees.
    """
    port = process.gateway.api_port if process.gateway else None
    if port in (None, spec.port) or spec.container is not None or process.other_netns:
        return False
    return spec.port not in host.ports[process.pid] | host.held[process.pid]


def claim(spec: GatewaySpec, process: Process, host: Host) -> str:
    """NOT, OWN, UNPLACED (all but its folder fits) or CLAIMS (all fits, and nothing shows that its account may)."""
    kind = process.gateway
    if kind is None or kind.product != spec.product:
        return NOT
    if kind.trading_mode not in (None, spec.trading_mode):
        return NOT
    if spec.container is not None:
        return _claim_in_container(spec, process, host)
    if spec.user is not None and spec.user not in (process.user, str(process.uid)):
        return NOT
    if kind.unsupported is not None:
        return UNPLACED
    if spec.unit is not None and process.unit == spec.unit:
        # Nobody but the system puts a process into a unit of the system; the folder tells two in one unit apart.
        return NOT if _apart(spec, process, host) else OWN
    placed = in_folder(spec, process, host)
    if placed is False or _out_of_reach(spec, process, host):
        return NOT
    if not _account_may(spec, process, host):
        return CLAIMS if placed or spec.port in host.ports[process.pid] else NOT
    ports = host.ports[process.pid] or host.held[process.pid]  # it serves them, or has served them
    return OWN if placed or spec.port in ports else UNPLACED


def _out_of_reach(spec: GatewaySpec, process: Process, host: Host) -> bool:
    """Whether it lives in a container with ports of its own, and the entry's port leads to another gateway.

    Where nothing can be seen to lead anywhere, it may be the entry's.
    """
    if not process.other_netns or spec.port in host.ports[process.pid]:
        return False
    return process.reached or any(spec.port in ports for ports in host.ports.values())


def _claim_in_container(spec: GatewaySpec, process: Process, host: Host) -> str:
    """The container that the entry names tells whose it is; its folder, of several in one container."""
    way = host.ways.get(spec.name)
    if way is None or process.pid not in way.members:
        return NOT
    if process.gateway is not None and process.gateway.unsupported is not None:
        return UNPLACED
    return NOT if in_folder(spec, process, host) is False else OWN


def in_folder(spec: GatewaySpec, process: Process, host: Host) -> Optional[bool]:
    """Whether it keeps its settings in the entry's folder; None where nothing tells."""
    if spec.config_dir is None:
        return True
    wanted = {posixpath.normpath(spec.config_dir)}
    known = host.folders.get(spec.config_dir)
    if known is not None:
        wanted.add(known.path)
        same = None if None in (known.id, process.folder_id) else known.id == process.folder_id
        # A bind mount gives one folder two paths; in a root or mounts of its own, one path is two folders. An entry
        # with a container may write the folder as that sees it.
        if same or (same is False and spec.container is None):
            return same
    given = process.gateway.config_dir if process.gateway else None
    # What is written from a working directory that could not be read tells nothing.
    told = {posixpath.normpath(each) for each in (process.folder, given) if each and each.startswith("/")}
    if told:
        return bool(told & wanted)
    return True if process.cwd is not None and posixpath.normpath(process.cwd) in wanted else None


def _apart(spec: GatewaySpec, process: Process, host: Host) -> bool:
    """Whether it is another gateway's neighbour in the entry's unit: that one has the entry's folder, it another."""
    if spec.config_dir is None or in_folder(spec, process, host) is not False:
        return False
    neighbours = (each for each in host.gateways if each.unit == spec.unit and each.pid != process.pid)
    return any(in_folder(spec, each, host) for each in neighbours)


def _account_may(spec: GatewaySpec, process: Process, host: Host) -> bool:
    """Whether its account is one that may run the entry's gateway, by more than its command line.

    root may; so may the entry's user, the owner of its settings folder, and this run's own account, which starts it.
    Where none of that is known it counts that no other account claims it as well, and that nobody else can log in to
    this host who could have started what looks like it.
    """
    if process.user == "root" or spec.user is not None:
        return True
    owner = host.folders.get(spec.config_dir or "", Folder("")).owner
    if owner is not None:
        return process.user == owner
    if process.user == host.looked_as:
        return True
    rivals = {
        each.user
        for each in host.gateways
        if each.gateway is not None
        and each.gateway.product == spec.product
        and each.gateway.trading_mode in (None, spec.trading_mode)
        and not serves_another(spec, each, host)
    }
    return (rivals | host.logins) <= {process.user}
