"""When a missing gateway last wrote is told together with who else may have written there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Dict, Optional

import pytest
from ansible.module_utils.ib_gateway.module import closer
from unit.facts import gateway, judged, snapshot, spec

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads accounts")


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        (None, False),
        ({"same_folder": True}, True),
        ({"same_folder": False}, False),
        ({"user": "trader"}, True),
        ({"user": "somebody"}, False),
    ],
    ids=["none", "in the folder", "in another", "of the account, nothing tells where", "of another account"],
)
def test_another_gateway_that_runs_may_have_written_to_the_folder_of_a_missing_one(
    tmp_path: Path, other: Optional[Dict[str, Any]], shared: bool
) -> None:
    facts = []
    if other is not None:
        place = {True: str(tmp_path), False: str(tmp_path / "other"), None: None}[other.get("same_folder")]
        facts = [gateway(folder=None, user=other.get("user", "trader"))._replace(folder=place)]
    look = snapshot(*facts)
    (tmp_path / "launcher.log").touch()
    os.utime(tmp_path / "launcher.log", (look.taken_at - 7.0, look.taken_at - 7.0))
    found = judged(snapshot())
    entry = found.entry._replace(spec=spec(config_dir=str(tmp_path)))
    told = closer._with_last_life(entry, found, look)
    assert (told.written_ago, told.folder_shared) == (7.0, shared)
