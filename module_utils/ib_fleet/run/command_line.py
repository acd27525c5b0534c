"""What a next command needs to work as it stands: this run's options, and its programs as this run's shell finds them.

A text of another's variable may be a secret, so of variables on the command line only the project's own are taken over.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible.constants import DEFAULT_BECOME_METHOD, DEFAULT_TRANSPORT
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
_TEXTS = {"remote_user": "--user", "private_key_file": "--private-key", "become_user": "--become-user"}
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
    # make has put the run's own programs on its PATH, and says which one its user has.
    own, found = Path(sys.executable).parent / name, shutil.which(name, path=os.environ.get("IB_TYPED_PATH"))
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
    found += [f"{word} {shlex.quote(text)}" for word, text in _texts(given)]
    return " ".join([*sources, *found, *_vault(given), *_variables(given.get("extra_vars") or ())])


def passwords(given: Mapping[str, Any]) -> str:
    """Of the options of a next command those that no inventory can hold: where its passwords come from."""
    asked = [word for key, word in _SWITCHES.items() if given.get(key) and key != "become"]
    return " ".join([*asked, *_vault(given)])


def connection(given: Mapping[str, Any]) -> str:
    """The connection that the command line names. Empty where it names none: the parsed one has the default then."""
    named = any(each in ("-c", "--connection") or each.startswith("--connection=") for each in sys.argv)
    found = str(given.get("connection") or "")
    return found if named or found != str(DEFAULT_TRANSPORT) else ""


def variables(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the command line says of how hosts are reached, as an inventory says it; never a password."""
    names = {
        "--connection": "ansible_connection",
        "--user": "ansible_user",
        "--private-key": "ansible_ssh_private_key_file",
        "--become-method": "ansible_become_method",
        "--become-user": "ansible_become_user",
    }
    told: dict[str, Any] = {names[word]: text for word, text in _texts(given)}
    return {**told, "ansible_become": True} if given.get("become") else told


def _texts(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The options with a text that were given, each with its text."""
    named = connection(given)
    if named:
        yield "--connection", named
    yield from ((word, str(given[key])) for key, word in _TEXTS.items() if given.get(key))
    if given.get("become_method") not in (None, DEFAULT_BECOME_METHOD):
        yield "--become-method", str(given["become_method"])


def _vault(given: Mapping[str, Any]) -> list[str]:
    found = [f"--vault-id {shlex.quote(str(each))}" for each in given.get("vault_ids") or ()]
    return found + [
        f"--vault-password-file {shlex.quote(str(each))}" for each in given.get("vault_password_files") or ()
    ]


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
