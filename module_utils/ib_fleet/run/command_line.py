"""What a next command needs to work as it stands: this run's options, and its programs as this run's shell finds them.

A text of another's variable may be a secret, so of variables on the command line only the project's own are taken over.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.splitter import parse_kv

#: Those that a next command sets itself, that hold for one run only, or that may hold a secret.
_LEFT_OUT = (
    *("ib_gateways", "ib_repair_reason", "ib_repair_release", "ib_repair_reset_journal", "ib_compare_with"),
    *("ib_notify_urls", "ib_fleet_report_notify_urls"),
)
_SWITCHES = {
    "become": "--become",
    "become_ask_pass": "--ask-become-pass",
    "ask_pass": "--ask-pass",
    "ask_vault_pass": "--ask-vault-pass",
}
_TEXTS = {"remote_user": "--user", "private_key_file": "--private-key"}
#: Of a checkout. An installed collection's commands name no file, so there it is not needed.
_PROJECT = Path(__file__).resolve().parents[3]


def as_typed(command: str) -> str:
    """A command, written for the project's root with Ansible on PATH, as it works in this run's folder and shell.

    The program is the one beside this run's own Python, unless PATH finds the same one. A playbook's file is told from
    the folder in which the run was started; a playbook of an installed collection has a name, and keeps it.
    """
    program, *rest = command.split(" ")
    if program == "ansible-playbook" and rest[0].endswith(".yml"):
        rest[0] = shlex.quote(from_here(str(_PROJECT / rest[0])))
    return " ".join([_program(program), *rest])


def _program(name: str) -> str:
    own, found = Path(sys.executable).parent / name, shutil.which(name)
    if not own.exists() or (found and os.path.samefile(found, own)):
        return name
    here = from_here(str(own))
    return shlex.quote(here if "/" in here else str(own))  # a name alone would be looked for on PATH


def from_here(path: str) -> str:
    """A path, told from the folder in which this run was started where it is below it."""
    return _from(str(Path.cwd()), path)


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
