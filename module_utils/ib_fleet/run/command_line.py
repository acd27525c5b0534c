"""What a next command takes over from this run's command line, so that it works as it stands. Pure.

A text of another's variable may be a secret, so of variables on the command line only the project's own are taken over.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml
from ansible.parsing.splitter import parse_kv

#: Those that a next command sets itself, that hold for one run only, or that may hold a secret.
_LEFT_OUT = ("ib_gateways", "ib_repair_reason", "ib_repair_release", "ib_repair_reset_journal", "ib_compare_with")
_SWITCHES = {
    "become": "--become",
    "become_ask_pass": "--ask-become-pass",
    "ask_pass": "--ask-pass",
    "ask_vault_pass": "--ask-vault-pass",
}
_TEXTS = {"remote_user": "--user", "private_key_file": "--private-key"}


def options(given: Mapping[str, Any], configured: Sequence[str] = (), here: str = "") -> str:
    """The options of a next command. given: Ansible's parsed command line.

    configured: the inventories of a run that names none; here: the folder from which paths are told.
    """
    paths = [_from(here, str(each)) for each in given.get("inventory") or configured]
    sources = [f"-i {shlex.quote(each)}" for each in paths] or ["-i INVENTORY"]
    found = [word for key, word in _SWITCHES.items() if given.get(key)]
    found += [f"{word} {shlex.quote(str(given[key]))}" for key, word in _TEXTS.items() if given.get(key)]
    found += [f"--vault-id {shlex.quote(str(each))}" for each in given.get("vault_ids") or ()]
    found += [f"--vault-password-file {shlex.quote(str(each))}" for each in given.get("vault_password_files") or ()]
    return " ".join([*sources, *found, *_variables(given.get("extra_vars") or ())])


def _from(here: str, path: str) -> str:
    return path.removeprefix(here + "/") if here else path


def _variables(given: Iterable[str]) -> list[str]:
    """Files of variables by their names, and the project's own variables."""
    files, own = [], {}
    for each in given:
        if each.startswith("@"):
            files.append(f"-e {shlex.quote(each)}")
            continue
        for key, value in _read(each).items():
            if str(key).startswith("ib_") and key not in _LEFT_OUT:
                own[str(key)] = value
    return files + ([f"-e {shlex.quote(json.dumps(own, default=str))}"] if own else [])


def _read(text: str) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(text) if text.lstrip()[:1] in ("{", "[") else parse_kv(text)
    except Exception:  # Ansible has taken it, so it is only lost for the command
        return {}
    return found if isinstance(found, Mapping) else {}
