"""What systemctl says is told when it fails, and never with the secrets of a unit file that it quotes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible.module_utils.ib_gateway.lifecycle import systemctl

#: What a unit file of a gateway may hold, and systemd may quote.
_UNIT_FILE = """Environment=IB_PASSWORD=canary-variable "TWSPASSWORD=canary-quoted"
ExecStart=/opt/ibc/start.sh --user=trader --pw=canary-option
ibgateway.service: Failed with result 'exit-code'."""


def put_systemctl(folder: Path, monkeypatch: pytest.MonkeyPatch, says: str, status: int) -> None:
    """Puts a systemctl in place that writes some text to its standard error and ends with a status."""
    (folder / "said").write_text(says, encoding="utf-8")
    program = folder / "systemctl"
    program.write_text(f'#!/bin/sh\ncat "{folder}/said" >&2\nexit {status}\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_what_systemctl_says_is_told_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_systemctl(tmp_path, monkeypatch, "Unit ibgateway.service not found.", 5)
    with pytest.raises(systemctl.UnitError) as failed:
        systemctl.restart("ibgateway.service", 5.0)
    assert str(failed.value) == "systemctl restart -- ibgateway.service failed: Unit ibgateway.service not found."
    assert not failed.value.pending


def test_a_secret_of_a_unit_file_is_not_told_when_systemctl_quotes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_systemctl(tmp_path, monkeypatch, _UNIT_FILE, 1)
    with pytest.raises(systemctl.UnitError) as failed:
        systemctl.start("ibgateway.service", 5.0)
    assert "canary" not in str(failed.value)
    assert "Failed with result 'exit-code'" in str(failed.value)


def test_a_failure_without_words_is_told_by_its_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_systemctl(tmp_path, monkeypatch, "", 3)
    with pytest.raises(systemctl.UnitError, match="failed: status 3"):
        systemctl.start("ibgateway.service", 5.0)


@pytest.mark.parametrize(
    ("verb", "says"),
    [("show", "show was not answered within 0.2 s"), ("start", "start has not come to an end within 0.2 s; systemd")],
)
def test_a_systemctl_that_hangs_is_told_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, says: str
) -> None:
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(systemctl.UnitError, match=says) as failed:
        systemctl._systemctl(verb, seconds=0.2)
    assert failed.value.pending
