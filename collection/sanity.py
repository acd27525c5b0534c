"""What of ansible-test's sanity rules the collection does not keep, each with its reason. Pure."""

from __future__ import annotations

import ast
import fnmatch
import functools
from collections.abc import Callable, Iterator, Mapping

#: By line of ansible-core, which reads an ignore file of its own: the Pythons of controllers and of hosts that its
#: ansible-test knows, of those that this project supports.
LINES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "2.16": (("3.11", "3.12"), ("3.8", "3.9", "3.10", "3.11", "3.12")),
    "2.17": (("3.11", "3.12"), ("3.8", "3.9", "3.10", "3.11", "3.12")),
    "2.18": (("3.11", "3.12", "3.13"), ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")),
    "2.19": (("3.11", "3.12", "3.13"), ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")),
    "2.20": (("3.12", "3.13", "3.14"), ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")),
    "2.21": (("3.12", "3.13", "3.14"), ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")),
}
#: (pattern of paths, rule, reason).
RULES: tuple[tuple[str, str, str], ...] = (
    ("plugins/modules/*.py", "validate-modules:missing-gplv3-license", "Apache-2.0, which may go together with GPL v3"),
    ("plugins/callback/*.py", "validate-modules:missing-gplv3-license", "likewise"),
    ("plugins/callback/*.py", "validate-modules:import-before-documentation", "imports come first in this project"),
    ("plugins/doc_fragments/*.py", "yamllint!skip", "made from the table of keys, and the test reads literals only"),
    ("plugins/module_utils/ib_audit/rules/blocking.py", "replace-urlopen", "names it in a rule and calls nothing"),
    ("roles/*/files/check_*.py", "shebang", "a program for monitoring hosts, started by its name"),
    ("roles/*/files/ib_gateway_probe.py", "shebang", "likewise, for trading hosts"),
    (
        "plugins/module_utils/ib_audit/analysis/commandline.py",
        "pylint:modified-iterating-list",
        "a work list that grows",
    ),
    (
        "plugins/module_utils/ib_audit/rules/ports.py",
        "pylint:stop-iteration-return",
        "one of two modes is always found",
    ),
    ("plugins/plugin_utils/ib_fleet/document/next_commands.py", "pylint:unnecessary-lambda", "defined further below"),
    ("plugins/module_utils/ib_gateway/module/result.py", "pylint:dangerous-default-value", "a constant, never changed"),
    ("plugins/module_utils/ib_gateway/observe/logins.py", "pylint:dangerous-default-value", "it is read only"),
)


#: (path, reason): files that import what may be missing. The test wants each Python named.
IMPORTS: tuple[tuple[str, str], ...] = (
    (
        "plugins/module_utils/ib_audit/fixing/importing.py",
        "loaded only where libcst is; repair.py says what is missing",
    ),
    ("plugins/module_utils/ib_audit/fixing/rewriting.py", "likewise"),
    ("plugins/callback/ib_fleet_progress.py", "needs rich, of requirements.txt; enabled only by who wants it"),
    (
        "plugins/plugin_utils/ib_fleet/render/junit.py",
        "needs junitparser; a report without it says which file is missing",
    ),
    ("plugins/plugin_utils/ib_fleet/render/metrics.py", "needs prometheus_client; likewise"),
    ("plugins/plugin_utils/ib_fleet/render/gateway_metrics.py", "likewise"),
)


def _names_underscore(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "_" and isinstance(node.ctx, ast.Store)


def _compares_types(node: ast.AST) -> bool:
    """`type(x) is int`, and not `type(x) is type(y)`."""
    if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], (ast.Is, ast.IsNot)):
        return False
    left, right = node.left, node.comparators[0]
    return isinstance(left, ast.Call) and getattr(left.func, "id", "") == "type" and isinstance(right, ast.Name)


#: (what a file has somewhere in it, rule, reason): for every Python file that has it.
WHERE: tuple[tuple[Callable[[ast.AST], bool], str, str], ...] = (
    (_names_underscore, "pylint:disallowed-name", "an underscore is a value that is not used"),
    (_compares_types, "pylint:unidiomatic-typecheck", "True is an int to isinstance, and no port"),
)


def ignored(files: Mapping[str, str], line: str) -> str:
    """The ignore file of a collection for one line of ansible-core.

    files: the text of each Python file by its path. Exact, because what nothing needs is an error to ansible-test.
    """
    return "".join(f"{each}\n" for each in sorted([*_fixed(files), *_imports(files, line), *_found(files)]))


def _fixed(files: Mapping[str, str]) -> Iterator[str]:
    for pattern, rule, reason in RULES:
        yield from (f"{path} {rule} # {reason}" for path in fnmatch.filter(files, pattern))


def _imports(files: Mapping[str, str], line: str) -> Iterator[str]:
    controllers, hosts = LINES[line]
    for path, reason in IMPORTS:
        pythons = hosts if path.startswith("plugins/module_utils/") else controllers
        yield from (f"{path} import-{python} # {reason}" for python in pythons if path in files)


def _found(files: Mapping[str, str]) -> Iterator[str]:
    for path, text in files.items():
        yield from (f"{path} {rule} # {reason}" for rule, reason in _needed(text))


@functools.cache
def _needed(text: str) -> list[tuple[str, str]]:
    """The rules of WHERE that a file's text breaks, with their reasons; remembered, because each line asks again."""
    nodes = list(ast.walk(ast.parse(text)))
    return [(rule, reason) for has, rule, reason in WHERE if any(map(has, nodes))]
