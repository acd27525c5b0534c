"""Whether this host has a way to addresses beyond its own networks. Nothing is sent."""

from __future__ import annotations

import socket

#: Of the blocks for documentation: nobody's, and reached by the default route alone.
_FAR = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def exists() -> bool:
    """Whether the kernel knows a route for one of them: to connect a datagram socket only asks it that."""
    for family, address in _FAR:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as asker:
                asker.connect((address, 9))
                return True
        except OSError:
            continue
    return False
