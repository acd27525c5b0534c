"""The gateway's API settings are right: nothing this project emits asks a person to look at them or to change them.

Every text is read: what Python code holds as a literal, documentation strings included, every YAML file, every
document and every template.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

import pytest
from ansible.module_utils.ib_fleet.document import plan_text
from ansible.module_utils.ib_gateway.base.host import Snapshot
from ansible.module_utils.ib_gateway.base.probe import Probe
from unit.decide.test_planning import LEAST
from unit.facts import health, spec
from unit.module_runs import PROJECT

PYTHON = (
    *("module_utils", "library", "filter_plugins", "doc_fragments", "callback_plugins", "action_plugins"),
    *("roles/ib_doctor", "roles/ib_fleet_report", "roles/ib_gateway_repair", "tests/simulator"),
)
YAML = ("roles", "playbooks", "inventory", "molecule")
DOCUMENTS = (
    *("*.md", "docs/**/*.md", "roles/*/README.md", "roles/*/package/*.md", "molecule/*.md", "tests/**/*.md"),
    *("Makefile", "ansible.cfg", "remediate.yml"),
)
TEMPLATES = ("roles/**/templates/*", "roles/**/files/*", "inventory/**/*.md")

#: The only sentences that may speak of them: they state this very rule.
ALLOWED = (
    "The API settings are right.",
    "The API settings are right: nothing this project prints asks anybody to look at them or to change them.",
    "No message, report or document of this project asks a person to look at or change the gateway's API settings.",
)

_LOOK = r"(?:check|verify|review|inspect|confirm|ensure|revisit|look (?:at|into)|make sure|double-check|go to)"
_TURN = r"(?:chang|adjust|enabl|disabl|modif|correct|updat|set|tick|untick|toggl|activat|configur|turn)\w*"
_SETTINGS = r"(?:settings?|configurations?|options|preferences|precautions|permissions)"
_SESSIONS = r"(?:session|connection|client|slot|handshake|call|error)s?\b"
_APP = r"(?:gateway|tws|trader workstation|ibg?|ib gateway)(?:['\u2019]s)?"
OFFENCES: Tuple[Tuple[str, str], ...] = (
    ("API settings", rf"\bAPI[ -]{_SETTINGS}\b"),
    ("settings of the API", rf"\b{_SETTINGS} (?:of|for|in|on) (?:the |its )?(?:{_APP} )?API\b"),
    ("ActiveX", r"\bActiveX\b"),
    ("socket clients", r"\bsocket clients?\b"),
    ("trusted IPs", r"\btrusted[ -](?:IP|address|host|client)"),
    ("socket port", r"\bsocket port\b"),
    ("menu path", r"\b(?:Configure|Configuration|Edit|File|Settings)\s*(?:>|->|\u2192|/)\s*(?:API|Settings|Global)\b"),
    ("menu path to the API", r"\bAPI\s*(?:>|->|\u2192)\s*\w+"),
    ("read-only API", r"\bread[ -]only API\b"),
    ("global configuration", r"\bglobal configuration\b"),
    ("localhost only", r"\b(?:allow|accept|permit)\w* (?:API )?connections (?:only )?from (?:localhost|127\.0\.0\.1)"),
    ("localhost only, turned", r"\blocalhost[ -]only\b"),
    ("API enabled", r"\bAPI (?:access |server |port |socket )?(?:is|was|be|has been|being) (?:\w+ )?(?:en|dis)abled\b"),
    ("API turned on", r"\bAPI (?:access )?(?:is|be) (?:turned|switched) (?:on|off)\b"),
    ("enable the API", rf"\b{_TURN} (?:on )?(?:the |its )?(?:{_APP} )?API(?: access| server| port| socket)?\b(?!-)"),
    (
        "look at how the API is set up",
        rf"\b{_LOOK} (?:that |whether |if |the |your |its )*(?:{_APP} )?API\b(?! {_SESSIONS})",
    ),
    (
        "look into the application's settings",
        rf"\b{_LOOK} (?:in |the |your |its )*{_APP} {_SETTINGS}\b(?! (?:dir|fold))",
    ),
    ("master client id", r"\bmaster (?:API )?client id\b"),
    (
        "port in the application",
        rf"\b(?:port|API) (?:number )?(?:in|under|within) (?:the )?{_APP} {_SETTINGS}\b(?! (?:dir|fold))",
    ),
)
_COMPILED = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in OFFENCES)


def offences(text: str) -> List[str]:
    """Which of the forbidden things a text speaks of, however its lines are broken or its words marked up."""
    plain = " ".join(re.sub(r"[*_`\"#|]+|\b[A-Z]{1,2}\((?=\w)", " ", text).split())
    for sentence in ALLOWED:
        plain = plain.replace(sentence, "")
    return ["%s: %s" % (name, found.group(0)) for name, regex in _COMPILED for found in regex.finditer(plain)]


# --- every text ------------------------------------------------------------------------------------------------------


def literals(path: Path) -> Iterator[str]:
    """Every string a Python file holds; adjacent literals are one, and so are the fixed parts of an f-string."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield " ".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))


