"""How a source is spelled inside the collection: imports, module, filter, role and playbook names. Pure, text to text.

In the checkout Ansible finds everything by its short name, through ansible.cfg. A collection has no ansible.cfg, so
each name is written in full, and shared code is imported from where a collection has it.
"""

from __future__ import annotations

import re

from collection.names import Names

#: Only the controller imports it, so a collection holds it apart from what is sent to hosts.
CONTROLLER_ONLY = "ib_fleet"
#: How plugins of a checkout find the shared code; the collection's loader does it by itself.
_SHIM = re.compile(
    r"^# The `module_utils` setting serves modules only.*\n((?:(?!_SHARED).*\n)*)"
    r"_SHARED = .*\nif _SHARED not in .*\n    .*\.append\(_SHARED\)\n\n?",
    re.MULTILINE,
)
_SHIM_IMPORT = re.compile(r"^import ansible\.module_utils\n", re.MULTILINE)
_SHIM_REMARK = re.compile(r"  # noqa: E402.*$", re.MULTILINE)
_PATH_IMPORT = re.compile(r"^from pathlib import Path\n", re.MULTILINE)
_SHARED_IMPORT = re.compile(r"\bansible\.module_utils\.(ib_\w+)")
_ACROSS = re.compile(r"^(\s*from )\.\.\.(ib_(?:gateway|audit))\b", re.MULTILINE)
#: Code of the controller that reads what the project ships; in the collection it lies one folder deeper.
_ROOT = re.compile(r"\.parents\[(\d)\] / \"roles\"")
_PLUGIN_ROOT = re.compile(r"^(_ROOT = Path\(__file__\)\.resolve\(\))(?:\.parent\.parent|\.parents\[3\])$", re.MULTILINE)
_COMMAND = re.compile(r"\bansible-playbook (?:playbooks/)?(\w+)\.yml")
_AD_HOC = re.compile(r"((?:^|\s)-m |ansible-doc -t module )(ib_\w+)")
_MENTION = re.compile(r"\b(M\(|R?[OV]\()(ib_\w+)(?=\)|#module:)")
_MENTIONED_FILTER = re.compile(r"\bP\((ib_\w+)(?=#filter\))")
_SEE_ALSO = re.compile(r"^(\s*- module: )(ib_\w+)$", re.MULTILINE)
_TASK = re.compile(r"^(\s*(?:- )?)(ib_\w+):$", re.MULTILINE)
_ROLE = re.compile(r"^(\s*(?:- )?(?:name|role): )(ib_\w+)$", re.MULTILINE)
_FILTER = re.compile(r"(\|\s*)(ib_\w+)")
_FRAGMENT = re.compile(r"(?<![\w.])(ib_\w+\.\w+)\b")


_DOCUMENTS = '"""Documents the action plugin of this name."""\n\nfrom __future__ import annotations'


class Unspelled(ValueError):
    """A source has something that no rule here covers."""


def python(text: str, names: Names, *, controller_only: bool = False) -> str:
    """A Python file. controller_only: it lies in the package that only the controller imports."""
    text = _without_shim(text)
    text = _SHARED_IMPORT.sub(lambda found: f"{names.plugins}.{_home(found[1])}.{found[1]}", text)
    if controller_only:
        text = _ACROSS.sub(lambda found: f"{found[1]}{names.plugins}.module_utils.{found[2]}", text)
    text = _ROOT.sub(lambda found: f'.parents[{int(found[1]) + 1}] / "roles"', text)
    return _texts(_PLUGIN_ROOT.sub(r"\1.parents[2]", text), names)


def module(text: str, names: Names) -> str:
    """A module or an action plugin: Python with documentation and examples."""
    text = _FRAGMENT.sub(lambda found: _full(found[1], names.fragments, names), python(text, names))
    return _tasks(text, names)


def tasks(text: str, names: Names) -> str:
    """A playbook, or the tasks, variables and defaults of a role."""
    text = _ROLE.sub(lambda found: found[1] + _full(found[2], names.roles, names), _texts(text, names))
    text = _FILTER.sub(lambda found: found[1] + _full(found[2], names.filters, names), text)
    return _tasks(text, names)


def prose(text: str, names: Names) -> str:
    """A document: the commands in it, and the examples."""
    return _tasks(_texts(text, names), names)


def readme(preface: str, text: str, names: Names) -> str:
    """The collection's README: its own beginning, then what the project's says of inventory, playbooks and modules."""
    kept = re.search(r"^## Inventory\n.*?(?=^## Developing\n)", text, re.MULTILINE | re.DOTALL)
    if kept is None:
        raise Unspelled("README.md has no part from Inventory to Developing")
    return f"{preface.rstrip()}\n\n{prose(kept[0], names).rstrip()}\n"


def action_as_module(text: str) -> str:
    """The module that documents an action plugin, for ansible-doc: what the plugin says of itself, and no code."""
    parts = re.findall(r'^(?:DOCUMENTATION|EXAMPLES|RETURN) = r""".*?^"""$', text, re.MULTILINE | re.DOTALL)
    if len(parts) != 3:
        raise Unspelled("an action plugin needs DOCUMENTATION, EXAMPLES and RETURN")
    licence = re.search(r"^# SPDX-.*\n", text, re.MULTILINE)
    head = "#!/usr/bin/python\n" + (licence[0] if licence else "")
    return "\n\n".join([head + _DOCUMENTS, *parts]) + "\n"


def _without_shim(text: str) -> str:
    text, removed = _SHIM.subn(lambda found: found[1], text)
    if "_SHARED" in text:
        raise Unspelled("a plugin finds the shared code in a way that is not the usual one")
    if not removed:
        return text
    text = _SHIM_REMARK.sub("", _SHIM_IMPORT.sub("", text))
    alone = len(re.findall(r"\bPath\b", text)) == 1
    return _PATH_IMPORT.sub("", text) if alone else text


def _home(package: str) -> str:
    return "plugin_utils" if package == CONTROLLER_ONLY else "module_utils"


def _texts(text: str, names: Names) -> str:
    """What every kind of source may say: commands, and modules by their names."""
    text = _COMMAND.sub(lambda found: _command(found, names), text)
    text = _AD_HOC.sub(lambda found: found[1] + _full(found[2], names.modules, names), text)
    text = _MENTIONED_FILTER.sub(lambda found: f"P({_full(found[1], names.filters, names)}", text)
    return _MENTION.sub(lambda found: found[1] + _full(found[2], names.modules, names), text)


def _tasks(text: str, names: Names) -> str:
    text = _SEE_ALSO.sub(lambda found: found[1] + _full(found[2], names.modules, names), text)
    return _TASK.sub(lambda found: f"{found[1]}{_full(found[2], names.modules, names)}:", text)


def _command(found: re.Match[str], names: Names) -> str:
    return f"ansible-playbook {names.full(found[1])}" if found[1] in names.playbooks else found[0]


def _full(name: str, known: frozenset[str], names: Names) -> str:
    return names.full(name) if name in known else name
