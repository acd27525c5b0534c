"""The text of a unit's files, for what systemctl does not show of them."""

from __future__ import annotations

import os
import shlex
from typing import List, Mapping, Optional, Pattern, Tuple

#: A longer file is none that a person wrote.
_MOST = 65536


def text_of(shown: Mapping[str, str]) -> Optional[str]:
    """The text of a unit's file and its drop-ins, in the order in which they count; None where that is not what systemd
    goes by, or one of them cannot be read. shown: what systemctl shows of the unit."""
    files = [shown.get("FragmentPath", ""), *split(shown.get("DropInPaths", ""))]
    if shown.get("NeedDaemonReload") == "yes" or not files[0]:
        return None
    texts = [_text(path) for path in files]
    return None if None in texts else "\n".join(filter(None, texts))


def settings_of(text: str, names: Pattern[str]) -> List[Tuple[str, str]]:
    """(name, value) of each line that sets one of these, in their order; one that is broken in two is one. Pure."""
    rows = (line.partition("=") for line in text.replace("\\\n", " ").split("\n"))
    found = [(name.strip(), value.strip()) for name, equals, value in rows if equals]
    return [(name, value) for name, value in found if names.fullmatch(name)]


def split(text: str) -> List[str]:
    """The words of a setting's value."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _text(path: str) -> Optional[str]:
    """A unit's file; None where it cannot be read, or is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return os.read(descriptor, _MOST).decode("utf-8", "replace").replace("\r", "\n")
    except OSError:
        return None
    finally:
        os.close(descriptor)
