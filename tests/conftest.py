"""Makes modules and module_utils importable under the names Ansible gives them on a host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ansible.module_utils
import pytest

PROJECT = Path(__file__).resolve().parent.parent
if str(PROJECT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))


@pytest.fixture(autouse=True, scope="session")
def usual_places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a start leaves on a host stays in the tests' own folder, also where a test names no state folder."""
    from ansible.module_utils.ib_gateway.lifecycle import places

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "_LOGS", str(tmp_path_factory.mktemp("output")))
        patch.setattr(places, "_RUNTIME", str(tmp_path_factory.mktemp("environment")))
        yield
