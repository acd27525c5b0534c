"""What `localhost` is on this host: where a script on it connects to."""

from __future__ import annotations

import socket
from typing import Tuple


def addresses() -> Tuple[str, ...]:
    """The addresses that a script on this host gets for `localhost`, in their order; none where it has no answer."""
    try:
        found = socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))
