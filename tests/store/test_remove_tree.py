"""Removing what a container left: all of it, whatever it is, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from cvl.store.atomic import remove_tree
from cvl.store.places import read_ownership
from tests.support.files import folder_of_nobody, nested


def test_folders_deeper_than_any_path_or_stack_are_removed(tmp_path: Path) -> None:
    """1500 levels with names of 255 bytes: a path to the last would have 380 KB."""
    nested(tmp_path / "deep", 1500, "x" * 255)
    remove_tree(tmp_path / "deep")
    assert os.listdir(tmp_path) == []


def test_a_look_at_the_owners_of_such_folders_comes_to_an_end(tmp_path: Path) -> None:
    nested(tmp_path / "deep", 1100, "x")
    found = read_ownership("jit", tmp_path)
    assert found.looked_at > 0 and found.foreign == 0
    remove_tree(tmp_path / "deep")


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious" / "in").mkdir(parents=True)
    (tmp_path / "precious" / "in" / "file").write_text("mine")
    (tmp_path / "precious").chmod(0o500)
    work = tmp_path / "work"
    (work / "sub").mkdir(parents=True)
    for place in (work / "link", work / "sub" / "link"):
        place.symlink_to(tmp_path / "precious")
    (work / "out").symlink_to("..")
    os.link(tmp_path / "precious" / "in" / "file", work / "sub" / "hard")
    remove_tree(work)
    remove_tree(work)
    assert not work.exists()
    assert (tmp_path / "precious" / "in" / "file").read_text() == "mine"
    assert (tmp_path / "precious").stat().st_mode & 0o777 == 0o500
    link = tmp_path / "link"
    link.symlink_to("precious")
    remove_tree(link)
    assert os.listdir(tmp_path) == ["precious"]


def test_a_user_who_is_not_root_needs_no_mode_to_remove() -> None:
    with folder_of_nobody() as folder:
        work = folder / "work"
        for name in ("a", "a/b", "a/b/c"):
            (work / name).mkdir(parents=True, exist_ok=True)
            (work / name / "file").touch(mode=0)
        for name in ("a/b/c", "a/b", "a", ""):
            (work / name).chmod(0)
        remove_tree(work)
        assert os.listdir(folder) == []


def test_the_rest_goes_where_something_cannot_be_removed(tmp_path: Path) -> None:
    """Somebody else's file in somebody else's folder."""
    with folder_of_nobody() as folder:
        (folder / "work" / "mine").mkdir(parents=True)
        (folder / "work" / "file").touch()
        if os.getuid() == 0:
            os.seteuid(0)
            (folder / "work" / "theirs").mkdir()
            (folder / "work" / "theirs" / "file").touch()
            os.seteuid(65534)
        remove_tree(folder / "work")
        left = os.listdir(folder / "work") if (folder / "work").exists() else []
        assert left == (["theirs"] if os.getuid() == 0 else [])


def test_a_file_in_the_place_of_a_folder_is_removed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "work")
    remove_tree(tmp_path / "work")
    assert os.listdir(tmp_path) == []
