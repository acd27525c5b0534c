"""Where what a start leaves can be kept is asked without writing anything."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.ib_gateway.lifecycle.places import cannot_hold


def test_a_folder_that_lies_below_a_link_can_be_made_and_one_that_is_a_link_is_no_folder(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "link").symlink_to(elsewhere)
    assert cannot_hold(str(tmp_path / "link" / "environment")) is None
    assert cannot_hold(str(tmp_path / "link")) == "%s is no folder: move it away" % (tmp_path / "link")
    (elsewhere / "file").touch()
    assert "is no folder" in (cannot_hold(str(elsewhere / "file" / "environment")) or "")
