"""A gateway that the project itself has ended by IBC's STOP is not taken for one that a person has stopped."""

from __future__ import annotations

import pytest
from ansible.module_utils.ib_gateway.base.host import Snapshot
from ansible.module_utils.ib_gateway.base.login import STOPPED, LoginState
from ansible.module_utils.ib_gateway.base.plan import Entry
from ansible.module_utils.ib_gateway.module import logins, look
from unit.facts import entry, snapshot, spec


@pytest.mark.parametrize(("stopped", "state"), [((), STOPPED), (("paper",), STOPPED), (("live",), None)])
def test_our_own_stop_does_not_read_as_somebody_s(
    stopped: tuple[str, ...], state: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(each: Entry, _snapshot: Snapshot) -> Entry:
        return each._replace(login=LoginState(STOPPED, log="/x"))

    monkeypatch.setattr(logins, "with_login", told)
    found = look._with_logins([entry(spec(), snapshot())], snapshot(), stopped)[0]
    assert (found.login and found.login.state) == state
