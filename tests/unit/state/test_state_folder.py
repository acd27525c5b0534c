"""The state folder is reached and used by descriptor: no other account can put another one in its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible.module_utils.ib_gateway.state.state_folder import Folder, JournalUnusable

STRANGER = 64_001
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another account")


def opened(path: Path, create: bool = False) -> Folder:
    found = Folder.open(str(path), create)
    assert found is not None
    return found


def test_missing_folders_are_made_each_for_its_owner_alone(tmp_path: Path) -> None:
    with opened(tmp_path / "a" / "b" / "c", create=True) as folder:
        folder.replace("file", b"x")
    assert (tmp_path / "a/b/c/file").read_bytes() == b"x"
    assert {(tmp_path / each).stat().st_mode & 0o777 for each in ("a", "a/b", "a/b/c")} == {0o700}


def test_nothing_is_made_where_nothing_is_to_be_made(tmp_path: Path) -> None:
    assert Folder.open(str(tmp_path / "a" / "b")) is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_on_the_way_need_not_be_listed(tmp_path: Path) -> None:
    (tmp_path / "way" / "state").mkdir(parents=True, mode=0o700)
    (tmp_path / "way").chmod(0o711)
    opened(tmp_path / "way" / "state").close()


def test_a_link_of_ours_on_the_way_is_followed_and_one_in_place_of_the_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "disk" / "state").mkdir(parents=True, mode=0o700)
    (tmp_path / "lib").symlink_to("disk")
    (tmp_path / "far").symlink_to(tmp_path / "lib")
    with opened(tmp_path / "far" / "state") as folder:
        folder.replace("file", b"x")
    assert (tmp_path / "disk" / "state" / "file").exists()
    (tmp_path / "state").symlink_to("disk/state")
    with pytest.raises(JournalUnusable, match="is a symlink, not a folder"):
        Folder.open(str(tmp_path / "state"))


def test_links_that_go_round_come_to_an_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(JournalUnusable, match="Too many levels of symbolic links"):
        Folder.open(str(tmp_path / "a" / "state"))


@as_root
@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_a_folder_on_the_way_that_others_may_change_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "way" / "state").mkdir(parents=True, mode=0o700)
    (tmp_path / "way").chmod(mode)
    with pytest.raises(JournalUnusable, match="way, in which the state_dir lies, may be changed by other accounts"):
        Folder.open(str(tmp_path / "way" / "state"))


@as_root
@pytest.mark.parametrize("create", [False, True])
def test_a_folder_in_another_account_s_own_is_refused(tmp_path: Path, create: bool) -> None:
    (tmp_path / "home" / "state").mkdir(parents=True, mode=0o700)
    os.chown(str(tmp_path / "home"), STRANGER, STRANGER)
    with pytest.raises(JournalUnusable, match="home, in which the state_dir lies"):
        Folder.open(str(tmp_path / "home" / "state"), create)
    with pytest.raises(JournalUnusable, match="home, in which the state_dir lies"):
        Folder.open(str(tmp_path / "home" / "new" / "state"), create=True)
    assert not (tmp_path / "home" / "new").exists()


@as_root
def test_a_link_of_another_account_on_the_way_is_not_followed(tmp_path: Path) -> None:
    """In a folder like /tmp anybody may put a link to one that is root's."""
    (tmp_path / "etc" / "state").mkdir(parents=True, mode=0o700)
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    (tmp_path / "shared" / "link").symlink_to(tmp_path / "etc")
    opened(tmp_path / "shared" / "link" / "state").close()
    os.lchown(str(tmp_path / "shared" / "link"), STRANGER, STRANGER)
    with pytest.raises(JournalUnusable, match="cannot be opened"):
        Folder.open(str(tmp_path / "shared" / "link" / "state"))


@as_root
def test_a_folder_that_another_account_has_made_first_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    (tmp_path / "shared" / "state").mkdir()
    os.chown(str(tmp_path / "shared" / "state"), STRANGER, STRANGER)
    with pytest.raises(JournalUnusable, match="belongs to another account"):
        Folder.open(str(tmp_path / "shared" / "state"), create=True)


def test_what_takes_the_path_of_an_open_folder_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    with opened(tmp_path / "state") as folder:
        (tmp_path / "state").rename(tmp_path / "moved")
        (tmp_path / "state").mkdir(mode=0o700)
        (tmp_path / "state" / "file").write_bytes(b"theirs")
        folder.replace("file", b"ours")
        assert folder.read("file", 100) == b"ours"
        lock = folder.lock("lock", 0)
        assert lock is not None
        os.close(lock)
        folder.rename("file", "other")
        assert folder.remove("other")
    assert sorted(each.name for each in (tmp_path / "moved").iterdir()) == ["lock"]
    assert (tmp_path / "state" / "file").read_bytes() == b"theirs"


def test_only_the_walk_to_the_folder_opens_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call that takes a name also takes the descriptor that it is a name in."""
    real = {name: getattr(os, name) for name in ("open", "stat", "mkdir", "unlink", "rename", "lstat")}
    loose = []

    def watched(name: str, *arguments: object, **options: object) -> object:
        if isinstance(arguments[0], str) and not {"dir_fd", "src_dir_fd"} & set(options):
            loose.append((name, arguments[0]))
        return real[name](*arguments, **options)

    for name in real:
        monkeypatch.setattr(os, name, lambda *a, _name=name, **o: watched(_name, *a, **o))
    with opened(tmp_path / "new" / "state", create=True) as folder:
        folder.replace("file", b"x")
        folder.append("file", b"y", 1, 1)
        assert folder.read("file", 9) == b"xy" and folder.exists("file")
        os.close(folder.lock("lock", 0) or 0)
        folder.rename("file", "other")
        folder.remove("other")
    assert set(loose) == {("open", "/")}
