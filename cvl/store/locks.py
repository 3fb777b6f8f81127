"""Advisory locks on files. The kernel frees them with the process, whatever kills it."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from cvl.store.dirs import unusable

POLL_S = 0.1


class FileLock:
    """flock on `path`. The file stays until `discard` takes it away under its lock; who opened it
    before that then has the lock of a file that is gone, so the name is looked at again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock now, or return False."""
        while True:
            descriptor = self._open()
            if not _lock(descriptor):
                os.close(descriptor)
                return False
            if _lies_at(descriptor, self.path):
                break
            os.close(descriptor)
        os.utime(descriptor)  # files that nobody used for long are removed
        self._descriptor = descriptor
        return True

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(f"cannot use the lock {self.path}", self.path, error) from error

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


def holder(path: Path) -> int:
    """The process that holds the lock at `path`; 0 when nobody does, or the kernel does not say."""
    with contextlib.suppress(OSError, ValueError):
        status = path.stat()
        device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if words[1] == "FLOCK" and words[5] == f"{device}:{status.st_ino}":
                return max(0, int(words[4]))
    return 0


def is_free(path: Path) -> bool:
    """Nobody holds the lock at `path` (or the file does not exist)."""
    return is_idle(path, math.inf) or not path.exists()


def is_idle(path: Path, before: float) -> bool:
    """There is a lock file at `path`, nobody holds it, and nobody took it since `before`."""
    with _idle(path, before) as idle:
        return idle


def discard(path: Path, before: float) -> bool:
    """Remove the lock file at `path` when it is idle: under its lock, so that nobody holds it."""
    with _idle(path, before) as idle:
        if idle:
            path.unlink()
        return idle


@contextlib.contextmanager
def _idle(path: Path, before: float) -> Iterator[bool]:
    """Is it? If so, nobody can take the lock while this lasts. Looking is no use: the file's time
    stays as it is."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        unused = os.fstat(descriptor).st_mtime < before and _lock(descriptor)
        # Somebody may have had it until just now.
        unused = unused and os.fstat(descriptor).st_mtime < before
        yield unused and _lies_at(descriptor, path)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lies_at(descriptor: int, path: Path) -> bool:
    """Is the open file the one that has this name now?"""
    mine = os.fstat(descriptor)
    with contextlib.suppress(FileNotFoundError):
        there = path.stat()
        return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)
    return False
