"""How sources become a collection: every name in full, no trace of the checkout, and nothing lost on the way."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Dict

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(PROJECT))

from collection import build, claims, layout, names, sanity, spelling  # noqa: E402 - needs the path above

NAMES = names.read(PROJECT, build.galaxy())
DESK = names.Names(
    namespace="desk",
    name="tools",
    modules=frozenset(("ib_look",)),
    roles=frozenset(("ib_role",)),
    filters=frozenset(("ib_sum",)),
    playbooks=frozenset(("sweep",)),
    fragments=frozenset(("ib_shared.attributes",)),
)
MADE: Dict[str, layout.Made] = {}
for each in layout.files(PROJECT, NAMES):
    assert str(each.path) not in MADE, f"{each.path} is made twice"
    MADE[str(each.path)] = each
TEXTS = {path: made.content.decode() for path, made in MADE.items() if path.endswith((".py", ".yml", ".md"))}
PYTHON = {path: text for path, text in TEXTS.items() if path.endswith(".py")}
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")

PLUGIN = '''"""A plugin."""

from pathlib import Path

import ansible.module_utils

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_SHARED = str(Path(__file__).resolve().parent.parent / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_fleet.run import answers  # noqa: E402 - needs the path above
from ansible.module_utils.ib_gateway.base import keys  # noqa: E402 - likewise
'''


# --- one text --------------------------------------------------------------------------------------------------------


def test_a_plugin_imports_what_hosts_get_and_what_only_the_controller_has_from_where_a_collection_has_each() -> None:
    assert spelling.python(PLUGIN, DESK) == (
        '"""A plugin."""\n\n\n\n'
        "from ansible_collections.desk.tools.plugins.plugin_utils.ib_fleet.run import answers\n"
        "from ansible_collections.desk.tools.plugins.module_utils.ib_gateway.base import keys\n"
    )


def test_a_plugin_that_finds_the_shared_code_in_another_way_is_refused() -> None:
    with pytest.raises(spelling.Unspelled):
        spelling.python(PLUGIN.replace("if _SHARED not in", "if _SHARED in"), DESK)


def test_code_of_the_controller_reaches_what_hosts_get_although_it_lies_apart() -> None:
    text = "from ...ib_gateway.base import keys\nfrom ..store import files\n"
    assert spelling.python(text, DESK, controller_only=True) == (
        "from ansible_collections.desk.tools.plugins.module_utils.ib_gateway.base import keys\n"
        "from ..store import files\n"
    )
    assert spelling.python(text, DESK) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("- name: Look\n  ib_look:\n    a: 1\n", "- name: Look\n  desk.tools.ib_look:\n    a: 1\n"),
        ("    - ib_look:\n", "    - desk.tools.ib_look:\n"),
        ("  ib_other:\n    a: 1\n", "  ib_other:\n    a: 1\n"),
        ("import_role:\n  name: ib_role\n", "import_role:\n  name: desk.tools.ib_role\n"),
        ("  - role: ib_role\n", "  - role: desk.tools.ib_role\n"),
        ("name: ib_role_of_another\n", "name: ib_role_of_another\n"),
        ("a: '{{ x | ib_sum }}'", "a: '{{ x | desk.tools.ib_sum }}'"),
        ("     |  ib_sum(ib_sum_of) }}", "     |  desk.tools.ib_sum(ib_sum_of) }}"),
        ("# ansible-playbook playbooks/sweep.yml -i x", "# ansible-playbook desk.tools.sweep -i x"),
        ("# ansible-playbook sweep.yml -i x", "# ansible-playbook desk.tools.sweep -i x"),
        ("# ansible-playbook yours.yml -i x", "# ansible-playbook yours.yml -i x"),
    ],
)
def test_what_a_playbook_or_a_role_names_is_named_in_full_where_it_is_the_collection_s(before: str, after: str) -> None:
    assert spelling.tasks(before, DESK) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("fragment: [ib_shared.attributes]", "fragment: [desk.tools.ib_shared.attributes]"),
        ("  - module: ib_look\n", "  - module: desk.tools.ib_look\n"),
        ("see M(ib_look) and M(copy)", "see M(desk.tools.ib_look) and M(copy)"),
        ("RV(ib_look#module:found)", "RV(desk.tools.ib_look#module:found)"),
        ("as P(ib_sum#filter) tells it", "as P(desk.tools.ib_sum#filter) tells it"),
        ("ansible all -m ib_look", "ansible all -m desk.tools.ib_look"),
        ("from x.ib_shared.attributes import y", "from x.ib_shared.attributes import y"),
    ],
)
def test_what_a_module_s_documentation_names_is_named_in_full(before: str, after: str) -> None:
    assert spelling.module(before, DESK) == after


def test_the_readme_begins_with_the_collection_s_own_words_and_has_no_part_for_developers() -> None:
    text = "# Project\nmake demo\n## Inventory\nansible-playbook sweep.yml\n## Developing\nmake test\n"
    assert spelling.readme("# Own\n", text, DESK) == "# Own\n\n## Inventory\nansible-playbook desk.tools.sweep\n"


def test_an_action_without_documentation_is_refused() -> None:
    with pytest.raises(spelling.Unspelled):
        spelling.action_as_module('DOCUMENTATION = r"""\nmodule: x\n"""\n')


# --- the whole -------------------------------------------------------------------------------------------------------


def test_no_source_is_left_out() -> None:
    made_of = {made.source for made in MADE.values()}
    patterns = ("library/*.py", "module_utils/**/*.py", "roles/*/*/**/*.yml", "playbooks/*.yml", "*_plugins/ib_*")
    sources = {path for pattern in patterns for path in PROJECT.glob(pattern) if "__pycache__" not in path.parts}
    assert sorted(str(path) for path in sources - made_of if path.is_file()) == []


def test_every_python_file_can_be_read_and_none_imports_from_the_checkout() -> None:
    for path, text in PYTHON.items():
        ast.parse(text, filename=path)
        assert not re.search(r"\bansible\.module_utils\.ib_|_SHARED", text), path


def test_every_import_of_the_collection_s_own_leads_to_a_file_of_it() -> None:
    prefix = f"{NAMES.plugins}."
    for path, text in PYTHON.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(prefix):
                place = "plugins/" + str(node.module)[len(prefix) :].replace(".", "/")
                assert f"{place}.py" in MADE or f"{place}/__init__.py" in MADE, f"{path}: {node.module}"


def test_yaml_stays_yaml_and_names_modules_and_filters_in_full() -> None:
    short = re.compile(r"\|\s*(%s)\b" % "|".join(sorted(NAMES.filters)))
    for path, text in TEXTS.items():
        if path.endswith(".yml") and path.startswith(("playbooks/", "roles/")):
            yaml.safe_load(text)
            assert not short.search(text), path
            if "/tasks/" in path:
                keys = {key.strip(" -:") for key in re.findall(r"^\s*(?:- )?ib_\w+:$", text, re.MULTILINE)}
                assert not keys & NAMES.modules, path


def test_no_text_names_a_command_that_only_the_checkout_has() -> None:
    told = re.compile(r"ansible-playbook (?:playbooks/\w+|remediate)\.yml")
    for path, text in TEXTS.items():
        assert not told.search(text), f"{path}: {told.findall(text)}"


def test_every_link_of_a_document_leads_to_a_file_of_the_collection() -> None:
    preface = (PROJECT / "collection" / "README.md").read_text("utf-8")
    readme = spelling.readme(preface, (PROJECT / "README.md").read_text("utf-8"), NAMES)
    documents = {path: text for path, text in TEXTS.items() if path.endswith(".md")} | {"README.md": readme}
    there = {*MADE, *documents}
    for path, text in documents.items():
        for link in _LINK.findall(text):
            target = (PROJECT / Path(path).parent / link).resolve().relative_to(PROJECT)
            assert str(target) in there or "molecule" in str(target), f"{path} links to {link}"


def test_what_is_not_kept_of_the_sanity_rules_is_of_files_that_are_there() -> None:
    for line in sanity.LINES:
        for rule in sanity.ignored(PYTHON, line).splitlines():
            path, _rule, reason = rule.split(" ", 2)
            assert path in MADE, rule
            assert reason.startswith("# ") and len(reason) > 8, rule
    for pattern, rule, _reason in sanity.RULES:
        assert any(Path(path).match(pattern) for path in MADE), (pattern, rule)


#: Not of Python's own, of Ansible's, or of what Ansible needs.
_LIBRARIES = {"apprise", "jsonschema", "junitparser", "libcst", "prometheus_client", "psutil", "rich"}


def test_what_imports_a_library_at_once_is_known_to_the_sanity_rules_and_nothing_else_is() -> None:
    found = set()
    for path, text in PYTHON.items():
        for node in ast.parse(text).body:
            names_of = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names_of += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            if path.startswith("plugins/") and {each.partition(".")[0] for each in names_of} & _LIBRARIES:
                found.add(path)
    assert {path for path, _reason in sanity.IMPORTS} == found


def test_no_plugin_asserts_and_each_names_the_plugins_it_mentions_in_full() -> None:
    for path, text in PYTHON.items():
        if path.startswith("plugins/"):
            assert not [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Assert)], path
            assert not re.search(r"\bP\(ib_", text), path


# --- what a release says of itself -----------------------------------------------------------------------------------


def test_version_and_licence_are_the_same_everywhere() -> None:
    assert claims.problems() == []


def test_the_name_of_the_collection_is_written_in_one_place() -> None:
    told = build.galaxy()
    own = f"{told['namespace']}.{told['name']}"
    found = {
        str(path.relative_to(PROJECT)) for path in PROJECT.glob("collection/*.py") if own in path.read_text("utf-8")
    }
    assert found == set()


@pytest.mark.parametrize(
    ("path", "before", "after", "told"),
    [
        ("CHANGELOG.md", "## ", "## 9.9.9\n\n## ", "CHANGELOG.md begins with"),
        ("pyproject.toml", 'text = "Apache-2.0"', 'text = "MIT"', "pyproject.toml does not say"),
        ("library/ib_look.py", "# SPDX-License-Identifier: Apache-2.0\n", "", "ib_look.py does not begin with"),
        ("module_utils/ib_fleet/a.py", 'TOOL_VERSION = "1.0.0"', 'TOOL_VERSION = "0.9.0"', "TOOL_VERSION 0.9.0"),
    ],
)
def test_a_place_that_says_something_else_is_named(
    tmp_path: Path, path: str, before: str, after: str, told: str
) -> None:
    sources = {
        "CHANGELOG.md": "## 1.0.0\n",
        "pyproject.toml": '[project]\nversion = "1.0.0"\nlicense = { text = "Apache-2.0" }\n',
        "library/ib_look.py": "#!/usr/bin/python\n# SPDX-License-Identifier: Apache-2.0\n",
        "module_utils/ib_fleet/a.py": 'TOOL_VERSION = "1.0.0"\n',
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert not any(told in each for each in claims.problems(tmp_path))

    (tmp_path / path).write_text(sources[path].replace(before, after, 1))

    assert any(told in each for each in claims.problems(tmp_path))
