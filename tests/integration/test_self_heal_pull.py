"""A host that heals itself by ansible-pull: the role's own command, a git repository, and what happens without it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import jinja2.nativetypes
import pytest
import yaml

PROJECT = Path(__file__).resolve().parent.parent.parent
ROLE = PROJECT / "roles" / "ib_self_heal"
GIT = ("git", "-c", "user.name=desk", "-c", "user.email=desk@example.com", "-c", "init.defaultBranch=main")

pytestmark = pytest.mark.integration


def command(folder: Path, **options: Any) -> List[str]:
    """What the service would run, as the role makes it."""
    text = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__ib_self_heal_command"]
    known = {
        "ib_self_heal_source": "pull",
        "ib_self_heal_ansible_playbook": "",
        "ib_self_heal_verify_commit": False,
        "ib_self_heal_path": str(folder),
        "__ib_self_heal_bin": str(Path(sys.executable).parent),
        "__ib_self_heal_project": str(folder / "project"),
    }
    found: Any = jinja2.nativetypes.NativeEnvironment().from_string(text).render(**known, **options)
    return [str(word) for word in found]


def repository(folder: Path) -> str:
    """A git repository of what the role would pack of this project; its URL."""
    archive = folder / "project.tar.gz"
    subprocess.run([sys.executable, ROLE / "files" / "ib_self_heal_pack.py", PROJECT, archive], check=True)
    work = folder / "work"
    shutil.unpack_archive(archive, work)
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=all"]):
        subprocess.run([*GIT, *words], cwd=work, check=True)
    return work.as_uri()


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_a_host_runs_what_it_pulls_and_what_it_has_pulled_last_where_it_cannot(tmp_path: Path) -> None:
    url, heal = repository(tmp_path), tmp_path / "heal"
    heal.mkdir()
    # Nothing of this machine's is touched: the entry is only planned for, and nobody's gateway fits it.
    entry = {
        "name": "none",
        "trading_mode": "paper",
        "port": 45999,
        "user": "nobody",
        "config_dir": "/srv/none",
        "remediation": "plan_only",
    }
    host = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        "ib_report_dir": str(heal / "reports"),
        "ib_repair_state_dir": str(heal / "state"),
        "ib_gateways": [entry],
    }
    (heal / "inventory.json").write_text(json.dumps({"trading_hosts": {"hosts": {"localhost": host}}}))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "ANSIBLE_CONFIG": str(heal / "project" / "ansible.cfg"),
        "ANSIBLE_HOME": str(heal / "ansible"),
    }
    words = command(heal, ib_self_heal_url=url, ib_self_heal_version="main")
    for _run in ("pulled", "gone"):
        found = subprocess.run(
            words, env=environment, cwd="/", capture_output=True, text=True, timeout=150, check=False
        )
        assert found.returncode == 2, found.stdout + found.stderr
        report = json.loads((heal / "reports" / "fleet.json").read_text(encoding="utf-8"))
        assert [(each["name"], each["reached"]) for each in report["hosts"]] == [("localhost", True)]
        assert report["hosts"][0]["status"] != "healthy"
        (heal / "reports" / "fleet.json").unlink()
        shutil.rmtree(tmp_path / "work", ignore_errors=True)
