"""Settings files of gateways are anybody's: whatever they hold is read, and hides no other process of the host."""

from __future__ import annotations

import os
from pathlib import Path

from ansible.module_utils.ib_gateway.base.classify import gateway_kind
from ansible.module_utils.ib_gateway.observe import settings as settings_files
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

PIECES = st.sampled_from(
    ["IbDir", "TradingMode", "jtsConfigDir", "=", "/srv", "\\u0000", "\\ud800", "\\", "\n", "live", "é", "${x}"]
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=80), st.lists(PIECES, max_size=12).map(lambda words: "".join(words).encode())))
@example(b"IbDir=/srv/\\ud800")
@example(b"IbDir=/srv/\\u0000")
@example(b"IbDir=/" + b"a/" * 3000)
@example(b"jtsConfigDir=/srv/\\ud800\\u0000")
def test_any_settings_file_of_a_gateway_is_read(tmp_path: Path, data: bytes) -> None:
    (tmp_path / ".install4j").mkdir(exist_ok=True)
    for file in (tmp_path / "config.ini", tmp_path / ".install4j" / "response.varfile"):
        file.write_bytes(data)
    for argv in (
        ("java", "ibcalpha.ibc.IbcGateway", str(tmp_path / "config.ini")),
        ("java", "-DinstallDir=%s" % tmp_path, "install4j.ibgateway.GWClient"),
    ):
        kind = gateway_kind(argv)
        assert kind is not None
        told = settings_files.started(os.getpid(), kind, argv, None, str(tmp_path))
        for text in (told.folder, told.kind.config_dir):
            assert text is None or text.encode("utf-8") is not None
