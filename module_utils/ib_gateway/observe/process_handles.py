"""Whether this host has handles for processes (pidfd): without one nothing that may be another by then is signalled."""

from __future__ import annotations

import os
import signal


def can_hold() -> bool:
    """Whether a process can be held and signalled by pidfd: Python 3.9 and Linux 5.3 are needed."""
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True
