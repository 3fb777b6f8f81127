"""One SQLite file (synchronous=FULL) that goes on answering when its disk is full, upgraded in one
transaction, its troubles told apart. Whatever is wrong with it, it is never removed: what is in it
may be all that is known of somebody's runs.

In WAL mode even a reader needs room: 32 KiB of shared memory in a file beside the database. Under
the exclusive lock it is in memory instead, so that reading takes no room at all, and writing the
changed pages alone. For these a file of the same name with `.reserve` is kept, which is given up
for what has to be written down all the same.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from cvl.disks import full_disk, is_full, is_network, naming_the_mount
from cvl.errors import CvlError, DiskFullError, StateError
from cvl.store.dirs import make_private
from cvl.store.locks import held

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
RESERVE = 1 << 18
"""Bytes: some sixty pages of the database."""
NO_ROOM = ("database or disk is full", "disk I/O error", "unable to open database file")
TIMEOUT_S = 10
WAL, ROLLBACK = "wal", "delete"
READ_ONLY = "state_read_only"
DAMAGED = "state_damaged"


class Database:
    """One file, brought to the newest of `versions`: what each adds to the one before it. Every
    piece of work has a connection of its own, and is done again from its beginning when the disk
    was full: it is a query or one transaction. Raises StateError with what to do, DiskFullError."""

    def __init__(self, path: Path, versions: Sequence[str]) -> None:
        make_private(path.parent)
        self.path, self._versions = path, versions
        self._reserve = path.with_name(f"{path.name}.reserve")
        self._frozen = False
        version, journal = self._look()
        if version < len(versions) or (journal == WAL and self._wanted_journal() != WAL):
            with self.alone():
                self.once(self._upgrade)
        if version > len(versions):
            raise StateError(f"{path} was written by a newer cvl", hint="upgrade cvl")

    def _look(self) -> tuple[int, str]:
        """(version, journal mode). Where nothing can be written, it is read as it lies there."""
        try:
            return self.insist(_header)
        except StateError as error:
            if error.code != READ_ONLY or not self.path.exists() or self._has_log():
                raise
            self._frozen = True
            return self.once(_header)

    def _has_log(self) -> bool:
        """Is there more beside the file, which cannot be read without writing?"""
        log = self.path.with_name(f"{self.path.name}-wal")
        return log.exists() and log.stat().st_size > 0

    def _wanted_journal(self) -> str:
        """WAL shares memory between the processes of one machine: on a network file system, those
        of another would not see it and destroy the file."""
        return ROLLBACK if is_network(self.path.parent) else WAL

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
                    with contextlib.suppress(DiskFullError, StateError):
                        self.reserve()

    def reserve(self) -> None:
        """Have the whole reserve. DiskFullError when there is no room for it; then it is as large
        as can be."""
        try:
            with (
                naming_the_mount(self.path.parent),
                self._reserve.open("ab", buffering=0) as stream,
            ):
                missing = RESERVE - os.fstat(stream.fileno()).st_size
                while missing > 0:  # zeros take no room where a disk compresses
                    missing -= stream.write(os.urandom(missing))
        except OSError as error:
            raise self._read_only(error.strerror or str(error)) from error

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time, of those that ask for it. Changing to WAL, and the exclusive lock,
        fail at once or wait in vain when others do the same."""
        with held(self.path.with_name(f"{self.path.name}.lock"), _short_pause, lambda: None):
            yield

    def once(self, work: Work[T], *, exclusive: bool = False) -> T:
        """Without a second try."""
        name = f"file:{quote(str(self.path))}" + ("?immutable=1" if self._frozen else "")
        try:
            connection = sqlite3.connect(name, timeout=TIMEOUT_S, isolation_level=None, uri=True)
            with contextlib.closing(connection) as db:
                if exclusive:
                    db.execute("PRAGMA locking_mode=EXCLUSIVE")
                db.execute("PRAGMA synchronous=FULL")
                return work(db)
        except sqlite3.OperationalError as error:
            raise self._told(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise self.damaged(str(error)) from error

    def _upgrade(self, db: sqlite3.Connection) -> None:
        """From whatever version it has, none at first, in one transaction; who had to wait for it
        finds the version set. The journal mode stays with the file."""
        db.execute(f"PRAGMA journal_mode={self._wanted_journal()}")
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        for added in self._versions[version:]:
            for statement in added.split(";\n"):
                if statement.strip():
                    db.execute(statement)
        db.execute(f"PRAGMA user_version={max(version, len(self._versions))}")
        db.execute("COMMIT")

    def _told(self, words: str) -> CvlError:
        if words in NO_ROOM and (words == NO_ROOM[0] or is_full(self.path)):
            return full_disk(self.path)
        low = words.lower()
        if "locked" in low:
            return StateError(f"{self.path}: another cvl holds it", hint="run the command again")
        if "readonly" in low or "unable to open" in low:
            return self._read_only(words)
        if "i/o error" in low:
            return StateError(f"{self.path}: {words}", hint="check the disk: dmesg | tail")
        return self.damaged(words)

    def _read_only(self, words: str) -> StateError:
        return StateError(
            f"{self.path} cannot be written: {words}",
            hint="check the folder's permissions, or set CVL_HOME to a folder of yours",
            code=READ_ONLY,
        )

    def damaged(self, words: str) -> StateError:
        """It is left for who can mend it; a new one begins when it is out of the way."""
        place = self._place_for_damaged()
        folder = shlex.quote(str(place))
        return StateError(
            f"{self.path}, the record of runs, is damaged: {words}",
            hint=f"begin a new one: mkdir {folder} && mv {shlex.quote(str(self.path))}* {folder}",
            code=DAMAGED,
        )

    def _place_for_damaged(self) -> Path:
        names = (f"damaged-{number}" for number in itertools.count(1))
        return next(p for name in names if not os.path.lexists(p := self.path.parent / name))


def _header(db: sqlite3.Connection) -> tuple[int, str]:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    return version, str(db.execute("PRAGMA journal_mode").fetchone()[0])


def _short_pause(seconds: float) -> None:
    """Creating a database takes milliseconds."""
    time.sleep(seconds / 20)
