"""Which gateways that fit no entry differ from one in a key alone: the entry may have that key mistyped. Pure."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from ..base.host import Folder, Process
from ..base.plan import Differing, Entry
from ..base.spec import GatewaySpec
from .claims import Host, in_folder, serves_another, set_to_another_port


def with_differing(
    entry: Entry, nobodys: Sequence[Process], host: Host, fitting: Sequence[Tuple[Process, Sequence[GatewaySpec]]] = ()
) -> Entry:
    """An entry without a gateway that stays, with those that one key alone keeps from being its own.

    fitting: the gateways that fit all its keys but may be other entries' by their port, with these entries.
    """
    stays = len(entry.processes) == 1 or entry.owners()
    if stays or entry.elsewhere or entry.ambiguous or entry.unplaced or entry.claimants:
        return entry
    spec = entry.spec
    found = [
        Differing(process, (("port", str(owner.port), str(spec.port)),), may_be_meant=True, owner=owner.name)
        for process, owners in fitting
        for owner in owners
        if owner.name != spec.name and (owner.product, owner.trading_mode) == (spec.product, spec.trading_mode)
    ]
    for process in nobodys:
        kind = process.gateway
        if kind is None or kind.product != spec.product or kind.trading_mode not in (None, spec.trading_mode):
            continue
        if spec.container is not None or process.other_netns:
            continue  # no key of an entry tells what lives in which container
        keys = []
        if spec.user is not None and spec.user != process.user:
            keys.append(("user", process.user, spec.user))
        folder = process.folder or kind.config_dir or process.cwd
        if spec.config_dir is not None and folder is not None and in_folder(spec, process, host) is False:
            keys.append(("config_dir", folder, spec.config_dir))
        port = _other_port(spec, process, host)
        if port is not None:
            keys.append(("port", str(port), str(spec.port)))
        if keys:
            found.append(Differing(process, tuple(keys), _may_be_meant(spec, process, [key for key, *_ in keys], host)))
    nearest = min((len(near.keys) for near in found), default=0)
    return entry._replace(differing=tuple(near for near in found if len(near.keys) == nearest))


def _may_be_meant(spec: GatewaySpec, process: Process, keys: Sequence[str], host: Host) -> bool:
    """Whether a gateway that differs in these keys may be the entry's all the same.

    Where the entry's folder is there, the entry says what it means, and a gateway with another one is another one; but
    while that one may be logging in, it may be about to open the entry's port.
    Another account's counts only where it owns that folder: anybody can start what looks like a gateway.
    """
    if serves_another(spec, process, host) or len(keys) > 1:
        return False
    owner = host.folders.get(spec.config_dir or "", Folder("")).owner
    return {
        "user": owner == process.user,
        "config_dir": owner is None or process.age < spec.start_timeout,
        "port": True,
    }[keys[0]]


def _other_port(spec: GatewaySpec, process: Process, host: Host) -> Optional[int]:
    """The port that a gateway is set to or listens on, and that is not the entry's; None where nothing tells one."""
    heard = host.heard[process.pid]
    if spec.port in heard:
        return None
    if set_to_another_port(spec, process, host):
        return process.gateway.api_port if process.gateway else None
    return min(heard, default=None)
