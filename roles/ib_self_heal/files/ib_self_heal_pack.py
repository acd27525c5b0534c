# SPDX-License-Identifier: Apache-2.0
"""Packs this project, a checkout or an installed collection, as a host needs it to run the playbooks.

ib_self_heal_pack.py ROOT [ARCHIVE]: prints a digest over what is packed, and writes the archive where one is named. The
same sources have the same digest, whoever packs them and when.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import tarfile
from pathlib import Path
from typing import List, Optional

#: What playbooks need, of a checkout and of a collection.
PARTS = (
    "LICENSE",
    "MANIFEST.json",
    "FILES.json",
    "ansible.cfg",
    "remediate.yml",
    "action_plugins",
    "callback_plugins",
    "doc_fragments",
    "filter_plugins",
    "library",
    "meta",
    "module_utils",
    "playbooks",
    "plugins",
    "roles",
)


def packed(root: Path) -> bytes:
    """The archive, not compressed. Raises OSError."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for part in PARTS:
            if (root / part).exists():
                archive.add(root / part, part, filter=_plain)
    return stream.getvalue()


def _plain(member: tarfile.TarInfo) -> Optional[tarfile.TarInfo]:
    """A file without what is this machine's own; None for what Python has made of it."""
    if member.name.endswith(("/__pycache__", ".pyc")):
        return None
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member


def main(words: List[str]) -> int:
    """The command line."""
    content = packed(Path(words[0]))
    if len(words) > 1:
        Path(words[1]).write_bytes(gzip.compress(content, mtime=0))
    print(hashlib.sha256(content).hexdigest())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
