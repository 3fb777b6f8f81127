"""Locks: one holder, and none once the holder is gone, however it went."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvl.errors import StateError
from cvl.store.locks import FileLock, held, is_free
from tests.support.files import read_only_folder
from tests.support.processes import ended, killed, python, said

HOLD = """
import pathlib, sys
from cvl.store.locks import FileLock
print(FileLock(pathlib.Path(sys.argv[1])).try_acquire(), flush=True)
sys.stdin.read()
"""


def no_pause(seconds: float) -> None:
    raise AssertionError("nobody should have to wait")


def test_a_lock_has_one_holder_also_within_a_process(tmp_path: Path) -> None:
    one, two = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.try_acquire()
    assert not two.try_acquire()
    one.release()
    one.release()
    assert two.try_acquire()
    two.release()


def test_a_lock_is_free_before_it_exists_and_after_it_was_released(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert is_free(path)
    assert not path.exists()
    with held(path, no_pause, lambda: None):
        assert not is_free(path)
    assert is_free(path)


def test_a_lock_is_freed_by_the_death_of_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = python(HOLD, str(path))
    assert said(holder) == "True"
    assert not is_free(path)
    killed(holder)
    assert is_free(path)


def test_who_waits_is_told_once_and_gets_the_lock(tmp_path: Path) -> None:
    path, told, waited = tmp_path / "lock", [], []
    holder = python(HOLD, str(path))
    assert said(holder) == "True"

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            killed(holder)

    with held(path, pause, lambda: told.append("waiting")):
        assert not is_free(path)
    assert (told, len(waited)) == (["waiting"], 3)


def test_who_gives_up_waiting_does_not_have_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = python(HOLD, str(path))
    assert said(holder) == "True"

    def give_up(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), held(path, give_up, lambda: None):
        raise AssertionError("the lock was held by another")
    ended(holder)
    assert is_free(path)


def test_a_lock_is_not_inherited_by_programs_that_are_started(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = FileLock(path)
    assert lock.try_acquire()
    child = python("print('up', flush=True); import sys; sys.stdin.read()")
    assert said(child) == "up"
    lock.release()
    assert is_free(path)
    ended(child)


def test_a_folder_that_cannot_be_written_to_is_an_error_with_a_hint() -> None:
    with read_only_folder() as folder, pytest.raises(StateError, match="Permission denied"):
        FileLock(folder / "lock").try_acquire()
