"""Advisory locks on files. The kernel frees them with the process, whatever kills it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from cvl.errors import StateError

POLL_S = 0.1


class FileLock:
    """flock on `path`, which is kept: removing a lock file while somebody waits on it would let two
    holders in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock now, or return False."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(
                f"cannot use the lock {self.path}: {error.strerror}",
                hint="set CVL_HOME to a folder that you can write to",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextlib.contextmanager
def held(path: Path, pause: Callable[[float], None], on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock at `path`. While another has it, `on_wait` is called once and `pause(seconds)`
    between tries; pause may raise to give up."""
    lock = FileLock(path)
    waiting = False
    while not lock.try_acquire():
        if not waiting:
            on_wait()
            waiting = True
        pause(POLL_S)
    try:
        yield
    finally:
        lock.release()


def is_free(path: Path) -> bool:
    """Nobody holds the lock at `path` (or the file does not exist)."""
    if not path.exists():
        return True
    lock = FileLock(path)
    free = lock.try_acquire()
    lock.release()
    return free
