"""What an installation says that a command line leaves open: where it is, its settings folder, IBC's settings."""

from __future__ import annotations

from typing import Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.installation import (
    config_dir_in,
    installation_folder,
    parse_ibc_ini,
    parse_response_varfile,
)
from hypothesis import given, settings
from hypothesis import strategies as st

HOME = "/opt/ibgateway"


@pytest.mark.parametrize(
    "option",
    [
        ("-DinstallDir=/opt/ibgateway/",),
        ("-Dexe4j.moduleName=/opt/ibgateway/ibgateway",),
        ("-DvmOptionsPath=/opt/ibgateway/ibgateway.vmoptions",),
        ("-splash:/opt/ibgateway/.install4j/s_1.png",),
        ("-cp", "/opt/other.jar:/opt/ibgateway/.install4j/i4jruntime.jar"),
        ("-cp", "/opt/ibgateway/jars/*"),
        ("-DinstallDir=${installer:sys.installationDir}", "-classpath", "/opt/ibgateway/jars/total-1030.jar"),
    ],
)
def test_the_folder_is_read_from_whatever_names_it(option: Tuple[str, ...]) -> None:
    assert installation_folder(("java", *option, "ibgateway.GWClient")) == HOME


@pytest.mark.parametrize(
    ("argv", "folder"),
    [
        ((), None),
        (("python3", "bot.py"), None),
        (("java", "ibgateway.GWClient"), None),
        (("C:\\Jts\\ibgateway\\1030\\ibgateway.exe",), "C:\\Jts\\ibgateway\\1030"),
        (("/Users/u/IB Gateway/IB Gateway.app/Contents/MacOS/JavaApplicationStub",), "/Users/u/IB Gateway"),
    ],
)
def test_without_a_folder_in_the_command_line_there_is_none(argv: Tuple[str, ...], folder: Optional[str]) -> None:
    assert installation_folder(argv) == folder


def test_a_relative_class_path_needs_the_working_directory() -> None:
    argv = ("java", "-cp", "./jars/*:x", "ibgateway.GWClient")
    assert installation_folder(argv) is None
    assert installation_folder(argv, cwd=HOME) == HOME


def test_a_response_file_is_read_as_java_reads_properties() -> None:
    text = "#install4j response file\r\njtsConfigDir=/home/u/My\\ Jts\nsys.x$Integer=1\n"
    text += " a\\:b : c\\\n  d\\u0041\n!no=1\nempty\n"
    assert parse_response_varfile(text) == {"jtsConfigDir": "/home/u/My Jts", "sys.x": "1", "a:b": "cdA", "empty": ""}
    assert config_dir_in(text) == "/home/u/My Jts"
    assert config_dir_in("jtsConfigDir=") is None
    assert config_dir_in("jtsConfigDir=${installer:jtsConfigDir}") is None


def test_ibcs_settings_are_read_without_its_passwords() -> None:
    found = parse_ibc_ini(
        "FIX=yes\nIbLoginId=\nIbPassword=hunter2\nTradingMode=Paper\nCommandServerPort=7463\nIbDir=/srv/p\n"
        "AutoRestartTime=11:45 PM\nOverrideTwsApiPort=4003\n"
    )
    assert found == ("paper", "/srv/p", True, False, 7463, "11:45 PM", 4003)
    assert parse_ibc_ini("TradingMode=\nCommandServerPort=0") == (None,) * 7


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    parse_response_varfile(text)
    parse_ibc_ini(text)
