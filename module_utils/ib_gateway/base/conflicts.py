"""Which entries of one host cannot stand beside each other: names, ports, units, or gateways that both would match."""

from __future__ import annotations

import posixpath
from typing import List, Optional, Sequence, Tuple

from .spec import GatewaySpec


def conflicts(specs: Sequence[GatewaySpec], place: str = "ib_gateways") -> List[str]:
    """Where two entries of one host cannot stand beside each other, a line for each."""
    problems = []
    for index, one in enumerate(specs):
        for other in specs[index + 1 :]:
            shared = _shared_command_port(one, other)
            if one.name == other.name:
                problems.append(
                    "%s: two entries are named %r, key name; names are unique on a host" % (place, one.name)
                )
            elif one.port == other.port:
                problems.append(
                    "%s: entries %s and %s both have port %d, key port; one port serves one gateway"
                    % (place, one.name, other.name, one.port)
                )
            elif shared is not None:
                problems.append(
                    "%s: entries %s and %s both have port %d, one of them as key ibc_command_port; give each its own"
                    % (place, one.name, other.name, shared)
                )
            elif _unit(one) is not None and _unit(one) == _unit(other):
                problems.append(
                    "%s: entries %s and %s both have unit %s, key service; restarting one would restart the other"
                    % (place, one.name, other.name, one.unit or one.user_unit)
                )
            elif _overlap(one, other):
                problems.append(
                    "%s: entries %s and %s would match the same process; "
                    "tell them apart by different values of key user or key config_dir" % (place, one.name, other.name)
                )
    return problems


def _unit(spec: GatewaySpec) -> Optional[Tuple[Optional[str], str]]:
    """(the account whose unit it is, None for the system's; the unit), None without one."""
    if spec.user_unit is not None:
        return spec.user, spec.user_unit
    return None if spec.unit is None else (None, spec.unit)


def _shared_command_port(one: GatewaySpec, other: GatewaySpec) -> Optional[int]:
    """A port that IBC's command server of one of two entries would share with the other entry; None when none is."""
    if _apart(one, other):
        return None
    if one.ibc_command_port in (other.ibc_command_port, other.port):
        return one.ibc_command_port
    return other.ibc_command_port if other.ibc_command_port == one.port else None


def _apart(one: GatewaySpec, other: GatewaySpec) -> bool:
    """Whether the entries name two containers, so that neither's process or command server can be the other's.

    A name and a compose service may be one and the same container's.
    """
    first, second = one.container, other.container
    return first is not None and second is not None and first != second and bool(first.name) == bool(second.name)


def _folder(path: str) -> str:
    return posixpath.normpath(path)


def _overlap(one: GatewaySpec, other: GatewaySpec) -> bool:
    """Whether a gateway that does not listen could be either's. Entries of different modes are told apart by port and
    mode, those of different products by the main class; what still could be both is never touched."""
    return (
        one.trading_mode == other.trading_mode
        and one.product == other.product
        and not _apart(one, other)
        and (one.user is None or other.user is None or one.user == other.user)
        and (one.config_dir is None or other.config_dir is None or _folder(one.config_dir) == _folder(other.config_dir))
    )
