"""Disks, folders and owners as they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cvl.core.doctor.facts import FolderFact
from cvl.store import places
from cvl.store.places import read_disk, read_folder, read_ownership


def test_a_place_that_is_yet_to_be_made_has_the_room_of_its_disk(tmp_path: Path) -> None:
    found = read_disk("results", tmp_path / "not" / "there")
    assert found.problem == "" and 0 < found.free <= found.total
    assert os.path.ismount(found.mount)
    assert not (tmp_path / "not").exists()


def test_a_folder_that_is_missing_is_known_by_the_one_above(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    found = read_folder("state", tmp_path / "a" / "b")
    mine = os.getuid()
    assert found == FolderFact("state", str(tmp_path / "a" / "b"), str(tmp_path), mine, 0o750, True)
    (tmp_path / "a").write_text("a file")
    assert not read_folder("state", tmp_path / "a" / "b").writable


def test_files_of_others_are_counted_and_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    (tmp_path / "link").symlink_to("/")
    assert read_ownership("models", tmp_path).foreign == 0
    monkeypatch.setattr("os.getuid", lambda: 4242)
    found = read_ownership("models", tmp_path)
    assert (found.foreign, found.looked_at, found.complete) == (3, 3, True)
    assert Path(found.example).parent == tmp_path


def test_looking_for_owners_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        (tmp_path / str(number)).touch()
    monkeypatch.setattr(places, "MAX_ENTRIES", 3)
    found = read_ownership("models", tmp_path)
    assert (found.looked_at, found.complete) == (3, False)
