"""The file that SQLite keeps for cvl: opened, upgraded, and its troubles told apart. Whatever is
wrong with it, it is never removed: what is in it may be all that is known of somebody's runs."""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from cvl.errors import DiskFullError, StateError
from cvl.store.atomic import mount_of
from cvl.store.dirs import make_private
from cvl.store.disk import is_network
from cvl.store.locks import held

TIMEOUT_S = 10
WAL, ROLLBACK = "wal", "delete"
READ_ONLY = "state_read_only"
DAMAGED = "state_damaged"


class Database:
    """One file, brought to the newest of `versions`: what each adds to the one before it. Raises
    StateError with what to do."""

    def __init__(self, path: Path, versions: Sequence[str]) -> None:
        make_private(path.parent)
        self.path, self._versions = path, versions
        self._frozen = False
        version, journal = self._look()
        if version < len(versions) or (journal == WAL and self._wanted_journal() != WAL):
            # Changing to WAL fails at once when another process does it too, however long the
            # timeout; so one at a time.
            with held(path.with_name(f"{path.name}.lock"), _short_pause, lambda: None):
                self._upgrade()
        if version > len(versions):
            raise StateError(f"{path} was written by a newer cvl", hint="upgrade cvl")

    def _look(self) -> tuple[int, str]:
        """(version, journal mode). Where nothing can be written, it is read as it lies there."""
        try:
            return self._read_header()
        except StateError as error:
            if error.code != READ_ONLY or not self.path.exists() or self._has_log():
                raise
            self._frozen = True
            return self._read_header()

    def _read_header(self) -> tuple[int, str]:
        with self.open() as db:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            return version, str(db.execute("PRAGMA journal_mode").fetchone()[0])

    def _has_log(self) -> bool:
        """Is there more beside the file, which cannot be read without writing?"""
        log = self.path.with_name(f"{self.path.name}-wal")
        return log.exists() and log.stat().st_size > 0

    def _wanted_journal(self) -> str:
        """WAL shares memory between the processes of one machine: on a network file system, those
        of another would not see it and destroy the file."""
        return ROLLBACK if is_network(self.path.parent) else WAL

    @contextlib.contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """A connection that writes through to the disk at each commit."""
        name = f"file:{quote(str(self.path))}" + ("?immutable=1" if self._frozen else "")
        try:
            connection = sqlite3.connect(name, timeout=TIMEOUT_S, isolation_level=None, uri=True)
            with contextlib.closing(connection) as db:
                db.execute("PRAGMA synchronous=FULL")
                yield db
        except sqlite3.OperationalError as error:
            raise self._told(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise self.damaged(str(error)) from error

    def _upgrade(self) -> None:
        """From whatever version it has, none at first, in one transaction; who had to wait for it
        finds the version set. The journal mode stays with the file."""
        with self.open() as db:
            db.execute(f"PRAGMA journal_mode={self._wanted_journal()}")
            db.execute("BEGIN IMMEDIATE")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            for added in self._versions[version:]:
                for statement in added.split(";\n"):
                    if statement.strip():
                        db.execute(statement)
            db.execute(f"PRAGMA user_version={max(version, len(self._versions))}")
            db.execute("COMMIT")

    def _told(self, words: str) -> DiskFullError | StateError:
        low = words.lower()
        if "full" in low:
            mount = mount_of(self.path)
            return DiskFullError(f"the disk at {mount} is full", hint="free space")
        if "locked" in low:
            return StateError(f"{self.path}: another cvl holds it", hint="run the command again")
        if "readonly" in low or "unable to open" in low:
            return StateError(
                f"{self.path} cannot be written: {words}",
                hint="check the folder's permissions, or set CVL_HOME to a folder of yours",
                code=READ_ONLY,
            )
        if "i/o error" in low:
            return StateError(f"{self.path}: {words}", hint="check the disk: dmesg | tail")
        return self.damaged(words)

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


def _short_pause(seconds: float) -> None:
    """Creating a database takes milliseconds."""
    time.sleep(seconds / 20)
