"""When a gateway was last there is told from what it wrote to its settings folder."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from typing import Any, Dict, Optional

import pytest
from ansible.module_utils.ib_gateway.base.spec import Container, GatewaySpec
from ansible.module_utils.ib_gateway.observe import signs_of_life
from ansible.module_utils.ib_gateway.observe.signs_of_life import last_written, settings_folder
from unit.facts import spec

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads accounts")


def put(path: Path, at: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (at, at))
    return path


def written(entry: GatewaySpec) -> Optional[float]:
    folder = settings_folder(entry)
    return last_written(folder) if folder else None


def test_the_newest_of_a_gateway_s_files_counts_also_in_the_folder_of_its_user_name(tmp_path: Path) -> None:
    put(tmp_path / "jts.ini", 1000.0)
    put(tmp_path / "launcher.log", 2000.0)
    assert written(spec(config_dir=str(tmp_path))) == 2000.0
    put(tmp_path / "dkfhgh" / "ibgateway.log", 3000.0)
    assert written(spec(config_dir=str(tmp_path))) == 3000.0


def test_what_a_person_writes_is_no_sign_of_a_gateway_nor_is_a_link_or_a_folder(tmp_path: Path) -> None:
    put(tmp_path / "config.ini", 5000.0)
    elsewhere = put(tmp_path.parent / "elsewhere.log", 5000.0)
    (tmp_path / "here.log").symlink_to(elsewhere)
    (tmp_path / "empty").mkdir()
    assert written(spec(config_dir=str(tmp_path))) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"config_dir": "/nonexistent/Jts"},
        {"config_dir": None, "user": None},
        {"config_dir": None, "user": "nobody-has-this-name"},
        {"container": Container("docker", "ib"), "service": None},
    ],
)
def test_nothing_tells_where_there_is_no_folder_of_the_host_s(changes: Dict[str, Any]) -> None:
    assert written(spec(**changes)) is None


def test_without_a_folder_in_the_entry_the_default_one_of_its_account_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pwd.getpwuid(os.getuid())
    home = pwd.struct_passwd((*found[:5], str(tmp_path), found.pw_shell))
    monkeypatch.setattr(pwd, "getpwnam", {found.pw_name: home}.__getitem__)
    put(tmp_path / "Jts" / "jts.ini", 1000.0)
    assert written(spec(config_dir=None, user=found.pw_name)) == 1000.0


def test_a_folder_that_somebody_has_filled_is_read_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs_of_life, "_MOST_FILES", 1)
    names = [put(tmp_path / ("%d.log" % number), 1000.0 + number).name for number in range(8)]
    with os.scandir(tmp_path) as listed:
        first = next(listed).name
    assert written(spec(config_dir=str(tmp_path))) == 1000.0 + names.index(first)


def test_a_folder_behind_a_link_is_told_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert settings_folder(spec(config_dir=str(tmp_path / "link"))) == str(tmp_path / "real")
