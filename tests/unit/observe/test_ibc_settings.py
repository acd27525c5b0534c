"""What IBC's settings file adds to a gateway's command line, and that it could not be read."""

from __future__ import annotations

import os
from pathlib import Path

from ansible.module_utils.ib_gateway.base.classify import gateway_kind
from ansible.module_utils.ib_gateway.base.host import GatewayKind
from ansible.module_utils.ib_gateway.observe import settings


def told(folder: Path) -> GatewayKind:
    argv = ("java", "ibcalpha.ibc.IbcGateway", "config.ini")
    kind = gateway_kind(argv)
    assert kind is not None
    return settings.started(os.getpid(), kind, argv, None, str(folder)).kind


def test_the_port_and_the_mode_that_ibc_gives_a_gateway_are_known(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("IbLoginId=second\nTradingMode=live\nOverrideTwsApiPort=4003\n")
    assert (told(tmp_path).api_port, told(tmp_path).trading_mode, told(tmp_path).ini_unread) == (4003, "live", False)


def test_a_settings_file_that_says_no_port_has_been_read(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("")
    assert (told(tmp_path).api_port, told(tmp_path).ini_unread) == (None, False)


def test_a_settings_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert (told(tmp_path).api_port, told(tmp_path).ini_unread) == (None, True)


def test_a_relative_settings_folder_is_one_of_the_working_directory(tmp_path: Path) -> None:
    """A JVM that cron or a shell started in its home may have been told no more than Jts."""
    (tmp_path / "Jts").mkdir()
    argv = ("java", "-DjtsConfigDir=Jts", "ibcalpha.ibc.IbcGateway")
    kind = gateway_kind(argv)
    assert kind is not None
    found = settings.started(os.getpid(), kind, argv, None, str(tmp_path))
    assert (found.folder, found.folder_id is not None) == (str(tmp_path / "Jts"), True)
    assert settings.started(os.getpid(), kind, argv, None, None).folder is None
