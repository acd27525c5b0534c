"""What of this host a unit's file names beside its programs, and has to be there at each start: systemd starts nothing
without it, although the gateway that runs goes on.

systemctl shows only some of it, so it is read from the unit's files.
"""

from __future__ import annotations

import os
import re
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional

from .unit_text import settings_of, split, text_of


def _each_word(value: str) -> List[str]:
    return split(value)


def _bound(value: str) -> List[str]:
    """BindPaths=SOURCE[:DESTINATION[:OPTIONS]]; of one with a backslash, which may hide a colon, nothing is said."""
    return [] if "\\" in value else [word.partition(":")[0] for word in split(value)]


def _credential(value: str) -> List[str]:
    """LoadCredential=NAME:PATH; without a path systemd looks where it need not be."""
    return [value.partition(":")[2]]


def _stream(value: str) -> List[str]:
    """StandardOutput=append:PATH makes the file, and not its folder."""
    kind, _colon, path = value.partition(":")
    return [os.path.dirname(path)] if kind in ("file", "append", "truncate") and path.startswith("/") else []


def _input(value: str) -> List[str]:
    return [value[len("file:") :]] if value.startswith("file:") else []


def _whole(value: str) -> List[str]:
    return [value]


#: By setting, the paths of one of its values. Those that count all together are taken back by an empty one.
_LISTS: Dict[str, Callable[[str], List[str]]] = {
    **dict.fromkeys(("BindPaths", "BindReadOnlyPaths"), _bound),
    **dict.fromkeys(("LoadCredential", "LoadCredentialEncrypted"), _credential),
    **dict.fromkeys(("ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths"), _each_word),
}
#: Those of which the last one counts.
_SINGLE: Dict[str, Callable[[str], List[str]]] = {
    **dict.fromkeys(("StandardOutput", "StandardError"), _stream),
    "StandardInput": _input,
    **dict.fromkeys(("NetworkNamespacePath", "IPCNamespacePath", "RootDirectory", "RootImage"), _whole),
}
_NAMES = re.compile("|".join((*_LISTS, *_SINGLE, r"(?:Runtime|State|Cache|Logs|Configuration)Directory")))
#: Folders that systemd makes by itself before it looks at the others, and below what they lie.
_MADE = {
    "RuntimeDirectory": "/run",
    "StateDirectory": "/var/lib",
    "CacheDirectory": "/var/cache",
    "LogsDirectory": "/var/log",
    "ConfigurationDirectory": "/etc",
}
#: Where one of these is set, a path may be one that only the unit sees.
_HIDDEN = re.compile(r"(?m)^[ \t]*(?:TemporaryFileSystem|RootDirectory|RootImage|MountImages|ExtensionImages)[ \t]*=")


class Place(NamedTuple):
    """A path that has to be there, and the setting that names it."""

    setting: str
    path: str


def gone(shown: Mapping[str, str]) -> Optional[str]:
    """What a unit's files name and is not there, in words that follow its name; None where nothing is known to be.

    shown: what systemctl shows of the unit.
    """
    text = text_of(shown)
    for place in places_of(text) if text else ():
        try:
            os.stat(place.path)
        except (FileNotFoundError, NotADirectoryError):
            return "its %s= needs %s, which does not exist" % place
        except OSError:
            continue
    return None


def places_of(text: str) -> List[Place]:
    """The paths that the files of a unit name and that have to be there, with what systemd makes left out. Pure.

    A dash before a path lets it be missing; what stands for a name or a folder is known to systemd alone.
    """
    found: Dict[str, List[str]] = {}
    made: List[str] = []
    for name, value in settings_of(text, _NAMES):
        if name in _MADE:
            made += ["%s/%s" % (_MADE[name], each.partition(":")[0]) for each in split(value)]
        elif name in _SINGLE or not value:
            found[name] = _SINGLE[name](value) if name in _SINGLE else []
        else:
            found.setdefault(name, []).extend(_LISTS[name](value))
    hidden = _HIDDEN.search(text) is not None
    places = [Place(name, path.lstrip("+")) for name, paths in found.items() for path in paths]
    return [
        each
        for each in places
        if each.path.startswith("/")
        and "%" not in each.path
        and not any(each.path == one or each.path.startswith(one + "/") for one in made)
        and not (hidden and _LISTS.get(each.setting) is _each_word)
    ]
