"""What a unit's files name of this host and is gone keeps the next gateway from being started."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List

import pytest
from ansible.module_utils.ib_gateway.lifecycle.unit_facts import trouble_of
from ansible.module_utils.ib_gateway.lifecycle.unit_places import gone, places_of


def paths(text: str) -> List[str]:
    return [each.path for each in places_of("[Service]\n" + text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("LoadCredential=key:/srv/key", ["/srv/key"]),
        ("LoadCredential=key", []),
        ("LoadCredentialEncrypted = key:/srv/key ", ["/srv/key"]),
        ("BindPaths=/srv/a:/mnt/a /srv/b", ["/srv/a", "/srv/b"]),
        ("BindReadOnlyPaths=-/srv/a:/mnt/a:norbind", []),
        (r"BindPaths=/srv/a\:b:/mnt/a", []),
        ('ReadWritePaths="/srv/a b" -/srv/c +/srv/d', ["/srv/a b", "/srv/d"]),
        ("ReadOnlyPaths=/srv/a\nReadOnlyPaths=\nReadOnlyPaths=/srv/b", ["/srv/b"]),
        ("InaccessiblePaths=/srv/a \\\n /srv/b", ["/srv/a", "/srv/b"]),
        ("StandardOutput=append:/srv/log/gw.log", ["/srv/log"]),
        ("StandardError=truncate:/srv/log/gw.log\nStandardError=journal", []),
        ("StandardInput=file:/srv/in", ["/srv/in"]),
        ("NetworkNamespacePath=/run/netns/desk", ["/run/netns/desk"]),
        ("RootDirectory=/srv/root", ["/srv/root"]),
        ("ReadWritePaths=%h/x /srv/%i", []),
        ("RuntimeDirectory=ib\nReadWritePaths=/run/ib/x /run/ibx", ["/run/ibx"]),
        ("StateDirectory=ib/live\nReadWritePaths=/var/lib/ib/live", []),
        ("TemporaryFileSystem=/srv\nReadWritePaths=/srv/x\nBindPaths=/opt/x:/srv/x", ["/opt/x"]),
        ("# ReadWritePaths=/srv/a\nWorkingDirectory=/srv/b\nEnvironment=BindPaths=/x", []),
    ],
)
def test_the_paths_that_have_to_be_there_are_read_from_its_files(text: str, found: List[str]) -> None:
    assert paths(text) == found


@pytest.fixture
def shown(tmp_path: Path) -> Dict[str, str]:
    (tmp_path / "unit").write_text("[Service]\nReadWritePaths=%s\n" % (tmp_path / "log"))
    return {"FragmentPath": str(tmp_path / "unit"), "ExecStart": "", "LoadState": "loaded"}


def test_one_that_is_gone_is_told_with_its_setting(shown: Dict[str, str], tmp_path: Path) -> None:
    says = "its ReadWritePaths= needs %s, which does not exist" % (tmp_path / "log")
    assert gone(shown) == says and trouble_of(shown, None) == says
    assert gone({**shown, "NeedDaemonReload": "yes"}) is None, "systemd goes by what it has read"
    (tmp_path / "log").mkdir()
    assert gone(shown) is None and trouble_of(shown, None) is None


@pytest.mark.parametrize("setting", ["Group", "SupplementaryGroups"])
def test_a_group_that_this_host_does_not_have_is_told(setting: str) -> None:
    assert trouble_of({setting: "no-such-group"}, None) == "this host has no group no-such-group (%s=)" % setting
    assert trouble_of({setting: "0"}, None) is None and trouble_of({setting: "root"}, None) is None
