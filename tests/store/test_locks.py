"""Locks: one holder, and none once the holder is gone, however it went."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from cvl.errors import StateError
from cvl.store.locks import FileLock, discard, held, holder, is_free, is_idle
from tests.support.files import read_only_folder
from tests.support.processes import ended, killed, python, said

FOREVER = math.inf
ROUNDS = 3000 if os.environ.get("CVL_TEST_FULL") else 300
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


def test_the_kernel_says_who_holds_a_lock(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "a.lock")
    assert holder(lock.path) == 0
    assert lock.try_acquire()
    assert holder(lock.path) == os.getpid()
    lock.release()
    assert holder(lock.path) == 0


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


def test_looking_at_a_lock_does_not_use_it_and_taking_it_does(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    os.utime(path, (1, 1))
    assert is_free(path) and is_idle(path, 2) and not is_idle(path, 1)
    assert path.stat().st_mtime == 1
    with held(path, no_pause, lambda: None):
        assert path.stat().st_mtime > 2
        assert not is_idle(path, FOREVER)


def test_an_idle_lock_file_is_removed_and_can_be_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not discard(path, FOREVER) and not is_idle(path, FOREVER)
    with held(path, no_pause, lambda: None):
        assert not discard(path, FOREVER)
    assert not discard(path, 0)
    assert path.exists()
    assert discard(path, FOREVER) and not path.exists()
    with held(path, no_pause, lambda: None):
        assert not FileLock(path).try_acquire()


class Overtaken(FileLock):
    """Somebody removes the file between the moments at which it is opened and locked."""

    times = 2

    def _open(self) -> int:
        descriptor = super()._open()
        if self.times:
            self.times -= 1
            assert discard(self.path, FOREVER)
        return descriptor


def test_the_lock_of_a_file_that_is_gone_is_no_lock(tmp_path: Path) -> None:
    lock, other = Overtaken(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert lock.try_acquire()
    assert not other.try_acquire()
    lock.release()
    assert other.try_acquire()
    other.release()


COUNT_UP = """
import pathlib, sys, time
from cvl.store.locks import held
folder, number = pathlib.Path(sys.argv[1]), int(sys.argv[2])
for _ in range(number):
    with held(folder / "lock", lambda seconds: time.sleep(seconds / 1000), lambda: None):
        count = int((folder / "count").read_text())
        (folder / "inside").mkdir()
        (folder / "inside").rmdir()
        (folder / "count").write_text(str(count + 1))
"""
DISCARD = """
import pathlib, sys, time
from cvl.store.locks import discard
print("ready", flush=True)
while True:
    discard(pathlib.Path(sys.argv[1]) / "lock", time.time() + 1000)
"""


def test_a_lock_has_one_holder_while_its_file_is_removed_again_and_again(tmp_path: Path) -> None:
    """A folder that is there already shows a second holder."""
    (tmp_path / "count").write_text("0")
    remover = python(DISCARD, str(tmp_path))
    assert said(remover) == "ready"
    counters = [python(COUNT_UP, str(tmp_path), str(ROUNDS)) for _ in range(2)]
    results = [ended(counter) for counter in counters]
    killed(remover)
    assert [(code, err) for code, _, err in results] == [(0, "")] * 2
    assert int((tmp_path / "count").read_text()) == 2 * ROUNDS
