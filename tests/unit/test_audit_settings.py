"""Numbers in files beside scripts: yaml, toml, ini, json, .env and compose."""

from __future__ import annotations

from typing import Dict, List, Optional

import pytest
from ansible.module_utils.ib_audit.fixing import repair
from ansible.module_utils.ib_audit.reading import settings
from ansible.module_utils.ib_audit.reading.model import Problem, Source
from ansible.module_utils.ib_audit.rules.audit import audit

FOLDER = "/srv/trading/"
CONNECT = "from ib_insync import IB\nIB().connect('127.0.0.1', 4001, clientId=%s)\n"


def problems(text: str, **files: str) -> List[Problem]:
    """What is said of a script with files beside it; in their names `_` stands for a dot."""
    beside: Dict[str, bytes] = {FOLDER + name.replace("_", "."): data.encode() for name, data in files.items()}

    def lookup(path: str) -> Optional[Source]:
        return Source(path, beside[path]) if path in beside else None

    found = audit([Source(FOLDER + "bot.py", text.encode())], (), lookup).problems
    return [each for each in found if each.code == "hardcoded_client_id"]


YAML = "# desk\nib:\n  host: 127.0.0.1\n  client_id: 15   # mine\nother:\n  client_id: x\n"
INI = "[ib]\nport = 4001\nclient_id = 15\n[other]\nclient_id = 16\n"


LOADED = "import yaml, json, tomllib\ncfg = load(open('%s'))\n" + CONNECT
PARSED = "from configparser import *\nc = ConfigParser()\nc.read('c.ini')\n" + CONNECT
READ = "import os\n" + CONNECT
SERVICE = "services:\n  bot:\n    environment:\n      %s\n"


@pytest.mark.parametrize(
    ("text", "name", "data", "line"),
    [
        (LOADED % ("c.yaml", "cfg['ib']['client_id']"), "c_yaml", YAML, 4),
        (LOADED % ("c.yaml", "cfg['ib'].get('client_id', 3)"), "c_yaml", YAML, 4),
        (LOADED % ("c.yaml", "cfg.get('ib', {}).get('client_id', 3)"), "c_yaml", YAML, 4),
        (LOADED % ("c.json", "cfg['client_id']"), "c_json", '{\n "client_id": 15}', 2),
        (
            LOADED % ("c.json", "cfg['ib']['client_id']"),
            "c_json",
            '{"other": {"client_id": 7},\n "ib": {"client_id": 15}}',
            2,
        ),
        (LOADED % ("c.toml", "cfg['ib']['client_id']"), "c_toml", INI, 3),
        (PARSED % "c.getint('ib', 'client_id')", "c_ini", INI, 3),
        (PARSED % "c.getint('ib', 'client_id', fallback=3)", "c_ini", INI, 3),
        (PARSED % "int(c['ib']['client_id'])", "c_ini", INI, 3),
        (READ % "int(os.environ['IB_ID'])", "_env", "# ids\nexport IB_ID=15\n", 2),
        (READ % "int(os.getenv('IB_ID', '3'))", "_env", "IB_ID='15'\n", 1),
        (READ % "int(os.getenv('IB_ID'))", "compose_yml", SERVICE % "IB_ID: 15", 4),
        (READ % "int(os.getenv('IB_ID'))", "compose_yml", SERVICE % "- IB_ID=15", 4),
        (READ % "int(os.getenv('IB_ID'))", "compose_yml", SERVICE % "IB_ID: ${IB_ID:-15}", 4),
    ],
)
def test_a_number_in_a_file_beside_the_script_is_found_there(text: str, name: str, data: str, line: int) -> None:
    (found,) = problems(text, **{name: data})
    assert (found.file, found.line, found.severity) == (FOLDER + name.replace("_", "."), line, "note")
    assert "client id 15" in found.summary


@pytest.mark.parametrize(
    ("text", "name", "data"),
    [
        ("cfg = load('c.yaml')\n" + CONNECT % "cfg['other']['client_id']", "c_yaml", YAML),
        ("cfg = load('d.yaml')\n" + CONNECT % "cfg['ib']['client_id']", "c_yaml", YAML),
        ("import os\n" + CONNECT % "int(os.environ['OTHER'])", "_env", "IB_ID=15\n"),
        ("import os\n" + CONNECT % "int(os.environ['IB_ID'])", "_env", "#IB_ID=15\nIB_ID=$(date)\n"),
    ],
)
def test_what_no_file_says_accuses_nobody(text: str, name: str, data: str) -> None:
    assert problems(text, **{name: data}) == []


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"{" * 9000, b"a: [1", b"[[[", b": : :\n= =\n", b"a:\n" * 9000])
@pytest.mark.parametrize("name", ["c.yaml", "c.ini", "c.json", ".env", "c.toml"])
def test_any_bytes_are_read_without_an_error(name: str, data: bytes) -> None:
    assert all(setting.line > 0 for setting in settings.read("/srv/" + name, data).settings)


def test_a_number_in_such_a_file_is_never_rewritten() -> None:
    text = "import yaml\ncfg = yaml.safe_load(open('c.yaml'))\n" + CONNECT % "cfg['ib']['client_id']"
    sources = [Source(FOLDER + "bot.py", text.encode())]
    outcome = repair.mend(
        sources, (), lambda path: Source(path, YAML.encode()) if path.endswith("c.yaml") else None, repair.FIXABLE, True
    )
    assert outcome.changes == () and "c.yaml" in outcome.left[0].reason


def test_a_json_file_of_deep_keys_that_stand_otherwise_in_it_is_read_in_one_pass() -> None:
    """It took minutes: each value looked for each of its keys in all of the file."""
    depth, values = 30, 1900
    text = '{"\\u0061":' * depth + "{%s}" % ",".join('"k%d": %d' % (each, each) for each in range(values)) + "}" * depth
    found = settings.read("/srv/a.json", text.encode()).settings
    assert len(found) == values and {len(each.keys) for each in found} == {depth + 1}
    tops: List[int] = []

    class Places(settings._Places):
        """Counts how often a key is looked for."""

        def of(self, key: str, after: int) -> int:
            """Counts one."""
            tops.append(1)
            return super().of(key, after)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "_Places", Places)
        settings.read("/srv/a.json", text.encode())
    assert len(tops) == depth + values


def test_values_below_more_keys_than_any_settings_have_are_left_out() -> None:
    text = '{"top": 1, "a": ' + '{"a": ' * 40 + "2" + "}" * 41
    assert [each.value for each in settings.read("/srv/a.json", text.encode()).settings] == [1]