def texts() -> Dict[str, List[str]]:
    """By file, from the project's root: every text in it that can reach a person."""
    found: Dict[str, List[str]] = {}
    for folder in PYTHON:
        for path in sorted((PROJECT / folder).rglob("*.py")):
            if path.is_file() and not path.name.startswith("test_"):
                found[str(path.relative_to(PROJECT))] = list(literals(path))
    whole = [
        path for folder in YAML for path in (PROJECT / folder).rglob("*") if path.suffix in (".yml", ".yaml", ".j2")
    ]
    whole += [path for pattern in DOCUMENTS + TEMPLATES for path in PROJECT.glob(pattern)]
    for path in sorted(set(whole)):
        if path.is_file():
            found[str(path.relative_to(PROJECT))] = re.split(r"\n\s*\n", path.read_text(encoding="utf-8"))
    return found


TEXTS = texts()


@pytest.mark.parametrize("file", TEXTS)
def test_no_text_asks_to_look_at_or_change_the_api_settings(file: str) -> None:
    assert [each for text in TEXTS[file] for each in offences(text)] == []


@pytest.mark.parametrize(("look", "shaken", "_least"), LEAST.values(), ids=LEAST)
def test_no_judgement_or_plan_asks_for_it_when_its_texts_are_put_together(
    look: Snapshot, shaken: Optional[Probe], _least: object
) -> None:
    found = health((spec(), look, shaken), (spec(name="second", service=None), look, shaken))
    assert offences(json.dumps(found)) == []
    assert offences(". ".join(plan_text.lines(found))) == []


def test_every_text_was_read() -> None:
    assert sum(map(len, TEXTS.values())) > 500
    for file in (
        "module_utils/ib_gateway/decide/diagnosis.py",
        "module_utils/ib_gateway/decide/gateway_steps.py",
        "module_utils/ib_gateway/decide/refusals.py",
        "library/ib_gateway_health.py",
        "filter_plugins/ib_gateway.py",
        "doc_fragments/ib_gateway.py",
        "roles/ib_gateway_repair/tasks/step.yml",
        "roles/ib_gateway_diagnose/meta/argument_specs.yml",
        "playbooks/remediate.yml",
        "inventory/example/hosts.yml",
    ):
        assert TEXTS[file], file


# --- the checker itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Check the API settings of the gateway.",
        "Please verify your API configuration in TWS",
        'Make sure that "Enable ActiveX and Socket Clients" is ticked.',
        "Add 127.0.0.1 to the trusted IPs",
        "The client's address is not among the Trusted IP Addresses.",
        "Set the socket port to 4001",
        "Open Configure > API > Settings",
        "Go to Edit -> Global Configuration",
        "Untick `Read-Only API`.",
        "Make sure API port on TWS/IBG is open",
        "Confirm that the API is enabled",
        "API access has been disabled by the user",
        "Enable the API in the gateway first",
        "allow connections from localhost only",
        "The API port in the gateway's settings differs",
        "check\nthe API\n  preferences",
        "Review the *API options*, then retry.",
        "Look into the gateway's configuration",
        "Change the settings for the API and restart",
        "Is the master API client ID set?",
    ],
)
def test_the_checker_catches_an_offence(text: str) -> None:
    assert offences(text)


@pytest.mark.parametrize(
    "text",
    [
        "The API settings are right.",
        "live runs (pid 4711) but nothing listens on port 4001",
        "Its settings directory, an absolute path.",
        "The API port it must listen on. Without it 4001 for live and 4002 for paper.",
        "Open one API session with a gateway, stage by stage",
        "2 API connections are open on live, and 1 is allowed",
        "Lists who listens on the API ports of a host.",
        "Reads the socket table and names the owner of each listening API port",
        "the socket engine judges, and the result says what is missing",
        "API connection failed: TimeoutError()",
        "whether the API slot is free",
        "Check the inventory",
        "How many open API connections a gateway has",
        "Look at the API clients of this host",
        "port 4001 belongs to pid 900 of root, which is the relay socat",
        "The client id is in use; another id is free",
        "Enables check mode",
        "Which options this module has",
        "every API session of this gateway ends; a login, with a second factor on most accounts",
    ],
)
def test_the_checker_lets_an_innocent_text_pass(text: str) -> None:
    assert offences(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "The API settings are right. Check the API settings.",
        "The API settings are rightly suspected.",
        "the api settings are wrong.",
    ],
)
def test_an_allowed_sentence_allows_nothing_beside_it(text: str) -> None:
    assert offences(text)


def test_the_allowed_sentences_are_few() -> None:
    assert len(ALLOWED) <= 3
