"""Where things are kept: what the environment says, private, and made only when needed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cvl.disks import mount_of, naming_the_mount
from cvl.errors import DiskFullError, StateError
from cvl.store.atomic import remove_tree, write_atomic
from cvl.store.dirs import Dirs, find_dirs, make_private
from cvl.store.locks import FileLock
from tests.support.disks import small_disk
from tests.support.files import read_only_folder
from tests.support.processes import ended, python


def test_cvl_home_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    monkeypatch.setenv("CVL_HOME", str(tmp_path))
    assert find_dirs() == Dirs(tmp_path / "state", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CVL_HOME", "here")
    assert find_dirs().state == tmp_path / "here" / "state"


def test_without_it_the_xdg_folders_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CVL_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg/state")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative is not allowed")
    monkeypatch.setenv("HOME", "/home/me")
    found = find_dirs()
    assert found == Dirs(Path("/xdg/state/cvl"), Path("/home/me/.cache/cvl"))
    assert found.results.parent == found.work.parent == found.jit.parent == found.cache


def test_finding_makes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CVL_HOME", str(tmp_path / "home"))
    find_dirs()
    assert list(tmp_path.iterdir()) == []


def test_every_folder_that_is_made_is_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    deep = make_private(tmp_path / "a" / "b" / "c")
    for folder in (deep, deep.parent, deep.parent.parent):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert make_private(deep) == deep


def test_what_cannot_be_made_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StateError, match=f"cannot create {path}") as caught:
            make_private(path)
        assert "CVL_HOME" in caught.value.hint


def test_a_home_has_one_id_also_when_two_processes_ask_first(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from cvl.store.dirs import Dirs;"
        "path = pathlib.Path(sys.argv[1]); sys.stdin.readline();"
        "print(Dirs(path, path).home_id())"
    )
    asking = [python(code, str(tmp_path / "state")) for _ in range(4)]
    ids = {ended(process)[1].strip() for process in asking}
    assert ids == {Dirs(tmp_path / "state", tmp_path).home_id()}
    assert len(ids.pop()) == 16


def test_a_home_that_cannot_be_written_to_is_an_error_with_a_hint() -> None:
    with read_only_folder() as folder, pytest.raises(StateError, match="Permission denied"):
        Dirs(folder, folder).home_id()


def test_a_file_is_written_as_a_whole_and_privately(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomic(path, b"one")
    write_atomic(path, b"two", mode=0o644)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"two", 0o644)
    write_atomic(path, b"three", replace=False)
    write_atomic(tmp_path / "b", b"four", replace=False)
    assert path.read_bytes() == b"two"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_a_full_disk_is_named_by_its_mount(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError) as caught, naming_the_mount(tmp_path / "none" / "x"):
        raise OSError(28, os.strerror(28))
    assert caught.value.message == f"the disk at {mount_of(tmp_path)} is full"
    assert caught.value.status == 8
    with pytest.raises(PermissionError), naming_the_mount(tmp_path):
        raise PermissionError


def test_a_tree_is_removed_whatever_its_modes_and_links(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("x")
    tree = tmp_path / "tree"
    (tree / "locked" / "deeper").mkdir(parents=True)
    (tree / "locked" / "deeper" / "file").touch()
    (tree / "link").symlink_to(precious)
    (tree / "locked" / "deeper").chmod(0)
    (tree / "locked").chmod(0o500)
    remove_tree(tree)
    remove_tree(tree)
    assert [p.name for p in tmp_path.iterdir()] == ["precious"]


def test_what_a_tree_lies_in_keeps_its_mode() -> None:
    """The folder is ours, so that its mode could be changed; the tree in it stays."""
    with read_only_folder() as folder:
        folder.chmod(0o755)
        (folder / "tree").mkdir()
        folder.chmod(0o555)
        remove_tree(folder / "tree")
        assert folder.stat().st_mode & 0o777 == 0o555


def test_a_quota_that_is_used_up_is_named_by_its_mount(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match="your quota") as caught, naming_the_mount(tmp_path):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
    assert str(mount_of(tmp_path)) in caught.value.message


def test_a_mount_is_named_through_links(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc")
    assert mount_of(tmp_path / "link" / "none" / "x") == Path("/proc")


def test_folders_and_files_of_ours_say_that_the_disk_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1, inodes=20) as disk:
        dirs = Dirs(disk.mount / "state", disk.mount / "cache")
        make_private(dirs.state)
        disk.fill()
        with pytest.raises(DiskFullError, match=f"the disk at {disk.mount} is full"):
            dirs.home_id()
        disk.clear()
        dirs.home_id()
        disk.fill_inodes()
        for action in (
            lambda: make_private(dirs.cache),
            lambda: FileLock(dirs.state / "a.lock").try_acquire(),
            lambda: write_atomic(dirs.state / "a", b""),
        ):
            with pytest.raises(DiskFullError, match="no free inode"):
                action()
        assert sorted(path.name for path in dirs.state.iterdir()) == ["id"]
