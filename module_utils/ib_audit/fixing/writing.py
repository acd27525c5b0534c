"""Puts mended scripts in their place: a copy kept, in one step, mode and owner as they were."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Dict, List

from ..rules.problems import printable
from .edit import Left
from .repair import Change, Outcome


def write(module: Any, outcome: Outcome) -> Dict[str, Any]:
    """{changed, backups, left}: writes every change, in check mode none. module: an AnsibleModule.

    A file that has another text by now than the one that was audited is left.
    """
    if module.check_mode:
        return {"changed": bool(outcome.changes), "backups": [], "left": []}
    backups: List[Dict[str, str]] = []
    left: List[Left] = []
    written = 0
    for change in outcome.changes:
        target = os.path.realpath(change.path)
        with open(target, "rb") as file:
            same = file.read() == change.before
        if not same:
            reason = "it was changed by somebody else meanwhile"
            left.extend(
                Left(each.code, each.file, each.line, reason)
                for each in outcome.fixed
                if each.file == printable(change.path)
            )
            continue
        if module.params["backup"]:
            backups.append({"file": printable(change.path), "backup": printable(module.backup_local(target))})
        _replace(module, target, change)
        written += 1
    return {"changed": written > 0, "backups": backups, "left": left}


def _replace(module: Any, target: str, change: Change) -> None:
    """A draft in the same folder, flushed to the disk, takes the file's place with its mode and owner."""
    handle, draft = tempfile.mkstemp(prefix=".ib-audit-", dir=os.path.dirname(target))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(change.after)
            file.flush()
            os.fsync(file.fileno())
        module.atomic_move(draft, target)
    finally:
        if os.path.exists(draft):
            os.unlink(draft)
