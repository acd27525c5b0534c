"""Profiles: what is read, what is refused with which words, and that live must be said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest
from unit.client_kit import ib_connect, profile, write_profiles

LIVE, PAPER = profile(4001), profile(4002, "paper", max_api_clients=4)


def test_a_profile_has_the_loopback_host_and_one_slot_unless_it_says_otherwise(tmp_path: Path) -> None:
    file = write_profiles(tmp_path, live={"port": 4001, "mode": "live"}, paper=PAPER)
    assert ib_connect.load_profiles(file) == {
        "live": ib_connect.Profile("live", "127.0.0.1", 4001, "live", 1),
        "paper": ib_connect.Profile("paper", "127.0.0.1", 4002, "paper", 4),
    }


def test_the_environment_names_the_file_and_an_argument_comes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    other = write_profiles(tmp_path / "other", backup=PAPER)
    monkeypatch.setenv("IB_CONNECT_PROFILES", str(write_profiles(tmp_path, paper=PAPER)))
    assert list(ib_connect.load_profiles()) == ["paper"]
    assert list(ib_connect.load_profiles(other)) == ["backup"]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"port": 0}, "port"),
        ({"port": "4001"}, "port"),
        ({"port": True}, "port"),
        ({"port": None}, "port"),
        ({"mode": "Live"}, "mode"),
        ({"host": ""}, "host"),
        ({"host": 5}, "host"),
        ({"max_api_clients": 33}, "max_api_clients"),
        ({"max_api_clients": 1.0}, "max_api_clients"),
        ({"clientId": 15}, "clientId"),
    ],
)
def test_a_wrong_value_is_told_with_file_profile_and_key(tmp_path: Path, change: Dict[str, Any], key: str) -> None:
    file = write_profiles(tmp_path, live={**LIVE, **change})
    with pytest.raises(ib_connect.ProfileError) as caught:
        ib_connect.find_profile("live", path=file)
    assert f"{file}, profile live, key {key}: " in str(caught.value)
    assert (caught.value.stage, caught.value.cause) == ("profile", "profile")


@pytest.mark.parametrize("key", ["port", "mode"])
def test_a_missing_key_is_told(tmp_path: Path, key: str) -> None:
    file = write_profiles(tmp_path, live={name: value for name, value in LIVE.items() if name != key})
    with pytest.raises(ib_connect.ProfileError, match=f"profile live, key {key}: is missing"):
        ib_connect.load_profiles(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "key profiles"),
        ('{"profiles": []}', "key profiles"),
        ('{"profiles": {"live": 4001}}', "profile live: must be an object"),
        ('{"profiles": {}, "lock_dir": "run"}', "key lock_dir"),
    ],
)
def test_a_broken_file_is_told_with_its_path(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "profiles.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ib_connect.ProfileError) as caught:
        ib_connect.load_profiles(file)
    assert str(file) in str(caught.value) and words in str(caught.value)


def test_a_file_that_is_not_there_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ib_connect.ProfileError, match=r"none\.json: cannot be read: No such file"):
        ib_connect.load_profiles(tmp_path / "none.json")


def test_an_unknown_name_is_told_with_the_names_there_are(tmp_path: Path) -> None:
    file = write_profiles(tmp_path, live=LIVE, paper=PAPER)
    with pytest.raises(ib_connect.ProfileError, match=r"'backup'.*live \(live\), paper \(paper\)"):
        ib_connect.find_profile("backup", path=file)


def test_a_mode_stands_for_the_only_profile_of_that_mode(tmp_path: Path) -> None:
    file = write_profiles(tmp_path, desk1=LIVE, desk2=PAPER)
    assert ib_connect.find_profile("live", path=file).name == "desk1"
    assert ib_connect.find_profile("paper", path=file).name == "desk2"
    both = write_profiles(tmp_path, desk1=LIVE, desk2=profile(4003))
    with pytest.raises(ib_connect.ProfileError, match="several of that mode"):
        ib_connect.find_profile("live", path=both)


@pytest.mark.parametrize("name", ["live", "desk1-live", "Live.backup"])
def test_a_name_with_the_word_live_says_live(tmp_path: Path, name: str) -> None:
    file = write_profiles(tmp_path, **{name: LIVE})
    assert ib_connect.find_profile(name, path=file).mode == "live"
    with pytest.raises(ib_connect.LiveNotSaid, match="live=False was given"):
        ib_connect.find_profile(name, live=False, path=file)


@pytest.mark.parametrize("name", ["desk1", "alive", "olive-desk", "live-or-paper"])
def test_a_live_profile_by_another_name_is_refused_until_live_is_said(tmp_path: Path, name: str) -> None:
    file = write_profiles(tmp_path, **{name: LIVE})
    with pytest.raises(ib_connect.LiveNotSaid, match=f"say so: connect\\('{name}', live=True\\)"):
        ib_connect.find_profile(name, path=file)
    assert ib_connect.find_profile(name, live=True, path=file).mode == "live"


def test_connect_refuses_before_it_does_anything(tmp_path: Path) -> None:
    file = write_profiles(tmp_path, desk1=LIVE)
    for connect in (ib_connect.connect, ib_connect.connect_async):
        with pytest.raises(ib_connect.LiveNotSaid):
            connect("desk1", profiles=file)


@pytest.mark.parametrize(
    ("name", "mode", "live"), [("live", "paper", None), ("paper", "live", True), ("desk1", "paper", True)]
)
def test_a_call_that_contradicts_the_profile_is_refused(tmp_path: Path, name: str, mode: str, live: bool) -> None:
    file = write_profiles(tmp_path, **{name: profile(4001, mode)})
    with pytest.raises(ib_connect.ProfileError, match=f"key mode: is {mode}, but the call says otherwise"):
        ib_connect.find_profile(name, live=live, path=file)


def test_a_paper_profile_needs_nothing_said(tmp_path: Path) -> None:
    file = write_profiles(tmp_path, sandbox=PAPER)
    assert ib_connect.find_profile("sandbox", path=file).mode == "paper"


@pytest.mark.parametrize("options", [{"client_id": 0}, {"client_id": -1}, {"timeout": 0}, {"attempt_timeout": -1}])
def test_arguments_that_cannot_be_right_are_refused(tmp_path: Path, options: Dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"client_id|above 0"):
        ib_connect.connect("paper", profiles=write_profiles(tmp_path, paper=PAPER), **options)


def test_what_the_role_s_template_writes_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "profiles.json"
    file.write_text(json.dumps({"lock_dir": str(tmp_path), "profiles": {"live": LIVE}}), encoding="utf-8")
    assert ib_connect.find_profile("live", path=file).port == 4001
