"""A digest of a command line: tells that a process has become another program, and nothing else. Pure."""

from __future__ import annotations

import hashlib
from typing import Sequence

from .redaction import redact_argv


def argv_digest(argv: Sequence[str], key: bytes) -> str:
    """Sixteen hex digits for a raw command line: with the same key the same words have the same digest.

    key: a secret of the host, so that nobody who reads a report can try out passwords against it. Where there is none
    (b"") the digest is over the redacted command line, which the report shows anyway.
    """
    words = tuple(argv) if key else redact_argv(argv)
    data = b"".join(
        b"%d:%s" % (len(word), word) for word in (each.encode("utf-8", "backslashreplace") for each in words)
    )
    return hashlib.blake2b(data, digest_size=8, key=key[:64], person=b"argv").hexdigest()
