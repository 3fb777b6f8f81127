"""Folders as inputs and outputs: staged and published by content, and never over something else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cvl.core.manifest import InputSpec
from cvl.core.plan import OutputRequest, StagedFile
from cvl.errors import InputError, OutputError, TargetExistsError
from cvl.store.outputs import check_output
from cvl.store.publishing import publish
from cvl.store.staging import check_file, stage
from cvl.store.targets import prepare_target

SPEC = InputSpec(type="directory")
REQUEST = OutputRequest("directory", "")


def _folder(path: Path) -> Path:
    (path / "inner").mkdir(parents=True)
    (path / "a.txt").write_text("a")
    (path / "inner" / "b.txt").write_text("b")
    return path


def _staged(folder: Path, target: Path) -> StagedFile:
    return stage("frames", check_file("frames", SPEC, str(folder)), target)


def test_a_folder_is_staged_as_a_read_only_copy_known_by_its_content(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "given")
    first = _staged(folder, tmp_path / "one")
    assert first == _staged(folder, tmp_path / "two")
    assert (tmp_path / "one" / "inner" / "b.txt").read_text() == "b"
    assert (tmp_path / "one" / "a.txt").stat().st_mode & 0o777 == 0o444
    (folder / "a.txt").write_text("A")
    assert first.sha256 != _staged(folder, tmp_path / "three").sha256


def test_a_folder_input_that_is_missing_empty_a_file_or_has_a_link_is_refused(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    os.symlink("/etc/passwd", _folder(tmp_path / "linked") / "link")
    expected = {"file": "not a folder", "none": "not there", "empty": "is empty", "linked": "plain"}
    for name, message in expected.items():
        with pytest.raises(InputError, match=message):
            _staged(tmp_path / name, tmp_path / f"{name}-staged")


def test_a_folder_output_is_published_whole_and_never_over_something_else(tmp_path: Path) -> None:
    _folder(tmp_path / "out" / "frames")
    produced = check_output("step", "frames", REQUEST, tmp_path / "out")
    target = prepare_target(tmp_path / "frames", "run", overwrite=True)
    assert publish(produced, target, lambda: None)
    assert (tmp_path / "frames" / "inner" / "b.txt").read_text() == "b"
    (tmp_path / "taken").write_text("mine")
    taken = prepare_target(tmp_path / "taken", "run2", overwrite=True)
    with pytest.raises(TargetExistsError):
        publish(produced, taken, lambda: None)
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_folder_output_with_a_trap_in_it_is_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "out" / "frames")
    os.mkfifo(folder / "pipe")
    with pytest.raises(OutputError, match="plain file"):
        check_output("step", "frames", REQUEST, tmp_path / "out")
