"""One SQLite file (WAL, synchronous=FULL) that goes on answering when its disk is full.

In WAL mode even a reader needs room: 32 KiB of shared memory in a file beside the database. Under
the exclusive lock it is in memory instead, so that reading takes no room at all, and writing the
changed pages alone. For these a file of the same name with `.reserve` is kept, which is given up
for what has to be written down all the same.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from cvl.disks import full_disk, is_full, naming_the_mount
from cvl.errors import CvlError, DiskFullError, StateError
from cvl.store.locks import held

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
RESERVE = 1 << 18
"""Bytes: some sixty pages of the database."""
NO_ROOM = ("database or disk is full", "disk I/O error", "unable to open database file")
TIMEOUT_S = 10


class Database:
    """Every piece of work has a connection of its own, and is done again from its beginning when
    the disk was full: it is a query or one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reserve = path.with_name(f"{path.name}.reserve")

    def work(self, work: Work[T]) -> T:
        """What `work` returns. DiskFullError when it needs more room than there is."""
        try:
            return self.once(work)
        except DiskFullError:
            with self.alone():
                return self.once(work, exclusive=True)

    def insist(self, work: Work[T]) -> T:
        """The same for what has to be written down: the reserve is given up for it."""
        try:
            return self.work(work)
        except DiskFullError:
            with self.alone():
                self._reserve.unlink(missing_ok=True)
                try:
                    return self.once(work, exclusive=True)
                finally:
                    with contextlib.suppress(DiskFullError, OSError):
                        self.reserve()

    def reserve(self) -> None:
        """Have the whole reserve. DiskFullError when there is no room for it; then it is as large
        as can be."""
        with naming_the_mount(self.path.parent), self._reserve.open("ab", buffering=0) as stream:
            missing = RESERVE - os.fstat(stream.fileno()).st_size
            while missing > 0:  # zeros take no room where a disk compresses
                missing -= stream.write(os.urandom(missing))

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time, of those that ask for it. Changing to WAL, and the exclusive lock,
        fail at once or wait in vain when others do the same."""
        with held(self.path.with_name(f"{self.path.name}.lock"), _short_pause, lambda: None):
            yield

    def once(self, work: Work[T], *, exclusive: bool = False) -> T:
        """Without a second try."""
        try:
            connection = sqlite3.connect(self.path, timeout=TIMEOUT_S, isolation_level=None)
            with contextlib.closing(connection) as db:
                if exclusive:
                    db.execute("PRAGMA locking_mode=EXCLUSIVE")
                db.execute("PRAGMA synchronous=FULL")
                return work(db)
        except sqlite3.DatabaseError as error:
            raise self._named(error) from error

    def _named(self, error: sqlite3.DatabaseError) -> CvlError:
        if str(error) in NO_ROOM and (str(error) == NO_ROOM[0] or is_full(self.path)):
            return full_disk(self.path)
        operational = isinstance(error, sqlite3.OperationalError)
        hint = "check the folder's permissions" if operational else "move the file away"
        return StateError(f"{self.path}: {error}", hint=hint)


def _short_pause(seconds: float) -> None:
    """Creating a database takes milliseconds."""
    time.sleep(seconds / 20)
