"""Runs a module of library/ in this process, as Ansible would on a host, and gives back what it prints."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple
from unittest import mock

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

PROJECT = Path(__file__).resolve().parent.parent.parent
MODULES = tuple(sorted(path.stem for path in (PROJECT / "library").glob("*.py")))
#: What Ansible adds to every module's result, or knows by itself.
ANSIBLE_S_OWN = frozenset(("changed", "diff", "failed", "invocation", "warnings", "deprecations", "msg"))


@contextlib.contextmanager
def _quiet() -> Iterator[io.StringIO]:
    """Keeps what a module writes: to standard output, and nothing to the host's log."""
    printed, log = io.StringIO(), mock.patch.object(AnsibleModule, "_log_to_syslog")
    with contextlib.redirect_stdout(printed), mock.patch.object(sys, "argv", ["module"]), log:
        yield printed


def printed_by(name: str, options: Dict[str, Any], check_mode: bool = False) -> str:
    """Everything a module prints when it is run with these options."""
    arguments = dict(options, _ansible_check_mode=check_mode, _ansible_diff=True, _ansible_remote_tmp="/tmp")  # noqa: S108 - not used
    module = importlib.import_module(name)
    with patch_module_args(arguments), _quiet() as printed, contextlib.suppress(SystemExit):
        module.main()
    return printed.getvalue()


def run(name: str, options: Dict[str, Any], check_mode: bool = False) -> Dict[str, Any]:
    """A module's result."""
    result: Dict[str, Any] = json.loads(printed_by(name, options, check_mode))
    return result


def documented(name: str) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """(documentation with its fragments, documented return values) as ansible-doc reads them."""
    from ansible.plugins.loader import fragment_loader
    from ansible.utils.plugin_docs import get_docstring

    fragment_loader.add_directory(str(PROJECT / "doc_fragments"))
    path = str(PROJECT / "library" / (name + ".py"))
    documentation, _examples, returns, _metadata = get_docstring(path, fragment_loader, is_module=True)
    return documentation, returns


_KINDS: Dict[str, Tuple[type, ...]] = {
    "bool": (bool,),
    "dict": (dict,),
    "float": (int, float),
    "int": (int,),
    "list": (list,),
    "str": (str,),
}


def contradictions(value: Any, documentation: Dict[str, Any], where: str) -> List[str]:
    """In what a value is not as it is documented; empty values say nothing about what would be in them."""
    if value is None:
        return []
    kind = documentation["type"]
    if not isinstance(value, _KINDS[kind]) or (kind != "bool" and isinstance(value, bool)):
        return ["%s is %r, documented is %s" % (where, value, kind)]
    inside: Any = value
    if kind == "list":
        inner = dict(documentation, type=documentation["elements"])
        return [found for item in inside for found in contradictions(item, inner, where + "[]")]
    if kind == "dict" and "contains" in documentation:
        return differing(inside, documentation["contains"], where)
    return []


def differing(values: Dict[str, Any], documentation: Dict[str, Any], where: str) -> List[str]:
    """In what a dictionary has other keys than documented, and what contradicts in those it has."""
    found = ["%s.%s is not documented" % (where, key) for key in values if key not in documentation]
    found += ["%s.%s is not returned" % (where, key) for key in documentation if key not in values]
    for key in documentation:
        if key in values:
            found += contradictions(values[key], documentation[key], "%s.%s" % (where, key))
    return found
