"""Whether an address is one of this host's own."""

from __future__ import annotations

import errno
import socket
from typing import Optional


def is_own(address: str) -> Optional[bool]:
    """Whether this host has an address; None where that cannot be told.

    Asked of the kernel, which binds a socket to no other address. It knows all of them, those that no interface shows
    (127.0.0.0/8, local routes) as well. Nothing is sent. Where net.ipv4.ip_nonlocal_bind is set every address counts
    as own; of a link-local one without its interface nothing can be told.
    """
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind((address, 0))
    except OSError as error:
        return False if error.errno == errno.EADDRNOTAVAIL else None
    return True
