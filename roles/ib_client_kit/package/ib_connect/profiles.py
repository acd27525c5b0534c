"""Profiles: the gateways of the host as scripts name them, and the rule that live must be said."""

from __future__ import annotations

import json
import os
import re
from typing import Any, NamedTuple, Optional

from .common import PathName
from .errors import LiveNotSaid, ProfileError

PROFILES_FILE, PROFILES_VARIABLE = "/etc/ib-connect/profiles.json", "IB_CONNECT_PROFILES"
#: Below the account's configuration folder, for who installs the package on a host without the role.
OWN_PROFILES_FILE = ("ib-connect", "profiles.json")


class Profile(NamedTuple):
    """One gateway as scripts see it; mode is live or paper."""

    name: str
    host: str
    port: int
    mode: str
    max_api_clients: int = 1


RANGES = {"port": (1, 65535), "max_api_clients": (1, 32)}


def load_profiles(path: Optional[PathName] = None) -> dict[str, Profile]:
    """The profiles of a file by name. path: where None, IB_CONNECT_PROFILES, the host's or the account's own."""
    return read_profiles(path)[0]


def find_profile(name: str, live: Optional[bool] = None, path: Optional[PathName] = None) -> Profile:
    """The profile of this name; for `live` and `paper` also the only one of that mode. Holds `live` against it.

    A live profile must be asked for as live: by a name with the word live in it (live, desk1-live), or by live=True.
    live=False refuses it whatever its name. A name or a `live` that contradicts the profile's mode is refused.
    """
    profiles, _locks, file = read_profiles(path)
    found = [profiles[name]] if name in profiles else [each for each in profiles.values() if each.mode == name]
    if len(found) != 1:
        known = ", ".join(f"{each.name} ({each.mode})" for each in profiles.values()) or "none"
        raise ProfileError(f"{file}: no profile {name!r}, or several of that mode; profiles: {known}")
    said = {"live", "paper"}.intersection(re.split(r"[^a-z0-9]+", name.lower()))
    if (len(said) == 1 and found[0].mode not in said) or (live and found[0].mode != "live"):
        raise ProfileError(
            f"{file}, profile {found[0].name}, key mode: is {found[0].mode}, but the call says otherwise"
        )
    if found[0].mode == "live" and not (live or (live is None and said == {"live"})):
        why = "live=False was given" if live is False else "say so: connect(%r, live=True)" % name
        raise LiveNotSaid(f"{file}, profile {found[0].name}: trades live; {why}")
    return found[0]


def read_profiles(path: Optional[PathName]) -> tuple[dict[str, Profile], Optional[str], str]:
    """The profiles, the lock folder that the file names, and the file's path."""
    file = os.fspath(path or os.environ.get(PROFILES_VARIABLE) or _default_file())
    try:
        with open(file, encoding="utf-8") as stream:
            raw = json.load(stream)
    except OSError as error:
        raise ProfileError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ProfileError(f"{file}: is not JSON: {error}") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("profiles"), dict):
        raise ProfileError(f"{file}, key profiles: must be an object with one entry for each profile")
    locks = raw.get("lock_dir")
    if locks is not None and not (isinstance(locks, str) and os.path.isabs(locks)):
        raise ProfileError(f"{file}, key lock_dir: must be an absolute path")
    return {name: parse_profile(file, name, each) for name, each in raw["profiles"].items()}, locks, file


def _default_file() -> str:
    """The host's file; where there is none, the account's own, if that is there."""
    configuration = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    own = os.path.join(configuration, *OWN_PROFILES_FILE)
    return own if not os.path.exists(PROFILES_FILE) and os.path.exists(own) else PROFILES_FILE


def parse_profile(file: str, name: str, raw: Any) -> Profile:
    where = f"{file}, profile {name}"
    if not isinstance(raw, dict):
        raise ProfileError(f"{where}: must be an object with the keys {', '.join(Profile._fields[1:])}")
    values = {"host": "127.0.0.1", "max_api_clients": 1, **raw}
    for key in sorted(set(values).symmetric_difference(Profile._fields[1:])):
        raise ProfileError(f"{where}, key {key}: is {'not known' if key in values else 'missing'}")
    if not isinstance(values["host"], str) or not values["host"]:
        raise ProfileError(f"{where}, key host: must be a host name or address")
    if values["mode"] not in ("live", "paper"):
        raise ProfileError(f"{where}, key mode: must be live or paper")
    for key, (low, high) in RANGES.items():
        if type(values[key]) is not int or not low <= values[key] <= high:
            raise ProfileError(f"{where}, key {key}: must be a whole number from {low} to {high}")
    return Profile(name, **values)
